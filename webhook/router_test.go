package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

func event(key, kind string, trust webhook.Trust, body string) webhook.Event {
	return webhook.Event{Key: key, Partner: "acme", Integration: "hotel-1", Kind: kind, Trust: trust, Body: []byte(body)}
}

// translate reads "kind record second" of each line of a body.
func translate(e webhook.Event) ([]webhook.Notice, error) {
	var list []webhook.Notice
	for line := range strings.Lines(string(e.Body)) {
		var n webhook.Notice
		var second int64
		if _, err := fmt.Sscan(line, &n.Kind, &n.Record, &second); err != nil {
			return nil, errors.New("not three words")
		}
		n.Version = webhook.Version{At: time.Unix(second, 0), Deleted: strings.HasSuffix(n.Kind, "deleted")}
		list = append(list, n)
	}
	return list, nil
}

func TestRouter(t *testing.T) {
	t.Parallel()
	var log []string
	route := func(name string) webhook.Route {
		return func(_ context.Context, n webhook.Notice) error {
			log = append(log, fmt.Sprint(name, " ", n.Kind, " ", n.Record, " ", n.Confirmed))
			if n.Record == "bad" {
				return errors.New("no")
			}
			return nil
		}
	}
	r := &webhook.Router{
		Translate: translate,
		Routes: map[string]webhook.Route{
			webhook.ResourceDeleted: route("deleted"),
			"resource.*":            route("resource"),
			webhook.AuthRevoked:     route("revoked"),
		},
		Default: route("default"),
		Confirm: func(_ context.Context, n webhook.Notice) (any, error) {
			if n.Record == "gone" {
				return nil, errors.New("404")
			}
			return "fetched " + n.Record, nil
		},
		Order: &webhook.Order{},
	}
	for _, tc := range []struct {
		name  string
		event webhook.Event
		want  string
		fails bool
	}{
		{"the exact kind first", event("1", "", webhook.Signed, "resource.deleted a 5\nresource.changed b 5"), "deleted resource.deleted a <nil>|resource resource.changed b <nil>", false},
		{"too old, of another record, of another family", event("2", "", webhook.Signed, "resource.changed a 4\nresource.changed c 4\ntransaction.changed a 4"),
			"resource resource.changed c <nil>|default transaction.changed a <nil>", false},
		{"without a point", event("3", "", webhook.Signed, "ping x 1"), "default ping x <nil>", false},
		{"revoked", event("4", "", webhook.Signed, "auth.revoked x 1"), "revoked auth.revoked x <nil>", false},
		{"one fails, the next is dealt with", event("5", "", webhook.Signed, "resource.changed bad 9\nresource.changed d 9"), "resource resource.changed bad <nil>|resource resource.changed d <nil>", true},
		{"unreadable", event("6", "", webhook.Signed, "one"), "", true},
		{"a hint is confirmed", event("7", "", webhook.Hint, "resource.changed h 99999999999"), "resource resource.changed h fetched h", false},
		{"and its date believed by nobody", event("8", "", webhook.Signed, "resource.changed h 7"), "resource resource.changed h <nil>", false},
		{"a hint that is not confirmed", event("9", "", webhook.Hint, "resource.changed gone 9"), "", true},
	} {
		log = nil
		err := r.Handle(t.Context(), tc.event)
		if got := strings.Join(log, "|"); got != tc.want || (err != nil) != tc.fails {
			t.Errorf("%s: got %s, %v", tc.name, got, err)
		}
	}
	if _, _, late := r.Order.Counts(); late != 1 {
		t.Errorf("%d were late", late)
	}
}

func TestRouter_Bare(t *testing.T) {
	t.Parallel()
	var r webhook.Router
	if err := r.Handle(t.Context(), event("1", "x", webhook.Signed, "")); err == nil {
		t.Error("without Default nobody is told")
	}
	var got string
	r.Default = func(_ context.Context, n webhook.Notice) error { got = n.Kind; return nil }
	if err := r.Handle(t.Context(), event("1", "acme.kind", webhook.Signed, "")); err != nil || got != "acme.kind" {
		t.Errorf("without Translate: got %q, %v", got, err)
	}
	if err := r.Handle(t.Context(), event("1", "x", webhook.Hint, "")); !errors.Is(err, webhook.ErrHint) {
		t.Errorf("a hint without Confirm: got %v", err)
	}
}

// A signed event that holds little is confirmed as a hint is, and keeps its body and its place in the order; what turns
// out not to be so is dropped.
func TestRouter_Thin(t *testing.T) {
	t.Parallel()
	var got []webhook.Notice
	asked := 0
	r := &webhook.Router{
		Translate: func(e webhook.Event) ([]webhook.Notice, error) {
			list, err := translate(e)
			for i := range list {
				list[i].Thin = true
			}
			return list, err
		},
		Confirm: func(_ context.Context, n webhook.Notice) (any, error) {
			if asked++; n.Record == "lie" {
				return nil, fmt.Errorf("asked: %w", webhook.ErrUnconfirmed)
			}
			return "fetched", nil
		},
		Default: func(_ context.Context, n webhook.Notice) error { got = append(got, n); return nil },
		Order:   &webhook.Order{},
	}
	body := "resource.changed a 5\nresource.changed lie 5\nresource.changed a 4"
	if err := r.Handle(t.Context(), event("1", "", webhook.Signed, body)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Record != "a" || got[0].Confirmed != "fetched" || string(got[0].Event.Body) != body || asked != 2 {
		t.Errorf("asked %d times, got %v", asked, got)
	}
	r.Confirm = nil
	if err := r.Handle(t.Context(), event("2", "", webhook.Signed, "resource.changed b 5")); !errors.Is(err, webhook.ErrHint) {
		t.Errorf("without Confirm: got %v", err)
	}
}

func TestDecoded(t *testing.T) {
	t.Parallel()
	type listing struct{ ID string }
	var got listing
	route := webhook.Decoded(func(_ context.Context, _ webhook.Notice, v listing) error { got = v; return nil })
	if err := route(t.Context(), webhook.Notice{Event: event("1", "", webhook.Signed, `{"id":"l-1"}`)}); err != nil || got.ID != "l-1" {
		t.Errorf("got %+v, %v", got, err)
	}
	err := route(t.Context(), webhook.Notice{Event: event("1", "", webhook.Signed, `{"id":"Erika`)})
	if err == nil || strings.Contains(err.Error(), "Erika") {
		t.Errorf("unreadable: got %v", err)
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := &webhook.MemoryFailures{Max: 6}
	at := func(hour int) time.Time { return time.Date(2026, 11, 25, hour, 0, 0, 0, time.UTC) }
	keep := func(key, integration string, hour int) error {
		return s.Keep(ctx, webhook.Event{Key: key, Integration: integration, ReceivedAt: at(hour)}, "no", at(hour))
	}
	for i, integration := range []string{"a", "a", "b", "a", "a", "a"} {
		if err := keep(fmt.Sprint(integration, 5-i), integration, 5-i); err != nil {
			t.Fatal(err)
		}
	}
	if err := keep("one more", "a", 1); !errors.Is(err, webhook.ErrFull) {
		t.Errorf("one too many: got %v", err)
	}
	if err := keep("a1", "a", 1); err != nil {
		t.Errorf("one that is there: got %v", err)
	}
	if err := keep("", "a", 1); err == nil {
		t.Error("an event without a key is kept")
	}
	var seen []string
	done, err := webhook.Replay(ctx, s, "a", at(1), at(5), func(_ context.Context, e webhook.Event) error {
		seen = append(seen, e.Key)
		if e.Key == "a2" {
			return errors.New("still no")
		}
		return nil
	})
	if fmt.Sprint(seen) != "[a1 a2 a4]" || done.Handled != 2 || len(done.Failed) != 1 || err != nil {
		t.Errorf("replayed %v: got %+v, %v", seen, done, err)
	}
	var left []string
	for f, err := range s.List(ctx, "", time.Time{}, time.Time{}) {
		left = append(left, fmt.Sprint(f.Event.Key, "x", f.Attempts), fmt.Sprint(err))
	}
	if fmt.Sprint(left) != "[a0x1 <nil> a2x2 <nil> b3x1 <nil> a5x1 <nil>]" {
		t.Errorf("left: %v", left)
	}
	for range s.List(ctx, "", time.Time{}, time.Time{}) {
		break
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if done, err := webhook.Replay(ended, s, "", time.Time{}, time.Time{}, nil); err == nil || done.Handled != 0 {
		t.Errorf("after the end: got %+v, %v", done, err)
	}
	half, cancel := context.WithCancel(ctx)
	done, err = webhook.Replay(half, s, "", time.Time{}, time.Time{}, func(context.Context, webhook.Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || done.Handled != 1 {
		t.Errorf("ended halfway: got %+v, %v", done, err)
	}
}
