package redisstore

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// nums encodes numbers as the script does.
func nums(ns ...int64) (b []byte) {
	for _, n := range ns {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	return b
}

// Whatever is answered, everybody who waits gets one answer that makes sense, or is asked for again.
func FuzzDeliver(f *testing.F) {
	f.Add(nums(0, 5, 0, 5, 0, 1, 0, 0, 2, 1000, 1, 0, 0, 10, 1, 5, 1, 1, 0, 0, 3, 0, 1))
	f.Add(nums(0, 5, 5, 5, 1, 0, 0, 0))
	f.Add(nums(0, 5, 0, 5, 0, 4, 0, 0))
	f.Add(nums(-1))
	f.Add([]byte("\x00"))
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true, MaxRetries: -1})
	f.Cleanup(func() { client.Close() })
	tiers := ratelimit.Tiers{{Requests: 10, Per: time.Hour}, {Concurrent: 5}}
	f.Fuzz(func(t *testing.T, answer []byte) {
		q, err := New(client, tiers, Options{Name: "fuzz"})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		h := q.h
		h.mu.Lock()
		q.dead = true // nothing is sent
		k := q.key("k")
		var ops []*op
		for _, kind := range []int64{opTake, opAsk, opUsage} {
			o := &op{kind: kind, cost: 1, done: make(chan struct{})}
			ops = append(ops, o)
		}
		k.ops = append(k.ops, ops...)
		k.joints = 1
		j := &joint{
			op: op{kind: opTake, done: make(chan struct{})}, keys: []*key{k}, takes: []ratelimit.Take{{Quota: q, Key: "k", Cost: 1}},
			early: make([]chan struct{}, 1),
		}
		b := &batch{joints: []*joint{j}}
		b.add(k)
		h.deliver(b, answer, nil)
		waits := len(k.ops)
		held := k.held
		h.mu.Unlock()
		granted := int64(0)
		for _, o := range ops {
			select {
			case <-o.done:
			default:
				waits--
				continue
			}
			if o.err == nil && o.kind != opUsage {
				g, err := q.granted(1, o.id, o.answer, o.at, nil)
				if err == nil && !g.OK && g.At.IsZero() {
					t.Errorf("%+v says nothing", g)
				}
				if o.kind == opTake && g.OK {
					granted++
				}
			}
		}
		if waits != 0 {
			t.Errorf("%d wait for nothing", waits)
		}
		<-j.done
		if j.err == nil {
			if _, err := q.granted(1, 0, j.answer, j.at, nil); err == nil && j.flights != nil {
				granted++
			}
		}
		if held != granted {
			t.Errorf("%d are held, %d were admitted", held, granted)
		}
	})
}

// Nothing is taken from the cache that was not sealed for the key and the version.
func FuzzOpen(f *testing.F) {
	keys, err := auth.NewKeys(auth.Key{ID: "k", Secret: auth.KeyBytes{1}})
	if err != nil {
		f.Fatal(err)
	}
	s := &Tokens{o: TokensOptions{Keys: keys}}
	entry, err := s.seal("key", auth.Record{Version: 7, Generation: 3})
	if err != nil {
		f.Fatal(err)
	}
	if r, ok := s.open("key", entry); !ok || r.Version != 7 || r.Generation != 3 {
		f.Fatalf("got %v, %v", r.Version, ok)
	}
	if _, ok := s.open("other", entry); ok {
		f.Error("it was opened for another key")
	}
	f.Add([]byte(entry))
	f.Add([]byte("v00000000000000000007K"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The fuzzer's processes share the key, and each has sealed the record anew.
		if r, ok := s.open("key", string(b)); ok && (r.Version != 7 || r.Generation != 3) {
			t.Error("something else was opened")
		}
		if _, ok := s.open("other", string(b)); ok {
			t.Error("it was opened for another key")
		}
	})
}
