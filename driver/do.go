package driver

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

const (
	maxRedirects = 5
	maxExplain   = 4 << 10
	maxText      = 200 // of a partner's code, message and request id
)

var (
	errRedirect  = fmt.Errorf("driver: redirect to another origin: %w", auth.ErrOrigin)
	errRedirects = errors.New("driver: too many redirects")
)

// Do makes a call and reads the answer. Every error is a *retry.Error with partner, operation and integration filled in. Anything but a 2xx
// (or what the partner's classifiers take as success) is an error. Redirects are followed for GET and HEAD within the origin only. When ctx ends
// the error is of class Canceled and wraps context.Cause(ctx).
func (c *Client) Do(ctx context.Context, call Call) (*Response, error) {
	s := &state{client: c, op: call.Op, began: time.Now()}
	ctx = c.telemetry.start(ctx, s)
	resp, err := c.do(ctx, s, &call)
	c.telemetry.end(ctx, s, err)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (c *Client) do(ctx context.Context, s *state, call *Call) (*Response, *retry.Error) {
	if err := ctx.Err(); err != nil {
		return nil, c.fail(s, retry.Verdict{Class: retry.Canceled, Sent: retry.Never}, context.Cause(ctx))
	}
	req, err := c.request(call)
	if err != nil {
		return nil, c.fail(s, retry.Verdict{Class: retry.Client, Sent: retry.Never}, err)
	}
	s.Context = ctx
	if c.c.Limiter != nil {
		lc := ratelimit.CallFrom(ctx)
		lc.Key, lc.Op = c.c.LimitKey, call.Op
		lc.Tenant = cmp.Or(lc.Tenant, c.c.Integration)
		lc.Cost = cmp.Or(call.Cost, lc.Cost)
		s.Context = ratelimit.WithCall(ctx, lc)
	}
	for hops := 0; ; hops++ {
		req = req.WithContext(s)
		resp, err := c.chain.RoundTrip(req)
		if err != nil {
			return nil, c.failed(ctx, s, req, err)
		}
		if resp.Body != nil {
			_ = resp.Body.Close() // read whole already
		}
		s.status = resp.StatusCode
		s.requestID = c.requestID(resp.Header, s.body)
		to, err := c.redirect(req, resp)
		if err == nil && to != nil && hops == maxRedirects {
			err = errRedirects
		}
		if err != nil {
			return nil, c.fail(s, retry.Verdict{Class: retry.Client, Sent: retry.Answered}, err)
		}
		if to != nil {
			next := *req
			next.URL = to
			req = &next
			continue
		}
		if v := s.verdict; v.Failed() || !accepted(resp.StatusCode) {
			return nil, c.refusedBy(s, v, resp)
		}
		return &Response{
			Status: resp.StatusCode, Header: resp.Header, Body: s.body, RequestID: s.requestID,
			Sent: s.sent, Attempts: s.sends, Waits: s.waits(),
		}, nil
	}
}

// accepted reports whether a status that was not judged a failure is a success: from 400 on it is when a classifier of the
// partner's said so.
func accepted(status int) bool { return status/100 == 2 || status >= http.StatusBadRequest }

// request makes the request of a call, or says what is wrong with the call.
func (c *Client) request(call *Call) (*http.Request, error) {
	if !validName(call.Op) {
		return nil, errors.New("driver: Call.Op is missing or holds more than letters, digits, '.', '_' and '-'")
	}
	method := cmp.Or(call.Method, http.MethodGet)
	if !token(method) {
		return nil, errors.New("driver: Call.Method is no method of HTTP")
	}
	if call.Cost < 0 {
		return nil, errors.New("driver: Call.Cost is negative")
	}
	u, err := c.target(call.Path, call.Query)
	if err != nil {
		return nil, fmt.Errorf("driver: Call.Path: %w", err)
	}
	header := make(http.Header, len(c.header)+len(call.Header)+2) // room for the credential and the content type
	maps.Copy(header, c.header)
	for name, values := range call.Header {
		if !validHeader(name, values) {
			return nil, errors.New("driver: Call.Header has a name or value that HTTP does not allow")
		}
		header[http.CanonicalHeaderKey(name)] = values
	}
	req := &http.Request{
		Method: method, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return req, setBody(req, call.Body)
}

func setBody(req *http.Request, body any) error {
	var b []byte
	media := ""
	switch v := body.(type) {
	case nil:
		return nil
	case url.Values:
		b, media = []byte(v.Encode()), "application/x-www-form-urlencoded"
	case []byte:
		if req.Header.Get("Content-Type") == "" {
			return errors.New("driver: Call.Body is bytes and Call.Header has no Content-Type")
		}
		b = v
	case XML:
		out, err := xml.Marshal(v.Value)
		if err != nil {
			return fmt.Errorf("driver: Call.Body cannot be written as XML: %w", withoutValues(err))
		}
		b, media = append([]byte(xml.Header), out...), "application/xml; charset=utf-8"
	default:
		out, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("driver: Call.Body cannot be written as JSON: %w", unwritable(err))
		}
		b, media = out, "application/json"
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header["Content-Type"] = []string{media}
	}
	req.ContentLength = int64(len(b))
	if len(b) == 0 {
		req.Body = http.NoBody
		req.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
		return nil
	}
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	req.Body, _ = req.GetBody()
	return nil
}

// unwritable clears the errors of json.Marshal of values.
func unwritable(err error) error {
	if e, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
		return fmt.Errorf("a %s has no form in JSON", e.Value.Type())
	}
	return withoutValues(err)
}

// failed returns the error of a call that ended without an answer.
func (c *Client) failed(ctx context.Context, s *state, req *http.Request, err error) *retry.Error {
	if e, ok := errors.AsType[*retry.Error](err); ok {
		cause := e.Err
		if err.Error() != e.Error() {
			cause = plain(err) // somebody wrapped it: its text may say more
		}
		f := c.fail(s, e.Verdict, cause)
		f.Status, f.Code, f.Message = cmp.Or(e.Status, f.Status), e.Code, e.Message
		if f.RequestID == "" {
			f.RequestID = e.RequestID
		}
		if f.Waits.Limiter == 0 && f.Waits.Backoff == 0 && f.Waits.Auth == 0 {
			f.Waits = e.Waits
		}
		return f
	}
	if ctx.Err() != nil && context.Cause(ctx) != nil {
		v := retry.Verdict{Class: retry.Canceled, Sent: retry.Unknown}
		if s.sends == 0 {
			v.Sent = retry.Never
		}
		return c.fail(s, v, context.Cause(ctx))
	}
	v := s.verdict
	if s.err == nil { // it is not the attempt that failed
		v = retry.Judge(req, nil, err)
	}
	return c.fail(s, v, plain(err))
}

// plain unwraps *url.Error, whose text has the URL with the keys in its query.
func plain(err error) error {
	for {
		u, ok := errors.AsType[*url.Error](err)
		if !ok || u.Err == nil {
			return err
		}
		err = u.Err
	}
}

// refusedBy returns the error of a call that the partner answered with anything but success.
func (c *Client) refusedBy(s *state, v retry.Verdict, resp *http.Response) *retry.Error {
	var cause error
	if !v.Failed() {
		v = retry.Verdict{Class: retry.Client, Sent: retry.Answered}
	}
	if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
		cause = ErrNotFound
	}
	e := c.fail(s, v, cause)
	if c.c.Explain != nil && len(s.body) > 0 {
		body, err := toUTF8(s.body, resp.Header.Get("Content-Type"))
		if err == nil {
			e.Code, e.Message = c.c.Explain(resp.StatusCode, body[:min(len(body), maxExplain)])
			e.Code, e.Message = oneLine(e.Code), oneLine(e.Message)
		}
	}
	return e
}

// fail makes the error of a call.
func (c *Client) fail(s *state, v retry.Verdict, cause error) *retry.Error {
	if s.unsure && v.Sent == retry.Never {
		v.Sent = retry.Unknown // the last attempt had no effect, one before it may have had
	}
	return &retry.Error{
		Verdict: v, Partner: c.c.Partner, Op: s.op, Integration: c.c.Integration, RequestID: s.requestID, Status: s.status,
		Attempts: s.sends, Waits: s.waits(), Err: cause,
	}
}

// requestID returns the partner's id of the request, "" if the answer has none.
func (c *Client) requestID(h http.Header, body []byte) string {
	for _, n := range c.c.RequestID {
		if v := h.Get(n); v != "" {
			return oneLine(v)
		}
	}
	if c.c.RequestIDOf == nil || len(body) == 0 {
		return ""
	}
	return oneLine(c.c.RequestIDOf(body))
}

// oneLine bounds what a partner wrote, and leaves out what does not print.
func oneLine(s string) string {
	if len(s) > 4*maxText {
		s = s[:4*maxText]
	}
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > maxText {
		s = string(r[:maxText])
	}
	return strings.TrimSpace(s)
}

// Ready returns nil if a call of op could go out now, else a *retry.Error with At: asked before work starts, so that no
// worker waits inside it. It sends and takes nothing; what it says may have changed when the call is made. It does not know whether
// the credentials are still good.
func (c *Client) Ready(ctx context.Context, op string) error {
	s := &state{client: c, op: op}
	if err := ctx.Err(); err != nil {
		return c.fail(s, retry.Verdict{Class: retry.Canceled, Sent: retry.Never}, context.Cause(ctx))
	}
	err := c.peek()
	if err == nil {
		err = c.peekLimit(ctx, op, time.Now())
	}
	if err != nil {
		return c.failed(ctx, s, nil, err)
	}
	return nil
}
