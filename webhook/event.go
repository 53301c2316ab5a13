package webhook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"
)

// Event is a delivery that has been verified. It does not print its body. Only Kind, Account, Delivery, ContentType
// and Body come from the request; none of its other headers is kept.
type Event struct {
	// Key names the event among those of all partners: partner, integration and delivery. What a delivery causes
	// should happen once for a key.
	Key         string
	Partner     string
	Integration string
	Delivery    string // the partner's id of it, or a hash of kind and body
	Kind        string // what happened, in the partner's words; "" if it does not say
	Account     string // the partner's id of whom it is about; "" if it does not say
	Trust       Trust
	SecretID    string // of the secret that proved it
	SignedAt    time.Time
	ReceivedAt  time.Time
	ContentType string
	Body        []byte // as it came, but uncompressed; the receiver's to keep
}

// Format prints the key, whatever the verb.
func (e Event) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "webhook.Event("+e.Key+")") }

// LogValue returns the key, the kind and the trust.
func (e Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key", e.Key), slog.String("kind", e.Kind), slog.String("trust", e.Trust.String()))
}

// longest is how long a text of a partner's may be that becomes a part of a key.
const longest = 200

func (e *Event) identify(signed string, p Partner, m *Message) {
	if p.Kind != nil {
		if e.Kind = p.Kind(m); len(e.Kind) > longest {
			e.Kind = digest(e.Kind)
		}
	}
	if p.Account != nil {
		if e.Account = p.Account(m); len(e.Account) > longest {
			e.Account = digest(e.Account)
		}
	}
	e.Delivery = signed
	if e.Delivery == "" && p.Delivery != nil {
		e.Delivery = p.Delivery(m)
	}
	switch {
	case e.Delivery == "":
		e.Delivery = digest(e.Kind, string(m.Body))
	case len(e.Delivery) > longest:
		e.Delivery = digest(e.Delivery)
	}
	e.Key = url.PathEscape(e.Partner) + "/" + url.PathEscape(e.Integration) + "/" + url.PathEscape(e.Delivery)
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:", len(p))
		_, _ = io.WriteString(h, p)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// Sink takes an event over.
type Sink interface {
	// Accept returns nil when e is where it survives this process: a row, a job. It gives up when ctx ends, which is
	// before the partner's patience does. It must be prepared for an event with the same Key as one before: it may
	// have failed after all was stored, or the process may have been killed before the partner was answered, and the
	// partner sent again. A unique key of a table or queue does it.
	Accept(ctx context.Context, e Event) error
}

// SinkFunc is a function as a [Sink].
type SinkFunc func(ctx context.Context, e Event) error

// Accept calls f.
func (f SinkFunc) Accept(ctx context.Context, e Event) error { return f(ctx, e) }
