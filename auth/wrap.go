package auth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// refusals is what the answers said of a token.
type refusals struct {
	count  atomic.Int32 // in a row, without a success between
	worked atomic.Bool
}

// succeeded notes that the partner took the token. Two loads in the common case.
func (r *refusals) succeeded() {
	if r.count.Load() != 0 {
		r.count.Store(0)
	}
	if !r.worked.Load() {
		r.worked.Store(true)
	}
}

// Refused says that the partner refused the token of generation g; the next caller gets another one if there is one.
// A generation that is no longer the current one is ignored, so that a late answer does not cost a fresh token. So
// is, for a while, a generation that was refused as soon as it was born: another one would fare no better, what is
// missing is a permission.
func (s *Source) Refused(_ context.Context, g Generation) { s.refuse(g, false) }

// refuse is Refused; again: by the replay of a request that another generation was refused for.
func (s *Source) refuse(g Generation, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.view
	if v == nil || v.gen != g || s.closed || s.wanted == v {
		return
	}
	now := time.Now()
	n := v.refusals.count.Add(1)
	switch {
	case !v.suspect && (again || v.born && !v.refusals.worked.Load()):
		v.suspect = true
		v.quiet = now.Add(min(time.Minute<<min(s.strikes, 6), time.Hour))
		s.strikes++
		return
	case v.suspect && n < 3: // others succeed with it
		return
	case now.Before(v.quiet):
		return
	}
	s.wanted = v
	s.fast.Store(nil)
}

// Wrap returns a RoundTripper that authorizes requests. An answer judged Auth with scope Credential (or 401) makes it
// refresh once and replay the request (its body from GetBody), if that gives another generation. If it does not, the
// partner's answer is passed on, of which 256 KiB are kept; but when it was 401, and a refresh is to be had later or by
// a human only, the error of [Source.Token] is returned, which says so. A call that waits for the refresh holds neither
// a connection nor a limiter's permit.
func (s *Source) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{s, next}
}

type transport struct {
	s    *Source
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.s.origins.check(req.URL); err != nil {
		closeBody(req)
		return nil, err
	}
	var v *view
	if l := t.s.fast.Load(); l != nil && time.Since(l.since) < l.good {
		v = l.view
	} else {
		var err error
		if v, err = t.wait(req, true); err != nil {
			closeBody(req)
			return nil, err
		}
	}
	resp, err := answer(t.next, withHeader(req, t.s.header, v.header), req)
	if !t.refused(req, resp, err, v, false) {
		return resp, err
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return resp, nil // the next request gets another token
	}
	keep(resp) // so that it holds nothing that others need while the refresh takes its time
	n, err := t.wait(req, false)
	if err != nil {
		if e, ok := errors.AsType[*retry.Error](err); ok && (resp.StatusCode == http.StatusUnauthorized ||
			e.Class == retry.Canceled || errors.Is(err, ErrNeedsReauth)) {
			discard(resp)
			e.Status = resp.StatusCode
			return nil, err
		}
		return resp, nil
	}
	if n == v || n.gen == v.gen && n.token.Access == v.token.Access {
		return resp, nil
	}
	out := withHeader(req, t.s.header, n.header)
	if req.GetBody != nil && req.Body != nil && req.Body != http.NoBody {
		if out.Body, err = req.GetBody(); err != nil {
			return resp, nil //nolint:nilerr // a body that cannot be had again cannot be replayed; the answer stands
		}
	}
	discard(resp)
	resp, err = answer(t.next, out, req)
	t.refused(req, resp, err, n, true)
	return resp, err
}

// wait is [Source.next], counted in the attempt's waits.
func (t *transport) wait(req *http.Request, fallback bool) (*view, error) {
	start := time.Now()
	v, err := t.s.next(req.Context(), fallback)
	if a := retry.AttemptFrom(req.Context()); a != nil {
		a.Waits.Auth += time.Since(start)
	}
	return v, err
}

// refused reports whether the answer refuses the token, and tells the source what the answer says of it.
func (t *transport) refused(req *http.Request, resp *http.Response, err error, v *view, again bool) bool {
	verdict := retry.Judge(req, resp, err)
	if verdict.Class == retry.OK {
		v.refusals.succeeded()
		return false
	}
	if resp == nil || verdict.Class != retry.Auth ||
		verdict.Scope != retry.Credential && resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	t.s.refuse(v.gen, again)
	return true
}

// discard reads what little is left of an answer, so that its connection can be used again, and closes it.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
	_ = resp.Body.Close()
}
