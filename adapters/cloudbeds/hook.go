package cloudbeds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/webhook"
)

const (
	opPostWebhook   = "postWebhook"
	opGetWebhooks   = "getWebhooks"
	opDeleteWebhook = "deleteWebhook"
)

// events are those that this driver has notices for (documented, but seen in others' lists of them only).
var events = []string{
	"reservation/created", "reservation/status_changed", "reservation/dates_changed",
	"reservation/accommodation_status_changed",
	"reservation/accommodation_type_changed", "reservation/accommodation_changed", "reservation/deleted",
	"reservation/notes_changed",
	"reservation/custom_fields_changed", "guest/created", "guest/assigned", "guest/removed", "guest/details_changed",
	"guest/accommodation_changed",
	"integration/appstate_changed",
}

// Webhooks implements driver.WebhookSource: nothing is signed, the URL is the secret, and every event is a hint.
func (d *Driver) Webhooks() webhook.Partner { return webhook.Cloudbeds() }

// Notices implements driver.WebhookSource. Events of reservations and of their guests say that the reservation changed;
// a deleted one stays, as a canceled one, so that is a change too. An application that was disabled is
// webhook.AuthRevoked. All are thin: nothing in them was proved, and the reservation is read. An event of another
// property than the integration's tells nothing.
func (d *Driver) Notices(e webhook.Event) ([]webhook.Notice, error) {
	o, err := notified(e)
	if err != nil {
		return nil, err
	}
	kind := e.Kind
	if kind == "" {
		kind = o.Word("event").Or("")
	}
	property := o.First(o.Word, "propertyid_str", "propertyid").Or("")
	if d.property != "" && property != "" && property != d.property {
		return nil, nil
	}
	n := webhook.Notice{Event: e, Kind: kind, Thin: true, Version: webhook.Version{At: instant(o)}}
	entity, _, _ := strings.Cut(kind, "/")
	reservation := o.First(o.Word, "reservationid").Or("")
	switch {
	case len(reservation) > wire.MaxID:
		return nil, errors.New("cloudbeds: a webhook's reservation has no id that can be one")
	case entity == "reservation" && reservation == "":
		return nil, errors.New("cloudbeds: a webhook of a reservation does not say which")
	case entity == "reservation", entity == "guest" && reservation != "":
		n.Kind, n.Record = webhook.TransactionChanged, reservation
	case kind == "integration/appstate_changed" &&
		strings.EqualFold(o.First(o.Word, "newstate", "state", "app_state").Or(""), "disabled"):
		n.Kind = webhook.AuthRevoked
	case kind == "":
		return nil, nil
	}
	return []webhook.Notice{n}, nil
}

var errBody = errors.New("cloudbeds: a webhook's body is neither a JSON object nor a form")

// notified reads an event's body: JSON as seen, or a form as the vendor's pages are said to show. Names of members
// differ in case from event to event (seen), so they are looked up in lower case; of two that differ in nothing else,
// one that holds something counts.
func notified(e webhook.Event) (wire.Object, error) {
	fields := map[string]json.RawMessage{}
	media, _, _ := mime.ParseMediaType(e.ContentType) // "" when it is none
	if media == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(e.Body))
		if err != nil || len(form) == 0 {
			return wire.Object{}, errBody // the text of err quotes it
		}
		for name := range form {
			text, err := json.Marshal(form.Get(name))
			if err != nil {
				return wire.Object{}, errBody
			}
			fields[name] = text
		}
	} else if driver.Decode(e.Body, e.ContentType, &fields) != nil {
		return wire.Object{}, errBody
	}
	lower := make(map[string]json.RawMessage, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		to := strings.ToLower(name)
		if s, scalar := wire.Scalar(fields[name]); lower[to] == nil || scalar && s != "" {
			lower[to] = fields[name]
		}
	}
	all, err := json.Marshal(lower)
	if err != nil {
		return wire.Object{}, errBody
	}
	return wire.Fields(all), nil
}

// instant reads the time of an event, seconds with a fraction; zero when there is none.
func instant(o wire.Object) time.Time {
	s, ok := o.Number("timestamp").Get()
	if !ok || s <= 0 || s > 1<<40 || math.IsNaN(s) {
		return time.Time{}
	}
	whole, fraction := math.Modf(s)
	return time.Unix(int64(whole), int64(fraction*1e6)*1e3).UTC()
}

// SubscriptionTerms implements webhook.Registrar: one subscription for each event, and a URL that is the secret.
func (d *Driver) SubscriptionTerms() webhook.Terms {
	return webhook.Terms{Secret: webhook.FromURL, PerEvent: true, Events: slices.Clone(events)}
}

// Subscriptions implements webhook.Registrar by GET getWebhooks. The URL is under "endpoint" (documented) or "url"
// (seen). Subscriptions of another property than the integration's are left out.
func (d *Driver) Subscriptions(ctx context.Context) ([]webhook.Subscription, error) {
	env, r, err := d.call(ctx, opGetWebhooks, "/"+opGetWebhooks, nil)
	if err != nil {
		return nil, err
	}
	rows, err := env.rows("subscriptionData")
	if err != nil {
		return nil, d.failed(opGetWebhooks, r, err)
	}
	var all []webhook.Subscription
	for _, raw := range rows {
		o := wire.Fields(raw)
		key, _ := o.Object("key").Get()
		if d.property != "" && key.Word("type").Or("") == "property" && key.Word("id").Or("") != d.property {
			continue
		}
		event, _ := o.Object("event").Get()
		data, _ := o.Object("subscriptionData").Get()
		s := webhook.Subscription{ID: o.Word("id").Or(""), URL: data.First(data.Text, "endpoint", "url").Or("")}
		if s.URL == "" {
			return nil, d.failed(opGetWebhooks, r, errors.New("a subscription has no URL"))
		}
		s.Events = []string{event.Word("entity").Or("") + "/" + event.Word("action").Or("")}
		all = append(all, s)
	}
	return all, nil
}

// Subscribe implements webhook.Registrar by POST postWebhook, with a form: JSON is refused (seen). The same again gives
// the same subscription (seen). An event that does not exist is accepted without complaint (seen), so only events that
// are known are.
func (d *Driver) Subscribe(ctx context.Context, s webhook.Subscription) (webhook.Subscription, error) {
	form, err := d.subscription(s)
	if err != nil {
		return webhook.Subscription{}, d.unsent(opPostWebhook, err)
	}
	fields, err := d.write(ctx, opPostWebhook, http.MethodPost, form)
	if err != nil {
		return webhook.Subscription{}, err
	}
	id := wire.ID(fields["data"], "subscriptionID")
	if id == "" {
		return webhook.Subscription{}, d.failed(opPostWebhook, nil, errors.New("the answer names no subscription"))
	}
	s.ID = id
	return s, nil
}

// subscription says what makes a subscription, which is also how one is named.
func (d *Driver) subscription(s webhook.Subscription) (url.Values, error) {
	if len(s.Events) != 1 || s.URL == "" {
		return nil, errors.New("a subscription is of one event and one URL")
	}
	if !slices.Contains(events, s.Events[0]) {
		return nil, fmt.Errorf("the event %s is not known", strconv.QuoteToASCII(s.Events[0][:min(len(s.Events[0]),
			60)]))
	}
	object, action, _ := strings.Cut(s.Events[0], "/")
	form := url.Values{"object": {object}, "action": {action}, "endpointUrl": {s.URL}}
	if d.property != "" {
		form.Set("propertyID", d.property)
	}
	return form, nil
}

// Unsubscribe implements webhook.Registrar by DELETE deleteWebhook with the subscription's id (documented). Where the
// partner wants to know event and URL instead (seen), they are sent with POST. That was seen to answer success without
// deleting, which the next list shows: what is answered here is that the partner was told.
func (d *Driver) Unsubscribe(ctx context.Context, s webhook.Subscription) error {
	query := url.Values{"subscriptionID": {s.ID}}
	if d.property != "" {
		query.Set("propertyIDs", d.property)
	}
	call := driver.Call{Op: opDeleteWebhook, Method: http.MethodDelete, Path: "/" + opDeleteWebhook, Query: query}
	r, err := driver.Send[*driver.Response](ctx, d.api, call)
	if err == nil {
		var fields map[string]json.RawMessage
		if err := driver.Decode(r.Body, r.Header.Get("Content-Type"), &fields); err != nil {
			return d.failed(opDeleteWebhook, r, err)
		}
		if env := envelopeOf(fields); env.refused {
			e := d.failed(opDeleteWebhook, r, errRefused)
			e.Verdict, e.Message = refusal(env.message), say(env.message)
			err = e
		} else {
			return nil
		}
	}
	if !wantsMore(err) {
		return err
	}
	form, badly := d.subscription(s)
	if badly != nil {
		return errors.Join(err, badly)
	}
	_, err = d.write(ctx, opDeleteWebhook, http.MethodPost, form)
	return err
}
