package driver

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/pagination"
)

// QueueSource is a stream of messages that the partner forgets once they are taken, shared by all integrations of one
// account with it (Booking.com: the machine account). One reader at a time, across processes, drains it: receive, store
// the raw messages, then acknowledge, and only then parse. It is never prefetched, and a destructive read is never
// repeated.
type QueueSource interface {
	// Queue describes the stream. It sends nothing and returns the same every time.
	Queue() Queue
	// Receive reads what is waiting, to its end. Each page is one read, made when the page is asked for; its Receipt
	// goes to Acknowledge after the page is stored, and before the next page is asked for. What was not acknowledged is
	// received again. Pages have no items where nothing is waiting, and no cursor that another Receive could start
	// from.
	Receive(ctx context.Context) pagination.Pages[Message]
	// Acknowledge makes the partner forget a page. A nil receipt needs none. It may be called again for the same page.
	Acknowledge(ctx context.Context, receipt any) error
	// Parse turns a stored message into records, by the normalization of the version ("" means the newest). It is a
	// pure function: it sends nothing, and the same message gives the same records. An error means that the message as
	// a whole cannot be understood, and holds no value of it.
	Parse(m Message, adapterVersion string) (pagination.Batch[Transaction], error)
}

// QueueRecoverer is a [QueueSource] whose partner can be asked for what its queue does not deliver (any more): messages
// that waited for too long, or that a destructive read has lost.
type QueueRecoverer interface {
	// Recover reads what the queue may have failed to deliver since the time as of which it was last read to its end;
	// zero: never. It is used as Receive is, and may bring what was received before.
	Recover(ctx context.Context, since time.Time) pagination.Pages[Message]
}

// Queue describes a [QueueSource].
type Queue struct {
	// Name identifies the stream among all of all partners; readers of the same name exclude each other:
	// "bookingcom/reservations/41001". It holds no secret.
	Name string
	// Poll is how long the partner wants to be left alone between two reads.
	Poll time.Duration
	// Recover is how often [QueueRecoverer].Recover is to be called; 0: only after the queue was not read for longer
	// than OutageAfter, or a read failed that the partner may have counted.
	Recover     time.Duration
	OutageAfter time.Duration
	// Destructive says that reading is taking: there is nothing to acknowledge, and a read whose answer was lost has
	// lost its messages.
	Destructive bool
}

// Message is one message of a [QueueSource], as it came, less what must not be kept (numbers of payment cards).
type Message struct {
	// ID is that of the record the message is about, as Parse gives it, "" while unknown. It is not unique among
	// messages.
	ID string
	// Account is the account of the integration it belongs to, "" while unknown.
	Account string
	Body    []byte
	// Received is when the request that brought it was sent.
	Received time.Time
}

// String returns the message's id alone.
func (m Message) String() string { return "message " + strconv.Quote(m.ID) }

// GoString is String.
func (m Message) GoString() string { return m.String() }

// LogValue implements slog.LogValuer: the id alone.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.ID) }
