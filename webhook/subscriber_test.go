package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

// office is a partner's registry of webhooks, and the driver that calls it.
type office struct {
	terms   webhook.Terms
	mu      sync.Mutex // guards the fields below
	subs    []webhook.Subscription
	next    int
	calls   int
	undead  bool              // it says that it removed, and does not
	slow    int               // how many times a secret is asked for before there is one
	fail    map[string]error  // by method
	before  func(what string) // a step begins
	after   func(what string) // and ends
	secrets map[string]string // by URL
}

func (o *office) step(what string) (func(), error) {
	o.mu.Lock()
	o.calls++
	err := o.fail[what]
	before, after := o.before, o.after
	o.mu.Unlock()
	if before != nil {
		before(what)
	}
	return func() {
		if after != nil {
			after(what)
		}
	}, err
}

func (o *office) SubscriptionTerms() webhook.Terms { return o.terms }

func (o *office) Subscriptions(context.Context) ([]webhook.Subscription, error) {
	done, err := o.step("list")
	defer done()
	o.mu.Lock()
	defer o.mu.Unlock()
	subs := slices.Clone(o.subs)
	for i := range subs {
		subs[i].Secret = ""
	}
	return subs, err
}

func (o *office) Subscribe(_ context.Context, s webhook.Subscription) (webhook.Subscription, error) {
	done, err := o.step("subscribe")
	defer done()
	if err != nil {
		return s, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.terms.PerEvent && len(s.Events) != 1 {
		return s, errors.New("one event at a time")
	}
	for i := range o.subs {
		if o.subs[i].ID == s.ID {
			o.subs[i].Events, o.subs[i].Expires = slices.Clone(s.Events), time.Time{}
			return o.subs[i], nil
		}
	}
	if s.ID != "" {
		return s, errors.New("no such subscription")
	}
	o.next++
	s.ID = fmt.Sprintf("sub-%03d", o.next)
	if o.terms.Secret == webhook.FromPartner {
		s.Secret = fmt.Sprintf("whsec_%s%04d", strings.Repeat("A", 36), o.next)
		o.secrets[s.URL] = s.Secret
	}
	o.subs = append(o.subs, s)
	if _, fetched := any(o).(webhook.SecretFetcher); fetched {
		s.Secret = ""
	}
	return s, nil
}

func (o *office) Unsubscribe(_ context.Context, s webhook.Subscription) error {
	done, err := o.step("unsubscribe")
	defer done()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && !o.undead {
		o.subs = slices.DeleteFunc(o.subs, func(x webhook.Subscription) bool { return x.ID == s.ID })
	}
	return err
}

// teller is an office that tells secrets when asked, and not before.
type teller struct{ *office }

func (o teller) Subscribe(ctx context.Context, s webhook.Subscription) (webhook.Subscription, error) {
	s, err := o.office.Subscribe(ctx, s)
	s.Secret = ""
	return s, err
}

func (o teller) SubscriptionSecret(_ context.Context, s webhook.Subscription) (string, error) {
	done, err := o.step("secret")
	defer done()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.slow > 0 {
		o.slow--
		return "", fmt.Errorf("office: %w", webhook.ErrNoSecretYet)
	}
	return o.secrets[s.URL], err
}

// signed, unsigned and so on are the ways in which partners do it.
type way struct {
	name    string
	terms   webhook.Terms
	partner webhook.Partner
	tells   bool
}

var ways = []way{
	{"one for all, secret ours", webhook.Terms{Secret: webhook.FromUs, Events: []string{"a", "b"}}, webhook.StandardWebhooks("acme"), false},
	{"one each, secret ours", webhook.Terms{Secret: webhook.FromUs, PerEvent: true, Events: []string{"a", "b"}}, webhook.StandardWebhooks("acme"), false},
	{"one for all, secret returned", webhook.Terms{Secret: webhook.FromPartner, Events: []string{"a", "b"}}, webhook.StandardWebhooks("acme"), false},
	{"one for all, secret fetched", webhook.Terms{Secret: webhook.FromPartner, Events: []string{"a", "b"}}, webhook.StandardWebhooks("acme"), true},
	{"one each, nothing signed", webhook.Terms{PerEvent: true, Events: []string{"a", "b"}}, webhook.Cloudbeds(), false},
	{"one for all, secret a parameter", webhook.Terms{Events: []string{"a", "b"}}, webhook.Partner{Name: "acme", Scheme: webhook.URLSecret{Param: "key"}}, false},
}

func (w way) office() (*office, webhook.Registrar) {
	o := &office{terms: w.terms, secrets: map[string]string{}, fail: map[string]error{}}
	if w.tells {
		return o, teller{o}
	}
	return o, o
}

const base = "https://hooks.example.com/acme/hotel-1"

func mine(s webhook.Subscription) bool {
	return strings.HasPrefix(s.URL, base+"/") || strings.HasPrefix(s.URL, base+"?")
}

func (w way) want() webhook.Want {
	return webhook.Want{Key: "hotel-1", Base: base, Partner: w.partner}
}

func subscriber(t testing.TB, store webhook.Registrations) *webhook.Subscriber {
	t.Helper()
	s, err := webhook.NewSubscriber(webhook.SubscriberConfig{Store: store, Overlap: 24 * time.Hour, Lease: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send delivers to each of the office's subscriptions below base, as the partner would, and returns the statuses.
func (w way) send(t *testing.T, s *webhook.Subscriber, o *office) (statuses []int) {
	t.Helper()
	h, err := webhook.NewHandler(webhook.Config{
		Resolve: func(r *http.Request) (webhook.Endpoint, error) { return s.Endpoint(r, "hotel-1", "", w.partner) },
		Sink:    webhook.SinkFunc(func(context.Context, webhook.Event) error { return nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	subs := slices.Clone(o.subs)
	o.mu.Unlock()
	for i, sub := range subs {
		if !mine(sub) {
			continue
		}
		r := httptest.NewRequest(http.MethodPost, sub.URL, strings.NewReader(fmt.Sprint(`{"n":`, i, `}`)))
		r.Header.Set("Content-Type", "application/json")
		if sub.Secret != "" {
			if err := webhook.SignRequest(w.partner.Scheme, r, sub.Secret, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		statuses = append(statuses, rec.Code)
	}
	return statuses
}

// settled checks that the partner has what is wanted, once, and that what it sends is taken.
func (w way) settled(t *testing.T, s *webhook.Subscriber, o *office, store webhook.Registrations) {
	t.Helper()
	reg, err := store.Load(t.Context(), "hotel-1")
	if err != nil {
		t.Fatal(err)
	}
	current := 0
	for _, g := range reg.Generations {
		switch g.Stage {
		case webhook.Current:
			current++
		case webhook.Wanted:
			t.Errorf("%v is not finished", g)
		}
	}
	if current != 1 || reg.Holder != "" {
		t.Errorf("got %v, held by %q", reg, reg.Holder)
	}
	var events []string
	urls := map[string]bool{}
	for _, sub := range o.subs {
		if mine(sub) {
			events = append(events, sub.Events...)
			urls[sub.URL] = true
		}
	}
	if slices.Sort(events); !slices.Equal(events, []string{"a", "b"}) || len(urls) != 1 {
		t.Errorf("the partner sends %q to %d URLs", events, len(urls))
	}
	for _, status := range w.send(t, s, o) {
		if status != http.StatusAccepted {
			t.Errorf("a delivery was answered %d", status)
		}
	}
}

func TestSubscriber(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o, r := w.office()
				foreign := webhook.Subscription{ID: "x", URL: base + "0/abc", Events: []string{"a"}}
				o.subs = []webhook.Subscription{foreign}
				store := &webhook.MemoryRegistrations{}
				s := subscriber(t, store)
				each := 1
				if w.terms.PerEvent {
					each = 2
				}
				step := func(name string, f func(context.Context, webhook.Registrar, webhook.Want) (webhook.Report, error), want webhook.Want, added, changed, removed int, started bool) {
					t.Helper()
					rep, err := f(t.Context(), r, want)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if len(rep.Added) != added || len(rep.Changed) != changed || len(rep.Removed) != removed || rep.Started != started || len(rep.Foreign) != 1 {
						t.Fatalf("%s: got %+v, want %d added, %d changed, %d removed", name, rep, added, changed, removed)
					}
					time.Sleep(time.Minute)
				}
				step("first", s.Reconcile, w.want(), each, 0, 0, true)
				w.settled(t, s, o, store)
				calls := o.calls
				step("nothing to do", s.Reconcile, w.want(), 0, 0, 0, false)
				if n := o.calls - calls; n > 2 || n > 1 && !w.tells {
					t.Errorf("nothing to do took %d calls", n)
				}
				url := o.subs[1].URL

				o.subs = o.subs[:1] // it vanished
				step("vanished", s.Reconcile, w.want(), each, 0, 0, w.terms.Secret == webhook.FromPartner)
				if same := o.subs[1].URL == url; same == (w.terms.Secret == webhook.FromPartner) {
					t.Errorf("registered at the same URL: %v", same)
				}
				w.settled(t, s, o, store)

				twin := o.subs[1]
				twin.ID = "twin"
				stray := webhook.Subscription{ID: "stray", URL: base + "/nobody-knows", Events: []string{"a"}}
				o.subs = append(o.subs, twin, stray)
				step("twice there, and one of ours that nobody remembers", s.Reconcile, w.want(), 0, 0, 2, false)
				w.settled(t, s, o, store)

				other := w.want()
				other.Events = []string{"b", "c"}
				if w.terms.PerEvent {
					step("other events", s.Reconcile, other, 1, 0, 1, false)
					step("and back", s.Reconcile, w.want(), 1, 0, 1, false)
				} else {
					step("other events", s.Reconcile, other, 0, 1, 0, false)
					step("and back", s.Reconcile, w.want(), 0, 1, 0, false)
				}
				w.settled(t, s, o, store)

				o.subs[1].Expires = time.Now().Add(time.Hour)
				step("it ends soon", s.Reconcile, w.want(), 0, 1, 0, false)
				o.subs[1].Expires = time.Now().Add(48 * time.Hour)
				step("it ends later", s.Reconcile, w.want(), 0, 0, 0, false)

				old := slices.Clone(o.subs[1:])
				step("rotate", s.Rotate, w.want(), each, 0, each, true)
				w.settled(t, s, o, store)
				if o.subs[1].URL == old[0].URL || o.subs[1].Secret != "" && o.subs[1].Secret == old[0].Secret {
					t.Error("nothing was rotated")
				}
				late := &office{subs: old}
				for _, status := range w.send(t, s, late) {
					if status != http.StatusAccepted && status != http.StatusOK {
						t.Errorf("what was under way during the rotation: got %d", status)
					}
				}
				time.Sleep(25 * time.Hour)
				for _, status := range w.send(t, s, late) {
					if status != http.StatusNotFound {
						t.Errorf("after the overlap: got %d", status)
					}
				}

				moved := w.want()
				moved.Base = "https://hooks.example.org/new"
				if rep, err := s.Reconcile(t.Context(), r, moved); err != nil || len(rep.Added) != each || len(rep.Removed) != each || len(rep.Foreign) != 1 {
					t.Errorf("moved: %+v, %v", rep, err)
				}
				if rep, err := s.Remove(t.Context(), r, moved); err != nil || len(rep.Removed) != each {
					t.Errorf("remove: %+v, %v", rep, err)
				}
				if reg, err := store.Load(t.Context(), "hotel-1"); err != nil || reg.Version != 0 || len(o.subs) != 1 {
					t.Errorf("after all: %v, %v, %v", reg, o.subs, err)
				}
			})
		})
	}
}

// TestSubscriber_Killed: whatever step a process is killed before or after, what the partner sends meanwhile is taken or
// asked for again, never refused; and the next call finishes what was begun.
func TestSubscriber_Killed(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				deaths := 0
				for _, rotate := range []bool{false, true} {
					for n := 1; ; n++ {
						if !killed(t, w, rotate, n) {
							break
						}
						deaths++
					}
				}
				if deaths < 20 {
					t.Errorf("only %d deaths", deaths)
				}
			})
		})
	}
}

// mortal counts the steps of a store too.
type mortal struct {
	webhook.Registrations
	step func()
}

func (m mortal) Save(ctx context.Context, r webhook.Registration) (int64, error) {
	m.step()
	v, err := m.Registrations.Save(ctx, r)
	m.step()
	return v, err
}

// killed runs a Reconcile, or a Rotate after one, that dies at its n-th step. It reports false if there are fewer.
func killed(t *testing.T, w way, rotate bool, n int) bool {
	t.Helper()
	o, r := w.office()
	store := &webhook.MemoryRegistrations{}
	s := subscriber(t, store)
	if rotate {
		if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil {
			t.Fatal(err)
		}
	}
	died := false
	die := func() {
		if n--; n == 0 {
			died = true
			runtime.Goexit()
		}
	}
	o.before, o.after = func(string) { die() }, func(string) { die() }
	victim := subscriber(t, mortal{store, die})
	ended := make(chan bool)
	go func() {
		defer close(ended)
		run := victim.Reconcile
		if rotate {
			run = victim.Rotate
		}
		if _, err := run(t.Context(), r, w.want()); err != nil {
			t.Errorf("not killed: %v", err)
		}
	}()
	<-ended
	o.before, o.after = nil, nil
	for _, status := range w.send(t, s, o) {
		if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
			t.Errorf("rotate %v: after a death a delivery was answered %d", rotate, status)
		}
	}
	time.Sleep(2 * time.Minute)
	if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil {
		t.Errorf("after a death: %v", err)
	}
	w.settled(t, s, o, store)
	return died
}

// TestSubscriber_AtTheSameTime: of several processes one works; the others are told when to come back.
func TestSubscriber_AtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		synctest.Test(t, func(t *testing.T) {
			o, r := w.office()
			o.before = func(string) { time.Sleep(time.Second) }
			store := &webhook.MemoryRegistrations{}
			var wg sync.WaitGroup
			var mu sync.Mutex
			busy := 0
			for i := range 8 {
				wg.Go(func() {
					s := subscriber(t, store)
					for {
						run := s.Reconcile
						if i%2 == 1 {
							run = s.Rotate
						}
						_, err := run(t.Context(), r, w.want())
						if err == nil {
							return
						}
						if at := retry.At(err); retry.ClassOf(err) == retry.Unavailable && at.After(time.Now()) {
							mu.Lock()
							busy++
							mu.Unlock()
							time.Sleep(min(time.Until(at), 3*time.Second))
							continue
						}
						t.Errorf("%s: %v", w.name, err)
						return
					}
				})
			}
			wg.Wait()
			o.before = nil
			w.settled(t, subscriber(t, store), o, store)
			if busy == 0 {
				t.Errorf("%s: nobody had to come back", w.name)
			}
		})
	}
}
