package auth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// KeepAlive uses the refresh token if it would otherwise die of disuse ([SourceConfig] RefreshLifetime), though no
// call needs a token: between half and two thirds of that time after its last use, each key and generation at a moment
// of its own, so that a fleet's do not fall on one day. It does nothing, at the price of one read of the store, when
// that moment has not come, and returns when the refresh is over.
//
// A host calls it from its scheduler for each of its integrations, once a day or more often, in as many processes as it
// likes: the refresh is the same transaction as any other, so that there is one. What it met is in its error, in
// [Event] and in [State]: ErrNeedsReauth when the grant is dead, else the time to come back at. The access token in
// use is unharmed by a failure.
func (s *Source) KeepAlive(ctx context.Context) error {
	for {
		r, err := s.c.Store.LoadToken(ctx, s.c.Key)
		if err != nil {
			return fmt.Errorf("auth: %s: keep alive: read the stored token: %w", s.c.Key, err)
		}
		if s.c.RefreshLifetime > 0 && s.needsReauth(r) {
			return s.refusal(retry.Auth, time.Time{}, fmt.Errorf("%w: %w", ErrNeedsReauth, errors.New(r.NeedsReauth)))
		}
		now := time.Now()
		if !s.idle(r, now) {
			return nil
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return s.refusal(retry.Canceled, time.Time{}, errClosed)
		}
		if v := s.viewOf(r, now); s.view == nil && r.Token.Access != "" && v.alive(now) {
			s.view = v // so that it outlives a refresh that fails
		}
		f, joined := s.flight, true
		if f == nil {
			if now.Before(s.retryAt) {
				failed := s.failed
				s.mu.Unlock()
				return copied(failed)
			}
			f, joined = s.launch(true), false
		}
		s.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return s.refusal(retry.Canceled, time.Time{}, fmt.Errorf("waiting for a token: %w", context.Cause(ctx)))
		}
		if f.err != nil {
			return copied(f.err)
		}
		if !joined {
			return nil
		}
		// What was joined may have found nothing to do for a caller: look again.
	}
}

// keepAliveAt is when the refresh token of r is used to keep it alive, zero if it need not be, and when it dies.
func (s *Source) keepAliveAt(r Record) (due, dies time.Time) {
	if s.c.RefreshLifetime == 0 || r.Token.Refresh == "" {
		return time.Time{}, time.Time{}
	}
	half := s.c.RefreshLifetime / 2
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.c.Key), uint64(r.Generation)))
	spread := time.Duration(float64(half) / 3 * float64(binary.BigEndian.Uint16(sum[:])) / 0x10000)
	return r.Token.Obtained.Add(half + spread), r.Token.Obtained.Add(s.c.RefreshLifetime)
}

// idle reports whether the refresh token of r is to be used, so as not to die.
func (s *Source) idle(r Record, now time.Time) bool {
	due, _ := s.keepAliveAt(r)
	return !due.IsZero() && !now.Before(due)
}
