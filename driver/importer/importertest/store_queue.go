package importertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
)

// QueueStore runs the conformance suite of importer.QueueStore, for a store that passes [Store] too. open returns an
// empty store for each test.
func QueueStore(t *testing.T, open func(t *testing.T) importer.QueueStore) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, s importer.QueueStore)
	}{
		{"messages round trip", testMessages},
		{"messages are kept once", testMessagesOnce},
		{"messages are pending again", testMessagesRequeued},
		{"messages roll back", testMessagesRollback},
		{"queue states", testQueueStates},
		{"messages are pruned and erased", testMessagesForgotten},
		{"messages are dumped", testMessagesDump},
		{"messages and context", testMessagesContext},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, open(t)) })
	}
}

func kept(queue, key string) importer.KeptMessage {
	return importer.KeptMessage{
		Queue: queue, Key: key, State: importer.MessagePending,
		Message: driver.Message{ID: "id of " + key, Account: "a", Body: []byte("body of " + key + "\x00\xff"), Received: noon},
	}
}

func dead(m importer.KeptMessage, integration string) importer.KeptMessage {
	m.State, m.Integration, m.Reason = importer.MessageDead, integration, "why"
	return m
}

// queueUpdate runs f in a transaction, which must be a QueueTx.
func queueUpdate(t *testing.T, s importer.QueueStore, f func(ctx context.Context, tx importer.QueueTx) error) {
	t.Helper()
	update(t, s, func(ctx context.Context, tx importer.Tx) error {
		q, ok := tx.(importer.QueueTx)
		if !ok {
			t.Fatal("the transaction is no QueueTx")
		}
		return f(ctx, q)
	})
}

func putMessages(t *testing.T, s importer.QueueStore, messages ...importer.KeptMessage) {
	t.Helper()
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error { return tx.PutMessages(ctx, messages) })
}

func listed(t *testing.T, s importer.QueueStore, queue string, state importer.MessageState, after int64, limit int) []importer.KeptMessage {
	t.Helper()
	got, err := s.Messages(t.Context(), queue, state, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func testMessages(t *testing.T, s importer.QueueStore) {
	given := []importer.KeptMessage{kept("q", "k1"), kept("q", "k2"), dead(kept("q", "k3"), "in"), kept("Q", "k1"), kept("q", "k4")}
	given[4].ID, given[4].Account, given[4].Body = "", "", nil
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		err := tx.PutMessages(ctx, given)
		given[0].Body[0] = 'X' // belongs to the caller
		return err
	})
	given[0].Body[0] = 'b'
	got := listed(t, s, "q", importer.MessagePending, 0, 10)
	if len(got) != 3 {
		t.Fatalf("got %d pending messages, want 3", len(got))
	}
	for i, want := range []importer.KeptMessage{given[0], given[1], given[4]} {
		m := got[i]
		if m.Seq <= 0 || i > 0 && m.Seq <= got[i-1].Seq {
			t.Errorf("Seq %d after %d", m.Seq, got[max(i-1, 0)].Seq)
		}
		if m.Seq = 0; len(m.Body) == 0 {
			m.Body = nil
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("got %#v of %+v", m.Message, want.Key)
		}
	}
	if got := listed(t, s, "q", importer.MessageDead, 0, 10); len(got) != 1 || got[0].Reason != "why" || got[0].Integration != "in" {
		t.Errorf("dead: got %d", len(got))
	}
	if rest := listed(t, s, "q", importer.MessagePending, got[0].Seq, 1); len(rest) != 1 || rest[0].Key != "k2" {
		t.Errorf("after the first: got %d", len(rest))
	}
	for _, limit := range []int{0, -1} {
		if got := listed(t, s, "q", importer.MessagePending, 0, limit); len(got) != 0 {
			t.Errorf("limit %d: got %d", limit, len(got))
		}
	}
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		return errors.Join(tx.DeleteMessages(ctx, "q", []string{"k1", "k3", "unknown"}), tx.DeleteMessages(ctx, "q", nil))
	})
	if got := listed(t, s, "q", importer.MessagePending, 0, 10); len(got) != 2 || len(listed(t, s, "q", importer.MessageDead, 0, 10)) != 0 {
		t.Errorf("after the deletion: got %d", len(got))
	}
	if got := listed(t, s, "Q", importer.MessagePending, 0, 10); len(got) != 1 {
		t.Errorf("another queue's: got %d", len(got))
	}
}

func testMessagesOnce(t *testing.T, s importer.QueueStore) {
	first, other := kept("q", "k1"), kept("q", "k2")
	putMessages(t, s, first, other)
	seq := listed(t, s, "q", importer.MessagePending, 0, 1)[0].Seq
	earlier := dead(first, "in")
	earlier.Received = noon.Add(-time.Hour)
	putMessages(t, s, earlier)
	got := listed(t, s, "q", importer.MessageDead, 0, 10)
	if len(got) != 1 || got[0].Seq != seq || !got[0].Received.Equal(noon) {
		t.Fatalf("got %d, want the one with the Seq and the later time that it had", len(got))
	}
	later := first
	later.Received = noon.Add(time.Hour)
	putMessages(t, s, later)
	again := listed(t, s, "q", importer.MessagePending, 0, 10)
	if len(again) != 2 || again[0].Seq != seq || !again[0].Received.Equal(later.Received) || again[0].Reason != "" || again[0].Integration != "" {
		t.Errorf("got %d, want the message pending again", len(again))
	}
	// Within one transaction.
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		return errors.Join(tx.DeleteMessages(ctx, "q", []string{"k1"}), tx.PutMessages(ctx, []importer.KeptMessage{first}), tx.PutMessages(ctx, []importer.KeptMessage{earlier}))
	})
	if got := listed(t, s, "q", importer.MessageDead, 0, 10); len(got) != 1 || got[0].Seq <= seq || !got[0].Received.Equal(noon) {
		t.Errorf("deleted and put twice: got %d", len(got))
	}
}

func testMessagesRequeued(t *testing.T, s importer.QueueStore) {
	nobodys := dead(kept("q", "nobody's"), "")
	nobodys.Account = ""
	given := []importer.KeptMessage{
		dead(kept("q", "k1"), "in"), dead(kept("q", "k2"), ""), dead(kept("q", "other"), "in"), kept("q", "pending"),
		dead(kept("Q", "k1"), "in"), nobodys,
	}
	putMessages(t, s, given...)
	first := listed(t, s, "q", importer.MessageDead, 0, 1)[0]
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		err := errors.Join(
			tx.DeleteMessages(ctx, "q", []string{"other"}),
			tx.PutMessages(ctx, []importer.KeptMessage{dead(kept("q", "new"), "in")}),
		)
		keys := []string{"k1", "k2", "new", "other", "pending", "nobody's", "never there", "k1"}
		n, requeueErr := tx.RequeueMessages(ctx, "q", keys)
		if n != 3 {
			t.Errorf("%d messages were requeued, want 3", n)
		}
		return errors.Join(err, requeueErr)
	})
	got := listed(t, s, "q", importer.MessagePending, 0, 10)
	if len(got) != 4 || got[0].Seq != first.Seq {
		t.Fatalf("%d are pending, the first with Seq %d, want 4 and %d", len(got), got[0].Seq, first.Seq)
	}
	for _, m := range got {
		want := kept("q", m.Key)
		if want.Seq = m.Seq; !reflect.DeepEqual(m, want) {
			t.Errorf("%s is %+v, want %+v", m.Key, m.Message, want.Message)
		}
	}
	if got := listed(t, s, "q", importer.MessageDead, 0, 10); len(got) != 1 || got[0].Key != "nobody's" {
		t.Errorf("%d are dead, want the one without an account", len(got))
	}
	if got := listed(t, s, "Q", importer.MessageDead, 0, 10); len(got) != 1 {
		t.Errorf("another queue's: %d are dead", len(got))
	}
}

func testMessagesRollback(t *testing.T, s importer.QueueStore) {
	putMessages(t, s, kept("q", "k1"))
	failed := errors.New("failed")
	err := s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
		q := tx.(importer.QueueTx)
		return errors.Join(failed, q.PutMessages(ctx, []importer.KeptMessage{kept("q", "k2")}), q.DeleteMessages(ctx, "q", []string{"k1"}),
			q.PutQueueState(ctx, importer.QueueState{Queue: "q", Fence: 9}))
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if got := listed(t, s, "q", importer.MessagePending, 0, 10); len(got) != 1 || got[0].Key != "k1" {
		t.Errorf("got %d messages", len(got))
	}
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		state, err := tx.QueueState(ctx, "q")
		if state.Fence != 0 {
			t.Errorf("got %+v", state)
		}
		return err
	})
}

func testQueueStates(t *testing.T, s importer.QueueStore) {
	want := importer.QueueState{
		Queue: "q", Holder: "h-ü\"", Fence: 1 << 40, Until: noon.Add(1), Polled: noon.Add(2), Drained: noon.Add(3), Recovered: noon.Add(4), Suspect: true,
	}
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		state, err := tx.QueueState(ctx, "q")
		if state != (importer.QueueState{Queue: "q"}) {
			t.Errorf("of an unknown queue: got %+v", state)
		}
		if err := errors.Join(err, tx.PutQueueState(ctx, importer.QueueState{Queue: "q"}), tx.PutQueueState(ctx, want)); err != nil {
			return err
		}
		if state, err = tx.QueueState(ctx, "q"); state != want {
			t.Errorf("in the transaction: got %+v, want %+v", state, want)
		}
		return err
	})
	queueUpdate(t, s, func(ctx context.Context, tx importer.QueueTx) error {
		state, err := tx.QueueState(ctx, "q")
		if state != want {
			t.Errorf("got %+v, want %+v", state, want)
		}
		if other, err := tx.QueueState(ctx, "Q"); err != nil || other.Fence != 0 {
			t.Errorf("another queue's: got %+v, %v", other, err)
		}
		return err
	})
}

func testMessagesForgotten(t *testing.T, s importer.QueueStore) {
	at := func(m importer.KeptMessage, id string, received time.Time) importer.KeptMessage {
		m.ID, m.Received = id, received
		return m
	}
	old := noon.Add(-time.Hour)
	putMessages(t, s, at(kept("q", "pending"), "r", old), at(dead(kept("q", "old"), "in-1"), "x", old), at(dead(kept("q", "recent"), "in-1"), "y", noon),
		at(dead(kept("q", "of the record"), "in-1"), "r", noon), at(dead(kept("q", "of another's"), "in-2"), "r", noon),
		at(dead(kept("q", "of nobody's"), ""), "r", noon), at(dead(kept("q", "about nothing"), ""), "", noon))
	if n, err := s.Prune(t.Context(), noon); err != nil || n != 1 {
		t.Errorf("Prune: got %d, %v, want 1", n, err)
	}
	for _, kind := range []driver.Kind{driver.KindResource, driver.KindTransaction} {
		if err := s.Erase(t.Context(), importer.Collection{Integration: "in-1", Kind: kind}, "r"); err != nil {
			t.Fatal(err)
		}
		want := 5
		if kind == driver.KindTransaction {
			want = 3 // not that of the integration, nor that of nobody
		}
		if got := listed(t, s, "q", importer.MessageDead, 0, 10); len(got) != want {
			t.Errorf("after Erase of a %s: %d dead messages, want %d", kind, len(got), want)
		}
	}
	if got := listed(t, s, "q", importer.MessagePending, 0, 10); len(got) != 1 {
		t.Errorf("%d pending messages, want 1", len(got))
	}
}

func testMessagesDump(t *testing.T, s importer.QueueStore) {
	type dumper interface {
		Dump(ctx context.Context, w io.Writer) error
	}
	d, ok := s.(dumper)
	if !ok {
		t.Skip("the store has no method Dump")
	}
	all := []importer.KeptMessage{kept("q", "b"), dead(kept("q", "B"), "in"), kept("Q", "a"), kept("q", "a")}
	putMessages(t, s, all...)
	putMessages(t, s, all[3])
	var got, want bytes.Buffer
	for _, i := range []int{2, 1, 3, 0} {
		want.Write(importer.DumpMessage(all[i]))
	}
	if err := d.Dump(t.Context(), &got); err != nil || got.String() != want.String() {
		t.Errorf("got\n%s%v, want\n%s", got.String(), err, want.String())
	}
}

func testMessagesContext(t *testing.T, s importer.QueueStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Messages(ctx, "q", importer.MessagePending, 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Messages: got %v", err)
	}
}
