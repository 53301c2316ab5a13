package driver

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Env is what a driver is made in. The zero Env works: everything private and in memory.
type Env struct {
	Integration Integration
	// Transport is the base transport; nil: the kit's own.
	Transport http.RoundTripper
	// TokenTransport is the base transport for token endpoints; nil: Transport.
	TokenTransport http.RoundTripper
	Tokens         auth.Store // nil: in memory
	Telemetry      Telemetry

	registry *Registry
	opened   *opened
	partner  *partner
}

// sharedLimiter is a limiter and what it was made from.
type sharedLimiter struct {
	*ratelimit.Limiter
	declared ratelimit.Tiers
}

// sharedSource is a token source and who uses it; the registry's mu guards it.
type sharedSource struct {
	key         string
	source      *auth.Source
	fingerprint string
	users       int
}

type retiredSource struct {
	*sharedSource
	since time.Time
}

// ForTokens returns the base transport for token endpoints: TokenTransport, or Transport where there is none. A driver's Exchanger takes
// it; nil means the kit's own.
func (e Env) ForTokens() http.RoundTripper {
	if e.TokenTransport == nil {
		return e.Transport
	}
	return e.TokenTransport
}

// Limiter returns the limiter for the declared limit, shared with everyone who has the same partner and limit name in the same registry,
// with the tiers that the host put in place of the declared ones, if any. Without a registry it is a new one. A name that the driver's Info
// does not declare, tiers other than those it was first asked for with, and a limit that is not for all operations (see Limits) are errors.
func (e Env) Limiter(partner string, l Limit, o ratelimit.Options) (*ratelimit.Limiter, error) {
	if len(l.Ops)+len(l.Unless) > 0 || l.Cost != 0 {
		return nil, fmt.Errorf("driver: the limit %q is not for every operation alike: use Limits, not Limiter", partner+"/"+l.Name)
	}
	return e.limiter(partner, l, o)
}

func (e Env) limiter(partner string, l Limit, o ratelimit.Options) (*ratelimit.Limiter, error) {
	name := partner + "/" + l.Name
	o.Name = cmp.Or(o.Name, name)
	r := e.registry
	if r == nil {
		return ratelimit.New(l.Tiers, o)
	}
	info := e.partner.def.Info
	if partner != info.Partner || !slices.ContainsFunc(info.Limits, func(d Limit) bool { return d.Name == l.Name }) {
		return nil, fmt.Errorf("driver: the limit %q is not among those that %s declares", name, info.Partner)
	}
	if o.State == nil {
		o.State = r.o.Limits
	}
	tiers := l.Tiers
	if t, ok := r.o.Tiers[name]; ok {
		tiers = t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errClosed
	}
	if s := r.limiters[name]; s != nil {
		if !slices.Equal(s.declared, l.Tiers) {
			return nil, fmt.Errorf("driver: the limit %q is in use with other tiers: give it another name", name)
		}
		return s.Limiter, nil
	}
	lim, err := ratelimit.New(tiers, o)
	if err != nil {
		return nil, err
	}
	r.limiters[name] = &sharedLimiter{lim, slices.Clone(l.Tiers)}
	return lim, nil
}

// Charge says that a client's calls are charged to a limit.
type Charge struct {
	Limit Limit
	// Key says whose quota they use: an account, a property; "" is one quota that all share. KeyOf, if set, says it call by call instead.
	Key   string
	KeyOf func(ratelimit.Call) string
	// Options are those of the limiter, the same wherever the limit is charged.
	Options ratelimit.Options
}

// Limits is Limiter for several limits at once: each call is charged to all those that are for its operation, or to none while one of them has no
// room. Give the Set to a client as its Limiter. Limits that can never be for a call, and an Unless that names none of those
// charged, are errors.
func (e Env) Limits(partner string, charges ...Charge) (*ratelimit.Set, error) {
	rules := make([]ratelimit.Rule, 0, len(charges))
	var errs []error
	for _, c := range charges {
		lim, err := e.limiter(partner, c.Limit, c.Options)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		rule := c.Limit.rule(lim)
		if rule.Key = c.KeyOf; rule.Key == nil {
			rule.Key = func(ratelimit.Call) string { return c.Key }
		}
		rules = append(rules, rule)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	set, err := ratelimit.NewSet(rules...)
	if err != nil {
		return nil, fmt.Errorf("driver: the limits of %s: %w", partner, err)
	}
	return set, nil
}

// rule is the limit as a rule of a Set.
func (l Limit) rule(lim *ratelimit.Limiter) ratelimit.Rule {
	return ratelimit.Rule{Name: l.Name, Limiter: lim, Ops: l.Ops, Unless: l.Unless, Cost: l.Cost, Scope: l.Scope}
}

// checkLimits reports what is wrong with how a partner's limits fit together; each of them is valid.
func checkLimits(limits []Limit) error {
	var rules []ratelimit.Rule
	var errs []error
	for _, l := range limits {
		if l.Name == TokenLimit {
			continue
		}
		for _, op := range l.Ops {
			if strings.Contains(op, "/") {
				errs = append(errs, fmt.Errorf("limit %q: %q is a path: name the operation", l.Name, op))
			}
		}
		lim, err := ratelimit.New(l.Tiers, ratelimit.Options{})
		if err != nil {
			return err
		}
		rules = append(rules, l.rule(lim))
	}
	if len(rules) > 0 {
		_, err := ratelimit.NewSet(rules...)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Source returns the token source for c.Key, shared with all drivers of the registry that ask for the key with the same credentials. Other credentials
// (the exchanger's fingerprint, see [auth.Exchanger], or if it has none the integration's) make a new source; the old one serves those who have
// it for an hour. Without a registry it is a new one, which the caller closes. A nil Store means the environment's.
func (e Env) Source(c auth.SourceConfig) (*auth.Source, error) {
	if c.Store == nil {
		c.Store = e.Tokens
	}
	r := e.registry
	if r == nil {
		return auth.NewSource(c)
	}
	if c.Key == "" || c.Exchanger == nil {
		return auth.NewSource(c) // which says what else is wrong
	}
	name := e.partner.def.Info.Partner + "/" + TokenLimit
	if t, ok := r.o.Tiers[name]; ok {
		if len(t) != 1 || t[0].Requests <= 0 {
			return nil, fmt.Errorf("driver: Options.Tiers[%q]: the budget of a token endpoint is one tier of requests", name)
		}
		c.Budget = auth.Budget{Requests: int(t[0].Requests), Per: t[0].Per}
	}
	if told := c.OnEvent; told != nil || r.t != nil {
		partner, integration := e.partner.def.Info.Partner, e.Integration.ID
		c.OnEvent = func(ev auth.Event) {
			r.t.refreshed(partner, ev)
			if ev.Kind != auth.Refreshed {
				r.log.Warn("token", "partner", partner, "integration", integration, "event", ev.Kind.String(), "error", text(ev.Err))
			}
			if told != nil {
				told(ev)
			}
		}
	}
	fingerprint := e.fingerprint(c)
	now := time.Now()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errClosed
	}
	expired := r.expire(now)
	s, err := r.source(c, fingerprint, now)
	if err == nil && !slices.Contains(e.opened.sources, s) {
		s.users++
		e.opened.sources = append(e.opened.sources, s)
	}
	r.mu.Unlock()
	for _, old := range expired {
		err = errors.Join(err, old.source.Close())
	}
	if err != nil {
		return nil, err
	}
	return s.source, nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// fingerprint changes with the credentials of a token source.
func (e Env) fingerprint(c auth.SourceConfig) string {
	if f, ok := c.Exchanger.(interface{ Fingerprint() string }); ok {
		return fmt.Sprintf("%T %s %q", c.Exchanger, f.Fingerprint(), c.Origins)
	}
	names := make([]string, 0, len(e.Integration.Credentials))
	for name, secret := range e.Integration.Credentials {
		names = append(names, fmt.Sprintf("%q=%q", name, string(secret)))
	}
	slices.Sort(names)
	return fmt.Sprintf("%v %q %s %q", reflect.TypeOf(c.Exchanger), c.Origins, e.Integration.BaseURL, names)
}

// source returns the source in use for the key, or a new one in its place; mu is held.
func (r *Registry) source(c auth.SourceConfig, fingerprint string, now time.Time) (*sharedSource, error) {
	old := r.sources[c.Key]
	if old != nil && old.fingerprint == fingerprint {
		return old, nil
	}
	for i, s := range r.retired {
		if old == nil && s.key == c.Key && s.fingerprint == fingerprint {
			r.retired = slices.Delete(r.retired, i, i+1)
			r.sources[c.Key] = s.sharedSource
			return s.sharedSource, nil
		}
	}
	source, err := auth.NewSource(c)
	if err != nil {
		return nil, err
	}
	if old != nil {
		r.retired = append(r.retired, retiredSource{old, now})
	}
	s := &sharedSource{key: c.Key, source: source, fingerprint: fingerprint}
	r.sources[c.Key] = s
	return s, nil
}

// release gives back what a driver used; mu is held. A source that nobody uses any more is retired, because calls may be under way.
func (r *Registry) release(o *opened) {
	for _, s := range o.sources {
		if s.users--; s.users == 0 && r.sources[s.key] == s {
			delete(r.sources, s.key)
			r.retired = append(r.retired, retiredSource{s, time.Now()})
		}
	}
	o.sources = nil
}

// expire returns the sources whose retirement is over; mu is held.
func (r *Registry) expire(now time.Time) []retiredSource {
	n := 0
	for n < len(r.retired) && now.Sub(r.retired[n].since) > retirement {
		n++
	}
	expired := r.retired[:n:n]
	r.retired = r.retired[n:]
	return expired
}

// Client makes a client with what the environment shares: base transport, telemetry, the partner's circuits and the gate of the partner as a whole.
// Partner and Integration come from the environment unless they are set; a Breaker that is set replaces the shared one.
func (e Env) Client(c ClientConfig) (*Client, error) {
	c.Partner = cmp.Or(c.Partner, e.Integration.Partner)
	c.Integration = cmp.Or(c.Integration, e.Integration.ID)
	if c.Transport == nil {
		c.Transport = e.Transport
	}
	if c.Telemetry == (Telemetry{}) {
		c.Telemetry = e.Telemetry
	}
	if c.Telemetry.Drift == nil {
		c.Telemetry.Drift = e.Telemetry.Drift
	}
	if e.partner != nil {
		if c.Breaker == nil {
			c.Breaker = e.partner.breaker
		}
		c.gate = e.partner.gate
	}
	return NewClient(c)
}
