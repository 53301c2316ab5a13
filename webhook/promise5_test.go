package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// table is a database's: rows outlive the process, and their key is unique. It fails, hangs and dies by dice.
type table struct {
	mu      sync.Mutex // guards the fields below
	rows    map[string]string
	accepts map[string]int
	dice    *rand.Rand
	faults  bool
}

func (db *table) roll() float64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.dice.Float64()
}

func (db *table) Accept(ctx context.Context, e webhook.Event) error {
	dice := 1.0
	if db.faults {
		dice = db.roll()
	}
	switch {
	case dice < 0.1:
		return errors.New("no connection")
	case dice < 0.15:
		<-ctx.Done()
		return ctx.Err()
	case dice < 0.2:
		panic("out of range")
	case dice < 0.25:
		runtime.Goexit() // killed before it is stored: nothing of ours runs any more
	}
	db.mu.Lock()
	db.accepts[e.Key]++
	if _, there := db.rows[e.Key]; !there {
		db.rows[e.Key] = string(e.Body)
	}
	db.mu.Unlock()
	switch {
	case dice < 0.35:
		runtime.Goexit() // killed between hand-over and acknowledgement
	case dice < 0.4:
		return errors.New("stored, and the connection broke before we knew")
	}
	return nil
}

// send delivers once and returns the status, 0 if there was no answer.
func send(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	answered := make(chan bool, 1)
	go func() {
		defer func() { answered <- false }()
		h.ServeHTTP(w, r)
		answered <- true
	}()
	if !<-answered {
		return 0
	}
	return w.Code
}

func delivery(t *testing.T, p webhook.Partner, id, body string, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/acme", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if id != "" {
		r.Header.Set("svix-id", id)
	}
	if err := webhook.SignRequest(p.Scheme, r, whsec, at); err != nil {
		t.Error(err)
	}
	return r
}

// TestPromise5_OneEffect: partners send each event until it is acknowledged, some twice and all at once, while the
// store fails, hangs, panics and loses answers, receivers are killed before and after they stored it, and strangers
// send what is altered, forged or old. In the end each event has one effect, and nothing else has any.
func TestPromise5_OneEffect(t *testing.T) {
	t.Parallel()
	for _, p := range []webhook.Partner{webhook.Guesty(), webhook.Stripe(), webhook.GitHub()} {
		for _, shared := range []bool{true, false} { // whether Dedupe outlives a receiver that is killed
			t.Run(fmt.Sprintf("%s, dedupe outlives: %v", p.Name, shared), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { oneEffect(t, p, shared) })
			})
		}
	}
}

func oneEffect(t *testing.T, p webhook.Partner, shared bool) {
	const events = 150
	db := &table{rows: map[string]string{}, accepts: map[string]int{}, dice: rand.New(rand.NewPCG(5, 8)), faults: true}
	memory := &webhook.Memory{}
	receiver := func() http.Handler {
		if !shared {
			memory = &webhook.Memory{}
		}
		return newRig(t, endpoint(t, p, whsec), func(c *webhook.Config) {
			c.Sink, c.Dedupe, c.OnResult = db, memory, nil
		}).Handler
	}
	var mu sync.Mutex // guards h
	h := receiver()
	current := func(restart bool) http.Handler {
		mu.Lock()
		defer mu.Unlock()
		if restart {
			h = receiver()
		}
		return h
	}
	var wg sync.WaitGroup
	for i := range events {
		id, body := fmt.Sprint("msg_", i), fmt.Sprintf(`{"id":"evt_%d","event":"e","type":"e"}`, i)
		for copies := 1 + i%3; copies > 0; copies-- {
			wg.Go(func() {
				time.Sleep(time.Duration(db.roll() * float64(time.Minute))) // out of order
				for attempt := 1; ; attempt++ {
					if attempt > 200 {
						t.Errorf("%s was never acknowledged", id)
						return
					}
					code := send(current(false), delivery(t, p, id, body, time.Now()))
					if code == 0 {
						current(true)
					}
					if code >= 200 && code < 300 {
						break
					}
					time.Sleep(time.Duration((0.5 + db.roll()) * float64(10*time.Second)))
				}
				db.mu.Lock()
				if !slices.Contains(slices.Collect(maps.Values(db.rows)), body) {
					t.Errorf("%s was acknowledged and is not there", id)
				}
				db.mu.Unlock()
			})
		}
		wg.Go(func() { // a stranger who sees what goes over the wire
			time.Sleep(time.Duration(db.roll() * float64(2*time.Minute)))
			altered := delivery(t, p, id, body, time.Now())
			altered.Body = io.NopCloser(strings.NewReader(strings.Replace(body, "evt", "EVT", 1)))
			if code := send(current(false), altered); code != http.StatusUnauthorized {
				t.Errorf("altered: got %d", code)
			}
			if p.Name == "github" {
				return // which signs neither an id nor a time
			}
			late := delivery(t, p, "late_"+id, strings.Replace(body, "evt", "late", 1), time.Now().Add(-6*time.Minute))
			if code := send(current(false), late); code != http.StatusUnauthorized {
				t.Errorf("late: got %d", code)
			}
		})
	}
	wg.Wait()
	if len(db.rows) != events {
		t.Errorf("%d effects of %d events", len(db.rows), events)
	}
	for key, body := range db.rows {
		if !strings.Contains(body, `"evt_`) {
			t.Errorf("%s has the effect of what was never sent: %s", key, body)
		}
	}
}

// TestPromise5_OneHandOver: as long as nobody is killed, even a sink without a unique key gets each event once.
func TestPromise5_OneHandOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := webhook.Guesty()
		db := &table{rows: map[string]string{}, accepts: map[string]int{}, dice: rand.New(rand.NewPCG(1, 2))}
		h := newRig(t, endpoint(t, p, whsec), func(c *webhook.Config) { c.Sink, c.OnResult = db, nil })
		var wg sync.WaitGroup
		for i := range 400 {
			wg.Go(func() {
				for send(h, delivery(t, p, fmt.Sprint("msg_", i%100), sample, time.Now())) != http.StatusAccepted {
					time.Sleep(time.Second)
				}
			})
		}
		wg.Wait()
		for key, n := range db.accepts {
			if n != 1 {
				t.Errorf("%s was handed over %d times", key, n)
			}
		}
		if len(db.accepts) != 100 {
			t.Errorf("%d events", len(db.accepts))
		}
	})
}
