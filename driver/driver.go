package driver

import (
	"cmp"
	"context"
	"iter"
	"net/url"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Driver is one integration's connection to its partner. What else it can do it says by implementing the optional
// interfaces of this package; see [Capabilities]. A Driver is safe for concurrent use.
type Driver interface {
	// Info describes the driver. It sends nothing and returns the same every time.
	Info() Info
	// Check makes one cheap authenticated call, and returns its error.
	Check(ctx context.Context) error
}

// Kind names a kind of normalized record.
type Kind string

// The kinds of records.
const (
	KindResource    Kind = "resource"
	KindTransaction Kind = "transaction"
	KindMedia       Kind = "media"
)

// ResourceLister lists what the partner's account offers: in lodging, its listings.
type ResourceLister interface {
	Resources(ctx context.Context, q Query) pagination.Pages[Resource]
}

// TransactionLister lists what was agreed on the resources: in lodging, reservations.
type TransactionLister interface {
	Transactions(ctx context.Context, q Query) pagination.Pages[Transaction]
}

// MediaLister lists the pictures of one resource.
type MediaLister interface {
	Media(ctx context.Context, resourceID string) pagination.Pages[Media]
}

// ResourceGetter reads resources by id. An id that the partner does not know (any more) is left out.
type ResourceGetter interface {
	ResourcesByID(ctx context.Context, ids []string) pagination.Pages[Resource]
}

// TransactionGetter reads transactions by id. An id that the partner does not know (any more) is left out.
type TransactionGetter interface {
	TransactionsByID(ctx context.Context, ids []string) pagination.Pages[Transaction]
}

// StatusPusher tells the partner a transaction's new status.
type StatusPusher interface {
	PushStatus(ctx context.Context, key EffectKey, transactionID string, s TransactionStatus) (Effect, error)
}

// EffectKey identifies one intended write across attempts, processes and replays. It becomes the idempotency key where the partner takes
// one.
type EffectKey string

// Effect is what a write did.
type Effect struct {
	// ID is the partner's id of what was written.
	ID string
	// Confirmed says that the partner's answer, or a read after it, shows the effect.
	Confirmed bool
}

// Capabilities returns the names of the optional interfaces that d implements, sorted: "MediaLister", "ResourceLister".
// A wrapper around a driver has to offer what it wraps.
func Capabilities(d Driver) []string {
	var names []string
	can := func(ok bool, name string) {
		if ok {
			names = append(names, name)
		}
	}
	_, ok := d.(CalendarLister)
	can(ok, "CalendarLister")
	_, ok = d.(CalendarPusher)
	can(ok, "CalendarPusher")
	_, ok = d.(MediaLister)
	can(ok, "MediaLister")
	_, ok = d.(QueueRecoverer)
	can(ok, "QueueRecoverer")
	_, ok = d.(QueueSource)
	can(ok, "QueueSource")
	_, ok = d.(ResourceGetter)
	can(ok, "ResourceGetter")
	_, ok = d.(ResourceLister)
	can(ok, "ResourceLister")
	_, ok = d.(StatusPusher)
	can(ok, "StatusPusher")
	_, ok = d.(TransactionGetter)
	can(ok, "TransactionGetter")
	_, ok = d.(TransactionLister)
	can(ok, "TransactionLister")
	_, ok = d.(WebhookRegistrar)
	can(ok, "WebhookRegistrar")
	_, ok = d.(WebhookSource)
	can(ok, "WebhookSource")
	return names
}

// Query says what to list.
type Query struct {
	// Cursor is where to go on; zero: at the beginning.
	Cursor pagination.Cursor
	// UpdatedSince restricts the list to records changed at or after this time, by the partner's clock. A driver
	// whose partner cannot filter lists everything; see [Info.Incremental]. Zero: everything.
	UpdatedSince time.Time
	// ResourceID restricts transactions to one resource; "": all.
	ResourceID string
	// MaxPages stops the list early, which is then reported as incomplete. 0: no cap.
	MaxPages int
}

// Info describes a driver.
type Info struct {
	Partner    string // "guesty": lower case, the folder's name
	Title      string // "Guesty"
	APIVersion string // the partner's version that the driver is written against
	// AdapterVersions are the versions of the normalization, newest first. An integration chooses one.
	AdapterVersions []string
	// Incremental names the kinds that the partner can filter by time of update.
	Incremental []Kind
	// Windowed names the kinds of which a listing shows a window of time only (stays from a year back to two years ahead): what it
	// does not show any more is not gone, and the importer takes nothing for deleted because of it.
	Windowed []Kind
	// Limits are the partner's quotas, as documented.
	Limits []Limit
	// Scopes are the OAuth scopes the driver needs.
	Scopes []string
	// Credentials names what Integration.Credentials must hold.
	Credentials []string
}

// TokenLimit is the name under which a driver declares the budget of its partner's token endpoint, if there is one.
const TokenLimit = "token"

// Limit is one quota that the partner keeps.
type Limit struct {
	// Name identifies it to the host, which may override its tiers: "api".
	Name string
	// SharedBy says who spends it together: the integrations with the same Account, or the same of whatever the driver names.
	SharedBy string // "account", "property", "machine account": for people; the key itself is made by the driver
	Tiers    ratelimit.Tiers
	// Ops are the operations that spend it, by [Call.Op]: "messages.send", or "messages.*" for all whose name begins so. None means all. See
	// [ratelimit.Rule] for these and the next.
	Ops []string
	// Unless names limits of the driver in whose favour this one stands back: for operations with limits of their own.
	Unless []string
	// Cost is what a call counts for here, times its own cost; 0 means 1.
	Cost int64
	// Scope is what else meets the same fate when it is spent: it tells which limit a 429 parks. The zero value is retry.Endpoint
	// with Ops, and retry.Integration without. One that all integrations share is retry.Partner.
	Scope retry.Scope
	// Source cites where the numbers come from, and says when they are unverified.
	Source string
}

// Integration is one customer's connection to a partner, as the host keeps it.
type Integration struct {
	// ID is the host's id, unique over all partners. Required.
	ID string
	// Partner is the driver's name. Required.
	Partner string
	// Account is the customer's account at the partner; integrations with the same account share its quotas. "" means ID.
	Account string
	// Company is the host's customer; fairness is between companies. "" means ID.
	Company string
	// AdapterVersion pins the normalization; "" means the newest.
	AdapterVersion string
	// BaseURL replaces the partner's, for a sandbox or a simulator. "" means production.
	BaseURL string
	// Credentials are what [Info.Credentials] names.
	Credentials map[string]auth.Secret
	// Settings are choices of the driver's own for this integration, under the names that its package documents. A driver refuses a
	// name or value it does not know.
	Settings map[string]string
}

// Endpoint returns where the driver's requests go, and the origin that its credentials may travel to: the integration's BaseURL if it
// has one, else production.
func (in Integration) Endpoint(production string) (base, origin string) {
	base = strings.TrimRight(cmp.Or(in.BaseURL, production), "/")
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return base, base // the client says what is wrong with it
	}
	return base, u.Scheme + "://" + u.Host
}

// Filter selects integrations; zero fields select all.
type Filter struct{ Partner, Company string }

// Integrations is implemented by the host, over its own database. It is safe for concurrent use.
type Integrations interface {
	// Integration returns one; an error that wraps [ErrNotFound] when there is none.
	Integration(ctx context.Context, id string) (Integration, error)
	// Integrations lists them in a stable order.
	Integrations(ctx context.Context, f Filter) iter.Seq2[Integration, error]
}
