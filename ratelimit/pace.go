package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Adaptive learns the pace that a partner takes when its headers do not tell: additive increase, multiplicative decrease. The pace is a share of
// the tiers' own limits, of all alike, between Floor and 1; it is kept for each key. Where nothing is known of the partner, one
// generous tier is enough.
//
// A refusal for coming too early (a verdict of class RateLimit, or a 429 told to [Permit.Answered]) cuts it to Cut of what was really
// spent, measured in the tier that was fullest. Refusals of one burst count once: those of calls admitted before the cut do not cut again. While calls
// want more, every Every that passes without a refusal adds Step of the pace at which the last one came, and doubles the pace as long as none has
// come: from a Start far below the partner's limit a key is there within a few Every, and refused once.
//
// The pace holds for all who share the backend: it is put into force by [Quota.Observe], as a limit that the partner has cut. A process
// whose call is refused first looks whether another has cut already; of several that would raise it, the first does.
type Adaptive struct {
	Start float64       // the pace that a key begins with; 0 means 1. For partners whose stated limit is not to be trusted.
	Floor float64       // the least pace; 0 means 0.001
	Cut   float64       // 0 means 0.7
	Step  float64       // 0 means 0.05
	Every time.Duration // 0 means the shortest window, and a second at least
}

// leastStep bounds how long a pace takes to recover from a cut that was far too deep.
const leastStep = 0.001

// adaptive fills in what was left out and reports what is wrong.
func (l *Limiter) adaptive(bad func(ok bool, format string, args ...any)) {
	if l.o.Adaptive == nil {
		return
	}
	a := *l.o.Adaptive
	l.o.Adaptive = &a
	share := func(v *float64, def float64, name string, below float64) {
		if *v == 0 {
			*v = def
		}
		bad(*v > 0 && *v <= below, "Adaptive.%s is %v, want more than 0 and at most %v", name, *v, below)
	}
	share(&a.Start, 1, "Start", 1)
	share(&a.Floor, 0.001, "Floor", 1)
	share(&a.Cut, 0.7, "Cut", 0.99)
	share(&a.Step, 0.05, "Step", 1)
	bad(a.Start >= a.Floor, "Adaptive.Start is %v, below its Floor of %v", a.Start, a.Floor)
	if a.Every == 0 {
		a.Every = max(time.Second, l.plan.shortest)
	}
	bad(a.Every > 0 && a.Every <= maxPer, "Adaptive.Every is %v, want 0 to %v", a.Every, maxPer)
	windows := 0
	for i := range l.plan.specs {
		if l.plan.specs[i].method != byFlight {
			windows++
		}
	}
	bad(windows > 0, "Adaptive has no tier with a window to adapt")
}

// pace is what was learnt of a key's pace.
type pace struct {
	share   float64
	at      float64       // the pace at which the last refusal came; 0: none has
	cutAt   int64         // when it was cut last
	raiseAt int64         // when it may be raised next
	begun   bool          // by a Quota: what others have learnt is known, and what this begins with in force
	busy    chan struct{} // somebody asks the Quota; closed when it is done
	missed  int64         // when a request was sent that was refused meanwhile; 0: none
	told    []int64       // by a Quota's tier: the limit that the partner reported last
}

func (l *Limiter) newPace() *pace {
	return &pace{share: l.o.Adaptive.Start, cutAt: math.MinInt64, raiseAt: l.now() + int64(l.o.Adaptive.Every)}
}

// forgettable reports that nothing was learnt that a fresh key would not begin with, or that it is too old to be of use.
func (k *key) forgettable(a *Adaptive, now int64) bool {
	return k.keyRest == nil || k.pace == nil || k.pace.share == a.Start || now-k.pace.raiseAt > int64(forgetPace)
}

// forgetPace is how long a pace is kept for a key that is idle.
const forgetPace = time.Hour

// paced is a limit at a pace.
func paced(limit int64, share float64) int64 {
	if share >= 1 {
		return limit
	}
	return max(1, int64(math.Ceil(float64(limit)*share)))
}

// refused notes that the partner refused a call for coming too early. used is the share of its limits that was spent; it reports whether that
// changes the pace.
func (p *pace) refused(a *Adaptive, now int64, used float64) bool {
	p.at = max(a.Floor, min(p.share, used))
	share := max(a.Floor, a.Cut*p.at)
	changed := share < p.share
	p.share = min(p.share, share)
	p.cutAt, p.raiseAt = now, now+int64(a.Every)
	return changed
}

// raise adds to the pace, if it is time, and what is spent says that it is wanted.
func (p *pace) raise(a *Adaptive, now int64, used float64) bool {
	if p.share >= 1 || now < p.raiseAt || used < p.share/2 {
		return false
	}
	step := max(leastStep, a.Step*p.at)
	if p.at == 0 {
		step = max(step, p.share)
	}
	p.share = min(1, p.share+step)
	p.raiseAt = now + int64(a.Every)
	return true
}

// used is the share of the limits that is spent: that of the fullest tier.
func (c *counts) used() (most float64) {
	for i := range c.tiers {
		t, s := &c.tiers[i], &c.p.specs[i]
		if s.method != byFlight {
			t.expire(s, c.p, c.now)
			most = max(most, float64(t.spent(s, c.p, c.now)+t.foreign()+c.pending())/float64(s.limit))
		}
	}
	return most
}

// keep puts a pace into force.
func (c *counts) keep(share float64) {
	for i := range c.tiers {
		if t, s := &c.tiers[i], &c.p.specs[i]; s.method != byFlight {
			t.has(s).paced = paced(s.most(), share)
			t.limits(s, c.p, c.now)
			c.follow(i)
		}
	}
}

// slowDown learns from the partner's refusal of a call that was admitted at sent.
func (l *Limiter) slowDown(k *key, sent int64) {
	if l.o.Adaptive == nil {
		return
	}
	if l.quota != nil {
		l.report(k.name, l.adaptQuota(context.Background(), k, sent, true))
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if sent <= k.pace.cutAt {
		return // sent before the cut
	}
	k.drain()
	now := l.now()
	k.advance(now)
	if k.pace.refused(l.o.Adaptive, k.now, k.used()) {
		k.keep(k.pace.share)
		if l.lease > 0 { // have it saved soon
			k.left = min(k.left, l.lease/2)
		}
	}
}

// speedUp raises the pace when it is time; k is locked and counts in memory.
func (l *Limiter) speedUp(k *key, now int64) {
	if p := k.pace; p.share < 1 && now >= p.raiseAt && p.raise(l.o.Adaptive, now, k.used()) {
		k.keep(p.share)
		k.signal() // there may be room now
	}
}

// adaptQuota is slowDown and speedUp for a Quota, whose limits in force are what all processes have learnt.
func (l *Limiter) adaptQuota(ctx context.Context, k *key, sent int64, refused bool) error {
	k.mu.Lock()
	p := k.pace
	if p.busy != nil {
		if refused {
			p.missed = max(p.missed, sent) // for who asks now
		}
		k.mu.Unlock()
		return nil
	}
	var errs []error
	for p.due(l.now(), sent, refused) {
		p.busy = make(chan struct{})
		k.mu.Unlock()
		errs = append(errs, l.askPace(ctx, k, refused))
		k.mu.Lock()
		close(p.busy)
		p.busy = nil
		sent, refused = p.missed, true
		if p.missed = 0; sent == 0 {
			break
		}
	}
	k.mu.Unlock()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("ratelimit %s: learning the pace: %w", l.o.Name, err)
	}
	return nil
}

// due reports whether a Quota is to be asked: to begin with, because of a refusal that no cut has seen, or because it is time to be faster.
func (p *pace) due(now, sent int64, refused bool) bool {
	return !p.begun || refused && sent > p.cutAt || !refused && p.share < 1 && now >= p.raiseAt
}

// askPace brings the pace up to date with the Quota's. A pace that could not be put into force to begin with is not known.
func (l *Limiter) askPace(ctx context.Context, k *key, refused bool) error {
	now := l.now()
	at := l.plan.time(now)
	u, err := l.quota.Usage(ctx, k.name, at)
	if err != nil {
		return err
	}
	k.mu.Lock()
	obs := l.adapt(k.pace, u, now, refused)
	k.mu.Unlock()
	if len(obs) > 0 {
		err = l.quota.Observe(context.WithoutCancel(ctx), k.name, at, at, obs)
		l.ended(k.name)
	}
	k.mu.Lock()
	k.pace.begun = k.pace.begun || err == nil
	k.mu.Unlock()
	return err
}

// adapt brings the pace up to date with a Quota's, and returns what has to be put into force there.
func (l *Limiter) adapt(p *pace, u Usage, now int64, refused bool) (obs []Observation) {
	force, used, ours, full := 1.0, 0.0, true, true
	for i := range u.Tiers {
		if i >= len(l.plan.specs) || l.plan.specs[i].method == byFlight {
			continue
		}
		s, limit := &l.plan.specs[i], u.Tiers[i].Limit
		used = max(used, float64(u.Tiers[i].Used)/float64(s.limit))
		ours = ours && limit == min(s.limit, p.toldAt(i), paced(s.most(), p.share))
		if limit < min(s.limit, p.toldAt(i)) {
			full = false
			force = min(force, float64(limit)/float64(s.most()))
		}
	}
	first := !p.begun
	switch {
	case !ours && !(first && full): // another process has changed it
		share := max(l.o.Adaptive.Floor, force)
		if first || refused || share < p.share || p.at > 0 { // else it was raised, and nobody was refused yet
			p.at = share
		}
		p.share, p.raiseAt = share, now+int64(l.o.Adaptive.Every)
		if refused {
			p.cutAt = now
		}
		return nil
	case refused:
		p.refused(l.o.Adaptive, now, used)
	case first && p.share >= 1, !first && !p.raise(l.o.Adaptive, now, used):
		return nil
	}
	for i := range l.plan.specs {
		if s := &l.plan.specs[i]; s.method != byFlight {
			obs = append(obs, Observation{Per: s.tier.Per, Limit: min(p.toldAt(i), paced(s.most(), p.share)), Remaining: -1})
		}
	}
	return obs
}

// beginPace puts the pace that a key begins with into force, unless the Quota's is learnt already. Those who come while that is under way wait for it.
func (l *Limiter) beginPace(ctx context.Context, k *key) error {
	k.mu.Lock()
	begun, busy := k.pace.begun, k.pace.busy
	k.mu.Unlock()
	switch {
	case begun:
		return nil
	case busy == nil:
		return l.adaptQuota(ctx, k, 0, false)
	}
	select {
	case <-busy:
	case <-ctx.Done():
	}
	return nil
}

// smooth reports what is wrong with Options.Smooth, and finds its tier.
func (l *Limiter) smooth(bad func(ok bool, format string, args ...any)) {
	if l.o.Smooth == 0 {
		return
	}
	for i := range l.plan.specs {
		if s := &l.plan.specs[i]; s.method != byFlight && s.tier.Per == l.o.Smooth {
			l.even = i
			return
		}
	}
	bad(false, "Smooth is %v, which is the window of no tier", l.o.Smooth)
}

// spacing is how far calls of the cost are spread out; k is locked.
func (l *Limiter) spacing(k *key, cost int64) int64 {
	if l.o.Smooth == 0 {
		return int64(min(float64(k.apart)*float64(cost), float64(maxPer)))
	}
	s := &l.plan.specs[l.even]
	limit := s.limit
	switch {
	case l.quota == nil:
		limit = k.tiers[l.even].limit(s)
	case k.pace != nil:
		limit = paced(limit, k.pace.share)
	}
	return int64(min(max(float64(s.per)/float64(limit), float64(k.apart))*float64(cost), float64(maxPer)))
}

// easeOff looks whether room is still scarce; k is locked.
func (l *Limiter) easeOff(k *key, now int64) {
	k.drain()
	k.advance(now)
	if k.apart = k.scarce(); l.o.Smooth == 0 {
		if k.next = min(k.next, now+k.apart); k.apart == 0 {
			k.next = 0
		}
	}
}

// spread notes a call that is admitted; k is locked.
func (l *Limiter) spread(k *key, cost, now int64) {
	if k.keyRest != nil && (l.o.Smooth > 0 || k.apart > 0) {
		k.next = max(k.next, now) + l.spacing(k, cost)
	}
}

// toldAt is the limit that the partner reported last for a Quota's tier.
func (p *pace) toldAt(i int) int64 {
	if i < len(p.told) && p.told[i] > 0 {
		return p.told[i]
	}
	return math.MaxInt64
}

// atPace notes the limits that the partner reports, and lowers them to the pace, for a Quota.
func (l *Limiter) atPace(k *key, obs []Observation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.pace.told == nil {
		k.pace.told = make([]int64, len(l.plan.specs))
	}
	for n := range obs {
		for i := range l.plan.specs {
			if s := &l.plan.specs[i]; s.method != byFlight && s.tier.Per == obs[n].Per && obs[n].Limit > 0 {
				k.pace.told[i] = obs[n].Limit
				obs[n].Limit = min(obs[n].Limit, paced(s.most(), k.pace.share))
				break
			}
		}
	}
}
