package auth

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Token is an access token and what is known of it.
type Token struct {
	Access  Secret
	Refresh Secret    // "" when the grant gives none
	Type    string    // "" means Bearer
	Expiry  time.Time // zero: unknown, used until refused
	// Obtained is when it was asked for, on this machine's clock.
	Obtained time.Time
	Scope    string
}

// Exchanger gets one token from the partner: one request to the token endpoint, no retry, no cache.
type Exchanger interface {
	// Exchange trades old (which may be zero) for a new token. A refusal that no repetition will heal wraps
	// [ErrGrant]; one that says when to come back is a *retry.Error with At. Errors hold no body and no secret.
	Exchange(ctx context.Context, old Token) (Token, error)
}

// ClientCredentials is the OAuth 2.0 client credentials grant (RFC 6749 section 4.4), on golang.org/x/oauth2.
type ClientCredentials struct {
	TokenURL     string
	ClientID     string
	ClientSecret Secret
	Scopes       []string
	Params       url.Values
	// InHeader sends the client's id and secret as HTTP Basic; the default sends them in the body. It is never probed.
	InHeader bool
	// Transport carries the request; nil: http.DefaultTransport. It has its own limits: the API's limiter must not be in it.
	Transport http.RoundTripper
}

// Exchange implements [Exchanger].
func (c ClientCredentials) Exchange(ctx context.Context, old Token) (Token, error) { panic("spike") }

// SourceConfig configures a [Source].
type SourceConfig struct {
	// Key identifies the token in the store, errors and events: "guesty/acct-17".
	Key       string
	Exchanger Exchanger
	Store     Store // nil: in memory, for this Source alone
	// Origins that the token may travel to.
	Origins []string
	// Early is how long before expiry a refresh starts in the background; 0 means a fifth of the lifetime, at most 1 h.
	// Late is how long before expiry callers wait for it; 0 means a tenth of Early, at most 1 min.
	Early, Late time.Duration
	// Timeout bounds one refresh, whoever triggered it; 0 means 30 s.
	Timeout time.Duration
	// Budget bounds requests to the token endpoint, across restarts. Zero: unbounded.
	Budget Budget
	// OnEvent, if set, is told what happens to the token. It is called without locks held.
	OnEvent func(Event)
}

// Budget is how many token requests the partner grants in a sliding window.
type Budget struct {
	Requests int
	Per      time.Duration
}

// Source is a token source that refreshes early, once, and remembers. See the package comment. It is safe for concurrent use.
type Source struct{}

// NewSource returns an error that names everything that is wrong with c. It sends nothing.
func NewSource(c SourceConfig) (*Source, error) { panic("spike") }

// Token returns a usable token, waiting for a refresh if there is none, no longer than ctx or retry.WithMaxWait
// allow. Errors are *retry.Error: Auth with ErrNeedsReauth when a human must act, Unavailable with At when the budget is spent
// or a failed refresh cools down.
func (s *Source) Token(ctx context.Context) (Token, Generation, error) { panic("spike") }

// Generation numbers the tokens of a key, upwards from 1.
type Generation uint64

// Refused says that the partner refused the token of generation g. A generation that is no longer the current one is ignored.
func (s *Source) Refused(ctx context.Context, g Generation) { panic("spike") }

// Wrap returns a RoundTripper that authorizes requests. An answer judged Auth with scope Credential makes it refresh once and
// replay the request (its body from GetBody), if that gives another generation.
func (s *Source) Wrap(next http.RoundTripper) http.RoundTripper { panic("spike") }

// State returns what is known of the token, without the token.
func (s *Source) State(ctx context.Context) (State, error) { panic("spike") }

// Close ends background work and waits for it. It does not revoke anything.
func (s *Source) Close() error { panic("spike") }

// State is the visible state of a token.
type State struct {
	Generation  Generation
	Expiry      time.Time
	NextRefresh time.Time
	CoolingDown time.Time // no refresh is tried before; zero: none
	NeedsReauth string    // why a human must act; "": nobody must
	Spent       int       // token requests in the budget's window
}

// Event is what happened to a token.
type Event struct {
	Key        string
	Kind       EventKind
	Generation Generation
	Took       time.Duration
	Err        error
}

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	Refreshed EventKind = iota + 1
	RefreshFailed
	NeedsReauth
)
