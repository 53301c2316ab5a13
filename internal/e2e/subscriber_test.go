package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// envSubscribe has the test binary register webhooks, and do nothing else: what to call, the partner's URL and the database.
const envSubscribe = "E2E_SUBSCRIBE"

const (
	hookBase  = "https://hooks.example.com/guesty"
	hookLease = time.Second // who is killed is waited for as long
)

// subscribe is what that process does, until it is done: a host's worker comes back after an error.
func subscribe() int {
	args := strings.SplitN(os.Getenv(envSubscribe), "\n", 3)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := errors.New("not begun")
	for err != nil && ctx.Err() == nil {
		if err = subscribeOnce(ctx, args[0], args[1], args[2]); err != nil {
			time.Sleep(20 * time.Millisecond)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func subscribeOnce(ctx context.Context, what, url, db string) (err error) {
	store, err := openStore(ctx, db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	reg := driver.NewRegistry(driver.Options{Tokens: store})
	if err := guesty.Register(reg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close(context.WithoutCancel(ctx))) }()
	d, err := reg.OpenIntegration(ctx, integration(url))
	if err != nil {
		return err
	}
	if what == "check" {
		return d.Check(ctx)
	}
	sub, err := subscriber(store)
	if err != nil {
		return err
	}
	call := sub.Reconcile
	if what == "rotate" {
		call = sub.Rotate
	}
	_, err = call(ctx, d.(*guesty.Driver), webhook.Want{Key: id, Base: hookBase, Partner: webhook.Guesty()})
	return err
}

func subscriber(store *sqlstore.Store) (*webhook.Subscriber, error) {
	return webhook.NewSubscriber(webhook.SubscriberConfig{
		Store: store.Registrations(), Lease: hookLease, Overlap: time.Hour,
	})
}

// deadly is the partner on loopback, which kills the process that calls it.
type deadly struct {
	sim *guestytest.Server

	mu    sync.Mutex // guards the fields below
	calls int
	at    int  // the call to kill at; 0: none
	after bool // when it was carried out, and before it is answered
	kill  func()
}

func (d *deadly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	d.calls++
	now := d.calls == d.at
	after, kill := d.after, d.kill
	d.mu.Unlock()
	if !now {
		d.sim.ServeHTTP(w, r)
		return
	}
	if after {
		d.sim.ServeHTTP(httptest.NewRecorder(), r)
	}
	kill()
}

// run runs a process that registers, killed at a call if at is one, and reports whether it was.
func (d *deadly) run(t *testing.T, what, url, db string, at int, after bool) (killed bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), envSubscribe+"="+what+"\n"+url+"\n"+db)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	started := make(chan struct{})
	d.mu.Lock()
	d.calls, d.at, d.after = 0, at, after
	d.kill = func() {
		<-started
		_ = cmd.Process.Kill() // it may be gone
	}
	d.mu.Unlock()
	err = cmd.Start()
	close(started)
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return true
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", what, err, strings.TrimSpace(stderr.String()))
	}
	return false
}

// A process that registers webhooks at a partner, or rotates their secret, is killed with SIGKILL at each call that it makes, before
// the partner has carried it out and after. What the partner sends then is taken or asked for again, never refused; and the next
// process finishes: one subscription, and its deliveries are taken.
func TestPromise5_SubscriberKilledAtEachCall(t *testing.T) {
	for _, what := range []string{"reconcile", "rotate"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after the call %v", what, after), func(t *testing.T) {
				t.Parallel()
				every := 1
				if testing.Short() {
					every = 3
				}
				deaths := 0
				for at := 1; subscriberKilled(t, what, at, after); at += every {
					deaths++
				}
				if deaths*every < 4 {
					t.Errorf("killed %d times: these are not the calls of a registration", deaths)
				}
				t.Logf("killed %d times", deaths)
			})
		}
	}
}

func subscriberKilled(t *testing.T, what string, at int, after bool) (killed bool) {
	t.Helper()
	sim, err := guestytest.NewServer(guestytest.Config{Listings: 1, ReservationsPerListing: 1, Scale: scale, Odd: -1})
	if err != nil {
		t.Fatal(err)
	}
	d := &deadly{sim: sim}
	srv := httptest.NewServer(d)
	defer srv.Close()
	defer sim.Close()
	db := filepath.Join(t.TempDir(), "kit.db")
	d.run(t, "check", srv.URL, db, 0, false) // the token is had before: its own lock outlives a process for longer
	if what == "rotate" {
		d.run(t, "reconcile", srv.URL, db, 0, false)
	}
	killed = d.run(t, what, srv.URL, db, at, after)
	for _, status := range deliveries(t, sim, db) {
		if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
			t.Errorf("killed at call %d: a delivery was answered %d", at, status)
		}
	}
	d.run(t, "reconcile", srv.URL, db, 0, false)
	if got := deliveries(t, sim, db); !slices.Equal(got, []int{http.StatusAccepted}) {
		t.Errorf("killed at call %d, in the end deliveries were answered %v, want one, and 202", at, got)
	}
	store, err := openStore(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	reg, err := store.Registrations().Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	current := 0
	for _, g := range reg.Generations {
		if g.Stage == webhook.Current {
			current++
		}
		if g.Stage == webhook.Wanted {
			t.Errorf("killed at call %d: %v is not finished", at, g)
		}
	}
	if current != 1 || reg.Holder != "" {
		t.Errorf("killed at call %d: got %v, held by %q", at, reg, reg.Holder)
	}
	return killed
}

// deliveries has the partner tell of a reservation at each URL that is registered, and returns what it is answered by a receiver that
// knows what the database does.
func deliveries(t *testing.T, sim *guestytest.Server, db string) (statuses []int) {
	t.Helper()
	store, err := openStore(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	sub, err := subscriber(store)
	if err != nil {
		t.Fatal(err)
	}
	h, err := webhook.NewHandler(webhook.Config{
		Resolve: func(r *http.Request) (webhook.Endpoint, error) { return sub.Endpoint(r, id, "", webhook.Guesty()) },
		Sink:    webhook.SinkFunc(func(context.Context, webhook.Event) error { return nil }),
	})
	if err != nil {
		t.Fatal(err)
	}
	stay := slices.Collect(sim.ReservationIDs())[0]
	all, err := sim.Deliveries("reservation.updated.v2", stay, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, delivery := range all {
		r, err := delivery.Request(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		statuses = append(statuses, rec.Code)
	}
	return statuses
}
