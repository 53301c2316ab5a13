package importer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

// between is a store that something else is done to before the next transaction, and that counts what is read of it.
type between struct {
	*importer.Memory
	before func()
	read   int // messages
	stuck  func() bool
}

func (b *between) Update(ctx context.Context, f func(ctx context.Context, tx importer.Tx) error) error {
	if before := b.before; before != nil {
		b.before = nil
		before()
	}
	if b.stuck != nil && b.stuck() {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return b.Memory.Update(ctx, f)
}

func (b *between) Messages(
	ctx context.Context, queue string, state importer.MessageState, after int64, limit int,
) ([]importer.KeptMessage, error) {
	got, err := b.Memory.Messages(ctx, queue, state, after, limit)
	b.read += len(got)
	return got, err
}

// What is erased or pruned while it is being requeued stays away.
func TestRequeueBringsNothingBack(t *testing.T) {
	for name, away := range map[string]func(ctx context.Context, s importer.Store) error{
		"erased": func(ctx context.Context, s importer.Store) error {
			return s.Erase(ctx, importer.Collection{Integration: "in-a1", Kind: driver.KindTransaction}, "p")
		},
		"pruned": func(ctx context.Context, s importer.Store) error {
			_, err := s.Prune(ctx, time.Now().Add(time.Hour))
			return err
		},
	} {
		bubble(t, name, func(t *testing.T) {
			q, s := queue(false), &between{Memory: importer.NewMemory()}
			q.SendPoison("a1", "p", "garbage")
			readQueue(t, queueConfig(q, s))
			if n := len(messages(t, s, importer.MessageDead)); n != 1 {
				t.Fatalf("%d dead messages", n)
			}
			s.before = func() {
				if err := away(t.Context(), s.Memory); err != nil {
					t.Error(err)
				}
			}
			n, err := importer.Requeue(t.Context(), s, queueName)
			if n != 0 || err != nil || len(messages(t, s, importer.MessagePending)) != 0 {
				t.Errorf("requeued %d, %v, %d are pending", n, err, len(messages(t, s, importer.MessagePending)))
			}
		})
	}
}

// A message about a record that was erased while it waited leaves nothing, also when it cannot be understood.
func TestErasedWhileItsMessageWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		q.SendPoison("a1", "p", "garbage")
		q.SendPoison("a1", "other", "garbage")
		q.Send("a1", "t", 1)
		cfg := queueConfig(q, s)
		cfg.Route = func(context.Context, string) (driver.Integration, error) { return driver.Integration{}, errPage }
		if _, err := importer.ReadQueue(t.Context(), cfg); !errors.Is(err, errPage) {
			t.Errorf("got %v", err)
		}
		c := importer.Collection{Integration: "in-a1", Kind: driver.KindTransaction}
		for _, id := range []string{"p", "t"} {
			if err := s.Erase(t.Context(), c, id); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		res := readQueue(t, queueConfig(q, s))
		dead := messages(t, s, importer.MessageDead)
		if res.Dead != 1 || len(dead) != 1 || dead[0].ID != "other" || len(messages(t, s, importer.MessagePending)) != 0 {
			t.Errorf("got %+v, dead %v", res, dead)
		}
		if st := get(t, s, c, "t"); !st.Erased {
			t.Error("the record is back")
		}
	})
}

// sinces is a driver that tells since when it is asked what was missed.
type sinces struct {
	*importertest.QueueDriver
	asked []time.Time
}

func (d *sinces) Recover(ctx context.Context, since time.Time) pagination.Pages[driver.Message] {
	d.asked = append(d.asked, since)
	return d.QueueDriver.Recover(ctx, since)
}

// During an outage of the queue what it may have dropped is asked for now and again, not at each read, and once more
// when it is over: from when the queue was read last, until that has succeeded.
func TestQueueOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), importer.NewMemory()
		q.Describes.Recover = 0
		d := &sinces{QueueDriver: q}
		cfg := queueConfig(q, s)
		cfg.Driver = d
		start := time.Now()
		readQueue(t, cfg)
		poll := func(fails ...string) {
			t.Helper()
			time.Sleep(time.Minute)
			q.Before = func(_ context.Context, op string) error {
				for _, f := range fails {
					if op == f {
						return errPage
					}
				}
				return nil
			}
			if _, err := importer.ReadQueue(t.Context(), cfg); errors.Is(err, errPage) != (len(fails) > 0) {
				t.Errorf("the read failed with %v", err)
			}
		}
		for range 60 {
			poll("receive")
		}
		if n := len(d.asked); n != 2 {
			t.Errorf("asked %d times in an hour, want after 25 minutes and after 50", n)
		}
		// The queue is back, and what it dropped cannot be had yet: the queue does not count as read so far.
		q.Send("a1", "dropped", 1)
		q.Expire()
		q.Send("a1", "waiting", 1)
		poll("recover")
		poll("recover")
		poll()
		poll()
		if n := len(d.asked); n != 5 || q.Waiting() != 0 {
			t.Errorf("asked %d times, want 5; %d wait", n, q.Waiting())
		}
		for _, since := range d.asked {
			if !since.Equal(start) {
				t.Errorf("asked what was missed since %v, want %v", since.Sub(start), 0)
			}
		}
		for range 30 {
			poll()
		}
		if n := len(d.asked); n != 5 {
			t.Errorf("asked %d times, want no more after the outage", n-5)
		}
	})
}

// What has to be noted although the caller's time is over is given up when the store hangs.
func TestQueueEndsWithAStoreThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &between{Memory: importer.NewMemory(), stuck: func() bool { return ctx.Err() != nil }}
		q := queue(false)
		q.After = func(_ context.Context, op string) error {
			if op == "receive" {
				cancel()
			}
			return nil
		}
		start := time.Now()
		_, err := importer.ReadQueue(ctx, queueConfig(q, s))
		if took := time.Since(start); !errors.Is(err, context.Canceled) || took > 10*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// A backlog that has to wait is read once in a read, not with each page.
func TestQueueBacklogIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, s := queue(false), &between{Memory: importer.NewMemory()}
		cfg := queueConfig(q, s)
		cfg.OnChanges = func(_ context.Context, c importer.ChangeSet) error {
			if c.Integration == "in-a1" {
				return errPage
			}
			return nil
		}
		for round := range 2 {
			for i := range 90 {
				q.Send(fmt.Sprintf("a%d", i%3+1), fmt.Sprintf("t%d", i), round)
			}
			s.read = 0
			res, err := importer.ReadQueue(t.Context(), cfg)
			if !errors.Is(err, errPage) || res.Messages != 90 || res.Counts().Items != 60 {
				t.Errorf("round %d: %+v, %v", round, res, err)
			}
			if want := 30 * round; s.read != want {
				t.Errorf("round %d: %d messages were read back, want %d", round, s.read, want)
			}
			time.Sleep(time.Minute)
		}
		cfg.OnChanges = nil
		if n := readQueue(t, cfg).Counts().Items; n != 60 {
			t.Errorf("%d records afterwards, want 60", n)
		}
	})
}

// A page may hold what is no message.
type halfRead struct{ *importertest.QueueDriver }

func (h halfRead) Receive(context.Context) pagination.Pages[driver.Message] {
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		yield(pagination.Page[driver.Message]{
			Items:    []driver.Message{{ID: "\x00", Account: "\xff", Body: []byte("x")}, {ID: "\x00", Account: "\xff", Body: []byte("x")}},
			Rejected: []pagination.Rejected{{ID: "r", Raw: []byte("<x"), Err: errPage}, {Raw: []byte("<y")}}, Total: -1,
		}, nil)
	}
}

func TestQueueRejectedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := importer.NewMemory()
		cfg := queueConfig(queue(false), s)
		cfg.Driver = halfRead{queue(false)}
		if res := readQueue(t, cfg); res.Dead != 3 {
			t.Errorf("got %+v", res)
		}
		if got := messages(t, s, importer.MessageDead); len(got) != 3 || got[0].Received.IsZero() {
			t.Errorf("kept %+v", got)
		}
		if n, err := importer.Requeue(t.Context(), s, queueName); n != 0 || err != nil {
			t.Errorf("requeued %d, %v: nobody can tell whose they are", n, err)
		}
	})
}
