package webhook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// Reconcile compares what the partner has registered with what is wanted, and puts it right: what is missing is
// registered, with a new URL and secret if it is the first; events that differ are changed; what is about to end is
// renewed; what is ours and not wanted is removed. A base that changed is a new generation; so is a subscription that
// vanished, or whose secret is another, at a partner that makes the secret. Where all is as it should be it costs one
// call, two if the partner tells secrets. Call it when an integration is connected and, say, once a day.
//
// The error says what could not be done; the same call goes on from there. It is a *retry.Error with the time to come
// back at if another process is at work on the registration, or the partner has no secret yet.
func (s *Subscriber) Reconcile(ctx context.Context, r Registrar, w Want) (Report, error) {
	return s.run(ctx, r, w, false)
}

// Rotate is a Reconcile that begins a new generation: another URL with another secret. When the partner sends there,
// the generation before it is retired, and its secret taken for [SubscriberConfig].Overlap more. A Rotate that was
// interrupted is finished by the next call of either; called again it does not begin another one before.
func (s *Subscriber) Rotate(ctx context.Context, r Registrar, w Want) (Report, error) {
	return s.run(ctx, r, w, true)
}

// Remove ends it: what still comes is answered 404 from now on, what is ours at the partner is removed, and then the
// registration is forgotten. Called again it goes on.
func (s *Subscriber) Remove(ctx context.Context, r Registrar, w Want) (rep Report, err error) {
	o, err := s.hold(ctx, r, w)
	if err != nil {
		return Report{}, err
	}
	now := wall(time.Now())
	for i := range o.reg.Generations {
		if g := &o.reg.Generations[i]; g.alive(now) {
			g.Stage, g.NotAfter = Retired, now
		}
	}
	err = o.save(ctx)
	if err == nil {
		var there []Subscription
		if there, err = o.list(ctx); err == nil {
			err = o.remove(ctx, there)
		}
	}
	if err == nil {
		err = afterwards(ctx, func(ctx context.Context) error { return s.c.Store.Delete(ctx, w.Key, o.reg.Version) })
	} else {
		err = errors.Join(err, o.release(ctx))
	}
	return o.rep, o.failed("remove", err)
}

func (s *Subscriber) run(ctx context.Context, r Registrar, w Want, rotate bool) (rep Report, err error) {
	o, err := s.hold(ctx, r, w)
	if err != nil {
		return Report{}, err
	}
	err = o.reconcile(ctx, rotate)
	return o.rep, o.failed("reconcile", errors.Join(err, o.release(ctx)))
}

func (o *session) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("webhook: %s the registration of %s at %s: %w", what, o.w.Key, o.w.Partner.Name, err)
}

func (o *session) reconcile(ctx context.Context, rotate bool) error {
	there, err := o.list(ctx)
	if err != nil {
		return err
	}
	if g := o.newest(); g == nil || !below(g.URL, o.w.Base) || g.Stage == Current && (rotate || o.vanished(g, there)) {
		if err := o.begin(ctx); err != nil {
			return err
		}
	}
	g := o.newest()
	extra, secret, err := o.arrange(ctx, g, there)
	if err != nil {
		return err
	}
	if o.t.Secret == FromPartner && secret != g.Secret {
		if g.Secret != "" { // the partner has made another one for the same URL
			o.reg.Next++
			o.reg.Generations = append(o.reg.Generations, Generation{
				ID: fmt.Sprintf("g%d", o.reg.Next), URL: g.URL, CreatedAt: wall(time.Now()),
			})
			o.rep.Started, g = true, o.newest()
		}
		g.Secret = secret
	}
	url := g.URL
	if err := o.promote(ctx, g); err != nil {
		return err
	}
	for _, s := range there {
		if plain(s.URL) != plain(url) {
			extra = append(extra, s)
		}
	}
	return o.remove(ctx, extra)
}

// newest returns the newest generation that is not retired; nil if there is none.
func (o *session) newest() *Generation {
	for i := range slices.Backward(o.reg.Generations) {
		if g := &o.reg.Generations[i]; g.Stage != Retired {
			return g
		}
	}
	return nil
}

// vanished reports whether a subscription is gone that cannot be made again with the secret it had.
func (o *session) vanished(g *Generation, there []Subscription) bool {
	return o.t.Secret == FromPartner &&
		!slices.ContainsFunc(there, func(s Subscription) bool { return plain(s.URL) == plain(g.URL) })
}

// list returns what the partner has of ours, and reports the rest.
func (o *session) list(ctx context.Context) (there []Subscription, err error) {
	err = o.call(ctx, func(ctx context.Context) error {
		there, err = o.r.Subscriptions(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	slices.SortStableFunc(there, func(a, b Subscription) int { return strings.Compare(a.ID, b.ID) })
	o.rep.Foreign = nil
	there = slices.DeleteFunc(slices.Clone(there), func(s Subscription) bool {
		foreign := !o.ours(s)
		if foreign {
			o.rep.Foreign = append(o.rep.Foreign, s)
		}
		return foreign
	})
	return there, nil
}

// arrange sees to it that the URL of g is sent all events, once. It returns what is too much there, and the partner's
// secret.
func (o *session) arrange(
	ctx context.Context, g *Generation, there []Subscription,
) (extra []Subscription, secret string, err error) {
	var at []Subscription
	for _, s := range there {
		if plain(s.URL) == plain(g.URL) {
			at = append(at, s)
		}
	}
	if !o.t.PerEvent {
		s, had, err := o.ensure(ctx, g, at, o.want)
		if err == nil && o.t.Secret == FromPartner {
			secret, err = o.secret(ctx, s, g, had)
		}
		return at[min(1, len(at)):], secret, err
	}
	kept := map[string]bool{}
	for _, event := range o.want {
		var with []Subscription
		for _, s := range at {
			if slices.Contains(s.Events, event) {
				with = append(with, s)
			}
		}
		if _, _, err := o.ensure(ctx, g, with, []string{event}); err != nil {
			return nil, "", err
		}
		if len(with) > 0 {
			kept[with[0].ID] = true
		}
	}
	for _, s := range at {
		if !kept[s.ID] {
			extra = append(extra, s)
		}
	}
	return extra, "", nil
}

// ensure sees to it that there is one subscription with these events, the first of those that there are or a new one.
func (o *session) ensure(
	ctx context.Context, g *Generation, at []Subscription, events []string,
) (s Subscription, had bool, err error) {
	s = Subscription{URL: g.URL}
	if had = len(at) > 0; had {
		s = at[0]
		renew := o.t.RenewBefore
		if renew == 0 {
			renew = 24 * time.Hour
		}
		ends := !s.Expires.IsZero() && time.Until(s.Expires) < renew
		if sameEvents(s.Events, events) && !ends {
			return s, true, nil
		}
	}
	s.Events = slices.Clone(events)
	if o.t.Secret == FromUs {
		s.Secret = g.Secret
	}
	if s, err = o.subscribe(ctx, s); err != nil {
		return s, had, err
	}
	if had {
		o.rep.Changed = append(o.rep.Changed, s)
	} else {
		o.rep.Added = append(o.rep.Added, s)
	}
	return s, had, nil
}

func sameEvents(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func (o *session) subscribe(ctx context.Context, s Subscription) (made Subscription, err error) {
	err = o.call(ctx, func(ctx context.Context) error {
		made, err = o.r.Subscribe(ctx, s)
		return err
	})
	switch {
	case err != nil:
		return made, fmt.Errorf("subscribe to %q: %w", s.Events, err)
	case plain(made.URL) != plain(s.URL):
		return made, errors.New("subscribe: the partner registered another URL than it was asked to")
	case !sameEvents(made.Events, s.Events):
		return made, fmt.Errorf("subscribe: the partner was asked to register %q and registered %q", s.Events, made.Events)
	}
	return made, nil
}

// secret returns what the partner signs with for s, which was there before or not.
func (o *session) secret(ctx context.Context, s Subscription, g *Generation, had bool) (secret string, err error) {
	if s.Secret != "" {
		return o.readable(s.Secret)
	}
	if f, ok := o.r.(SecretFetcher); ok {
		err = o.call(ctx, func(ctx context.Context) error {
			secret, err = f.SubscriptionSecret(ctx, s)
			return err
		})
		switch {
		case errors.Is(err, ErrNoSecretYet):
			at := time.Now().Add(10 * time.Second)
			return "", &retry.Error{
				Verdict: retry.Verdict{Class: retry.Transient, Scope: retry.Request, Sent: retry.Answered, At: at},
				Partner: o.w.Partner.Name, Op: "webhook.secret", Integration: o.w.Key, Err: ErrNoSecretYet,
			}
		case err != nil:
			return "", fmt.Errorf("ask for the secret: %w", err)
		}
		return o.readable(secret)
	}
	if g.Secret != "" {
		return g.Secret, nil
	}
	if !had {
		return "", errors.New("the partner registered a subscription and did not tell its secret")
	}
	// It was told to somebody who did not live to store it. Nobody can ask for it again.
	if err := o.unsubscribe(ctx, s); err != nil {
		return "", err
	}
	s, _, err = o.ensure(ctx, g, nil, o.want)
	if err == nil && s.Secret == "" {
		err = errors.New("the partner registered a subscription and did not tell its secret")
	}
	if err != nil {
		return "", err
	}
	return o.readable(s.Secret)
}

// readable refuses a secret that the scheme cannot read, before it takes the place of one that works.
func (o *session) readable(secret string) (string, error) {
	if err := o.c.key(&key{}, secret); err != nil {
		return "", fmt.Errorf("the partner's secret: %w", err)
	}
	return secret, nil
}

// promote stores that the partner sends to g, that those before it are retired, and forgets those whose time is over.
func (o *session) promote(ctx context.Context, g *Generation) error {
	now, id := wall(time.Now()), g.ID
	changed := g.Stage != Current
	g.Stage = Current
	for i := range o.reg.Generations {
		if old := &o.reg.Generations[i]; old.ID != id && old.Stage != Retired {
			old.Stage, old.NotAfter, changed = Retired, now.Add(o.s.c.Overlap), true
		}
	}
	before := len(o.reg.Generations)
	o.reg.Generations = slices.DeleteFunc(o.reg.Generations, func(g Generation) bool { return !g.alive(now) })
	if !changed && before == len(o.reg.Generations) {
		return nil
	}
	return o.save(ctx)
}

// remove removes subscriptions, and looks whether the partner did.
func (o *session) remove(ctx context.Context, subs []Subscription) error {
	if len(subs) == 0 {
		return nil
	}
	var problems []error
	for _, s := range subs {
		err := o.unsubscribe(ctx, s)
		if err == nil {
			o.rep.Removed = append(o.rep.Removed, s)
		}
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	there, err := o.list(ctx)
	for _, s := range there {
		same := func(gone Subscription) bool { return gone.ID == s.ID && plain(gone.URL) == plain(s.URL) }
		if slices.ContainsFunc(subs, same) {
			o.rep.Undead = append(o.rep.Undead, s)
		}
	}
	return err
}

func (o *session) unsubscribe(ctx context.Context, s Subscription) error {
	err := o.call(ctx, func(ctx context.Context) error { return o.r.Unsubscribe(ctx, s) })
	if err != nil {
		return fmt.Errorf("unsubscribe from %q: %w", s.Events, err)
	}
	return nil
}
