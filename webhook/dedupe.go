package webhook

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// State is what is known of a delivery.
type State uint8

// States of a delivery.
const (
	Claimed    State = iota // it is the caller's now
	InProgress              // it is another's, who has neither finished nor given up
	Done                    // it was kept
)

// String returns "claimed", "in progress" or "done".
func (s State) String() string {
	switch s {
	case Claimed:
		return "claimed"
	case InProgress:
		return "in progress"
	case Done:
		return "done"
	}
	return "State(" + strconv.Itoa(int(s)) + ")"
}

// ErrClaimLost says that a claim is no longer the caller's: its lease ended, or it was never made.
var ErrClaimLost = errors.New("webhook: the claim is no longer ours")

// ErrFull says that a memory is full of what may not be forgotten.
var ErrFull = errors.New("webhook: the memory is full of what may not be forgotten")

// Dedupe remembers deliveries by the Key of their [Event], so that one that comes twice is handed over once. Its
// methods may be called from several goroutines, and processes where the store is shared. webhooktest.Dedupe tells
// whether an implementation keeps to this. One that shares a database with the [Sink] may be written to by both.
type Dedupe interface {
	// Claim makes the key the caller's for the lease, unless it is somebody else's or done. Of callers that claim it
	// at the same time one gets it. The token is unlike that of any claim before; it is "" unless the state is
	// Claimed. A claim whose lease is over is as good as released.
	Claim(ctx context.Context, key string, lease time.Duration) (token string, s State, err error)
	// Done says that the delivery was kept, which is remembered for keep. ErrClaimLost if the claim is another's, or
	// was done by another; if nobody has it, it is done.
	Done(ctx context.Context, key, token string, keep time.Duration) error
	// Release gives the claim up, so that the next one gets it. ErrClaimLost if it is not the caller's; nothing is
	// changed then.
	Release(ctx context.Context, key, token string) error
}

// Memory is a [Dedupe] of this process, bounded in size. When it is full it forgets what has been done for longest,
// which a unique key in the [Sink] makes harmless. The zero Memory is ready, and holds 100 000 keys, of about 300
// bytes each.
type Memory struct {
	Max int // keys; 0: 100 000

	mu      sync.Mutex // guards the fields below
	keys    map[string]*list.Element
	order   list.List // of *remembered, changed last at the back
	next    uint64
	dropped int64
}

type remembered struct {
	key   string
	token string // "" once it is done
	until time.Time
}

// look is how many of the oldest entries are considered when one is added.
const look = 16

// Claim implements [Dedupe].
func (d *Memory) Claim(_ context.Context, key string, lease time.Duration) (string, State, error) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if el, ok := d.keys[key]; ok {
		switch r := el.Value.(*remembered); {
		case !now.Before(r.until):
			d.drop(el)
		case r.token == "":
			return "", Done, nil
		default:
			return "", InProgress, nil
		}
	}
	if err := d.room(now); err != nil {
		return "", InProgress, err
	}
	d.next++
	token := strconv.FormatUint(d.next, 36)
	d.put(&remembered{key: key, token: token, until: now.Add(lease)})
	return token, Claimed, nil
}

// Done implements [Dedupe].
func (d *Memory) Done(_ context.Context, key, token string, keep time.Duration) error {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	if el, ok := d.keys[key]; ok {
		r := el.Value.(*remembered)
		if r.token != token && now.Before(r.until) {
			return ErrClaimLost
		}
		d.drop(el)
	}
	err := d.room(now)
	if err == nil {
		d.put(&remembered{key: key, until: now.Add(keep)})
	}
	return err
}

// Release implements [Dedupe].
func (d *Memory) Release(_ context.Context, key, token string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	el, ok := d.keys[key]
	if !ok || token == "" || el.Value.(*remembered).token != token {
		return ErrClaimLost
	}
	d.drop(el)
	return nil
}

// Len returns how many keys are held, and how many were forgotten before their time.
func (d *Memory) Len() (held int, dropped int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.keys), d.dropped
}

// Format prints the type's name, whatever the verb.
func (d *Memory) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("webhook.Memory")) }

// room forgets what is over and, if need be, the oldest that is done; d is locked.
func (d *Memory) room(now time.Time) error {
	limit := d.Max
	if limit <= 0 {
		limit = 100_000
	}
	// The oldest few are looked at each time, so that what is over goes; more of them only while there is no room.
	for el, n := d.order.Front(), 0; el != nil && (n < look || len(d.keys) >= limit); n++ {
		next := el.Next()
		switch r := el.Value.(*remembered); {
		case !now.Before(r.until):
			d.drop(el)
		case len(d.keys) >= limit && r.token == "":
			d.drop(el)
			d.dropped++
		}
		el = next
	}
	if len(d.keys) >= limit {
		return ErrFull
	}
	return nil
}

func (d *Memory) put(r *remembered) {
	if d.keys == nil {
		d.keys = map[string]*list.Element{}
	}
	d.keys[r.key] = d.order.PushBack(r)
}

func (d *Memory) drop(el *list.Element) {
	delete(d.keys, d.order.Remove(el).(*remembered).key)
}
