package importer

import (
	"context"
	"errors"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// KeptMessage is a message of a queue as a store keeps it, from before it is acknowledged until its records are stored.
type KeptMessage struct {
	Queue string
	// Key identifies it within the queue, by its content: the same message received twice is kept once.
	Key string
	// Seq is the store's: it rises in the order in which messages were kept first.
	Seq int64
	driver.Message
	State MessageState
	// Integration is the one whose message a dead one is, "" where nobody knows. Reason says why it is dead; it holds
	// no data.
	Integration, Reason string
}

// MessageState says what is to be done with a kept message.
type MessageState string

// The states of kept messages. A message whose records are stored is not kept.
const (
	// MessagePending waits for its records to be stored.
	MessagePending MessageState = "pending"
	// MessageDead could not be understood, or is of an account that nobody knows. It waits for [Requeue].
	MessageDead MessageState = "dead"
)

// QueueState is where the reading of a queue stands. Stores keep it as its JSON.
type QueueState struct {
	Queue string
	// Holder reads the queue until Until; Fence rises each time another one does. A zero Until: nobody does.
	Holder string
	Fence  int64
	Until  time.Time
	// Polled is when it was read last, Drained when a read that came to its end began; Recovered when what it does not
	// deliver was asked for.
	Polled, Drained, Recovered time.Time
	// Suspect says that a destructive read was begun of which nobody knows what it took.
	Suspect bool
}

// QueueStore is a [Store] that keeps messages of queues too. The Tx that its Update gives is a [QueueTx]. Bodies hold
// personal data: a store that leaves the process seals them if it seals anything.
//
// Its Prune removes the dead messages that were received before, too, and counts them; pending ones are never removed.
// Its Erase of a transaction removes the dead messages with the id, of the integration and of none: of those nobody
// knows whose they are, and an erasure takes rather too much. A pending one is imported first, and leaves nothing then.
// Dead messages without an ID are reached by Prune alone: nobody can tell whom they are about. Its Dump, if it has one,
// ends with the lines of [DumpMessage] by queue and key.
type QueueStore interface {
	Store
	// Messages returns up to limit messages of the queue that are in the state and have a Seq above after, by rising
	// Seq; none when limit is less than 1.
	Messages(ctx context.Context, queue string, state MessageState, after int64, limit int) ([]KeptMessage, error)
}

// QueueTx is the transaction of a [QueueStore].
type QueueTx interface {
	Tx
	// PutMessages inserts or replaces messages, of which each key is there once. One that is stored keeps its Seq, and
	// the later of both times at which it was received.
	PutMessages(ctx context.Context, messages []KeptMessage) error
	// DeleteMessages removes the messages of the queue with the keys, where there are any.
	DeleteMessages(ctx context.Context, queue string, keys []string) error
	// RequeueMessages makes the dead messages of the queue with the keys pending, of no integration and without a
	// reason, where there are any with an account, and returns how many. All else of them stays.
	RequeueMessages(ctx context.Context, queue string, keys []string) (int, error)
	// QueueState returns where the reading of the queue stands; of an unknown one, a state with its name alone.
	QueueState(ctx context.Context, queue string) (QueueState, error)
	// PutQueueState replaces it.
	PutQueueState(ctx context.Context, s QueueState) error
}

// ErrQueueBusy is wrapped by the error, a *retry.Error with the time to come back at, of a read of a queue that another
// reader has, or that was read so lately that the partner wants to be left alone.
var ErrQueueBusy = errors.New("importer: the queue is being read, or was read lately")

var errNoQueueTx = errors.New("importer: the transaction of the QueueStore is no QueueTx")

// Requeue makes dead messages of a queue pending again, for the next [ReadQueue]: after the adapter was corrected, or
// an account was connected. Without keys it is all of them. It returns how many there were.
//
// A message without an Account stays dead, for nobody can tell whose it is: the account is read when the message comes,
// and what could not be read then is no message of anybody's. What is in it is for a human, or for a program that
// imports it by [Apply].
func Requeue(ctx context.Context, s QueueStore, queue string, keys ...string) (int, error) {
	only := make(map[string]bool, len(keys))
	for _, k := range keys {
		only[k] = true
	}
	n, after := 0, int64(0)
	for {
		dead, err := s.Messages(ctx, queue, MessageDead, after, messageBatch)
		if err != nil || len(dead) == 0 {
			return n, err
		}
		var again []string
		for _, m := range dead {
			after = m.Seq
			if m.Account != "" && (len(keys) == 0 || only[m.Key]) {
				again = append(again, m.Key)
			}
		}
		if len(again) == 0 {
			continue
		}
		var changed int
		err = s.Update(ctx, func(ctx context.Context, tx Tx) error {
			q, ok := tx.(QueueTx)
			if !ok {
				return errNoQueueTx
			}
			// A change of what is still there: what was erased meanwhile is not brought back.
			var err error
			changed, err = q.RequeueMessages(ctx, queue, again)
			return err
		})
		if err != nil {
			return n, err
		}
		n += changed
	}
}
