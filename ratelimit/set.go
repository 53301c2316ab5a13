package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// Rule says which calls a limiter of a [Set] is for, under which key, and what they cost there.
type Rule struct {
	// Name identifies the rule in errors, waits and metrics: "messages". Required, and unique in the Set.
	Name string
	// Limiter counts. It can be in several Sets, and be used on its own too; all of them share what it admits.
	Limiter *Limiter
	// Ops are the operations that it is for, by [Call.Op]; none means all calls. "messages.send" is one operation, "messages.*" are all
	// whose name begins so. "POST /messages/{id}" is a method and a path, "/messages/{rest...}" any method and all that begins so:
	// {…} stands for one segment, {…...} at the end for all that follows.
	Ops []string
	// Priorities are those of the calls that it is for; none means all. A smaller limiter for all but Interactive calls, beside one for all, keeps a
	// reserve for people where the counts are in a Quota, for which [Options.Reserve] is not. What others spend from the quota is taken from both.
	Priorities []Priority
	// Unless names rules in whose favour this one stands back: a call for which one of them is, is not charged here. For endpoints with limits of
	// their own beside a limit for the others.
	Unless []string
	// Key says whose quota a call uses; nil: [Call.Key]. For one quota that all share, return "".
	Key func(Call) string
	// Cost is what a call counts for here, times its own cost; 0 means 1.
	Cost int64
	// Scope is what else meets the same fate when the limit is spent: it tells which rule's key a 429 parks. The zero value is retry.Endpoint with
	// Ops, and retry.Integration without. A limit that all customers share is retry.Partner.
	Scope retry.Scope
}

// Set charges each call to several limiters at once: those of the rules that are for it. All of them admit it, or none spends anything. It is
// safe for concurrent use. Make it with [NewSet].
//
// A call that waits stands in the line of the limiter that holds it back longest, and moves on when that has room and another has none. It
// keeps its place in each, and takes room from nobody meanwhile; priorities and turns of tenants hold in each
// limiter as they do without a Set, and [Options.MaxWaiting] in that whose line it comes to first.
type Set struct {
	rules []*rule // in the order in which their keys are locked
	named []*rule // as given
	paths bool    // a rule goes by method and path
}

// rule is a Rule that was checked.
type rule struct {
	Rule
	ops    []pattern
	unless []*rule
}

const maxRules = 64

// NewSet returns a Set, or an error that names everything that is wrong with the rules; a rule that can never be for a call is.
func NewSet(rules ...Rule) (*Set, error) {
	var errs []error
	s := &Set{}
	byName := make(map[string]*rule, len(rules))
	byLimiter := make(map[*Limiter]string, len(rules))
	for i, r := range rules {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("ratelimit: rule %d (%s): "+format, append([]any{i, r.Name}, args...)...))
		}
		c := &rule{Rule: r}
		c.Ops, c.Unless, c.Priorities = slices.Clone(r.Ops), slices.Clone(r.Unless), slices.Clone(r.Priorities)
		switch {
		case r.Name == "":
			bad("has no Name")
		case byName[r.Name] != nil:
			bad("has the name of another")
		default:
			byName[r.Name] = c
		}
		if r.Limiter == nil {
			bad("has no Limiter")
		} else if other, dup := byLimiter[r.Limiter]; dup {
			bad("has the Limiter of %s", other)
		} else {
			byLimiter[r.Limiter] = r.Name
		}
		for j, op := range r.Ops {
			p, err := parsePattern(op)
			if err != nil {
				bad("%w", err)
			}
			if slices.Contains(r.Ops[:j], op) {
				bad("names %q twice", op)
			}
			c.ops = append(c.ops, p)
			s.paths = s.paths || p.path != nil
		}
		for j, p := range r.Priorities {
			if p < Background || p > Interactive {
				bad("has the priority %d, want %d to %d", p, Background, Interactive)
			}
			if slices.Contains(r.Priorities[:j], p) {
				bad("has the priority %d twice", p)
			}
		}
		if c.Cost = cmp.Or(r.Cost, 1); c.Cost < 1 {
			bad("Cost is %d, want 0 or more", r.Cost)
		} else if r.Limiter != nil && c.Cost > r.Limiter.plan.maxCost {
			bad("Cost %d is above the limit of tier %s", c.Cost, r.Limiter.plan.maxTier)
		}
		if r.Scope > retry.Partner {
			bad("Scope is %d", r.Scope)
		}
		if c.Scope == retry.Request {
			c.Scope = retry.Integration
			if len(r.Ops) > 0 {
				c.Scope = retry.Endpoint
			}
		}
		s.named = append(s.named, c)
	}
	if len(rules) == 0 || len(rules) > maxRules {
		errs = append(errs, fmt.Errorf("ratelimit: a set of %d rules, want 1 to %d", len(rules), maxRules))
	}
	for _, c := range s.named {
		errs = append(errs, c.yield(byName))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	s.rules = slices.Clone(s.named)
	slices.SortFunc(s.rules, func(a, b *rule) int { return cmp.Compare(a.Limiter.id, b.Limiter.id) })
	return s, nil
}

// yield finds the rules in whose favour this one stands back, and reports those that leave nothing of it.
func (r *rule) yield(byName map[string]*rule) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("ratelimit: rule %s: "+format, append([]any{r.Name}, args...)...))
	}
	for _, name := range r.Unless {
		other := byName[name]
		switch {
		case other == nil:
			bad("Unless names no rule: %q", name)
		case other == r:
			bad("Unless names itself")
		case len(other.Ops) == 0 && r.within(other):
			bad("Unless names %s, which is for all calls: this one is for none", name)
		default:
			r.unless = append(r.unless, other)
		}
	}
	for _, op := range r.Ops {
		for _, other := range r.unless {
			if r.within(other) && slices.ContainsFunc(other.ops, func(p pattern) bool { return p.text == op || p.covers(op) }) {
				bad("%q is never charged here, because of %s", op, other.Name)
			}
		}
	}
	return errors.Join(errs...)
}

// within reports whether the other rule is for all priorities that this one is for.
func (r *rule) within(other *rule) bool {
	if len(other.Priorities) == 0 {
		return true
	}
	own := r.Priorities
	if len(own) == 0 {
		own = []Priority{Background, Scheduled, FollowUp, Interactive}
	}
	return !slices.ContainsFunc(own, func(p Priority) bool { return !slices.Contains(other.Priorities, p) })
}

// is reports whether the rule is for a call.
func (r *rule) is(c *Call) bool {
	return (len(r.ops) == 0 || slices.ContainsFunc(r.ops, func(p pattern) bool { return p.match(c.Op) })) &&
		(len(r.Priorities) == 0 || slices.Contains(r.Priorities, max(Background, min(c.Priority, Interactive))))
}

// charges reports whether a call is charged.
func (r *rule) charges(c *Call) bool {
	return r.is(c) && !slices.ContainsFunc(r.unless, func(other *rule) bool { return other.is(c) })
}

// call is the call as the rule's limiter sees it.
func (r *rule) call(c Call) Call {
	if r.Key != nil {
		c.Key = r.Key(c)
	}
	if c.Cost = cmp.Or(c.Cost, 1); c.Cost > 0 && c.Cost > maxRequests/r.Cost {
		c.Cost = maxRequests + 1 // refused as too much
	} else {
		c.Cost *= r.Cost
	}
	return c
}

// Acquire is [Limiter.Acquire] with all limiters whose rules are for the call: it waits until all of them admit it. A call that no rule is for is
// admitted at once, and its permit does nothing.
func (s *Set) Acquire(ctx context.Context, c Call) (Permit, error) {
	p := &party{ctx: ctx, call: c}
	p.parts = p.few[:0]
	var keys [len(p.few)]string
	names := keys[:0]
	for _, r := range s.rules {
		if !r.charges(&c) {
			continue
		}
		own := r.call(c)
		if err := r.Limiter.check(own.Cost, own.Weight); err != nil {
			return Permit{}, err
		}
		p.parts = append(p.parts, part{l: r.Limiter, cost: own.Cost, rule: r.Name, scope: r.Scope})
		names = append(names, own.Key)
	}
	if len(p.parts) == 0 {
		return Permit{}, nil
	}
	if ctx.Err() != nil {
		return Permit{}, p.parts[0].l.canceled(ctx, "", retry.Waits{})
	}
	for {
		for i := range p.parts {
			k, err := p.parts[i].l.key(names[i])
			if err != nil {
				return Permit{}, err
			}
			p.parts[i].k = k
		}
		p.lock()
		if !p.gone() {
			break
		}
		p.unlock()
	}
	return p.acquire()
}

// acquire admits the call at once if it can, or waits. It is entered with all keys locked and unlocks them.
func (p *party) acquire() (Permit, error) {
	for i := range p.parts {
		pt := &p.parts[i]
		k := pt.k
		now := pt.l.now()
		if pt.l.quota != nil || k.behind(pt.cost, now) {
			p.in = i
			return p.wait()
		}
		k.drain()
		if !k.fits(pt.cost, 0, p.low(), now) {
			p.in = i
			return p.wait()
		}
		pt.permit.at = now
	}
	for i := range p.parts {
		pt := &p.parts[i]
		slot, gen := pt.k.admit(pt.cost, p.low())
		pt.permit = Permit{l: pt.l, k: pt.k, slot: uint32(slot), gen: gen, at: pt.permit.at}
	}
	p.saveAndUnlock()
	return p.permit(), nil
}

// Wrap is [Limiter.Wrap] with the limiters of all rules that are for a request. The operation is that of [WithCall], or else the method and
// path of the request's URL. A 429 parks what it is about: the key of the rule of which the partner reported that nothing is left, or else
// of the narrowest that covers the Scope of the verdict.
func (s *Set) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{next: next, acquire: func(req *http.Request) (Permit, error) {
		c := CallFrom(req.Context())
		if c.Op == "" && s.paths {
			c.Op = cmp.Or(req.Method, http.MethodGet) + " " + cmp.Or(req.URL.Path, "/")
		}
		return s.Acquire(req.Context(), c)
	}}
}

// Ready is [Limiter.Ready] for all limiters whose rules are for the call: the latest of their answers.
func (s *Set) Ready(ctx context.Context, c Call) time.Time {
	var latest time.Time
	for _, r := range s.rules {
		if !r.charges(&c) {
			continue
		}
		if at := r.Limiter.Ready(ctx, r.call(c)); at.After(latest) {
			latest = at
		}
	}
	return latest
}

// RuleUsage is the state of the key that a rule charges.
type RuleUsage struct {
	Rule, Key string
	Usage
}

// Usage returns the state of what the call would be charged to, in the order of the rules.
func (s *Set) Usage(ctx context.Context, c Call) ([]RuleUsage, error) {
	var out []RuleUsage
	for _, r := range s.named {
		if !r.charges(&c) {
			continue
		}
		key := r.call(c).Key
		u, err := r.Limiter.Usage(ctx, key)
		if err != nil {
			return nil, err
		}
		out = append(out, RuleUsage{r.Name, key, u})
	}
	return out, nil
}

// Rules returns the rules that a call is charged by, by name.
func (s *Set) Rules(c Call) []string {
	var names []string
	for _, r := range s.named {
		if r.charges(&c) {
			names = append(names, r.Name)
		}
	}
	return names
}

// pattern is one of Rule.Ops.
type pattern struct {
	text   string
	prefix string   // of operations; "" unless the text ends in *
	method string   // "" means any
	path   []string // its segments; nil: not a path
	rest   bool     // and all that begins so
}

func parsePattern(text string) (pattern, error) {
	p := pattern{text: text}
	method, path, ok := strings.Cut(text, "/")
	if !ok {
		if i := strings.IndexByte(text, '*'); i >= 0 && i < len(text)-1 || text == "" || text == "*" || strings.ContainsAny(text, " {}") {
			return p, fmt.Errorf("the operation %q is no name, and no name that ends in *", text)
		}
		p.prefix, ok = strings.CutSuffix(text, "*")
		if !ok {
			p.prefix = ""
		}
		return p, nil
	}
	if p.method, ok = strings.CutSuffix(method, " "); method != "" && !ok || strings.Trim(p.method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return p, fmt.Errorf("%q does not begin with a method and a space, or a slash", text)
	}
	p.path = strings.Split(path, "/")
	for i, seg := range p.path {
		name, open := strings.CutPrefix(seg, "{")
		name, closed := strings.CutSuffix(name, "}")
		name, rest := strings.CutSuffix(name, "...")
		switch {
		case !open && !closed && !strings.ContainsAny(seg, "{}*? "):
		case !open || !closed || name == "" || strings.ContainsAny(name, "{}*? ") || rest && i < len(p.path)-1:
			return p, fmt.Errorf("%q has no sense at %q: want a segment, {name}, or {name...} at the end", text, seg)
		case rest:
			p.rest, p.path = true, p.path[:i]
		default:
			p.path[i] = "{}"
		}
	}
	return p, nil
}

// match reports whether the pattern is for an operation.
func (p *pattern) match(op string) bool {
	if p.path == nil {
		return p.text == op || p.prefix != "" && strings.HasPrefix(op, p.prefix)
	}
	method, path, ok := strings.Cut(op, " /")
	if !ok || p.method != "" && p.method != method {
		return false
	}
	for i, want := range p.path {
		seg, after, more := strings.Cut(path, "/")
		if want != seg && (want != "{}" || seg == "") {
			return false
		}
		if more == (i == len(p.path)-1 && !p.rest) {
			return false
		}
		path = after
	}
	return true
}

// covers reports whether the pattern is for all that an operation's pattern is for, where that is easy to see.
func (p *pattern) covers(other string) bool {
	return p.path == nil && p.prefix != "" && strings.HasPrefix(strings.TrimSuffix(other, "*"), p.prefix)
}
