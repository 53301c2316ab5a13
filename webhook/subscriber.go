package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// SubscriberConfig configures a [Subscriber].
type SubscriberConfig struct {
	Store Registrations // required
	// Overlap is how long the secret of a retired generation is still taken: longer than partners repeat what they
	// could not deliver. 0: four days.
	Overlap time.Duration
	// Lease is how long one process has a registration to itself; while it works it renews it. If it is killed, the next
	// one waits until then. Processes' clocks should differ by much less. 0: two minutes.
	Lease time.Duration
}

// Subscriber sees to it that partners send webhooks, and that what they send can be verified: it makes secrets, has
// them registered, changes them without losing a delivery, and keeps what a partner has registered in step with what
// it should have. It remembers all that in a [Registrations]; use one for all integrations. Its methods may be called
// by several goroutines and processes at once: of those for one key, one works, and the others are told to come back.
//
// Whatever it is about to need is stored before it is: the URL and our secret before the partner is told of them. A
// partner that makes the secret itself may send before it has told it: such deliveries are answered 503, so that they
// come again. A process that is killed at any point leaves what the next Reconcile finishes.
type Subscriber struct {
	c     SubscriberConfig
	mu    sync.Mutex // guards cache
	cache map[string]cached
}

type cached struct {
	generations []Generation
	until       time.Time // when one of them ends; zero: never
	verifier    *Verifier
}

const maxCached = 1000

// NewSubscriber returns a subscriber, or every problem of c.
func NewSubscriber(c SubscriberConfig) (*Subscriber, error) {
	var problems []error
	if c.Store == nil {
		problems = append(problems, errors.New("webhook: SubscriberConfig.Store is missing"))
	}
	if c.Overlap < 0 || c.Lease < 0 {
		problems = append(problems, errors.New("webhook: SubscriberConfig: Overlap and Lease are not negative"))
	}
	if c.Overlap == 0 {
		c.Overlap = defaultKeep
	}
	if c.Lease == 0 {
		c.Lease = 2 * time.Minute
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Subscriber{c: c, cache: map[string]cached{}}, nil
}

// Want says what a partner should have registered for one integration.
type Want struct {
	Key string // of the integration: its ID
	// Base is the URL below which this integration's deliveries come, https. Whatever the partner has registered at it
	// or below it is taken for ours, and removed if it is not wanted; what it has elsewhere is left alone and reported.
	// So two installations that share an account with a partner have different bases.
	Base    string
	Partner Partner  // how its deliveries are proved
	Events  []string // in the partner's words; nil: all that the driver knows, [Terms].Events
}

// Report is what a call found and did. Of subscriptions it has what the partner said.
type Report struct {
	Added   []Subscription // that were missing, or are of a new generation
	Changed []Subscription // whose events were others, or whose end was near
	Removed []Subscription // ours, not wanted: twice there, of a retired generation, of an event that is not wanted
	// Undead are those that the partner lists after it has removed them. Their URLs are answered 404 after the overlap.
	Undead  []Subscription
	Foreign []Subscription // of other receivers: left alone
	Started bool           // a new generation was begun
}

// check says everything that is wrong with w, and returns its events.
func (w Want) check(t Terms) (checker, []string, error) {
	var problems []error
	bad := func(format string, a ...any) { problems = append(problems, fmt.Errorf("webhook: Want."+format, a...)) }
	if w.Key == "" {
		bad("Key is missing")
	}
	u, err := url.Parse(w.Base)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "":
		bad("Base is no URL without user, query and fragment")
	case u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
		bad("Base is not https")
	}
	problems = append(problems, w.Partner.problems()...)
	var check checker
	if w.Partner.Scheme != nil {
		if check, err = w.Partner.Scheme.prepare(); err != nil {
			problems = append(problems, err)
		}
	}
	events := slices.Clone(w.Events)
	if events == nil {
		events = slices.Clone(t.Events)
	}
	slices.Sort(events)
	if events = slices.Compact(events); len(events) == 0 || events[0] == "" {
		bad("Events: there is none, or one is empty")
	}
	if t.PerEvent && t.Secret == FromPartner {
		bad("Partner makes a secret for each event, which is not supported")
	}
	if fenced := fence(check); check != nil && fenced != (t.Secret == FromURL) {
		bad("Partner's scheme is %T, and the registrar's secret comes from %v", w.Partner.Scheme, t.Secret)
	}
	return check, events, errors.Join(problems...)
}

// fence reports whether a scheme has no secret but, perhaps, the URL.
func fence(c checker) bool {
	if c == nil {
		return false
	}
	_, fenced := c.(*urlCheck)
	return fenced || c.keyless()
}

func loopback(host string) bool { return host == "localhost" || host == "127.0.0.1" || host == "::1" }

// param returns the parameter in which a scheme has its secret.
func param(p Partner) string {
	s, _ := p.Scheme.(URLSecret)
	return s.Param
}

// newSecret makes a secret that the scheme takes.
func newSecret(c checker) (string, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	value := hex.EncodeToString(b[:])
	switch c := c.(type) {
	case *standardCheck:
		value = "whsec_" + base64.StdEncoding.EncodeToString(b[:])
	case *tokenCheck:
		if c.basic {
			value = "webhook:" + value
		}
	}
	if err := c.key(&key{}, value); err != nil {
		return "", errors.New("webhook: a secret of this scheme is not made here")
	}
	return value, nil
}

// session is one call that has a registration to itself.
type session struct {
	s    *Subscriber
	reg  Registration
	w    Want
	r    Registrar
	t    Terms
	rep  Report
	want []string // events
	c    checker
}

// hold takes the registration for this call.
func (s *Subscriber) hold(ctx context.Context, r Registrar, w Want) (*session, error) {
	terms := r.SubscriptionTerms()
	c, events, err := w.check(terms)
	if err != nil {
		return nil, err
	}
	var b [12]byte
	_, _ = rand.Read(b[:])
	o := &session{s: s, w: w, r: r, t: terms, want: events, c: c}
	for range 10 {
		reg, err := s.c.Store.Load(ctx, w.Key)
		if err != nil {
			return nil, fmt.Errorf("webhook: load the registration of %s: %w", w.Key, err)
		}
		if reg.Holder != "" && time.Now().Before(reg.Until) {
			return nil, &retry.Error{
				Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Integration, Sent: retry.Never, At: reg.Until},
				Partner: w.Partner.Name, Op: "webhook.subscribe", Integration: w.Key,
				Err: errors.New("another process is at work on this registration"),
			}
		}
		o.reg = reg
		o.reg.Holder = hex.EncodeToString(b[:])
		if err = o.save(ctx); !errors.Is(err, ErrConflict) {
			return o, err
		}
	}
	return nil, fmt.Errorf("webhook: registration of %s: %w", w.Key, ErrConflict)
}

// save stores the registration and has it for another lease.
func (o *session) save(ctx context.Context) error {
	o.reg.Until = wall(time.Now().Add(o.s.c.Lease))
	return o.store(ctx)
}

func (o *session) store(ctx context.Context) error {
	version, err := o.s.c.Store.Save(ctx, o.reg)
	if err != nil {
		return fmt.Errorf("webhook: save the registration of %s: %w", o.w.Key, err)
	}
	o.reg.Version = version
	return nil
}

// release gives the registration back, also when the caller's time is over.
func (o *session) release(ctx context.Context) error {
	o.reg.Holder, o.reg.Until = "", time.Time{}
	return afterwards(ctx, o.store)
}

// call makes a call to the partner, within the lease.
func (o *session) call(ctx context.Context, f func(ctx context.Context) error) error {
	if time.Until(o.reg.Until) < o.s.c.Lease/2 {
		if err := o.save(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithDeadlineCause(ctx, o.reg.Until, errors.New("webhook: a call took as long as the lease"))
	defer cancel()
	return f(ctx)
}

// Endpoint is for a [Resolver]: it returns the endpoint of the registration with the key at the URL of r, with the
// secrets that are valid now. It is [ErrUnknown] if that URL has no token that is valid, and another error, so that the
// partner sends again, while the partner's own secret has not been told. account is as in the Endpoint it returns.
func (s *Subscriber) Endpoint(r *http.Request, key, account string, p Partner) (Endpoint, error) {
	reg, err := s.c.Store.Load(r.Context(), key)
	if err != nil {
		return Endpoint{}, fmt.Errorf("webhook: load the registration of %s: %w", key, err)
	}
	now := time.Now()
	token := tokenOf(r.URL, param(p))
	at := -1
	for i, g := range reg.Generations {
		u, err := url.Parse(g.URL)
		if err == nil && same(token, []byte(tokenOf(u, param(p)))) && token != "" && g.alive(now) {
			at = i
		}
	}
	switch {
	case at < 0:
		return Endpoint{}, ErrUnknown
	case reg.Generations[at].Secret == "":
		return Endpoint{}, fmt.Errorf("webhook: registration of %s: %w", key, ErrNoSecretYet)
	}
	v, err := s.verifier(reg, p, now)
	if err != nil {
		return Endpoint{}, fmt.Errorf("webhook: registration of %s: %w", key, err)
	}
	return Endpoint{Verifier: v, Integration: key, Account: account, URL: reg.Generations[at].URL}, nil
}

func (g Generation) alive(now time.Time) bool { return g.Stage != Retired || now.Before(g.NotAfter) }

// verifier returns one for p and a registration's secrets: with the same keys while they are, so that their uses count.
func (s *Subscriber) verifier(reg Registration, p Partner, now time.Time) (*Verifier, error) {
	s.mu.Lock()
	c, ok := s.cache[reg.Key]
	s.mu.Unlock()
	over := !c.until.IsZero() && !now.Before(c.until)
	if ok && !over && slices.Equal(c.generations, reg.Generations) {
		if v := c.verifier.as(p); v != nil {
			return v, nil
		}
	}
	c = cached{generations: reg.Generations}
	var secrets []Secret
	for _, g := range slices.Backward(reg.Generations) { // the newest first
		if g.Secret == "" || !g.alive(now) {
			continue
		}
		secrets = append(secrets, Secret{ID: g.ID, Value: g.Secret, NotAfter: g.NotAfter})
		if !g.NotAfter.IsZero() && (c.until.IsZero() || g.NotAfter.Before(c.until)) {
			c.until = g.NotAfter
		}
	}
	if _, unsigned := p.Scheme.(Unsigned); unsigned {
		secrets = nil
	}
	var err error
	if c.verifier, err = NewVerifier(p, secrets...); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.cache[reg.Key]; !there && len(s.cache) >= maxCached {
		for victim := range s.cache { // any: that one's uses begin anew, and no other's
			delete(s.cache, victim)
			break
		}
	}
	s.cache[reg.Key] = c
	return c.verifier, nil
}

// as returns a verifier of the same secrets for what p sends, nil if p reads secrets in another way. A Partner has
// functions, which cannot be compared: all of p but its way of reading secrets is taken as it is.
func (v *Verifier) as(p Partner) *Verifier {
	if len(p.problems()) > 0 {
		return nil
	}
	check := v.check
	if !reflect.DeepEqual(v.partner.Scheme, p.Scheme) {
		_, was := v.partner.Scheme.(Custom)
		custom, is := p.Scheme.(Custom)
		if !was || !is || custom.Verify == nil {
			return nil
		}
		check = &customCheck{custom}
	}
	return &Verifier{partner: p, check: check, keys: v.keys, lifetime: v.lifetime}
}

// begin adds a generation that is wanted. Its URL, and our secret, are stored before anybody is told of them.
func (o *session) begin(ctx context.Context) error {
	var b [24]byte
	_, _ = rand.Read(b[:])
	token := base64.RawURLEncoding.EncodeToString(b[:])
	g := Generation{
		ID: fmt.Sprintf("g%d", o.reg.Next+1), URL: tokenURL(o.w.Base, param(o.w.Partner), token), CreatedAt: wall(time.Now()),
	}
	switch o.t.Secret {
	case FromURL:
		g.Secret = token
	case FromUs:
		var err error
		if g.Secret, err = newSecret(o.c); err != nil {
			return err
		}
	}
	o.reg.Next++
	o.reg.Generations = append(o.reg.Generations, g)
	o.rep.Started = true
	return o.save(ctx)
}

// wall is a time as a store returns it.
func wall(t time.Time) time.Time { return t.UTC().Round(0) }

// ours reports whether a subscription is one of ours.
func (o *session) ours(s Subscription) bool {
	known := func(g Generation) bool { return plain(g.URL) == plain(s.URL) }
	return below(s.URL, o.w.Base) || slices.ContainsFunc(o.reg.Generations, known)
}
