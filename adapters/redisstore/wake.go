package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// listener is a hub's ear: one connection, on which Redis tells each process of room that was given back to keys that it waits for. It is
// opened when something is refused for the first time, and closed with the hub.
type listener struct {
	sub *redis.PubSub // nil: not open
}

// quiet is how long the connection may be silent before it is tested.
const quiet = 30 * time.Second

// listen makes the channel that is closed when room is given back to the key, before it can be told. h is locked.
func (k *key) listen() {
	if k.early == nil {
		k.early = make(chan struct{})
	}
}

// wake wakes those who wait for the key. h is locked.
func (k *key) wake() {
	if k.early != nil {
		close(k.early)
		k.early, k.waits = nil, time.Time{}
		k.drop(time.Now())
	}
}

// refused notes that somebody may wait for the key until the time that he was told. h is locked.
func (k *key) refused(wait time.Duration, now time.Time) {
	k.listen()
	if at := now.Add(wait + time.Second); at.After(k.waits) {
		k.waits = at
	}
	q := k.q
	if q.asked || q.dead {
		return
	}
	q.asked = true
	h := q.h
	channel := q.channel(q.nonce)
	if h.sub == nil {
		h.sub = h.client.Subscribe(h.ctx)
		sub := h.sub
		h.wg.Go(func() { h.hear(sub) })
	}
	sub := h.sub
	h.wg.Go(func() { _ = sub.Subscribe(h.ctx, channel) }) // if it fails, it is tried again with the next connection
}

// deafen closes the connection.
func (h *hub) deafen() {
	h.mu.Lock()
	sub := h.sub
	h.mu.Unlock()
	if sub != nil {
		_ = sub.Close() // nothing is to be kept of it
	}
}

// forget ends what is told to a quota.
func (h *hub) forget(q *Quota) {
	h.mu.Lock()
	sub, asked := h.sub, q.asked
	q.listening = false
	h.mu.Unlock()
	if asked && h.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(h.ctx, q.o.Timeout)
		defer cancel()
		_ = sub.Unsubscribe(ctx, q.channel(q.nonce)) // else it is told in vain
	}
}

// hear takes what is told until the hub ends.
func (h *hub) hear(sub *redis.PubSub) {
	silent := false
	for wait := 50 * time.Millisecond; ; {
		got, err := sub.ReceiveTimeout(h.ctx, quiet)
		if h.ctx.Err() != nil || errors.Is(err, redis.ErrClosed) {
			return
		}
		if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() && !silent {
			silent = true
			if err = sub.Ping(h.ctx); err == nil {
				continue
			}
		}
		h.mu.Lock()
		switch got := got.(type) {
		case *redis.Subscription:
			h.subscribed(got.Channel, got.Kind == "subscribe")
		case *redis.Message:
			h.heard(got)
		}
		if err != nil {
			h.subscribed("", false)
		}
		h.mu.Unlock()
		if err == nil {
			silent, wait = false, 50*time.Millisecond
			continue
		}
		select {
		case <-h.ctx.Done():
			return
		case <-time.After(wait + rand.N(wait)):
			wait = min(2*wait, 5*time.Second)
		}
	}
}

// subscribed notes that a quota is told, or, for all if channel is "", that it is not. From when it is told, who waits already asks again, to be
// told too. h is locked.
func (h *hub) subscribed(channel string, ok bool) {
	for _, q := range h.quotas {
		if channel != "" && q.channel(q.nonce) != channel {
			continue
		}
		q.listening = ok && !q.dead
		if q.listening {
			for _, k := range q.keys {
				k.wake()
			}
		}
	}
}

// heard wakes those who wait for a key. h is locked.
func (h *hub) heard(m *redis.Message) {
	for _, q := range h.quotas {
		if q.channel(q.nonce) != m.Channel {
			continue
		}
		_, name, _ := strings.Cut(m.Payload, q.infix())
		if k := q.keys[name]; k != nil {
			k.wake()
		}
	}
}

// poll is when to ask again for room that a request in flight gives back. While Redis tells when that is, it is a second, in case
// that the message is lost; else a quarter of how long requests usually take. Processes do not ask in step.
func (q *Quota) poll() time.Duration {
	q.h.mu.Lock()
	d := min(max(q.hold/4, 5*time.Millisecond), 250*time.Millisecond)
	if q.listening {
		d = time.Second
	}
	q.h.mu.Unlock()
	return d + rand.N(d/4)
}
