package ratelimit

import (
	"hash/maphash"
	"sync/atomic"
)

// index finds keys by name. Whoever looks a key up takes no lock; the other methods are called by one at a time. It is a hash table
// with open addressing that is replaced when it is three quarters full, be it of keys that are gone.
type index struct {
	seed  maphash.Seed
	table atomic.Pointer[[]entry] // its length is a power of two
	n     int                     // keys
	used  int                     // entries that are taken, by keys or absent
	hand  int                     // where some goes on
}

// entry is a place in the table. Its hash is that of the first key in it for good, and is set before the key is.
type entry struct {
	hash uint64
	key  atomic.Pointer[key]
}

const leastIndex = 16

// absent is where a key was.
var absent = new(key)

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	x.clear()
	return x
}

// clear begins with an empty table.
func (x *index) clear() {
	t := make([]entry, leastIndex)
	x.table.Store(&t)
	x.n, x.used = 0, 0
}

// get returns the key of that name, nil if there is none. It may be gone by the time that it is used.
func (x *index) get(name string) *key {
	hash := maphash.String(x.seed, name)
	t := *x.table.Load()
	for i := hash; ; i++ {
		e := &t[i&uint64(len(t)-1)]
		k := e.key.Load()
		if k == nil {
			return nil
		}
		if e.hash == hash && k.name == name && k != absent {
			return k
		}
	}
}

// add puts in a key that is not there.
func (x *index) add(k *key) {
	t := *x.table.Load()
	if x.used+1 > len(t)/4*3 {
		size := leastIndex
		for size < 2*(x.n+1) {
			size *= 2
		}
		larger := make([]entry, size)
		for i := range t {
			if old := t[i].key.Load(); old != nil && old != absent {
				put(larger, t[i].hash, old)
			}
		}
		x.table.Store(&larger)
		t, x.used = larger, x.n
	}
	put(t, maphash.String(x.seed, k.name), k)
	x.n++
	x.used++
}

func put(t []entry, hash uint64, k *key) {
	for i := hash; ; i++ {
		if e := &t[i&uint64(len(t)-1)]; e.key.Load() == nil {
			e.hash = hash
			e.key.Store(k)
			return
		}
	}
}

// some calls f for up to n keys, going round, and removes those for which it returns true. It looks for them in eight times as many places.
func (x *index) some(n int, f func(k *key) bool) {
	t := *x.table.Load()
	for range min(len(t), 8*n) {
		x.hand = (x.hand + 1) & (len(t) - 1)
		k := t[x.hand].key.Load()
		if k == nil || k == absent {
			continue
		}
		if f(k) {
			t[x.hand].key.Store(absent)
			x.n--
		}
		if n--; n == 0 {
			return
		}
	}
}

// all removes the keys, and returns them.
func (x *index) all() (keys []*key) {
	t := *x.table.Load()
	for i := range t {
		if k := t[i].key.Load(); k != nil && k != absent {
			keys = append(keys, k)
		}
	}
	x.clear()
	return keys
}
