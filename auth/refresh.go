package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// recheck is how often the store is read for a record that somebody replaced, while a human is needed.
const recheck = 5 * time.Second

// result is how a flight ends.
type result struct {
	rec   Record
	ok    bool // rec's token is to be used
	err   error
	class retry.Class
	at    time.Time // no flight before
	dead  bool
	quiet time.Time // refusals of rec's token are not acted upon before
	event *Event
	keep  *outcome // to be saved by the next flight
	tried bool     // a request was made and failed
}

// fly is one flight: it saves what an earlier one could not, or runs the transaction.
func (s *Source) fly(f *flight) {
	s.mu.Lock()
	old, wanted, pending := s.view, s.wanted, s.pending
	s.mu.Unlock()
	var res result
	if pending != nil {
		close(f.loaded)
		res = s.settlePending(pending)
	} else {
		res = s.transact(f, old, wanted)
	}
	s.land(f, res, wanted)
}

// transact gets a token that is better than old, or says why there is none: from the store if somebody else put it
// there, else from the partner, alone among all who share the store.
func (s *Source) transact(f *flight, old, wanted *view) result {
	ctx, cancel := context.WithTimeoutCause(s.ctx, 2*s.c.Timeout, errors.New("others held the token's lock for too long"))
	defer cancel()
	r, err := s.c.Store.LoadToken(ctx, s.c.Key)
	if err != nil {
		return s.broken("read the stored token", ctx, err)
	}
	mended := s.mend(&r)
	if res, ok := s.settled(r, f, old, wanted); ok && (res.ok || !mended) {
		return res
	}
	close(f.loaded)
	for range 5 {
		unlock, err := s.c.Store.LockToken(ctx, s.c.Key, s.c.Timeout+s.c.Timeout/2)
		if err != nil {
			return s.unlocked(ctx, err, f, old, wanted)
		}
		res, again := s.locked(ctx, f, old, wanted)
		unlock()
		if !again {
			return res
		}
	}
	return s.broken("record the token request", ctx, ErrConflict)
}

// unlocked is for a lock that was not to be had: whoever held it may have done the work.
func (s *Source) unlocked(ctx context.Context, lockErr error, f *flight, old, wanted *view) result {
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.Timeout/3)
	defer cancel()
	if r, err := s.c.Store.LoadToken(once, s.c.Key); err == nil {
		s.mend(&r)
		if res, ok := s.settled(r, f, old, wanted); ok && res.ok {
			return res
		}
	}
	return s.broken("lock the token", ctx, lockErr)
}

// locked is the part of the transaction that one Source at a time is in. again: the record changed under the lock,
// which therefore had run out.
func (s *Source) locked(ctx context.Context, f *flight, old, wanted *view) (res result, again bool) {
	start := time.Now()
	r, err := s.c.Store.LoadToken(ctx, s.c.Key)
	if err != nil {
		return s.broken("read the stored token", ctx, err), false
	}
	mended := s.mend(&r)
	if res, ok := s.settled(r, f, old, wanted); ok {
		if mended && !res.ok {
			if _, err := s.c.Store.SaveToken(ctx, s.c.Key, r); err != nil && !errors.Is(err, ErrConflict) {
				return s.broken("mend the stored token", ctx, err), false
			}
		}
		return res, false
	}

	// The request is counted before it is sent, at the latest time at which it can arrive, so that no crash loses
	// count of it. The write is the fence too: whoever held the lock before and is late finds another version.
	r.Requests = append(s.c.Budget.inWindow(r.Requests, start, s.c.Timeout), start.Add(s.c.Timeout).UTC())
	version, err := s.c.Store.SaveToken(ctx, s.c.Key, r)
	switch {
	case errors.Is(err, ErrConflict):
		return result{}, true
	case err != nil:
		return s.broken("record the token request", ctx, err), false
	}
	r.Version = version
	o := s.exchange(r, old)
	o.keepAlive = f.keepAlive
	return s.conclude(r, o), false
}

// exchange makes the one request. It depends on nobody's patience: a request that was sent is waited for.
func (s *Source) exchange(r Record, old *view) outcome {
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.c.Timeout,
		fmt.Errorf("the token endpoint took longer than %v: %w", s.c.Timeout, context.DeadlineExceeded))
	defer cancel()
	asked := time.Now()
	tok, err := s.c.Exchanger.Exchange(ctx, r.Token)
	o := outcome{gen: r.Generation, floor: r.Generation, ended: time.Now().UTC(), err: err}
	o.took = o.ended.Sub(asked)
	if old != nil {
		o.floor = max(o.floor, old.gen)
	}
	if err == nil {
		err = tok.problem()
	}
	if err == nil {
		if tok.Obtained.IsZero() {
			tok.Obtained = asked
		}
		// Without the monotonic clock, which stands still while a machine sleeps.
		tok.Obtained, tok.Expiry = tok.Obtained.Round(0).UTC(), tok.Expiry.Round(0).UTC()
		if !tok.Expiry.After(tok.Obtained) {
			tok.Expiry = time.Time{} // born dead by a clock that is not ours: used until it is refused
		}
		o.token = tok
		return o
	}
	o.err = err
	if e, ok := errors.AsType[*retry.Error](err); ok {
		o.never, o.until = e.Sent == retry.Never, e.At
	}
	o.why = clipped(err.Error())
	if errors.Is(err, ErrGrant) {
		o.dead = o.why
		return o
	}
	spent := len(r.Requests)
	s.mu.Lock()
	n := s.fails + 1
	s.mu.Unlock()
	switch limit := o.ended.Add(maxCoolDown); {
	case o.until.After(limit):
		o.until = limit
	case !o.until.After(o.ended):
		o.until = o.ended.Add(s.c.Budget.coolDown(n, spent))
	}
	o.until = o.until.UTC()
	return o
}

// problem says why a token cannot be used.
func (t Token) problem() error {
	if p := t.Access.problem(); p != "" {
		return errors.New("the access token " + p)
	}
	if t.Type != "" && !isToken(t.Type) {
		return errors.New("the token's type is not one")
	}
	return nil
}

// settled says what follows from the record alone, without a request; false if a request is needed.
func (s *Source) settled(r Record, f *flight, old, wanted *view) (result, bool) {
	now := time.Now()
	refused := wanted != nil && wanted.is(r)
	if r.Token.Access != "" && !refused && !(f.keepAlive && s.idle(r, now)) {
		v := s.viewOf(r, now)
		if old != nil && old.is(r) {
			if v.fresh(now) {
				return result{rec: r, ok: true}, true
			}
		} else if v.served(now) {
			return result{rec: r, ok: true}, true
		}
	}
	if s.needsReauth(r) {
		return s.reauth(r, errors.New(r.NeedsReauth)), true
	}
	if r.CoolDown.After(now) {
		return result{err: cooling(r), class: retry.Unavailable, at: r.CoolDown}, true
	}
	spent := s.c.Budget.inWindow(r.Requests, now, s.c.Timeout)
	if refused && 2*len(spent) > s.c.Budget.Requests {
		// More than half of the budget is gone: a token that is refused young is more likely to lack a permission
		// than to be dead. Where fresh tokens were refused before, the last request is kept for when the token
		// expires.
		quiet := r.Token.Obtained.Add(s.c.Budget.pace(len(spent) - 1))
		s.mu.Lock()
		keepOne := s.strikes > 0 && len(spent) == s.c.Budget.Requests-1
		s.mu.Unlock()
		if keepOne {
			quiet = spent[0].Add(s.c.Budget.Per)
		}
		if quiet.After(now) {
			return result{rec: r, ok: true, quiet: quiet}, true
		}
	}
	if at := s.c.Budget.next(spent); !at.IsZero() {
		err := fmt.Errorf("all %d token requests per %v are spent", s.c.Budget.Requests, s.c.Budget.Per)
		return result{err: err, class: retry.Unavailable, at: at}, true
	}
	return result{}, false
}

// cooling is the error of a call during the pause that another's failure made.
func cooling(r Record) error {
	if r.Failure == "" {
		return errCooling
	}
	return fmt.Errorf("%w: %s", errCooling, r.Failure)
}

var errCooling = errors.New("the token endpoint asked for a pause, or failed and is left alone for a while")

// clipped keeps what is stored of an error short.
func clipped(s string) string {
	const most = 500
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// needsReauth reports whether the record says that a human must act, as far as these credentials are concerned.
func (s *Source) needsReauth(r Record) bool {
	if r.NeedsReauth == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead || r.Credentials == "" || r.Credentials == s.fingerprint
}

func (s *Source) reauth(r Record, why error) result {
	err := fmt.Errorf("%w: %w", ErrNeedsReauth, why)
	return result{rec: r, err: err, class: retry.Auth, at: time.Now().Add(recheck), dead: true}
}

// broken is for a store that fails.
func (s *Source) broken(what string, ctx context.Context, err error) result {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w (%w)", err, cause)
	}
	err = fmt.Errorf("%s: %w", what, err)
	return result{err: err, class: retry.Unavailable, at: time.Now().Add(s.backoff()), tried: true}
}

// backoff is the pause after a failure that the token endpoint has no part in.
func (s *Source) backoff() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(Budget{}.coolDown(s.fails+1, 0), 30*time.Second)
}

// mend corrects times that only a clock that was wrong can have written, and reports whether there were any.
func (s *Source) mend(r *Record) bool {
	now := time.Now()
	mended := false
	if limit := now.Add(maxCoolDown); r.CoolDown.After(limit) {
		r.CoolDown, mended = limit, true
	}
	for i, t := range r.Requests {
		if limit := now.Add(s.c.Timeout); t.After(limit) {
			r.Requests[i], mended = limit, true
		}
	}
	return mended
}

// land publishes how a flight ended, and tells the events.
func (s *Source) land(f *flight, res result, wanted *view) {
	now := time.Now()
	s.mu.Lock()
	s.flight = nil
	s.pending = res.keep
	if res.event != nil && res.event.Kind == Refreshed {
		s.took = max(res.event.Took, 100*time.Millisecond)
	}
	if res.ok {
		v := s.view
		if v == nil || !v.is(res.rec) {
			v = s.viewOf(res.rec, now)
			if v.born = wanted != nil; !v.born {
				s.strikes = 0
			}
		}
		v.quiet = res.quiet
		s.view, s.wanted, s.failed, s.retryAt, s.fails, s.dead = v, nil, nil, time.Time{}, 0, false
		if !s.closed {
			s.renew(now)
		}
		f.view = v
	} else {
		if res.tried {
			s.fails++
		}
		s.dead = s.dead || res.dead
		s.retryAt = res.at
		at := res.at
		if res.dead {
			at = time.Time{} // nothing is known of when a human comes
		}
		s.failed = s.refusal(res.class, at, res.err)
		f.err = s.failed
		s.fast.Store(nil)
	}
	s.mu.Unlock()
	select {
	case <-f.loaded:
	default:
		close(f.loaded)
	}
	close(f.done)
	if res.event != nil && s.c.OnEvent != nil {
		s.c.OnEvent(*res.event)
	}
}
