package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// outcome is what a request to the token endpoint came to, to be written into the record.
type outcome struct {
	gen    Generation // of the record when the request was sent
	token  Token      // obtained
	dead   string     // why the grant is dead
	until  time.Time  // else: no request before
	why    string     // the error's text, as it is stored
	never  bool       // the request was not sent and does not count
	ended  time.Time
	took   time.Duration
	err    error
	floor  Generation // generations end above it
	stored bool       // set by apply: the record held the outcome already

	keepAlive bool // the request was made to keep the refresh token alive
}

// conclude persists an outcome and says what it means for the callers. r is the record as it was saved before the
// request.
func (s *Source) conclude(r Record, o outcome) result {
	saved, err := s.commit(&r, &o)
	event := &Event{Key: s.c.Key, Generation: saved.Generation, Took: o.took, KeepAlive: o.keepAlive, Err: o.err}
	now := time.Now()
	switch {
	case o.token.Access != "":
		if err != nil { // never used before it is stored, never dropped: the next flight tries again
			err = fmt.Errorf("a token was obtained but could not be stored; it is kept and stored later: %w", err)
			event.Kind, event.Err, event.Generation = RefreshFailed, err, r.Generation
			return result{err: err, class: retry.Unavailable, at: now.Add(s.backoff()), event: event, keep: &o, tried: true}
		}
		if saved.Token.Access != o.token.Access { // somebody stored another one meanwhile
			return s.overtaken(saved)
		}
		event.Kind = Refreshed
		return result{rec: saved, ok: true, event: event}
	case o.dead != "":
		if err != nil {
			err = fmt.Errorf("%w, which could not be recorded: %w", o.err, err)
			event.Kind, event.Err, event.Generation = RefreshFailed, err, r.Generation
			return result{err: err, class: retry.Unavailable, at: now.Add(s.backoff()), event: event, keep: &o, tried: true}
		}
		if saved.NeedsReauth == "" {
			return s.overtaken(saved)
		}
		res := s.reauth(saved, o.err)
		if !o.stored {
			event.Kind, event.Err = NeedsReauth, fmt.Errorf("%w: %w", ErrNeedsReauth, o.err)
			res.event = event
		}
		return res
	}
	event.Kind = RefreshFailed
	event.Err = errors.Join(o.err, err)
	if err == nil && saved.Generation != o.gen {
		return s.overtaken(saved)
	}
	return result{
		err:   fmt.Errorf("the token could not be refreshed: %w", o.err),
		class: retry.Unavailable, at: o.until, event: event, tried: true,
	}
}

// overtaken is for an outcome that came too late: the record was replaced while the request was under way.
func (s *Source) overtaken(r Record) result {
	if r.Token.Access != "" {
		return result{rec: r, ok: true}
	}
	return result{err: ErrConflict, class: retry.Unavailable, at: time.Now().Add(s.backoff())}
}

// commit writes an outcome into the record, again and again for a third of the timeout. r is the record as last known.
func (s *Source) commit(r *Record, o *outcome) (Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.c.Timeout/3)
	defer cancel()
	wait := s.c.Timeout / 600
	for {
		next, write := s.apply(*r, o)
		if !write {
			return next, nil
		}
		version, err := s.c.Store.SaveToken(ctx, s.c.Key, next)
		if err == nil {
			next.Version = version
			return next, nil
		}
		if !errors.Is(err, ErrConflict) {
			timer := time.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			wait *= 2
		}
		// After any error the record is read again: the write may have come through after all.
		fresh, loadErr := s.c.Store.LoadToken(ctx, s.c.Key)
		if loadErr == nil {
			*r = fresh
		} else if err = errors.Join(err, loadErr); ctx.Err() == nil {
			continue
		}
		if ctx.Err() != nil {
			return Record{}, err
		}
	}
}

// apply returns the record with the outcome in it, and whether it must be written.
func (s *Source) apply(r Record, o *outcome) (Record, bool) {
	if o.token.Access != "" && r.Token.Access == o.token.Access || r.Generation != o.gen {
		return r, false
	}
	r.Requests = s.c.Budget.inWindow(r.Requests, o.ended, s.c.Timeout)
	// The request was counted at the latest time it could arrive; now it is known to have arrived by its end, or never.
	if n := len(r.Requests); n > 0 && !r.Requests[n-1].Before(o.ended) {
		r.Requests = r.Requests[:n-1]
		if !o.never {
			r.Requests = append(r.Requests, o.ended)
		}
	}
	switch {
	case o.token.Access != "":
		r.Token, r.Generation = o.token, o.floor+1
		r.NeedsReauth, r.Credentials, r.CoolDown, r.Failure = "", "", time.Time{}, ""
	case o.dead != "":
		if o.stored = r.NeedsReauth != "" && r.Credentials == s.fingerprint; o.stored {
			return r, false
		}
		r.NeedsReauth, r.Credentials, r.Failure = o.dead, s.fingerprint, o.why
	default:
		r.CoolDown, r.Failure = o.until, o.why
	}
	return r, true
}

// settlePending saves what an earlier flight obtained.
func (s *Source) settlePending(o *outcome) result {
	ctx, cancel := context.WithTimeout(context.Background(), s.c.Timeout/3)
	defer cancel()
	r, err := s.c.Store.LoadToken(ctx, s.c.Key)
	if err != nil {
		res := s.broken("read the stored token", ctx, err)
		res.keep = o
		return res
	}
	return s.conclude(r, *o)
}

func (s *Source) commitPending(o *outcome) (Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.c.Timeout/3)
	defer cancel()
	r, err := s.c.Store.LoadToken(ctx, s.c.Key)
	if err == nil {
		r, err = s.commit(&r, o)
	}
	if err != nil && o.token.Access != "" {
		err = fmt.Errorf("a token that was obtained is lost, because the store does not take it: %w", err)
	}
	return r, err
}
