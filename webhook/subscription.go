package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"
)

// SecretFrom says where the secret of a subscription comes from.
type SecretFrom uint8

const (
	// FromURL: the partner signs nothing. What is secret is a part of the URL that it was given.
	FromURL SecretFrom = iota
	// FromUs: we make the secret, and the partner is given it with each Subscribe.
	FromUs
	// FromPartner: the partner makes it, and returns it when it is asked to subscribe or, if the registrar is a
	// [SecretFetcher], is asked for it afterwards.
	FromPartner
)

// String returns "url", "us" or "partner".
func (s SecretFrom) String() string {
	switch s {
	case FromURL:
		return "url"
	case FromUs:
		return "us"
	case FromPartner:
		return "partner"
	}
	return "SecretFrom(" + strconv.Itoa(int(s)) + ")"
}

// Terms are what there is to know of how a partner registers webhooks, as data.
type Terms struct {
	Secret SecretFrom
	// PerEvent says that the partner has one subscription for each event and URL. Otherwise it has one for each URL,
	// with all events.
	PerEvent bool
	// Events are those, in the partner's words, that the driver has notices for. A host may want fewer.
	Events []string
	// RenewBefore is how long before its end a subscription is renewed, if those of the partner end. 0: a day.
	RenewBefore time.Duration
}

// Subscription is what a partner has registered, or is asked to: a URL and the events that are sent there. It prints
// its ID and events alone: where nothing is signed, the URL is the secret.
type Subscription struct {
	ID      string    // the partner's; "" before it is made
	URL     string    // where it is sent; exactly as registered
	Events  []string  // in the partner's words
	Secret  string    // to Subscribe: ours; from it and Subscriptions: the partner's, if it tells. As in [Secret].Value
	Expires time.Time // zero: it does not end
}

// Format prints the ID and the events, whatever the verb.
func (s Subscription) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.Subscription("+s.ID+" "+fmt.Sprint(s.Events)+")")
}

// LogValue returns what Format prints.
func (s Subscription) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON leaves out what Format leaves out.
func (s Subscription) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(s)) }

// Registrar makes, lists and removes webhook subscriptions at a partner, for one integration: a driver. It decides
// nothing: what should be there, and in which order it gets there, is for what calls it. Its methods make calls within
// the quota and return their errors; they do not repeat what the driver's client does not repeat.
type Registrar interface {
	// SubscriptionTerms says how the partner does it. It sends nothing and returns the same every time.
	SubscriptionTerms() Terms
	// Subscriptions returns all that the partner has registered for this integration, of other receivers too. One
	// that the partner has switched off is left out, and Subscribe switches it on, or makes it anew.
	Subscriptions(ctx context.Context) ([]Subscription, error)
	// Subscribe registers s. Without an ID it makes a new one (where the partner already has the same, that one); with
	// one it sets that one's events, and its end anew. With Terms.PerEvent s has one event. It returns what is there now.
	Subscribe(ctx context.Context, s Subscription) (Subscription, error)
	// Unsubscribe removes s, which has all that Subscriptions or Subscribe returned. One that is not there is no error.
	Unsubscribe(ctx context.Context, s Subscription) error
}

// ErrNoSecretYet is what a [SecretFetcher] returns while the partner has made no secret for a new subscription.
var ErrNoSecretYet = errors.New("webhook: the partner has no secret for the subscription yet")

// SecretFetcher is an optional interface of a [Registrar] whose partner tells the secret of a subscription when it is
// asked. Without it a secret that was lost (a process was killed before it was stored) is had by subscribing anew.
type SecretFetcher interface {
	// SubscriptionSecret returns the secret of s as the [Scheme] wants it; [ErrNoSecretYet] if the partner needs some
	// more time.
	SubscriptionSecret(ctx context.Context, s Subscription) (string, error)
}
