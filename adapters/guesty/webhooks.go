package guesty

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/webhook"
)

// events are those that there are notices for. reservation.new and reservation.updated are refused since July 2026
// (seen), and go at the end of that year (documented).
var events = []string{
	"calendar.updated.v2", "listing.new", "listing.removed", "listing.updated", "reservation.created.v2",
	"reservation.updated.v2",
}

// Webhooks implements driver.WebhookSource: Guesty sends through Svix.
func (d *Driver) Webhooks() webhook.Partner { return webhook.Guesty() }

// Notices implements driver.WebhookSource; see [Notices].
func (d *Driver) Notices(e webhook.Event) ([]webhook.Notice, error) { return Notices(e) }

// Notices says what an event of Guesty's tells. All notices are thin: version 2 of the reservations' events has stay
// details alone, and the objects embedded in others may be older or have other fields than what REST answers. There
// is no event for a cancellation: it is a change. A calendar's event may come without a name, and is known by its
// shape. Events about guests, messages, payments and tasks keep Guesty's name.
func Notices(e webhook.Event) ([]webhook.Notice, error) {
	var body json.RawMessage
	if err := driver.Decode(e.Body, e.ContentType, &body); err != nil {
		return nil, fmt.Errorf("guesty: %w", err)
	}
	if wire.TypeOf(body) != '{' {
		return nil, fmt.Errorf("guesty: an event that is %w", errNoRow)
	}
	o := wire.Fields(body)
	kind := o.First(o.Word, "event", "eventType").Or(e.Kind)
	if kind == "" && o.Has("dateRange") && o.Has("listingId") {
		kind = "calendar.updated.v2"
	}
	n := webhook.Notice{Kind: kind, Thin: true}
	switch family, what, _ := strings.Cut(kind, "."); {
	case kind == "reservation.messageReceived" || kind == "reservation.messageSent":
		n.Record = about(o, "reservation", "reservationId")
	case family == "reservation", kind == "reservation_update_shortlist":
		r := inner(o, "reservation")
		n.Kind, n.Record = webhook.TransactionChanged, first(r, reservationID...)
		n.Version.At = o.Instant("publishedAt").Or(r.Instant("publishedAt").Or(r.Instant("lastUpdatedAt").Or(n.Version.At)))
	case kind == "listing.calendar.updated", family == "calendar":
		n.Kind, n.Record = webhook.CalendarChanged, first(inner(o, "calendar"), "listingId", "unitId")
		if n.Record == "" {
			n.Record = about(o, "listing", "listingId")
		}
	case family == "listing":
		l := inner(o, "listing")
		n.Kind, n.Record = webhook.ResourceChanged, first(l, "_id", "id", "listingId")
		if n.Version.At = l.Instant("lastUpdatedAt").Or(n.Version.At); what == "removed" {
			n.Kind = webhook.ResourceDeleted
		}
	case family == "guest":
		n.Record = about(o, "guest", "guestId")
	}
	if n.Record == "" && slices.Contains([]string{webhook.TransactionChanged, webhook.CalendarChanged,
		webhook.ResourceChanged, webhook.ResourceDeleted}, n.Kind) {
		return nil, fmt.Errorf("guesty: an event of kind %q without an id that can be read", kind)
	}
	return []webhook.Notice{n}, nil
}

// inner is the object that an event is about. The old ones have it under its name; where version 2 has it is not
// documented: under data, payload, either with its name below, and at the top are seen.
func inner(o wire.Object, name string) wire.Object {
	for _, f := range []string{"data", "payload"} {
		if sub, ok := o.Object(f).Get(); ok && sub.Len() > 0 {
			o = sub
			break
		}
	}
	if sub, ok := o.Object(name).Get(); ok && sub.Len() > 0 {
		return sub
	}
	return o
}

// about is the id of an object that an event has, or has the id of.
func about(o wire.Object, name, id string) string {
	in := inner(o, name)
	if found := first(in, id); found != "" {
		return found
	}
	if o.Has(name) || in.Has("_id") {
		return first(in, "_id", "id")
	}
	return ""
}

// first is the first of the fields that holds an id.
func first(o wire.Object, names ...string) string { return o.First(o.Ref, names...).Or("") }

// SubscriptionTerms implements webhook.Registrar: one subscription for each URL, with the secret that Guesty makes
// and tells when it is asked.
func (d *Driver) SubscriptionTerms() webhook.Terms {
	return webhook.Terms{Secret: webhook.FromPartner, Events: slices.Clone(events)}
}

const opSubscriptions = "webhooks.list"

// Subscriptions implements webhook.Registrar by GET /webhooks.
func (d *Driver) Subscriptions(ctx context.Context) ([]webhook.Subscription, error) {
	p, err := driver.Get[page](ctx, d.api, opSubscriptions, "/webhooks", nil)
	if err != nil {
		return nil, err
	}
	b := subscription.Each(ctx, d.api, p.rows)
	if len(b.Rejected) > 0 {
		// One that is not seen would be made anew, with another secret, each time.
		return nil, fmt.Errorf("guesty: a subscription cannot be read: %w", b.Rejected[0].Err)
	}
	return b.Items, nil
}

var subscription = wire.Decoder[webhook.Subscription]{
	Kind: "webhook", ID: []string{"_id", "id"},
	Read: func(o wire.Object) (webhook.Subscription, error) {
		o.Require("url", "events")
		return webhook.Subscription{ID: o.Record(v1).ID, URL: o.Text("url").Or(""),
			Events: o.Texts("events").Or(nil)}, nil
	},
}

// Subscribe implements webhook.Registrar: PUT for the events of one that is there, POST for a new one. Guesty cannot
// change a URL (removed 2025-12-28).
func (d *Driver) Subscribe(ctx context.Context, s webhook.Subscription) (webhook.Subscription, error) {
	if s.ID == "" {
		// A second one for a URL would be delivered twice; the answer to a POST may have been lost.
		all, err := d.Subscriptions(ctx)
		if err != nil {
			return webhook.Subscription{}, err
		}
		if i := slices.IndexFunc(all, func(old webhook.Subscription) bool { return old.URL == s.URL }); i >= 0 {
			if sameSet(all[i].Events, s.Events) {
				return all[i], nil
			}
			s.ID = all[i].ID
		}
	}
	call := driver.Call{Op: "webhooks.create", Method: http.MethodPost, Path: "/webhooks",
		Body: map[string]any{"url": s.URL, "events": s.Events}}
	if s.ID != "" {
		call = driver.Call{Op: "webhooks.update", Method: http.MethodPut, Path: driver.Path("/webhooks/{}", s.ID),
			Body: map[string]any{"events": s.Events}}
	}
	answer, err := driver.Send[row](ctx, d.api, call)
	if err != nil {
		return webhook.Subscription{}, err
	}
	got, _, err := subscription.One(json.RawMessage(answer))
	if err != nil {
		return webhook.Subscription{}, fmt.Errorf("guesty: the answer to a subscription cannot be read: %w", err)
	}
	if got.URL == "" {
		got.URL = s.URL
	}
	if got.Events == nil {
		got.Events = s.Events
	}
	return got, nil
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// Unsubscribe implements webhook.Registrar by DELETE /webhooks/{id}.
func (d *Driver) Unsubscribe(ctx context.Context, s webhook.Subscription) error {
	_, err := driver.Send[*driver.Response](ctx, d.api, driver.Call{Op: "webhooks.delete", Method: http.MethodDelete,
		Path: driver.Path("/webhooks/{}", s.ID)})
	if notFound(err) {
		return nil
	}
	return err
}

// SubscriptionSecret implements webhook.SecretFetcher by GET /webhooks-v2/secret?url=…. Right after a subscription
// was made Guesty has none yet, and says 404 (seen).
func (d *Driver) SubscriptionSecret(ctx context.Context, s webhook.Subscription) (string, error) {
	type answer struct {
		Key string `json:"key" wire:"required"` // the documented schema is empty; the name is seen
	}
	a, err := driver.Get[answer](ctx, d.api, "webhooks.secret", "/webhooks-v2/secret", url.Values{"url": {s.URL}})
	if notFound(err) {
		return "", webhook.ErrNoSecretYet
	}
	return a.Key, err
}
