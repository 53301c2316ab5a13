package webhook_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// noRemoval is a store of failures that removes nothing.
type noRemoval struct{ webhook.Failures }

var errStore = errors.New("the disk is full")

func (noRemoval) Remove(context.Context, string) error { return errStore }

func TestRouter_Forget(t *testing.T) {
	t.Parallel()
	s := &webhook.MemoryFailures{}
	for key, body := range map[string]string{
		"about it": "transaction.changed 42 1", "about it and another": "resource.changed 7 1\ntransaction.deleted 42 2",
		"about another": "transaction.changed 421 1", "of another family": "resource.changed 42 1", "unreadable": "42",
	} {
		e := event(key, "", webhook.Signed, body)
		if err := s.Keep(t.Context(), e, "no", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	other := event("of another integration", "", webhook.Signed, "transaction.changed 42 1")
	other.Integration = "hotel-2"
	if err := s.Keep(t.Context(), other, "no", time.Now()); err != nil {
		t.Fatal(err)
	}
	r := &webhook.Router{Translate: translate}
	if n, unread, err := r.Forget(t.Context(), noRemoval{s}, "hotel-1", "transaction", "42"); n != 0 || unread > 1 || !errors.Is(err, errStore) {
		t.Errorf("got %d, %d, %v", n, unread, err)
	}
	for _, want := range []int{2, 0} {
		if n, unread, err := r.Forget(t.Context(), s, "hotel-1", "transaction", "42"); n != want || unread != 1 || err != nil {
			t.Errorf("got %d, %d, %v, want %d, 1", n, unread, err, want)
		}
	}
	var left []string
	for f, err := range s.List(t.Context(), "", time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, f.Event.Key)
	}
	slices.Sort(left)
	want := []string{"about another", "of another family", "of another integration", "unreadable"}
	if !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Forget(ctx, s, "hotel-1", "transaction", "42"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	for _, tt := range []struct {
		r      *webhook.Router
		in, of string
		id     string
	}{{r, "", "transaction", "42"}, {r, "hotel-1", "", "42"}, {r, "hotel-1", "transaction", ""}, {&webhook.Router{}, "hotel-1", "transaction", "42"}} {
		if _, _, err := tt.r.Forget(t.Context(), s, tt.in, tt.of, tt.id); err == nil {
			t.Errorf("%+v was done", tt)
		}
	}
}
