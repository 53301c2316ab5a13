package importer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/retry"
)

const queueName = "acme/reservations/1"

func queue(destructive bool) *importertest.QueueDriver {
	return &importertest.QueueDriver{Describes: driver.Queue{
		Name: queueName, Poll: 20 * time.Second, Recover: 30 * time.Minute, OutageAfter: 25 * time.Minute, Destructive: destructive,
	}}
}

// route knows the accounts a1 to a3, which belong to the integrations in-a1 to in-a3.
func route(_ context.Context, account string) (driver.Integration, error) {
	switch account {
	case "a1", "a2", "a3":
		return driver.Integration{ID: "in-" + account, Partner: importertest.Partner, Account: account}, nil
	}
	return driver.Integration{}, fmt.Errorf("%w: nobody has it", driver.ErrNotFound)
}

func queueConfig(q *importertest.QueueDriver, s importer.QueueStore) importer.QueueConfig {
	return importer.QueueConfig{Driver: q, Store: s, Route: route}
}

func readQueue(t *testing.T, cfg importer.QueueConfig) importer.QueueResult {
	t.Helper()
	res, err := importer.ReadQueue(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func notes(t *testing.T, s importer.Store, integration, id string) string {
	t.Helper()
	stored := get(t, s, importer.Collection{Integration: integration, Kind: driver.KindTransaction}, id)
	v, err := importer.Decode[driver.Transaction](stored)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(v.Notes.Or(""))
}

func messages(t *testing.T, s importer.QueueStore, state importer.MessageState) []importer.KeptMessage {
	t.Helper()
	got, err := s.Messages(t.Context(), queueName, state, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestReadQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		for i := range 7 {
			q.Send(fmt.Sprintf("a%d", i%3+1), fmt.Sprintf("t%d", i), 1)
		}
		cfg := queueConfig(q, s)
		var told []string
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
			for _, change := range c.Changes {
				told = append(told, c.Integration+" "+change.ID+" "+string(change.Change))
			}
			return nil
		}
		cfg.Process = func(_ context.Context, in driver.Integration, rec any) error {
			if in.ID == "in-a3" && rec.(*driver.Transaction).ID == "t5" {
				return importer.ErrSkip
			}
			return nil
		}
		res := readQueue(t, cfg)
		if res.Messages != 7 || res.Pages != 4 || res.Dead != 0 || res.Queue != queueName || len(res.Integrations) != 3 {
			t.Errorf("got %+v", res) // one page of the recovery, three of the queue
		}
		if n := res.Counts(); n.Added != 6 || n.Skipped != 1 || n.Items != 7 {
			t.Errorf("counts %+v", n)
		}
		if len(told) != 6 || q.Waiting() != 0 || len(messages(t, s, importer.MessagePending)) != 0 {
			t.Errorf("told %q, %d wait", told, q.Waiting())
		}
		if got := notes(t, s, "in-a2", "t1"); got != "rev 1" {
			t.Errorf("t1 is %q", got)
		}

		// Too early: the partner wants to be left alone.
		calls, _ := q.Calls()
		_, err := importer.ReadQueue(t.Context(), cfg)
		if at := retry.At(err); !errors.Is(err, importer.ErrQueueBusy) || time.Until(at) != 20*time.Second {
			t.Errorf("got %v, at %v", err, at)
		}
		if n, _ := q.Calls(); n != calls {
			t.Error("the partner was asked")
		}
		time.Sleep(20 * time.Second)
		q.Send("a1", "t0", 2)
		if n := readQueue(t, cfg).Counts(); n.Updated != 1 || n.Items != 1 {
			t.Errorf("counts %+v", n)
		}
		if got := notes(t, s, "in-a1", "t0"); got != "rev 2" {
			t.Errorf("t0 is %q", got)
		}
	})
}

// What is delivered again, because the acknowledgement failed, changes nothing; what is older than what is stored
// neither.
func TestQueueDeliversAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		cfg := queueConfig(q, s)
		q.Send("a1", "t0", 1)
		q.Before = func(_ context.Context, op string) error {
			if op == "acknowledge" {
				return errPage
			}
			return nil
		}
		res, err := importer.ReadQueue(t.Context(), cfg)
		if !errors.Is(err, errPage) || res.Counts().Added != 1 {
			t.Errorf("got %+v, %v", res, err)
		}
		time.Sleep(20 * time.Second)
		q.Before = nil
		if n := readQueue(t, cfg).Counts(); n.Unchanged != 1 || n.Items != 1 {
			t.Errorf("counts %+v", n)
		}
	})
}

func TestQueueSameContentAgainIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		cfg := queueConfig(q, s)
		for i, rev := range []int{1, 2, 1} {
			q.Send("a1", "t0", rev)
			readQueue(t, cfg)
			if got, want := notes(t, s, "in-a1", "t0"), fmt.Sprintf("rev %d", rev); got != want {
				t.Errorf("after message %d: got %q, want %q", i+1, got, want)
			}
			time.Sleep(20 * time.Second)
		}
	})
}

// What cannot be imported is kept and reported, and the rest goes on.
func TestQueueDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		cfg := queueConfig(q, s)
		var dead []importer.KeptMessage
		cfg.OnDead = func(_ context.Context, m importer.KeptMessage) { dead = append(dead, m) }
		for _, poison := range []string{"garbage", "panic", "reject", "invalid"} {
			q.SendPoison("a1", "p-"+poison, poison)
		}
		q.Send("a9", "unknown", 1)
		q.Send("", "nobody", 1)
		q.Send("a1", "good", 1)
		res := readQueue(t, cfg)
		if res.Dead != 6 || len(dead) != 6 || res.Counts().Added != 1 || res.Counts().Rejected != 2 || q.Waiting() != 0 {
			t.Errorf("got %+v, %d reported, %d wait", res, len(dead), q.Waiting())
		}
		reasons := map[string]string{
			"p-garbage": "garbage", "p-panic": "panic in the driver: string", "p-reject": "rejected", "p-invalid": "nights",
			"unknown": "no integration has its account", "nobody": "it has no account",
		}
		for _, m := range messages(t, s, importer.MessageDead) {
			if want := reasons[m.ID]; want == "" || !strings.Contains(m.Reason, want) || strings.Contains(m.Reason, "must not be seen") || len(m.Body) == 0 {
				t.Errorf("%s: reason %q, want %q", m.ID, m.Reason, want)
			}
			if known := strings.HasPrefix(m.ID, "p-"); (m.Integration == "in-a1") != known {
				t.Errorf("%s is of the integration %q", m.ID, m.Integration)
			}
			delete(reasons, m.ID)
		}
		if len(reasons) > 0 {
			t.Errorf("not kept: %v", reasons)
		}
		if got := rejections(t, s, importer.Collection{Integration: "in-a1", Kind: driver.KindTransaction}); len(got) != 2 {
			t.Errorf("%d rejections", len(got))
		}

		// The account is connected.
		cfg.Route = func(ctx context.Context, account string) (driver.Integration, error) {
			if account == "a9" {
				account = "a3"
			}
			return route(ctx, account)
		}
		// What has no account is nobody's for good: it is not taken from those who look after it.
		if n, err := importer.Requeue(t.Context(), s, queueName); n != 5 || err != nil {
			t.Errorf("requeued %d, %v", n, err)
		}
		if got := messages(t, s, importer.MessageDead); len(got) != 1 || got[0].ID != "nobody" || len(got[0].Body) == 0 {
			t.Errorf("still dead: %d", len(got))
		}
		time.Sleep(20 * time.Second)
		if res := readQueue(t, cfg); res.Dead != 4 || res.Counts().Added != 1 {
			t.Errorf("got %+v", res)
		}
		if got := notes(t, s, "in-a3", "unknown"); got != "rev 1" {
			t.Errorf("got %q", got)
		}
		for _, m := range messages(t, s, importer.MessageDead) {
			want := 1
			if m.Account == "" {
				want = 0
			}
			if n, err := importer.Requeue(t.Context(), s, queueName, m.Key); n != want || err != nil {
				t.Errorf("%s: requeued %d, %v, want %d", m.ID, n, err, want)
			}
		}
	})
}

// One reader at a time, over all processes; another takes over when it dies.
func TestQueueOneReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		q.Send("a1", "t0", 1)
		q.After = func(ctx context.Context, op string) error {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			return context.Cause(ctx)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		var rounds atomic.Int64
		for range 3 {
			go func() {
				cfg := queueConfig(q, s)
				cfg.OnRound = func(_ importer.QueueResult, err error) {
					rounds.Add(1)
					if err != nil {
						t.Errorf("a round: %v", err)
					}
				}
				done <- importer.FollowQueue(ctx, cfg)
			}()
		}
		time.Sleep(5 * time.Minute)
		n, overlaps := q.Calls()
		if overlaps != 0 || rounds.Load() < 12 || rounds.Load() > 16 || q.Waiting() != 0 {
			t.Errorf("%d calls, %d at once, %d rounds, %d wait", n, overlaps, rounds.Load(), q.Waiting())
		}
		cancel()
		for range 3 {
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// A reader that hangs loses its lease, and does nothing any more.
func TestQueueLeaseRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		q.Send("a1", "t0", 1)
		hang := make(chan struct{})
		q.After = func(context.Context, string) error { <-hang; return nil }
		cfg := queueConfig(q, s)
		first := make(chan error)
		go func() { _, err := importer.ReadQueue(t.Context(), cfg); first <- err }()
		time.Sleep(time.Second)
		other := queueConfig(&importertest.QueueDriver{Describes: q.Describes}, s)
		_, err := importer.ReadQueue(t.Context(), other)
		if at := retry.At(err); !errors.Is(err, importer.ErrQueueBusy) || time.Until(at) != 2*time.Minute-time.Second {
			t.Errorf("got %v, at %v", err, at)
		}
		time.Sleep(2 * time.Minute)
		readQueue(t, other)
		close(hang)
		if err := <-first; !errors.Is(err, importer.ErrSuperseded) {
			t.Errorf("got %v", err)
		}
		if q.Waiting() != 1 {
			t.Error("the one that lost its lease acknowledged")
		}
	})
}

// What the queue stopped delivering is recovered: every half hour, and after an outage.
func TestQueueRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		cfg := queueConfig(q, s)
		readQueue(t, cfg)
		q.Send("a1", "t0", 1)
		q.Expire()
		time.Sleep(time.Minute)
		if res := readQueue(t, cfg); res.Messages != 0 {
			t.Errorf("got %+v before it was time", res)
		}
		time.Sleep(29 * time.Minute)
		if res := readQueue(t, cfg); res.Recovered != 1 || res.Counts().Added != 1 || q.Waiting() != 0 {
			t.Errorf("got %+v, %d wait", res, q.Waiting())
		}
		// A recovery that fails keeps nothing from being read.
		q.Send("a1", "t1", 1)
		time.Sleep(30 * time.Minute)
		q.Before = func(_ context.Context, op string) error {
			if op == "recover" {
				return errPage
			}
			return nil
		}
		res, err := importer.ReadQueue(t.Context(), cfg)
		if !errors.Is(err, errPage) || res.Counts().Added != 1 {
			t.Errorf("got %+v, %v", res, err)
		}
	})
}

// One integration whose transaction fails, or whose account cannot be looked up, holds back nobody else's, and loses
// nothing.
func TestPromise9_QueueOfOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		for i := range 9 {
			q.Send(fmt.Sprintf("a%d", i%3+1), fmt.Sprintf("t%d", i), 1)
		}
		cfg := queueConfig(q, s)
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
			if c.Integration == "in-a1" {
				return errPage
			}
			return nil
		}
		cfg.Route = func(ctx context.Context, account string) (driver.Integration, error) {
			if account == "a2" {
				return driver.Integration{}, errors.New("the database is away")
			}
			return route(ctx, account)
		}
		res, err := importer.ReadQueue(t.Context(), cfg)
		if !errors.Is(err, errPage) || !strings.Contains(err.Error(), "away") || res.Counts().Added != 3 || res.Dead != 0 || q.Waiting() != 0 {
			t.Errorf("got %+v, %v", res, err)
		}
		if n := len(messages(t, s, importer.MessagePending)); n != 6 {
			t.Errorf("%d are kept", n)
		}
		time.Sleep(20 * time.Second)
		cfg.OnChanges, cfg.Route = nil, route
		if res := readQueue(t, cfg); res.Counts().Added != 6 || res.Messages != 0 {
			t.Errorf("got %+v", res)
		}
	})
}

type integrations []driver.Integration

func (s integrations) Integration(context.Context, string) (driver.Integration, error) {
	return driver.Integration{}, driver.ErrNotFound
}

func (s integrations) Integrations(context.Context, driver.Filter) iter.Seq2[driver.Integration, error] {
	return func(yield func(driver.Integration, error) bool) {
		for _, in := range s {
			var err error
			if in.ID == "" {
				err = errPage
			}
			if !yield(in, err) {
				return
			}
		}
	}
}

func TestByAccount(t *testing.T) {
	all := integrations{{ID: "x", Account: "1"}, {ID: "y", Account: "2"}, {ID: "z", Account: "2"}, {ID: "none"}}
	find := importer.ByAccount(all, "acme")
	if in, err := find(t.Context(), "1"); in.ID != "x" || err != nil {
		t.Errorf("got %q, %v", in.ID, err)
	}
	for _, account := range []string{"", "3"} {
		if _, err := find(t.Context(), account); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("%q: got %v", account, err)
		}
	}
	if _, err := find(t.Context(), "2"); err == nil || errors.Is(err, driver.ErrNotFound) {
		t.Errorf("two of an account: got %v", err)
	}
	if _, err := importer.ByAccount(integrations{{}}, "acme")(t.Context(), "1"); !errors.Is(err, errPage) {
		t.Errorf("got %v", err)
	}
}

func TestQueueConfigNamesEveryProblem(t *testing.T) {
	_, err := importer.ReadQueue(t.Context(), importer.QueueConfig{Poll: -1, Lease: -1})
	for _, want := range []string{"Driver", "Store", "Route", "Poll", "Lease"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	for _, d := range []driver.Driver{&importertest.Driver{}, &importertest.QueueDriver{}} {
		cfg := importer.QueueConfig{Driver: d, Store: importer.NewMemory(), Route: route}
		if err := importer.FollowQueue(t.Context(), cfg); err == nil {
			t.Errorf("%T is accepted", d)
		}
	}
}
