package ratelimit

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// An index holds what a map would, through growing, and through many more keys than are there at once. Those who look keys up meanwhile
// find each one that stays.
func TestIndex(t *testing.T) {
	x := newIndex()
	stay := []string{"", "a", "account-7"}
	for _, name := range stay {
		x.add(&key{name: name})
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop.Store(true)
	for range 2 {
		readers.Go(func() {
			for !stop.Load() {
				for _, name := range stay {
					if k := x.get(name); k == nil || k.name != name {
						t.Errorf("%q was not found", name)
						return
					}
				}
			}
		})
	}
	r := rand.New(rand.NewPCG(1, 2))
	want := make(map[string]*key)
	names, largest := 0, 0
	for range 20_000 {
		if len(want) < 300 && r.IntN(5) > 0 {
			names++
			k := &key{name: strconv.Itoa(names)}
			x.add(k)
			want[k.name] = k
		} else {
			x.some(16, func(k *key) bool {
				_, ok := want[k.name]
				remove := ok && r.IntN(3) == 0
				if remove {
					delete(want, k.name)
				}
				return remove
			})
		}
		largest = max(largest, len(*x.table.Load()))
		if x.n != len(want)+len(stay) {
			t.Fatalf("%d keys, want %d", x.n, len(want)+len(stay))
		}
		name := strconv.Itoa(1 + r.IntN(names+1))
		if got := x.get(name); got != want[name] {
			t.Fatalf("%q: %v, want %v", name, got, want[name])
		}
	}
	stop.Store(true)
	readers.Wait()
	for name, k := range want {
		if x.get(name) != k {
			t.Errorf("%q is lost", name)
		}
	}
	if names < 3000 || largest > 1024 {
		t.Errorf("after %d keys, at most 303 at once, the table has had %d places", names, largest)
	}
	if got := len(x.all()); got != len(want)+len(stay) || x.n != 0 || x.get("a") != nil {
		t.Errorf("%d keys in the end, %d left", got, x.n)
	}
}
