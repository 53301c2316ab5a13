package webhooktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// failureParts are the tests of a store of failures, by name.
var failureParts = []struct {
	name string
	run  func(testing.TB, func(testing.TB) webhook.Failures)
}{
	{"Keep", keepFailures},
	{"List", listFailures},
	{"Meanwhile", changeMeanwhile},
	{"Replay", replayFailures},
}

// Failures runs the conformance tests of a [webhook.Failures]. open returns an empty store; two calls in one test
// return stores that share nothing.
func Failures(t *testing.T, open func(t testing.TB) webhook.Failures) {
	for _, p := range failureParts {
		t.Run(p.name, func(t *testing.T) { p.run(t, open) })
	}
}

var night = time.Date(2026, 11, 24, 22, 0, 0, 987654321, time.UTC)

// failed has something in every field.
func failed(key, integration string, at time.Time) webhook.Event {
	return webhook.Event{
		Key: key, Partner: "guesty", Integration: integration, Delivery: "msg_1", Kind: "listing.updated", Account: "acc", Trust: webhook.Signed,
		SecretID: "g1", SignedAt: at.Add(-time.Second), ReceivedAt: at, ContentType: "application/json", Body: []byte("{\"a\":\"\x00\xff\"}"),
	}
}

func all(t testing.TB, s webhook.Failures, integration string, from, to time.Time) []webhook.Failure {
	t.Helper()
	var list []webhook.Failure
	for f, err := range s.List(t.Context(), integration, from, to) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		list = append(list, f)
	}
	return list
}

func keepFailures(t testing.TB, open func(testing.TB) webhook.Failures) {
	s := open(t)
	e := failed("guesty/hotel-1/msg_1", "hotel-1", night)
	if err := s.Keep(t.Context(), e, "no such listing", night.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	want := webhook.Failure{Event: e, Reason: "no such listing", FailedAt: night.Add(time.Minute), Attempts: 1}
	if got := all(t, s, "", time.Time{}, time.Time{}); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Fatalf("got something else than was kept: %v", got)
	}
	if err := s.Keep(t.Context(), e, "still none", night.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	want.Reason, want.FailedAt, want.Attempts = "still none", night.Add(time.Hour), 2
	if got := all(t, s, "", time.Time{}, time.Time{}); len(got) != 1 || !reflect.DeepEqual(got[0], want) {
		t.Errorf("kept twice: got %v, %d attempts", got, got[0].Attempts)
	}
	bare := webhook.Event{Key: "k"} // no body, no times
	if err := s.Keep(t.Context(), bare, "", night); err != nil {
		t.Errorf("an event without anything: %v", err)
	}
	if err := s.Keep(t.Context(), webhook.Event{}, "", night); err == nil {
		t.Error("an event without a key is kept")
	}
	for range 2 { // the second time it is not there
		if err := s.Remove(t.Context(), e.Key); err != nil {
			t.Errorf("remove: %v", err)
		}
	}
	got := all(t, s, "", time.Time{}, time.Time{})
	if len(got) != 1 || got[0].Event.Key != "k" || len(got[0].Event.Body) != 0 || !got[0].Event.ReceivedAt.IsZero() {
		t.Errorf("after the removal: got %v", got)
	}
}

func listFailures(t testing.TB, open func(testing.TB) webhook.Failures) {
	s := open(t)
	for _, f := range []struct {
		key, integration string
		after            time.Duration
	}{
		{"e", "hotel-2", 2}, {"d", "hotel-1", 3}, {"b", "hotel-1", 1}, {"c", "hotel-1", 1}, {"a", "hotel-1", 2}, {"B", "HOTEL-1", 1},
	} {
		if err := s.Keep(t.Context(), failed(f.key, f.integration, night.Add(f.after)), "", night); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		integration string
		from, to    time.Duration // -1: no limit
		want        string
	}{
		{"", -1, -1, "B b c a e d"},
		{"hotel-1", -1, -1, "b c a d"},
		{"hotel-1", 2, 3, "a"},
		{"hotel-1", 2, -1, "a d"},
		{"hotel-1", -1, 2, "b c"},
		{"hotel-3", -1, -1, ""},
		{"", 3, 3, ""},
	} {
		var from, to time.Time
		if tc.from >= 0 {
			from = night.Add(tc.from)
		}
		if tc.to >= 0 {
			to = night.Add(tc.to)
		}
		got := ""
		for _, f := range all(t, s, tc.integration, from, to) {
			if got != "" {
				got += " "
			}
			got += f.Event.Key
		}
		if got != tc.want {
			t.Errorf("%q from %d to %d: got %q, want %q", tc.integration, tc.from, tc.to, got, tc.want)
		}
	}
	for _, err := range s.List(t.Context(), "", time.Time{}, time.Time{}) {
		if err != nil {
			t.Errorf("list: %v", err)
		}
		break // and no more is yielded
	}
}

// changeMeanwhile: what is listed may be kept again and removed while it is.
func changeMeanwhile(t testing.TB, open func(testing.TB) webhook.Failures) {
	s := open(t)
	const n = 250
	for i := range n {
		if err := s.Keep(t.Context(), failed(fmt.Sprintf("k%04d", i), "hotel-1", night.Add(time.Duration(i))), "", night); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int{}
	for f, err := range s.List(t.Context(), "hotel-1", time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		if seen[f.Event.Key]++; seen[f.Event.Key] > 1 {
			t.Fatalf("%s is listed twice", f.Event.Key)
		}
		if len(seen)%2 == 0 {
			err = s.Remove(t.Context(), f.Event.Key)
		} else {
			err = s.Keep(t.Context(), f.Event, "again", night)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if left := all(t, s, "", time.Time{}, time.Time{}); len(seen) != n || len(left) != n/2 {
		t.Errorf("%d were listed, %d are left, of %d", len(seen), len(left), n)
	}
}

func replayFailures(t testing.TB, open func(testing.TB) webhook.Failures) {
	s := open(t)
	for i := range 3 {
		if err := s.Keep(t.Context(), failed(fmt.Sprint("k", i), "hotel-1", night), "", night); err != nil {
			t.Fatal(err)
		}
	}
	no := errors.New("no")
	var wg sync.WaitGroup
	wg.Go(func() { // others fail meanwhile
		for i := range 20 {
			if err := s.Keep(t.Context(), failed(fmt.Sprint("other", i), "hotel-2", night), "", night); err != nil {
				t.Errorf("keep: %v", err)
			}
		}
	})
	done, err := webhook.Replay(t.Context(), s, "hotel-1", time.Time{}, time.Time{}, handler(no))
	wg.Wait()
	left := all(t, s, "hotel-1", time.Time{}, time.Time{})
	if err != nil || done.Handled != 2 || len(done.Failed) != 1 || len(left) != 1 || left[0].Attempts != 2 || left[0].Reason != "no" {
		t.Errorf("got %d handled, %d failed, %v; left %v", done.Handled, len(done.Failed), err, left)
	}
	if n := len(all(t, s, "hotel-2", time.Time{}, time.Time{})); n != 20 {
		t.Errorf("%d of 20 others are there", n)
	}
}

// handler fails for one event.
func handler(err error) func(context.Context, webhook.Event) error {
	return func(_ context.Context, e webhook.Event) error {
		if e.Key == "k1" {
			return err
		}
		return nil
	}
}
