package chaos

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// maxDelivery is the largest body of a delivery that is kept to be handled twice; larger ones are not struck.
const maxDelivery = 4 << 20

// throwTogether decides whether a duplicate comes at the same time.
const throwTogether = -1

// Handler returns a handler that duplicates, reorders and has redelivered the webhooks that next gets. It goes
// outermost, so that next sees what a partner's sender would do to it. The answer is always next's own; a duplicate's
// is thrown away. next must be safe for concurrent use, as every handler.
//
// The sender waits while its delivery is held back; keep Delay under its patience. A delivery is held back only while
// no other is, so that there is one to wait for.
func (in *Injector) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxDelivery+1))
		if err != nil || len(body) > maxDelivery { // next meets what we met
			rest := io.Reader(failing{err})
			if err == nil {
				rest = r.Body
			}
			again := *r
			again.Body = readCloser{io.MultiReader(bytes.NewReader(body), rest), r.Body}
			next.ServeHTTP(w, &again)
			return
		}
		f := in.decide(r, body, true)
		serve := func(w http.ResponseWriter) {
			copied := r.Clone(r.Context())
			copied.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, copied)
		}
		if f.rule == nil {
			serve(w)
			in.pass()
			return
		}
		switch f.rule.Kind {
		case Duplicate:
			twice(serve, w, f.dice.float(throwTogether) < 0.5)
		case Reorder:
			in.hold(r, f.rule.Delay)
			serve(w)
		case Redeliver:
			serve(discard{http.Header{}})
			in.pass()
			panic(http.ErrAbortHandler) // the sender sees a connection that breaks
		}
		in.pass()
	})
}

// hold waits until another delivery was handled, at most for d. It does not when one is held back already.
func (in *Injector) hold(r *http.Request, d time.Duration) {
	if d == 0 {
		d = time.Second
	}
	passed := make(chan struct{})
	in.mu.Lock()
	if in.held != nil {
		in.mu.Unlock()
		return
	}
	in.held = passed
	in.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-passed:
		return
	case <-t.C:
	case <-r.Context().Done():
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.held == passed {
		in.held = nil
	}
}

// pass lets the delivery go on that is held back.
func (in *Injector) pass() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.held != nil {
		close(in.held)
		in.held = nil
	}
}

// twice has a delivery handled twice. A panic of the second goes on in the goroutine of the request.
func twice(serve func(http.ResponseWriter), w http.ResponseWriter, together bool) {
	if !together {
		serve(w)
		serve(discard{http.Header{}})
		return
	}
	var wg sync.WaitGroup
	var panicked any
	wg.Add(1)
	go func() {
		defer wg.Done()
		defer func() { panicked = recover() }()
		serve(discard{http.Header{}})
	}()
	func() {
		defer wg.Wait() // also when this one panics
		serve(w)
	}()
	if panicked != nil {
		panic(panicked)
	}
}

// discard is where an answer goes that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// readCloser reads from one and closes another.
type readCloser struct {
	io.Reader
	io.Closer
}

// failing fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
