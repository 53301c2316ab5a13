package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	at := func(s int64) webhook.Version { return webhook.Version{At: time.Unix(s, 0)} }
	ranked := func(s int64, rank int) webhook.Version { return webhook.Version{At: time.Unix(s, 0), Rank: rank} }
	gone := func(s int64) webhook.Version { return webhook.Version{At: time.Unix(s, 0), Deleted: true} }
	for _, tc := range []struct {
		name   string
		before []webhook.Version
		v      webhook.Version
		want   bool
	}{
		{"the first", nil, at(5), true},
		{"newer", []webhook.Version{at(5)}, at(6), true},
		{"older", []webhook.Version{at(5)}, at(4), false},
		{"the same", []webhook.Version{at(5)}, at(5), true},
		{"older than one before", []webhook.Version{at(7), at(6)}, at(6), false},
		{"of no date", []webhook.Version{at(5)}, webhook.Version{}, true},
		{"one of no date is not remembered", []webhook.Version{{}}, at(1), true},
		{"of the same second, of a later state", []webhook.Version{ranked(5, 1)}, ranked(5, 2), true},
		{"of the same second, of an earlier state", []webhook.Version{ranked(5, 2)}, ranked(5, 1), false},
		{"sequence before rank", []webhook.Version{{At: time.Unix(5, 0), Seq: 2, Rank: 0}}, webhook.Version{At: time.Unix(5, 0), Seq: 1, Rank: 9}, false},
		{"older than a deletion", []webhook.Version{gone(5)}, at(4), false},
		{"of a deletion's second", []webhook.Version{gone(5)}, at(5), false},
		{"a deletion again", []webhook.Version{gone(5)}, gone(5), true},
		{"newer than a deletion", []webhook.Version{gone(5)}, at(6), true},
	} {
		var o webhook.Order
		ok := func(context.Context) error { return nil }
		for _, v := range tc.before {
			if _, err := o.Do(t.Context(), "r", v, ok); err != nil {
				t.Fatal(err)
			}
		}
		ran := false
		done, err := o.Do(t.Context(), "r", tc.v, func(context.Context) error { ran = true; return nil })
		if done != tc.want || ran != tc.want || err != nil {
			t.Errorf("%s: got %v, ran %v, %v", tc.name, done, ran, err)
		}
	}
}

func TestOrder_Failure(t *testing.T) {
	t.Parallel()
	var o webhook.Order
	fail := errors.New("no")
	if done, err := o.Do(t.Context(), "r", webhook.Version{At: time.Unix(9, 0)}, func(context.Context) error { return fail }); done || !errors.Is(err, fail) {
		t.Errorf("got %v, %v", done, err)
	}
	if held, _, _ := o.Counts(); held != 0 {
		t.Errorf("what failed is remembered: %d", held)
	}
	if done, err := o.Do(t.Context(), "r", webhook.Version{At: time.Unix(8, 0)}, func(context.Context) error { return nil }); !done || err != nil {
		t.Errorf("what failed counts as dealt with: got %v, %v", done, err)
	}
}

// Whatever the order and number of workers, the record ends as its newest event says, and never two work on it at once.
func TestPromise2_OrderOfEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := &webhook.Order{Max: 10}
		var mu sync.Mutex // guards the maps
		state, busy := map[string]int{}, map[string]bool{}
		dice := rand.New(rand.NewPCG(3, 4))
		var wg sync.WaitGroup
		for range 4 {
			for i := range 200 {
				name, delay := fmt.Sprint("r", i%5), time.Duration(dice.IntN(1000))*time.Millisecond
				wg.Go(func() {
					time.Sleep(delay)
					_, err := o.Do(t.Context(), name, webhook.Version{At: time.Unix(int64(i), 0)}, func(context.Context) error {
						mu.Lock()
						if busy[name] {
							t.Error("two at once")
						}
						busy[name] = true
						mu.Unlock()
						time.Sleep(time.Millisecond)
						mu.Lock()
						busy[name], state[name] = false, i
						mu.Unlock()
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
		wg.Wait()
		for i := range 5 {
			if got, want := state[fmt.Sprint("r", i)], 195+i; got != want {
				t.Errorf("record %d ends as %d, want %d", i, got, want)
			}
		}
		// Bounded: the longest not heard of is forgotten, and one that is waited for is not.
		hold := make(chan struct{})
		go func() {
			_, _ = o.Do(t.Context(), "held", webhook.Version{}, func(context.Context) error { <-hold; return nil })
		}()
		synctest.Wait()
		for i := range 50 {
			if _, err := o.Do(t.Context(), fmt.Sprint("more", i), webhook.Version{At: time.Unix(1, 0)}, func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
		}
		if held, forgotten, late := o.Counts(); held != 10 || forgotten != 46 || late == 0 {
			t.Errorf("holds %d, forgot %d, late %d", held, forgotten, late)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("out of patience"))
		defer cancel()
		if _, err := o.Do(ctx, "held", webhook.Version{}, nil); err == nil || err.Error() != "out of patience" {
			t.Errorf("waiting in vain: got %v", err)
		}
		close(hold)
	})
}
