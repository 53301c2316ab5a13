package driver

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

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

// Options configures a [Registry]; zero fields take the defaults.
type Options struct {
	// Integrations are the host's; needed by Open.
	Integrations Integrations
	// Tokens keeps tokens; nil: in memory.
	Tokens auth.Store
	// Limits keeps what limiters spent across restarts; nil: nothing is kept.
	Limits ratelimit.StateStore
	// Tiers replaces the tiers of a partner's limit: key "guesty/api". A key that matches no registered limit is an error when a driver is opened.
	// That of [TokenLimit] is one tier, and becomes the budget of the partner's token sources.
	Tiers map[string]ratelimit.Tiers
	// Breaker configures the circuits, of which each integration has one, and those of whole partners. Name and Key are the
	// registry's own; OnChange is told of all of them, by the partner's name.
	Breaker        breaker.Config
	Transport      http.RoundTripper
	TokenTransport http.RoundTripper // nil: Transport
	Telemetry      Telemetry
	// MaxDrivers bounds the drivers that are kept; 0 means 10,000. Those that were not opened for longest go first.
	MaxDrivers int
}

// Registry holds the drivers that a host uses and what their instances share: limiters, circuits, token sources. It is safe for
// concurrent use. Make it with [NewRegistry].
type Registry struct {
	o   Options
	log *slog.Logger
	t   *registryTelemetry
	err error // what is wrong with o

	mu       sync.Mutex // guards the fields below; not held while a driver is made, in a callback or an I/O
	closed   bool
	partners map[string]*partner
	checked  bool                     // Tiers match what is registered
	drivers  map[string]*list.Element // by integration; values are *opened
	recent   list.List                // of *opened, the one used last in front
	limiters map[string]*sharedLimiter
	sources  map[string]*sharedSource
	retired  []retiredSource
}

// partner is what all integrations of a partner share.
type partner struct {
	def     Definition
	breaker *breaker.Breaker
	gate    *gate
}

// opened is a driver that was made for an integration as it was then.
type opened struct {
	in      Integration
	driver  Driver
	err     error
	done    chan struct{} // closed when driver or err is there
	sources []*sharedSource
}

const (
	defaultDrivers = 10_000
	// retirement is how long a token source is kept for calls under way after nothing new uses it.
	retirement = time.Hour
)

// NewRegistry returns an empty registry. What is wrong with o is said by Register.
func NewRegistry(o Options) *Registry {
	r := &Registry{
		o: o, log: o.Telemetry.Logger,
		partners: map[string]*partner{}, drivers: map[string]*list.Element{},
		limiters: map[string]*sharedLimiter{}, sources: map[string]*sharedSource{},
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	var errs []error
	if o.MaxDrivers < 0 {
		errs = append(errs, errors.New("driver: Options.MaxDrivers is negative"))
	}
	if o.MaxDrivers == 0 {
		r.o.MaxDrivers = defaultDrivers
	}
	if o.Breaker.Key != nil {
		errs = append(errs, errors.New("driver: Options.Breaker.Key is set: circuits are kept by integration"))
	}
	if _, err := breaker.New(o.Breaker); err != nil {
		errs = append(errs, fmt.Errorf("driver: Options.Breaker: %w", err))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Tiers)) {
		if err := o.Tiers[name].Validate(); err != nil {
			errs = append(errs, fmt.Errorf("driver: Options.Tiers[%q]: %w", name, err))
		}
	}
	r.o.Tiers = maps.Clone(o.Tiers)
	if o.Telemetry.Drift == nil {
		r.o.Telemetry.Drift = new(Drift)
	}
	if o.Tokens == nil {
		r.o.Tokens = auth.NewMemoryStore()
	}
	if o.TokenTransport == nil {
		r.o.TokenTransport = o.Transport
	}
	t, err := newRegistryTelemetry(o.Telemetry)
	if err != nil {
		errs = append(errs, fmt.Errorf("driver: Options.Telemetry: %w", err))
	}
	r.t, r.err = t, errors.Join(errs...)
	return r
}

// Drift is where the registry's drivers count what partners changed in their answers.
func (r *Registry) Drift() *Drift { return r.o.Telemetry.Drift }

// Register adds a driver. A name used twice, a definition that is not whole, and options of the registry that are wrong are errors, named all at once.
func (r *Registry) Register(d Definition) error {
	errs := []error{r.err}
	name := d.Info.Partner
	bad := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("driver: register %q: "+format, append([]any{name}, args...)...))
		}
	}
	bad(validName(name) && name == strings.ToLower(name), "Info.Partner is no lower-case name")
	bad(d.New != nil, "New is nil")
	limits := map[string]bool{}
	for _, l := range d.Info.Limits {
		bad(validName(l.Name), "a limit's name is %q", l.Name)
		bad(!limits[l.Name], "limit %q is declared twice", l.Name)
		limits[l.Name] = true
		err := l.Tiers.Validate()
		bad(err == nil, "limit %q: %w", l.Name, err)
	}
	if errors.Join(errs...) == nil {
		err := checkLimits(d.Info.Limits)
		bad(err == nil, "%w", err)
	}
	for i, v := range d.Info.AdapterVersions {
		bad(v != "" && !slices.Contains(d.Info.AdapterVersions[:i], v), "adapter version %q is empty or declared twice", v)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	p := &partner{def: d}
	var err error
	if p.breaker, err = breaker.New(r.circuits(name, "circuit", r.t.transition)); err != nil {
		return err
	}
	if p.gate, err = newGate(name, r.circuits(name, "gate", r.t.gated)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	if r.partners[name] != nil {
		return fmt.Errorf("driver: register %q: there is one already", name)
	}
	r.partners[name] = p
	r.checked = false
	return nil
}

// circuits is the configuration of a partner's breaker.
func (r *Registry) circuits(name, what string, count func(name string, s breaker.State)) breaker.Config {
	c := r.o.Breaker
	c.Name, c.Key = name, nil
	told := c.OnChange
	c.OnChange = func(ch breaker.Change) {
		count(name, ch.To)
		r.log.Warn(what, "partner", name, "integration", ch.Key, "from", ch.From.String(), "to", ch.To.String(), "until", ch.Until,
			"calls", ch.Calls, "faults", ch.Faults)
		if told != nil {
			told(ch)
		}
	}
	return c
}

// Partners returns what is registered, by name.
func (r *Registry) Partners() []Info {
	r.mu.Lock()
	defer r.mu.Unlock()
	var infos []Info
	for _, name := range slices.Sorted(maps.Keys(r.partners)) {
		infos = append(infos, r.partners[name].def.Info)
	}
	return infos
}

// Open returns the driver of the integration with the id. Drivers are kept and shared while the integration does not change. The error
// wraps [ErrNotFound] when there is no such integration, or no driver for its partner.
func (r *Registry) Open(ctx context.Context, integrationID string) (Driver, error) {
	if r.o.Integrations == nil {
		return nil, errors.New("driver: Options.Integrations is nil")
	}
	in, err := r.o.Integrations.Integration(ctx, integrationID)
	if err != nil {
		return nil, fmt.Errorf("driver: integration %q: %w", integrationID, err)
	}
	if in.ID != integrationID {
		return nil, fmt.Errorf("driver: asked for integration %q, the host returned another: %w", integrationID, ErrNotFound)
	}
	return r.OpenIntegration(ctx, in)
}

// OpenIntegration is Open for an integration at hand.
func (r *Registry) OpenIntegration(ctx context.Context, in Integration) (Driver, error) {
	if in.ID == "" {
		return nil, errors.New("driver: the integration has no ID")
	}
	for {
		o, p, err := r.claim(in)
		if err != nil {
			return nil, err
		}
		if p == nil { // somebody else makes it, or has
			select {
			case <-o.done:
			case <-ctx.Done():
				return nil, fmt.Errorf("driver: open integration %q: %w", in.ID, context.Cause(ctx))
			}
			if o.err != nil && errors.Is(o.err, errPanicked) {
				continue
			}
			return o.driver, o.err
		}
		r.make(o, p)
		return o.driver, o.err
	}
}

var errPanicked = errors.New("driver: New panicked")

// claim returns the driver that is kept for the integration; with a partner, the caller has to make it.
func (r *Registry) claim(in Integration) (*opened, *partner, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, errClosed
	}
	p := r.partners[in.Partner]
	if p == nil {
		return nil, nil, fmt.Errorf("driver: integration %q: no driver for %q is registered: %w", in.ID, in.Partner, ErrNotFound)
	}
	if err := r.checkTiers(); err != nil {
		return nil, nil, err
	}
	if e := r.drivers[in.ID]; e != nil {
		o := e.Value.(*opened)
		if o.in.equal(in) {
			r.recent.MoveToFront(e)
			return o, nil, nil
		}
		r.drop(e)
	}
	o := &opened{in: in.clone(), done: make(chan struct{})}
	r.drivers[in.ID] = r.recent.PushFront(o)
	for r.recent.Len() > r.o.MaxDrivers {
		r.drop(r.recent.Back())
	}
	return o, p, nil
}

// drop forgets a driver. Those who have it may go on with it for a while; mu is held.
func (r *Registry) drop(e *list.Element) {
	o := e.Value.(*opened)
	r.recent.Remove(e)
	delete(r.drivers, o.in.ID)
	r.release(o)
}

// make calls the driver's New. A failure is not kept: the next to ask tries again.
func (r *Registry) make(o *opened, p *partner) {
	o.err = errPanicked
	defer func() {
		r.mu.Lock()
		switch e := r.drivers[o.in.ID]; {
		case e == nil || e.Value != o: // dropped meanwhile
			r.release(o)
		case o.err != nil:
			r.drop(e)
		}
		r.mu.Unlock()
		close(o.done)
	}()
	d, err := p.def.New(Env{
		Integration: o.in.clone(), Transport: r.o.Transport, TokenTransport: r.o.TokenTransport, Tokens: r.o.Tokens, Telemetry: r.o.Telemetry,
		registry: r, opened: o, partner: p,
	})
	if err == nil && d == nil {
		err = errors.New("neither a driver nor an error came of New")
	}
	if err != nil {
		err = fmt.Errorf("driver: integration %q of %s: %w", o.in.ID, o.in.Partner, err)
	}
	o.driver, o.err = d, err
}

// checkTiers reports overrides that match nothing; mu is held.
func (r *Registry) checkTiers() error {
	if r.checked {
		return nil
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(r.o.Tiers)) {
		name, limit, _ := strings.Cut(key, "/")
		p := r.partners[name]
		if p == nil {
			errs = append(errs, fmt.Errorf("driver: Options.Tiers[%q]: no driver for %q is registered", key, name))
		} else if !slices.ContainsFunc(p.def.Info.Limits, func(l Limit) bool { return l.Name == limit }) {
			errs = append(errs, fmt.Errorf("driver: Options.Tiers[%q]: %s declares no limit %q", key, name, limit))
		}
	}
	r.checked = len(errs) == 0
	return errors.Join(errs...)
}

// equal reports whether a driver made for in does for other.
func (in Integration) equal(other Integration) bool {
	return in.ID == other.ID && in.Partner == other.Partner && in.Account == other.Account && in.Company == other.Company &&
		in.AdapterVersion == other.AdapterVersion && in.BaseURL == other.BaseURL &&
		maps.Equal(in.Credentials, other.Credentials) && maps.Equal(in.Settings, other.Settings)
}

func (in Integration) clone() Integration {
	in.Credentials, in.Settings = maps.Clone(in.Credentials), maps.Clone(in.Settings)
	return in
}

// Close ends what the drivers share: it saves the limiters' state and ends background refreshes. Calls after it are refused. Call it when
// no call is under way any more.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	limiters, sources, retired := r.limiters, r.sources, r.retired
	r.limiters, r.sources, r.retired = map[string]*sharedLimiter{}, map[string]*sharedSource{}, nil
	r.drivers = map[string]*list.Element{}
	r.recent.Init()
	r.mu.Unlock()

	var errs []error
	for _, name := range slices.Sorted(maps.Keys(limiters)) {
		if err := limiters[name].Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("driver: close the limiter %s: %w", name, err))
		}
	}
	for _, s := range sources {
		errs = append(errs, s.source.Close())
	}
	for _, s := range retired {
		errs = append(errs, s.source.Close())
	}
	return errors.Join(errs...)
}
