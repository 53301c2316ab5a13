package chaos_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver/chaos"
)

// receiver notes what it got, in the order in which it was done.
type receiver struct {
	takes time.Duration
	mu    sync.Mutex
	got   []string
	fail  any // panics with it on the second
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, "cannot read", http.StatusBadRequest)
		return
	}
	time.Sleep(r.takes)
	r.mu.Lock()
	r.got = append(r.got, string(body[:min(len(body), 20)]))
	n := len(r.got)
	r.mu.Unlock()
	w.Header().Set("X-Nth", string(rune('0'+n)))
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "taken") // a recorder takes everything
	if r.fail != nil && n == 2 {
		panic(r.fail)
	}
}

// deliver sends a delivery and returns the status, 0 if the connection broke.
func deliver(h http.Handler, path, body string) (status int) {
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			status = 0
		}
	}()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w.Code
}

func TestDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{takes: time.Second}
		in := injector(t, chaos.Rule{Kind: chaos.Duplicate}, chaos.Rule{Kind: "503"})
		h := in.Handler(r)
		together := 0
		const n = 20
		for i := range n {
			start := time.Now()
			if status := deliver(h, "/hooks", string(rune('a'+i))); status != http.StatusAccepted {
				t.Errorf("status %d: the answer must be the receiver's", status)
			}
			if time.Since(start) == time.Second {
				together++
			}
		}
		if together == 0 || together == n {
			t.Errorf("of %d duplicates %d came at the same time, want some", n, together)
		}
		for i := range n {
			if got, want := r.got[2*i]+r.got[2*i+1], strings.Repeat(string(rune('a'+i)), 2); got != want {
				t.Errorf("delivery %d was handled as %q, want %q", i, got, want)
			}
		}
		if rep := in.Report(); rep.Deliveries != n || rep.Calls != 0 || rep.Faults[chaos.Duplicate] != n ||
			rep.Struck != n {
			t.Errorf("the report is %+v", rep)
		}
	})
}

// A panic in the receiver is the request's, whichever of two it is in.
func TestPanicOfADuplicate(t *testing.T) {
	for i := range 8 { // both ways of duplicating
		r := &receiver{fail: http.ErrAbortHandler}
		if status := deliver(injector(t, chaos.Rule{Kind: chaos.Duplicate}).Handler(r), "/hooks",
			string(rune('a'+i))); status != 0 || len(r.got) != 2 {
			t.Errorf("status %d after %d", status, len(r.got))
		}
	}
}

func TestReorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{takes: 10 * time.Millisecond}
		h := injector(t, chaos.Rule{Kind: chaos.Reorder, Count: 1, Endpoint: "/late/*"}).Handler(r)
		var wg sync.WaitGroup
		for _, d := range [][2]string{{"/late/1", "first"}, {"/hooks", "second"}, {"/hooks", "third"}} {
			wg.Go(func() {
				if status := deliver(h, d[0], d[1]); status != http.StatusAccepted {
					t.Errorf("%s: status %d", d[1], status)
				}
			})
			time.Sleep(100 * time.Millisecond)
		}
		wg.Wait()
		if want := []string{"second", "first", "third"}; !slices.Equal(r.got, want) {
			t.Errorf("handled in the order %v, want %v", r.got, want)
		}

		// With nothing to wait for it goes on after a second, or with its sender.
		start := time.Now()
		if status := deliver(h, "/late/2", "alone"); status != http.StatusAccepted ||
			time.Since(start) != time.Second+10*time.Millisecond {
			t.Errorf("status %d after %v, want 202 after 1.01 s", status, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start = time.Now()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "/late/3",
			strings.NewReader("x")))
		if d := time.Since(start); d != 110*time.Millisecond {
			t.Errorf("a sender that gives up after 100 ms is held for %v", d)
		}

		// Of two that are to be held back one goes on.
		r.got = nil
		for _, path := range []string{"/late/4", "/late/5"} {
			wg.Go(func() { deliver(h, path, path) })
			time.Sleep(100 * time.Millisecond)
		}
		wg.Wait()
		if want := []string{"/late/5", "/late/4"}; !slices.Equal(r.got, want) {
			t.Errorf("handled in the order %v, want %v", r.got, want)
		}
	})
}

// The receiver has handled what its sender believes lost; sent again it is another, with a fate of its own.
func TestRedeliver(t *testing.T) {
	r := &receiver{}
	h := injector(t, chaos.Rule{Kind: chaos.Redeliver, Count: 1}).Handler(r)
	var statuses []int
	for _, body := range []string{"a", "a", "b", "a", "b"} {
		statuses = append(statuses, deliver(h, "/hooks", body))
	}
	if want := []int{0, 202, 0, 202, 202}; !slices.Equal(statuses, want) || len(r.got) != 5 {
		t.Errorf("statuses %v, handled %v, want %v and all five handled", statuses, r.got, want)
	}
}

// What is too large or cannot be read comes through as it is.
func TestUnusualDeliveries(t *testing.T) {
	r := &receiver{}
	in := injector(t, chaos.Rule{Kind: chaos.Duplicate})
	h := in.Handler(r)
	if status := deliver(h, "/hooks", strings.Repeat("x", 5<<20)); status != http.StatusAccepted || len(r.got) != 1 {
		t.Errorf("a delivery of 5 MiB: status %d, handled %d times, want once", status, len(r.got))
	}
	req := httptest.NewRequest(http.MethodPost, "/hooks", io.MultiReader(strings.NewReader("half"), broken{}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusBadRequest || len(r.got) != 1 {
		t.Errorf("a delivery that breaks off: status %d, handled %d times", w.Code, len(r.got))
	}
	if rep := in.Report(); rep.Struck != 0 {
		t.Errorf("the report is %+v", rep)
	}
	// Rules of calls are not for webhooks, nor the other way round.
	if status := deliver(injector(t, chaos.Rule{Kind: "503"}).Handler(r), "/hooks",
		"x"); status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
	if resp := send(t, in.Wrap(partner{}), "POST", "https://a.example/hooks"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
