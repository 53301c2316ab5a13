package importertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// QueueDriver is a driver with a queue of messages, and the partner that keeps it. It has no network. A message is
// delivered again until it is acknowledged; what [QueueDriver.Expire] takes out of the queue is found by Recover only.
type QueueDriver struct {
	// Describes is what Queue returns; a Name must be set.
	Describes driver.Queue
	PageSize  int // 0: 3
	// Before is called before each call of the driver's that the partner answers ("receive", "acknowledge", "recover"),
	// and After when the partner has done it. Their errors fail the call.
	Before, After func(ctx context.Context, op string) error

	mu       sync.Mutex
	messages []queued
	calls    int
	busy     bool
	overlaps int
}

type queued struct {
	driver.Message
	missed bool
	gone   bool
}

// body is what a message says.
type body struct {
	ID     string `json:"id"`
	Rev    int    `json:"rev"`
	Poison string `json:"poison,omitempty"`
}

// Send queues a message about the transaction id of the account: its rev-th change. A newer message about it replaces
// one that waits.
func (q *QueueDriver) Send(account, id string, rev int) { q.send(account, id, body{ID: id, Rev: rev}) }

// SendPoison queues a message that cannot be imported: "garbage" cannot be parsed, "panic" panics, "reject" is rejected
// by Parse, "invalid" is not valid. Nothing replaces it.
func (q *QueueDriver) SendPoison(account, id, poison string) {
	q.send(account, id, body{ID: id, Poison: poison})
}

func (q *QueueDriver) send(account, id string, v body) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if v.Poison == "" {
		q.messages = slices.DeleteFunc(q.messages, func(m queued) bool { return m.ID == id && m.Account == account })
	}
	q.messages = append(q.messages, queued{Message: driver.Message{ID: id, Account: account, Body: b}})
}

// Expire takes what waits out of the queue, to be recovered.
func (q *QueueDriver) Expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.messages {
		q.messages[i].missed = true
	}
}

// Waiting returns how many messages wait, expired ones included.
func (q *QueueDriver) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, m := range q.messages {
		if !m.gone {
			n++
		}
	}
	return n
}

// Calls returns how many calls the partner got, and how many came while another was under way.
func (q *QueueDriver) Calls() (n, overlaps int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.calls, q.overlaps
}

// Info implements driver.Driver.
func (q *QueueDriver) Info() driver.Info {
	return driver.Info{Partner: Partner, Title: "Acme", AdapterVersions: []string{"v1"}}
}

// Check implements driver.Driver.
func (q *QueueDriver) Check(ctx context.Context) error { return context.Cause(ctx) }

// Queue implements driver.QueueSource.
func (q *QueueDriver) Queue() driver.Queue { return q.Describes }

// call is one call to the partner.
func (q *QueueDriver) call(ctx context.Context, op string, f func()) error {
	q.mu.Lock()
	q.calls++
	if q.busy {
		q.overlaps++
	}
	q.busy = true
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		q.busy = false
		q.mu.Unlock()
	}()
	if q.Before != nil {
		if err := q.Before(ctx, op); err != nil {
			return err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	f()
	q.mu.Unlock()
	if q.After != nil {
		return q.After(ctx, op)
	}
	return nil
}

// Receive implements driver.QueueSource.
func (q *QueueDriver) Receive(ctx context.Context) pagination.Pages[driver.Message] {
	return q.read(ctx, "receive", func(m queued) bool { return !m.missed && !m.gone })
}

// Recover implements driver.QueueRecoverer: what expired, and of a destructive queue what was taken, too.
func (q *QueueDriver) Recover(ctx context.Context, _ time.Time) pagination.Pages[driver.Message] {
	return q.read(ctx, "recover", func(m queued) bool { return m.missed && !m.gone || q.Describes.Destructive && m.gone })
}

func (q *QueueDriver) read(ctx context.Context, op string, pick func(queued) bool) pagination.Pages[driver.Message] {
	size := q.PageSize
	if size == 0 {
		size = 3
	}
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		for seen := 0; ; {
			page := pagination.Page[driver.Message]{Total: -1, Sent: time.Now()}
			var keys []string
			more := false
			err := q.call(ctx, op, func() {
				skip := 0
				if op == "recover" && q.Describes.Destructive { // nothing leaves that list
					skip = seen
				}
				for i := range q.messages {
					m := &q.messages[i]
					if !pick(*m) {
						continue
					}
					if skip > 0 {
						skip--
						continue
					}
					if len(page.Items) == size {
						more = true
						break
					}
					msg := m.Message
					msg.Received = page.Sent.Add(time.Duration(len(page.Items)))
					page.Items = append(page.Items, msg)
					keys = append(keys, string(m.Body)+m.Account)
				}
				if q.Describes.Destructive {
					q.forget(keys)
				} else if len(keys) > 0 {
					page.Receipt = keys
				}
			})
			if err != nil {
				yield(pagination.Page[driver.Message]{Next: pagination.Beginning, Total: -1}, err)
				return
			}
			seen += len(page.Items)
			if more {
				page.Next = pagination.Beginning
			}
			if !yield(page, nil) || !more {
				return
			}
		}
	}
}

// forget marks messages as gone; mu is held.
func (q *QueueDriver) forget(keys []string) {
	for i := range q.messages {
		if m := &q.messages[i]; slices.Contains(keys, string(m.Body)+m.Account) {
			m.gone = true
		}
	}
}

// Acknowledge implements driver.QueueSource.
func (q *QueueDriver) Acknowledge(ctx context.Context, receipt any) error {
	keys, ok := receipt.([]string)
	if !ok {
		return fmt.Errorf("importertest: the receipt is a %T", receipt)
	}
	return q.call(ctx, "acknowledge", func() { q.forget(keys) })
}

// Parse implements driver.QueueSource.
func (q *QueueDriver) Parse(m driver.Message, version string) (pagination.Batch[driver.Transaction], error) {
	var batch pagination.Batch[driver.Transaction]
	var v body
	if err := json.Unmarshal(m.Body, &v); err != nil {
		return batch, errors.New("importertest: not a message")
	}
	t := driver.Transaction{
		Record: driver.Record{ID: v.ID, Raw: m.Body, AdapterVersion: "v1"}, Status: driver.Some(driver.StatusConfirmed),
		Notes: driver.Some(fmt.Sprintf("rev %d %s", v.Rev, version)),
	}
	switch v.Poison {
	case "garbage":
		return batch, errors.New("importertest: garbage")
	case "panic":
		panic("a value that must not be seen")
	case "reject":
		batch.Rejected = append(batch.Rejected, pagination.Rejected{ID: v.ID, Raw: m.Body, Err: errors.New("importertest: rejected")})
		return batch, nil
	case "invalid":
		t.Nights = driver.Some(-1)
	}
	batch.Items = append(batch.Items, t)
	return batch, nil
}

var (
	_ driver.QueueSource    = (*QueueDriver)(nil)
	_ driver.QueueRecoverer = (*QueueDriver)(nil)
)
