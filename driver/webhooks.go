package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

// WebhookSource is a driver that can read what its partner sends of its own accord. Both methods are pure: they send
// nothing and need no more than the integration's settings, so that a driver whose partner has one URL for all accounts
// can offer the same as functions of its package.
type WebhookSource interface {
	// Webhooks is how the partner proves its deliveries, and where in them the kind, the delivery's id and the account
	// are. It returns the same every time. Verification is webhook.Handler's; no driver has a part in it.
	Webhooks() webhook.Partner
	// Notices says what a verified event tells, in the kit's words: webhook.ResourceChanged and so on with the
	// partner's id of the record, and its version where the event has one; webhook.AuthRevoked when the partner's side
	// has withdrawn the connection. What the kit has no word for keeps the partner's kind, with the record's id if it
	// is about one. A cancellation is a change. A notice is Thin unless the event holds all that a listing does of the
	// record: then the record is fetched, whatever proved the event. An event that tells nothing of use yields no
	// notice; one that cannot be read is an error, which must hold nothing of its body.
	Notices(e webhook.Event) ([]webhook.Notice, error)
}

// WebhookRegistrar is a driver that can register webhooks at its partner. Some partners do it in a portal only, and have
// none. What should be registered, and in which order that is done, is decided by package webhook, not by the driver.
type WebhookRegistrar interface{ webhook.Registrar }

// Confirmed is what [Confirm] found of a record.
type Confirmed struct {
	// Record is a *Resource or *Transaction, as importer.Apply takes it; nil if the partner has no such record.
	Record any
	// Sent is when the request was sent that Record came with.
	Sent time.Time
}

// settling is how long after an event a partner may still answer with what was before it.
const settling = time.Minute

// Confirm returns a webhook.Router's Confirm: it asks the partner, with the driver's own credentials and within the
// quota, as a webhook's follow-up (ahead of imports). What it returns depends on the notice's kind:
//
//   - resource.*, transaction.*: a [Confirmed] with the record as it is now.
//   - auth.revoked: nil if Check is refused with the integration's credentials, webhook.ErrUnconfirmed if it is not.
//   - any other, or a kind that the driver has no getter for: nil, which confirms nothing. The route fetches.
//
// Partners announce what their own API does not show yet. So for a minute after an event arrived, a record that is not
// there, is older than the event, or is there although it was deleted, is a *retry.Error with the time to come back at.
// After that what the partner says counts: a record that is not there is gone, and one that was said to be deleted and is
// there is webhook.ErrUnconfirmed.
func Confirm(d Driver) func(ctx context.Context, n webhook.Notice) (any, error) {
	return func(ctx context.Context, n webhook.Notice) (any, error) {
		call := ratelimit.CallFrom(ctx)
		call.Priority = max(call.Priority, ratelimit.FollowUp)
		ctx = ratelimit.WithCall(ctx, call)
		resources, hasResources := d.(ResourceGetter)
		transactions, hasTransactions := d.(TransactionGetter)
		switch {
		case n.Kind == webhook.AuthRevoked:
			switch err := d.Check(ctx); {
			case err == nil:
				return nil, webhook.ErrUnconfirmed
			case retry.ClassOf(err) == retry.Auth:
				return nil, nil //nolint:nilerr // that it is refused is what was asked
			default:
				return nil, err
			}
		case n.Record == "":
			return nil, nil
		case hasResources && n.Of(string(KindResource)):
			return confirm(ctx, d, n, resources.ResourcesByID, func(r *Resource) *Record { return &r.Record })
		case hasTransactions && n.Of(string(KindTransaction)):
			return confirm(ctx, d, n, transactions.TransactionsByID, func(t *Transaction) *Record { return &t.Record })
		}
		return nil, nil
	}
}

// confirm reads the record that n is about.
func confirm[T any](ctx context.Context, d Driver, n webhook.Notice, get func(context.Context, []string) pagination.Pages[T],
	record func(*T) *Record) (any, error) {
	found, sent, err := read(ctx, n.Record, get, record)
	if err != nil {
		return nil, err
	}
	deleted := n.Version.Deleted || n.Kind == webhook.ResourceDeleted || n.Kind == webhook.TransactionDeleted
	var stale error
	switch {
	case found == nil && !deleted:
		stale = errors.New("what a webhook is about is not there yet")
	case found != nil && deleted:
		stale = errors.New("what a webhook says was deleted is still there")
	case found != nil && n.Event.Trust != webhook.Hint: // anybody can date a hint
		if at := record(found).UpdatedAt; !at.IsZero() && at.Before(n.Version.At) {
			stale = errors.New("what a webhook is about is older than that still")
		}
	}
	if age := sent.Sub(n.Event.ReceivedAt); stale != nil && age >= 0 && age < settling {
		return nil, &retry.Error{
			Verdict: retry.Verdict{Class: retry.Transient, At: sent.Add(max(2*time.Second, age/2))},
			Partner: d.Info().Partner, Op: "webhook.confirm", Integration: n.Event.Integration, Err: stale,
		}
	}
	switch {
	case found == nil:
		return Confirmed{Sent: sent}, nil
	case deleted:
		return nil, webhook.ErrUnconfirmed
	}
	return Confirmed{Record: found, Sent: sent}, nil
}

// read returns the one record with the id, nil if there is none, and when it was asked for.
func read[T any](ctx context.Context, id string, get func(context.Context, []string) pagination.Pages[T],
	record func(*T) *Record) (found *T, sent time.Time, err error) {
	sent = time.Now()
	for page, err := range get(ctx, []string{id}) {
		switch {
		case errors.Is(err, ErrNotFound):
			return nil, sent, nil
		case err != nil:
			return nil, sent, err
		case len(page.Rejected) > 0:
			return nil, sent, fmt.Errorf("driver: the record that a webhook is about cannot be read: %w", page.Rejected[0].Err)
		}
		for i := range page.Items {
			r := &page.Items[i]
			if rec := record(r); rec.ID == id || slices.Contains(rec.Aliases, id) {
				found = r
				if !page.Sent.IsZero() {
					sent = page.Sent
				}
			}
		}
	}
	return found, sent, nil
}
