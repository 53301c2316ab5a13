package drivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

// patience is how many calls to the API a driver may make of a page that cannot be had.
const patience = 12

func checkThrottling(r *runner, s stream) {
	l := r.whole(s)
	second := min(1, len(l.pages)-1) // calls that pass first
	for _, wait := range []time.Duration{7 * time.Second, -1} {
		name, allow := "with Retry-After", 1
		if wait < 0 {
			name = "without Retry-After"
		}
		c := struck(partnersim.TooMany, second, allow, wait)
		g := r.open(c)
		got := g.list(g.ctx, s, driver.Query{})
		if got.err != nil {
			r.Errorf("throttling: one 429 %s ends the list: %v", name, got.err)
		} else if diff := same(got.ids, l.ids); diff != "" {
			r.Errorf("throttling: after a 429 %s: %s", name, diff)
		}
		calls := g.wire.seen()
		for i, c := range calls {
			if c.status == http.StatusTooManyRequests && i+1 < len(calls) {
				if d := calls[i+1].sent.Sub(c.answered); wait > 0 && d < wait {
					r.Errorf("throttling: told to wait %v, the driver called again after %v", wait, d)
				}
			}
		}
		g.close()
	}

	checkStorm(r, s, l)

	g := r.open(struck(partnersim.TooMany, second, 0, 2*time.Second))
	got := g.list(g.ctx, s, driver.Query{})
	if got.err == nil || retry.ClassOf(got.err) != retry.RateLimit {
		r.Errorf("throttling: 429 without end: class %v, want rate_limit", retry.ClassOf(got.err))
	} else if at := retry.At(got.err); at.IsZero() {
		r.Error("throttling: the error of a 429 without end does not say when to come back")
	}
	if n := len(g.wire.seen()); n > second+patience {
		r.Errorf("throttling: 429 without end was asked for %d times", n-second)
	}
	g.close()

	// A caller that does not want to be held gets its goroutine back, and the time to come back at.
	g = r.open(struck(partnersim.TooMany, second, 1, 45*time.Second))
	start := time.Now()
	got = g.list(retry.WithMaxWait(g.ctx, 5*time.Second), s, driver.Query{})
	took := time.Since(start)
	at := retry.At(got.err)
	switch {
	case got.err == nil:
		r.Error("throttling: a wait longer than retry.WithMaxWait allows was waited")
	case took > 20*time.Second || at.Before(start.Add(45*time.Second)):
		r.Errorf("throttling: a caller that waits 5 s at most was held for %v and told to come back in %v, want at once and 45 s", took, at.Sub(start))
	default:
		time.Sleep(time.Until(at))
		again := g.list(g.ctx, s, driver.Query{Cursor: got.next})
		ids := append(got.ids, again.ids...)
		if !s.resumable {
			ids = again.ids
		}
		if diff := same(ids, l.ids); again.err != nil || diff != "" {
			r.Errorf("throttling: coming back when told: error %v, %s", again.err, diff)
		}
	}
	g.close()
}

// checkStorm has two calls of five throttled, all along. A list that gives up on it goes on later, and loses nothing.
func checkStorm(r *runner, s stream, l listing) {
	for _, wait := range []time.Duration{3 * time.Second, -1} {
		g := r.open(Conditions{Seed: 11, Latency: 40 * time.Millisecond, Faults: []partnersim.Rule{{Kind: partnersim.TooMany, Rate: 0.4, Retry: wait}}})
		got, again := g.through(s, driver.Query{})
		if got.err != nil {
			r.Errorf("throttling: a storm of 429 (Retry-After %v), gone on %d times: %v", wait, again, got.err)
		} else if diff := same(got.ids, l.ids); diff != "" {
			r.Errorf("throttling: after a storm of 429 (Retry-After %v): %s", wait, diff)
		}
		g.close()
	}
}

func checkToken(r *runner, s stream) {
	l := r.whole(s)
	g := r.open(struck(partnersim.Revoke, min(1, len(l.pages)-1), 1, 0))
	got := g.list(g.ctx, s, driver.Query{})
	if got.err != nil {
		r.Errorf("token: a token revoked in the middle ends the list: %v", got.err)
	} else if diff := same(got.ids, l.ids); diff != "" {
		r.Errorf("token: after a token was revoked in the middle: %s", diff)
	}
	if n := g.wire.tokenRequests(); n > 2 {
		r.Errorf("token: one revoked token cost %d token requests, want 2 in all", n)
	}
	g.close()

	for _, kind := range []partnersim.Kind{"401", "403"} {
		g := r.open(struck(kind, 0, 0, 0))
		for range 6 {
			if got := g.list(g.ctx, s, driver.Query{}); got.err == nil {
				r.Errorf("token: %s without end is no error", kind)
			} else if c := retry.ClassOf(got.err); c != retry.Auth && c != retry.Client && c != retry.Unavailable {
				r.Errorf("token: %s without end is an error of class %v, want auth", kind, c)
			}
		}
		if n := g.wire.tokenRequests(); n > 3 {
			r.Errorf("token: six lists that are refused with %s cost %d token requests: a refusal that a new token does not heal must not spend them", kind, n)
		}
		if n := len(g.wire.seen()); n > 6*4 {
			r.Errorf("token: six lists that are refused with %s cost %d calls", kind, n)
		}
		g.close()
	}
}

func checkBodies(r *runner, s stream) {
	l := r.whole(s)
	second := min(1, len(l.pages)-1)
	for _, kind := range []partnersim.Kind{
		partnersim.Cut, partnersim.Malformed, partnersim.HTML, partnersim.Empty, partnersim.BOM, partnersim.Control, partnersim.Slow, partnersim.Timeout,
	} {
		g := r.open(struck(kind, second, 1, 0))
		got, again := g.through(s, driver.Query{})
		if kind == partnersim.Control && len(got.ids)+got.rejected() == len(l.ids) {
			got.ids = l.ids // the character may be in an id, or where none can be
		}
		if got.err != nil {
			r.Errorf("bodies: %s once: %v", kind, got.err)
		} else if diff := same(got.ids, l.ids); diff != "" || got.incomplete != "" {
			r.Errorf("bodies: %s once, gone on %d times: %s %s", kind, again, diff, got.incomplete)
		}
		g.close()
	}
	// Without end: an error, no empty list that looks complete.
	for _, kind := range []partnersim.Kind{partnersim.Cut, partnersim.Malformed, partnersim.HTML, partnersim.Empty, partnersim.Timeout} {
		g := r.open(struck(kind, second, 0, 0))
		start := time.Now()
		got := g.list(g.ctx, s, driver.Query{})
		if got.err == nil {
			r.Errorf("bodies: %s without end is no error: %d of %d items look like all", kind, len(got.ids), len(l.ids))
		} else if c := retry.ClassOf(got.err); c != retry.Data && c != retry.Transient && c != retry.Unavailable {
			r.Errorf("bodies: %s without end is an error of class %v, want data or transient", kind, c)
		}
		if n := len(g.wire.seen()); n > second+patience {
			r.Errorf("bodies: %s without end was asked for %d times", kind, n-second)
		}
		if d := time.Since(start); d > 30*time.Minute {
			r.Errorf("bodies: %s without end took %v", kind, d)
		}
		g.close()
	}
}

func checkOutage(r *runner, s stream) {
	l := r.whole(s)
	second := min(1, len(l.pages)-1)
	for _, f := range []struct {
		kind  partnersim.Kind
		count int
	}{{"503", 2}, {"500", 1}, {"502", 1}, {partnersim.Reset, 1}, {partnersim.Lost, 1}} {
		g := r.open(struck(f.kind, second, f.count, 0))
		got := g.list(g.ctx, s, driver.Query{})
		if got.err != nil {
			r.Errorf("outage: %s %d times ends the list: %v", f.kind, f.count, got.err)
		} else if diff := same(got.ids, l.ids); diff != "" {
			r.Errorf("outage: %s %d times: %s", f.kind, f.count, diff)
		}
		g.close()
	}
	for _, kind := range []partnersim.Kind{"500", partnersim.Reset, partnersim.Lost, partnersim.Outage} {
		g := r.open(struck(kind, second, 0, 0))
		got := g.list(g.ctx, s, driver.Query{})
		if c := retry.ClassOf(got.err); got.err == nil || c != retry.Transient && c != retry.Unavailable {
			r.Errorf("outage: %s without end: class %v, want transient", kind, c)
		}
		if n := g.wire.total(); n > second+2*patience {
			r.Errorf("outage: %s without end: %d requests", kind, n)
		}
		g.close()
	}
}

var errGaveUp = errors.New("drivertest: the caller gave up")

// short is few under go test -short.
func short(many, few int) int {
	if testing.Short() {
		return few
	}
	return many
}

func checkCancellation(r *runner, s stream) {
	whole := r.open(Conditions{})
	l := whole.list(whole.ctx, s, driver.Query{})
	calls := len(whole.wire.seen())
	whole.close()
	if l.err != nil {
		r.Fatalf("cancellation: %v", l.err)
	}
	for n := range min(calls, short(40, 5)) + 1 { // 0: before the first call
		g := r.open(Conditions{Latency: 200 * time.Millisecond})
		ctx, cancel := context.WithCancelCause(g.ctx)
		var at time.Time
		sent := 0
		end := func() {
			at = time.Now()
			sent = g.wire.total()
			cancel(errGaveUp)
		}
		if n == 0 {
			end()
		}
		g.wire.hook(func(i int, _ *http.Request) *http.Response {
			if i == n {
				end()
			}
			return nil
		}, nil)
		got := g.list(ctx, s, driver.Query{})
		switch {
		case got.err == nil:
			r.Errorf("cancellation: during call %d of %d: the list goes on to its end", n, calls)
		case !errors.Is(got.err, errGaveUp) && !errors.Is(got.err, context.Canceled) && retry.ClassOf(got.err) != retry.Canceled:
			r.Errorf("cancellation: during call %d: the error is of class %v and does not wrap the context's cause", n, retry.ClassOf(got.err))
		}
		if d := time.Since(at); d > time.Second {
			r.Errorf("cancellation: during call %d: the list ended %v later", n, d)
		}
		time.Sleep(5 * time.Minute)
		if more := g.wire.total() - sent; more > 0 {
			r.Errorf("cancellation: during call %d: %d requests were sent after it", n, more)
		}
		cancel(nil)
		g.close()
	}
}

func checkRedirects(r *runner, s stream) {
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		for _, on := range []int{1, 2} {
			g := r.open(Conditions{})
			struck := false
			g.wire.hook(func(n int, req *http.Request) *http.Response {
				if n != on {
					return nil
				}
				struck = true
				resp := answer(req, status, "text/plain", nil)
				resp.Header.Set("Location", "https://"+elsewhere+"/taken")
				return resp
			}, nil)
			got := g.list(g.ctx, s, driver.Query{})
			if struck && got.err == nil {
				r.Errorf("origins: a redirect (%d) to another server is no error", status)
			}
			if a := g.wire.astray(); len(a) > 0 {
				r.Errorf("origins: a redirect (%d) was followed to another server: %s", status, a[0])
			}
			g.close()
		}
	}
}

func checkNextLinks(r *runner, s stream) {
	g := r.open(Conditions{})
	defer g.close()
	replaced := false
	g.wire.hook(nil, func(_ int, resp *http.Response) {
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			r.Errorf("origins: %v", err)
		}
		if b, ok := r.h.NextLink(body, "https://"+elsewhere+"/taken"); ok {
			replaced, body = true, b
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		resp.Header.Del("Content-Length")
	})
	got := g.list(g.ctx, s, driver.Query{})
	if !replaced {
		r.Skipf("the answers of %s hold no link", s.capability)
	}
	if diff := same(got.ids, r.whole(s).ids); got.err == nil && diff != "" { // else the driver does without the link
		r.Errorf("origins: a next link to another server is no error, and %s", diff)
	}
	if a := g.wire.astray(); len(a) > 0 {
		r.Errorf("origins: a next link was followed to another server: %s", a[0])
	}
}

func checkSize(r *runner, s stream) {
	g := r.open(Conditions{})
	defer g.close()
	body := &endless{}
	g.wire.hook(func(n int, req *http.Request) *http.Response {
		if n != 1 {
			return nil
		}
		resp := answer(req, http.StatusOK, "application/json", nil)
		resp.ContentLength, resp.Body = -1, body
		return resp
	}, nil)
	got := g.list(g.ctx, s, driver.Query{})
	if got.err == nil {
		r.Error("size: a body without end is no error")
	}
	if body.read > readAtMost {
		r.Errorf("size: %d MiB of a body without end were read", body.read>>20)
	}
}

// checkLeaks is for what close looks at: it leaves loops, calls and bodies at every point.
func checkLeaks(r *runner, s stream) {
	g := r.open(Conditions{Latency: 100 * time.Millisecond, Faults: []partnersim.Rule{
		{Kind: "500", After: 2, Count: 1}, {Kind: partnersim.Cut, After: 4, Count: 1}, {Kind: partnersim.Timeout, After: 6, Count: 1}, {Kind: "404", After: 8, Count: 1},
	}})
	defer g.close()
	for range 12 {
		ctx, cancel := context.WithTimeoutCause(g.ctx, 250*time.Millisecond, errGaveUp)
		for _, err := range s.open(ctx, g, driver.Query{}) {
			if err != nil {
				break
			}
		}
		cancel()
		for _, err := range s.open(g.ctx, g, driver.Query{}) {
			_ = err // how it ends does not matter here
			break
		}
	}
}

// canary is a text that stands in bodies and must not come out.
const canary = "CANARY-7c1f9e"

func checkSecrets(r *runner, s stream) {
	body := []byte(`{"message":"` + canary + `","code":"` + canary + ` ` + canary + `","error":{"message":"` + canary + `","code":"` + canary + ` ` + canary +
		`"},"error_description":"` + canary + `","errors":["` + canary + `"]}`)
	for _, f := range []struct {
		status int
		kind   string
		body   []byte
	}{
		{400, "application/json", body}, {401, "application/json", body}, {403, "application/json", body}, {404, "application/json", body}, {422, "application/json", body},
		{429, "application/json", body}, {500, "text/html", []byte("<html>" + canary + "</html>")}, {503, "text/plain", []byte(canary)}, {400, "application/json", []byte(`"` + canary + `"`)},
		{200, "application/json", []byte(`{"results":[{"` + canary + `":`)}, {200, "application/json", []byte(`"` + canary + `"`)},
		{200, "text/html", []byte("<html>" + canary + "</html>")}, {200, "application/json", []byte(`{"results":"` + canary + `","data":"` + canary + `"}`)},
	} {
		g := r.open(Conditions{})
		g.wire.secret(canary)
		g.wire.hook(func(n int, req *http.Request) *http.Response { return answer(req, f.status, f.kind, f.body) }, nil)
		if got := g.list(retry.WithMaxWait(g.ctx, time.Minute), s, driver.Query{}); got.err == nil && f.status >= 400 {
			r.Errorf("secrets: status %d without what was asked for is no error", f.status)
		}
		g.close()
	}
}
