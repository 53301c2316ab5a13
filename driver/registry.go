package driver

import (
	"context"
	"net/http"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Definition is a driver as a registry knows it. A driver package offers Register(*Registry) error.
type Definition struct {
	Info Info
	// New makes a driver for env.Integration. It checks the configuration, names everything that is wrong, and sends nothing.
	New func(env Env) (Driver, error)
}

// Env is what a driver is made in. The zero Env works: everything private and in memory.
type Env struct {
	Integration Integration
	// Transport is the base transport; nil: the kit's own.
	Transport http.RoundTripper
	// TokenTransport is the base transport for token endpoints; nil: Transport.
	TokenTransport http.RoundTripper
	Tokens         auth.Store // nil: in memory
	Telemetry      Telemetry
	registry       *Registry
}

// Limiter returns the limiter for the declared limit, shared with everyone who has the same partner and limit name in the same registry.
func (e Env) Limiter(partner string, l Limit, o ratelimit.Options) (*ratelimit.Limiter, error) {
	panic("spike")
}

// Source returns the token source for c.Key, shared likewise.
func (e Env) Source(c auth.SourceConfig) (*auth.Source, error) { panic("spike") }

// Client makes a client with what the environment shares: base transport, telemetry, the partner's breaker and gate.
func (e Env) Client(c ClientConfig) (*Client, error) { panic("spike") }

// Options configures a [Registry]; zero fields take the defaults.
type Options struct {
	// Integrations are the host's; needed by Open.
	Integrations Integrations
	// Tokens keeps tokens; nil: in memory.
	Tokens auth.Store
	// Limits keeps what limiters spent across restarts; nil: nothing is kept.
	Limits ratelimit.StateStore
	// Tiers replaces the tiers of a partner's limit: key "guesty/api". A key that matches no registered limit is an error when a driver is opened.
	Tiers          map[string]ratelimit.Tiers
	Breaker        breaker.Config
	Transport      http.RoundTripper
	TokenTransport http.RoundTripper
	Telemetry      Telemetry
}

// Registry holds the drivers that a host uses and what their instances share: limiters, breakers, token sources. It is safe for concurrent use.
type Registry struct{}

// NewRegistry returns an empty registry.
func NewRegistry(o Options) *Registry { panic("spike") }

// Register adds a driver. A name used twice, or a definition that is not whole, is an error.
func (r *Registry) Register(d Definition) error { panic("spike") }

// Open returns the driver of the integration with the id. Drivers are kept and shared while the integration does not change.
func (r *Registry) Open(ctx context.Context, integrationID string) (Driver, error) { panic("spike") }

// OpenIntegration is Open for an integration at hand.
func (r *Registry) OpenIntegration(ctx context.Context, in Integration) (Driver, error) {
	panic("spike")
}

// Close ends what the drivers share: saves the limiters' state, ends background refreshes.
func (r *Registry) Close(ctx context.Context) error { panic("spike") }
