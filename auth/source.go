package auth

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// SourceConfig configures a [Source].
type SourceConfig struct {
	// Key identifies the token in the store, errors and events: "guesty/acct-17". Another client or account has
	// another key.
	Key       string
	Exchanger Exchanger
	Store     Store // nil: in memory, for this Source alone
	// Origins that the token may travel to.
	Origins []string
	// Header is where the token travels, bare; "" means Authorization, after the token's type.
	Header string
	// Early is how long before expiry a refresh starts in the background; 0 means a fifth of the lifetime, at most 1
	// h. Late is how long before expiry callers wait for it; 0 means a tenth of Early, at most 1 min. Both are kept
	// within half of a token's lifetime.
	Early, Late time.Duration
	// Timeout bounds one request to the token endpoint, whoever triggered it; 0 means 30 s. A lock on the store is
	// held for at most one and a half times as long.
	Timeout time.Duration
	// RefreshLifetime is how long the partner keeps a refresh token that is not used, see [Source.KeepAlive]; 0: for ever.
	RefreshLifetime time.Duration
	// Budget bounds requests to the token endpoint, across restarts. Zero: unbounded.
	Budget Budget
	// OnEvent, if set, is told what happens to the token. It is called without locks held and may use the Source, but
	// not close it.
	OnEvent func(Event)
}

// Source is a token source that refreshes early, once, and remembers. See the package comment. It is safe for
// concurrent use.
type Source struct {
	c           SourceConfig
	origins     origins
	fingerprint string
	header      string // where the token travels
	fast        atomic.Pointer[lease]

	ctx  context.Context // ends at Close: what waits for others gives up
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex // guards the fields below; not held in a callback, an I/O or a wait
	view    *view      // the token in use; nil: none yet
	wanted  *view      // a token whose refusal asks for another one
	flight  *flight    // the refresh under way
	pending *outcome   // an outcome that the store did not take yet
	retryAt time.Time  // no flight before
	failed  *retry.Error
	fails   int // in a row
	dead    bool
	strikes int // tokens in a row that were refused right after birth
	took    time.Duration
	closed  bool
}

// lease lets callers have a view without a look at the wall clock, which costs twice the monotonic one.
type lease struct {
	*view
	since time.Time
	good  time.Duration
}

// maxLease bounds how long a jump of the wall clock, or the sleep of a machine, stays unnoticed.
const maxLease = time.Minute

// flight is one refresh; those who wait for it read its outcome after done.
type flight struct {
	keepAlive bool          // a refresh token that was not used for long is reason enough
	loaded    chan struct{} // closed when the store was read and did not have what is needed, or at the end
	done      chan struct{}
	view      *view
	err       *retry.Error
}

// NewSource returns an error that names everything that is wrong with c. It sends nothing.
func NewSource(c SourceConfig) (*Source, error) {
	var p problems
	p.check(c.Key == "", "Key is empty")
	p.check(len(c.Key) > 500, "Key is longer than 500 bytes")
	p.check(c.Exchanger == nil, "Exchanger is nil")
	p.check(c.Early < 0, "Early is negative")
	p.check(c.Late < 0, "Late is negative")
	p.check(c.Early > 0 && c.Late > c.Early, "Late is longer than Early")
	p.check(c.Timeout < 0, "Timeout is negative")
	p.check(c.RefreshLifetime < 0, "RefreshLifetime is negative")
	p.check(c.Budget.Requests < 0, "Budget.Requests is negative")
	p.check(c.Budget.Per < 0, "Budget.Per is negative")
	p.check(c.Budget.Requests > 0 && c.Budget.Per == 0, "Budget.Per is zero: requests per what?")
	p.check(c.Budget.Requests == 0 && c.Budget.Per > 0, "Budget.Requests is zero: how many per window?")
	p.check(c.Header != "" && !isToken(c.Header), "Header is not a header's name")
	if v, ok := c.Exchanger.(interface{ Validate() error }); ok {
		p.join(v.Validate())
	}
	os, err := parseOrigins(c.Origins)
	p.join(err)
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("auth: token source %q: %w", c.Key, err)
	}
	if c.Store == nil {
		c.Store = NewMemoryStore()
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	s := &Source{c: c, origins: os, took: time.Second, header: "Authorization"}
	if c.Header != "" {
		s.header = textproto.CanonicalMIMEHeaderKey(c.Header)
	}
	if f, ok := c.Exchanger.(interface{ Fingerprint() string }); ok {
		s.fingerprint = f.Fingerprint()
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Token returns a usable token, waiting for a refresh if there is none, no longer than ctx or retry.WithMaxWait
// allow. Errors are *retry.Error: Auth with ErrNeedsReauth when a human must act, Unavailable with At when the budget
// is spent or a failed refresh cools down.
func (s *Source) Token(ctx context.Context) (Token, Generation, error) {
	v, err := s.current(ctx)
	if err != nil {
		return Token{}, 0, err
	}
	return v.token, v.gen, nil
}

// current is Token's: a view from the lease, or what next says.
func (s *Source) current(ctx context.Context) (*view, error) {
	if l := s.fast.Load(); l != nil && time.Since(l.since) < l.good {
		return l.view, nil
	}
	return s.next(ctx, true)
}

// next decides what a caller gets: the token in use, the outcome of a flight, or a refusal. With fallback a token
// that is not what is wished for, but may still be used, is better than an error.
func (s *Source) next(ctx context.Context, fallback bool) (*view, error) {
	s.mu.Lock()
	now := time.Now()
	v := s.view
	if s.closed {
		s.mu.Unlock()
		return nil, s.refusal(retry.Canceled, time.Time{}, errClosed)
	}
	wanted := v != nil && s.wanted == v
	alive := v != nil && v.alive(now) && !(wanted && s.dead)
	if v != nil && v.served(now) && !wanted {
		if (!v.fresh(now) || s.pending != nil) && s.flight == nil && !now.Before(s.retryAt) {
			s.launch(false)
		}
		s.renew(now)
		s.mu.Unlock()
		return v, nil
	}
	f := s.flight
	if f == nil {
		if now.Before(s.retryAt) {
			failed := s.failed
			s.mu.Unlock()
			if alive && fallback {
				return v, nil
			}
			return nil, copied(failed)
		}
		f = s.launch(false)
	}
	s.mu.Unlock()

	if err := s.wait(ctx, f); err != nil {
		if alive && fallback && err.Class != retry.Canceled {
			return v, nil
		}
		return nil, err
	}
	if f.view != nil {
		return f.view, nil
	}
	if alive && fallback && v.alive(time.Now()) && !errors.Is(f.err, ErrNeedsReauth) {
		return v, nil
	}
	return nil, copied(f.err)
}

// wait returns nil when f is done. The reading of the store is waited for as long as ctx allows, the request to the
// partner no longer than the caller's patience.
func (s *Source) wait(ctx context.Context, f *flight) *retry.Error {
	select {
	case <-f.loaded:
	case <-ctx.Done():
		return s.refusal(retry.Canceled, time.Time{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx)))
	}
	var patience <-chan time.Time
	if d, ok := retry.MaxWait(ctx); ok {
		timer := time.NewTimer(max(d, 0))
		defer timer.Stop()
		patience = timer.C
		if d <= 0 {
			select {
			case <-f.done:
				return nil
			default:
			}
		}
	}
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return s.refusal(retry.Canceled, time.Time{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx)))
	case <-patience:
		s.mu.Lock()
		took := s.took
		s.mu.Unlock()
		return s.refusal(retry.Unavailable, time.Now().Add(took), errRefreshing)
	}
}

var (
	errClosed     = errors.New("the token source is closed")
	errRefreshing = errors.New("the token is being refreshed, for longer than the caller wants to wait")
)

// refusal is the error of a call that got no token and so was not sent.
func (s *Source) refusal(class retry.Class, at time.Time, err error) *retry.Error {
	e := &retry.Error{
		Verdict: retry.Verdict{Class: class, Scope: retry.Credential, At: at, Sent: retry.Never},
		Err:     fmt.Errorf("auth: %s: %w", s.c.Key, err),
	}
	if class == retry.Canceled {
		e.Scope = retry.Request
	}
	return e
}

// copied gives each caller an error of its own, since callers fill in what they know.
func copied(e *retry.Error) *retry.Error {
	c := *e
	return &c
}

// renew makes the fast path good for as long as nothing needs to be done; mu is held.
func (s *Source) renew(now time.Time) {
	v := s.view
	good := maxLease
	if !v.expiry.IsZero() {
		due := v.early
		if !v.fresh(now) || s.pending != nil { // a refresh is under way or cooling down: look again when that may be over
			due = now.Add(time.Second)
			if s.flight == nil && s.retryAt.After(due) {
				due = s.retryAt
			}
			if v.late.Before(due) {
				due = v.late
			}
		}
		good = min(good, due.Sub(now))
	} else if s.pending != nil {
		good = time.Second
	}
	s.fast.Store(&lease{view: v, since: now, good: good})
}

// launch starts a flight; mu is held.
func (s *Source) launch(keepAlive bool) *flight {
	f := &flight{keepAlive: keepAlive, loaded: make(chan struct{}), done: make(chan struct{})}
	s.flight = f
	s.wg.Go(func() { s.fly(f) })
	return f
}

// Replace stores a token that was obtained otherwise, because a human authorized again, as the next generation.
// Nobody needs to act any more, and pauses are over. A token without Access but with Refresh is traded for one when a
// caller needs it. Obtained zero means now.
func (s *Source) Replace(ctx context.Context, t Token) error {
	if t.Access != "" {
		if err := t.problem(); err != nil {
			return fmt.Errorf("auth: %s: replace: %w", s.c.Key, err)
		}
	} else if p := t.Refresh.problem(); p != "" {
		return fmt.Errorf("auth: %s: replace: the token has no Access and its Refresh %s", s.c.Key, p)
	}
	if t.Obtained.IsZero() {
		t.Obtained = time.Now().Round(0).UTC()
	}
	for {
		r, err := s.c.Store.LoadToken(ctx, s.c.Key)
		if err == nil {
			r.Token, r.NeedsReauth, r.Credentials, r.CoolDown, r.Failure = t, "", "", time.Time{}, ""
			r.Generation++
			_, err = s.c.Store.SaveToken(ctx, s.c.Key, r)
		}
		if errors.Is(err, ErrConflict) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("auth: %s: replace: %w", s.c.Key, err)
		}
		break
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fast.Store(nil)
	s.view, s.wanted, s.retryAt, s.fails, s.dead = nil, nil, time.Time{}, 0, false
	return nil
}

// Close ends background work and waits for it: what waits for others gives up, a request that was sent is waited for,
// so that its token is not lost. It revokes nothing. Its error says that a token was obtained which the store does
// not take.
func (s *Source) Close() error {
	s.mu.Lock()
	s.closed = true
	s.fast.Store(nil)
	s.mu.Unlock()
	s.stop()
	s.wg.Wait()

	s.mu.Lock()
	p := s.pending
	s.pending = nil
	s.mu.Unlock()
	if p == nil {
		return nil
	}
	if _, err := s.commitPending(p); err != nil {
		return fmt.Errorf("auth: %s: close: %w", s.c.Key, err)
	}
	return nil
}
