package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Kinds of a [Notice]: the kit's words for what happened. A driver's may have others, below the same two prefixes or
// of its own.
const (
	ResourceChanged    = "resource.changed"
	ResourceDeleted    = "resource.deleted"
	TransactionChanged = "transaction.changed"
	TransactionDeleted = "transaction.deleted"
	CalendarChanged    = "calendar.changed" // Record is the resource's id
	// AuthRevoked: the partner's side has withdrawn the connection. The integration needs to be authorized again.
	AuthRevoked = "auth.revoked"
)

// Notice is one thing that an event tells, in the kit's words. One event may tell several.
type Notice struct {
	Event   Event
	Kind    string  // ResourceChanged and so on; "" if it is not known
	Record  string  // the partner's id of the record; "" if it is about none
	Version Version // of the record, as far as the event tells
	// Thin says that the event tells less of the record than what is stored of it, or nothing: it is confirmed as a
	// hint is, although it may be signed.
	Thin bool
	// Confirmed is what [Router].Confirm returned, for hints and thin ones.
	Confirmed any
}

// Of reports whether the kind is one of a family: "resource" for resource.changed.
func (n Notice) Of(family string) bool { return strings.HasPrefix(n.Kind, family+".") }

// Format prints the event's key and the kind, whatever the verb.
func (n Notice) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.Notice("+n.Event.Key+" "+n.Kind+")")
}

// ErrHint is what a router without Confirm answers to a hint.
var ErrHint = errors.New("webhook: a hint has to be confirmed, and the router has no Confirm")

// ErrUnconfirmed is what Confirm of a [Router] returns if what a hint says is not so. The notice is dropped, and the
// event is dealt with.
var ErrUnconfirmed = errors.New("webhook: what the hint says is not so")

// Route deals with one notice. It may be called again for one it has dealt with: events come at least once.
type Route func(ctx context.Context, n Notice) error

// Router works off events, in a queue's worker, after they were kept: it translates them, has hints confirmed, drops
// what comes too late and gives the rest to the route of its kind. Its fields are not changed once it is used; it may
// be used by several goroutines at once.
type Router struct {
	// Translate says what an event tells; a driver's. Nil: one notice of the event's own kind, about no record. An
	// error is one of the event: it will not get better by being tried again.
	Translate func(e Event) ([]Notice, error)
	// OnNotice is told of each notice before anything else is done with it, also of those that come too late; of a hint,
	// which is anybody's word, once it was confirmed. Its error is the notice's. Nil: nobody is.
	OnNotice func(ctx context.Context, n Notice) error
	// Routes are by kind: "resource.changed" first, then "resource.*".
	Routes map[string]Route
	// Default gets what has no route. Required: what nobody expected is told to somebody.
	Default Route
	// Confirm is called for each notice of an event whose Trust is [Hint], and for thin ones. It fetches the record with
	// credentials of ours, within the quota, and returns it; driver.Confirm makes one. The route sees that as Confirmed,
	// and of a hint no body. [ErrUnconfirmed] drops the notice. Nil: hints and thin ones are [ErrHint].
	Confirm func(ctx context.Context, n Notice) (any, error)
	// Order drops notices that are older than what was dealt with of their record, but for hints. Nil: none is.
	Order *Order
}

// Handle works off one event. Each notice is dealt with, although another fails; the error joins theirs. A notice
// that was dropped for its age is no error. Handle the event again after an error: the notices that went well are
// given to their routes again.
func (r *Router) Handle(ctx context.Context, e Event) error {
	if r.Default == nil {
		return errors.New("webhook: Router.Default is missing")
	}
	notices := []Notice{{Kind: e.Kind}}
	if r.Translate != nil {
		var err error
		if notices, err = r.Translate(e); err != nil {
			return fmt.Errorf("webhook: translate %s: %w", e.Key, err)
		}
	}
	var problems []error
	for _, n := range notices {
		n.Event = e
		if err := r.one(ctx, n); err != nil {
			problems = append(problems, fmt.Errorf("webhook: %s of %s: %w", n.Kind, e.Key, err))
		}
	}
	return errors.Join(problems...)
}

func (r *Router) one(ctx context.Context, n Notice) error {
	tell := func(n Notice) error {
		if r.OnNotice == nil {
			return nil
		}
		return r.OnNotice(ctx, n)
	}
	if n.Event.Trust != Hint {
		if err := tell(n); err != nil {
			return err
		}
	}
	do := func(ctx context.Context) error {
		if n.Event.Trust == Hint || n.Thin {
			if r.Confirm == nil {
				return ErrHint
			}
			var err error
			if n.Confirmed, err = r.Confirm(ctx, n); errors.Is(err, ErrUnconfirmed) {
				return nil
			} else if err != nil {
				return fmt.Errorf("confirm: %w", err)
			}
			if n.Event.Trust == Hint {
				n.Event.Body = nil
				if err = tell(n); err != nil {
					return err
				}
			}
		}
		return r.route(n.Kind)(ctx, n)
	}
	if r.Order == nil || n.Record == "" {
		return do(ctx)
	}
	family, _, _ := strings.Cut(n.Kind, ".")
	v := n.Version
	if n.Event.Trust == Hint {
		v = Version{} // a stranger's date could keep all true events out; what Confirm fetches is the newest there is
	}
	_, err := r.Order.Do(ctx, n.Event.Partner+"\x00"+n.Event.Integration+"\x00"+family+"\x00"+n.Record, v, do)
	return err
}

// Forget removes from s the failed events of an integration that tell of a record, for whoever erases it: their bodies
// may hold its data. family is the first part of the notices' kind, "transaction". An event that tells of several
// records goes with all of them. Events that cannot be translated may tell of it as well: nobody knows, they stay, and
// unread is how many there are. The error is the store's.
func (r *Router) Forget(
	ctx context.Context, s Failures, integration, family, record string,
) (removed, unread int, err error) {
	if integration == "" || family == "" || record == "" || r.Translate == nil {
		return 0, 0, errors.New("webhook: Forget wants an integration, a family, a record and Router.Translate")
	}
	for f, err := range s.List(ctx, integration, time.Time{}, time.Time{}) {
		if err != nil {
			return removed, unread, fmt.Errorf("webhook: list failures: %w", err)
		}
		notices, err := r.Translate(f.Event)
		if err != nil {
			unread++
			continue
		}
		if !slices.ContainsFunc(notices, func(n Notice) bool { return n.Of(family) && n.Record == record }) {
			continue
		}
		if err := s.Remove(ctx, f.Event.Key); err != nil {
			return removed, unread, fmt.Errorf("webhook: remove a failure: %w", err)
		}
		removed++
	}
	return removed, unread, nil
}

func (r *Router) route(kind string) Route {
	if f := r.Routes[kind]; f != nil {
		return f
	}
	if family, _, ok := strings.Cut(kind, "."); ok {
		if f := r.Routes[family+".*"]; f != nil {
			return f
		}
	}
	return r.Default
}

// Decoded is a route that reads the body, as JSON, into a T. Hints have none: they are an error.
func Decoded[T any](f func(ctx context.Context, n Notice, v T) error) Route {
	return func(ctx context.Context, n Notice) error {
		var v T
		if err := json.Unmarshal(n.Event.Body, &v); err != nil {
			// The decoder's text would quote the body.
			return fmt.Errorf("webhook: the body is no JSON for a %T", v)
		}
		return f(ctx, n, v)
	}
}
