package auth

import (
	"context"
	"fmt"
	"time"
)

// State is the visible state of a token: what the store knows of it, whichever process wrote it, and what this process
// adds. It holds no secret.
type State struct {
	Generation  Generation // 0: there was no token yet
	Obtained    time.Time  // when the token was asked for; zero: there is none
	Expiry      time.Time  // of the access token; zero: unknown
	NextRefresh time.Time  // the earliest in the normal course of things; zero: when the token is refused, or never
	// KeepAlive is when [Source.KeepAlive] uses the refresh token next, and RefreshDies when it would die unused.
	// Zero: it does not, or there is none.
	KeepAlive, RefreshDies time.Time
	CoolingDown            time.Time // no refresh is tried before; zero: none
	Failure                string    // what the last refresh met; "": it succeeded
	// NeedsReauth says why a human must act; "": nobody must, or these credentials were not tried yet.
	NeedsReauth string
	Spent       int // token requests in the budget's window; 0 without a budget
	// Refreshing says that a refresh is under way in this process, Unsaved that it holds a token that the store did
	// not take yet.
	Refreshing, Unsaved bool
}

// State returns what is known of the token, without the token.
func (s *Source) State(ctx context.Context) (State, error) {
	r, err := s.c.Store.LoadToken(ctx, s.c.Key)
	if err != nil {
		return State{}, fmt.Errorf("auth: %s: read the stored token: %w", s.c.Key, err)
	}
	now := time.Now()
	st := State{Generation: r.Generation, Obtained: r.Token.Obtained, Expiry: r.Token.Expiry, Failure: r.Failure}
	st.KeepAlive, st.RefreshDies = s.keepAliveAt(r)
	var fits time.Time // the budget
	if s.c.Budget.Requests > 0 {
		spent := s.c.Budget.inWindow(r.Requests, now, s.c.Timeout)
		st.Spent, fits = len(spent), s.c.Budget.next(spent)
	}
	s.mu.Lock()
	st.Unsaved = s.pending != nil && s.pending.token.Access != ""
	st.Refreshing = s.flight != nil
	cool := s.retryAt
	if s.failed != nil && now.Before(cool) { // newer than the store's, or about the store
		st.Failure = clipped(s.failed.Err.Error())
	}
	s.mu.Unlock()
	if r.CoolDown.After(cool) {
		cool = r.CoolDown
	}
	if cool.After(now) {
		st.CoolingDown = cool
	}
	if s.needsReauth(r) {
		st.NeedsReauth = r.NeedsReauth
		st.KeepAlive, st.CoolingDown = time.Time{}, time.Time{}
		return st, nil
	}
	if r.Token.Access == "" {
		st.NextRefresh = now
	} else if v := s.viewOf(r, now); !v.expiry.IsZero() {
		st.NextRefresh = v.early
	}
	for _, at := range []time.Time{st.CoolingDown, fits} {
		if !st.NextRefresh.IsZero() && st.NextRefresh.Before(at) {
			st.NextRefresh = at
		}
	}
	return st, nil
}
