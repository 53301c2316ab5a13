package auth

import (
	"context"
	"strings"
	"time"
)

// Token is an access token and what is known of it.
type Token struct {
	Access  Secret
	Refresh Secret    // "" when the grant gives none
	Type    string    // "" means Bearer
	Expiry  time.Time // zero: unknown, used until refused
	// Obtained is when it was asked for, on this machine's clock.
	Obtained time.Time
	Scope    string
}

// Generation numbers the tokens of a key, upwards from 1.
type Generation uint64

// Exchanger gets one token from the partner: one request to the token endpoint, no retry, no cache.
//
// An Exchanger may have a method Validate() error that names everything that is wrong with its configuration, which
// [NewSource] calls, and a method Fingerprint() string that changes when its credentials do: a grant found dead with
// other credentials is then tried again with these.
type Exchanger interface {
	// Exchange trades old (which may be zero) for a new token, and returns by the time ctx ends. A refusal that no
	// repetition will heal wraps [ErrGrant]; one that says when to come back is a *retry.Error with At; a request
	// that was never sent is a *retry.Error with Sent Never, and does not count in the budget. Errors hold no body
	// and no secret.
	Exchange(ctx context.Context, old Token) (Token, error)
}

// view is a token in use by this process, and when it is due. It is immutable but for what the answers say of it.
type view struct {
	token  Token
	gen    Generation
	header []string // its value; never written into
	// From early on a refresh runs in the background, from late on callers wait for it, at expiry the token is dead.
	// All zero: unknown.
	early, late, expiry time.Time

	refusals refusals
	// Guarded by the source's mu:
	born    bool      // obtained because its predecessor was refused
	suspect bool      // refused as soon as it was born
	quiet   time.Time // refusals are not acted upon before
}

func (s *Source) viewOf(r Record, now time.Time) *view {
	t := r.Token
	value := string(t.Access)
	if s.c.Header == "" {
		typ := t.Type
		if typ == "" || strings.EqualFold(typ, "bearer") {
			typ = "Bearer"
		}
		value = typ + " " + value
	}
	v := &view{token: t, gen: r.Generation, header: []string{value}}
	if t.Expiry.IsZero() {
		return v
	}
	from := t.Obtained
	if from.IsZero() {
		from = now
	}
	early, late := windows(t.Expiry.Sub(from), s.c.Early, s.c.Late)
	v.early, v.late, v.expiry = t.Expiry.Add(-early), t.Expiry.Add(-late), t.Expiry
	return v
}

// windows returns how long before expiry a token of the given lifetime is refreshed early and waited for.
func windows(lifetime, early, late time.Duration) (time.Duration, time.Duration) {
	lifetime = max(lifetime, 0)
	if early == 0 {
		early = min(lifetime/5, time.Hour)
	}
	early = min(early, lifetime/2) // a token is used for half its life at least, whatever is configured
	if late == 0 {
		late = min(early/10, time.Minute)
	}
	return early, min(late, early)
}

// fresh: nothing needs to be done.
func (v *view) fresh(now time.Time) bool { return v.expiry.IsZero() || now.Before(v.early) }

// served: callers get it without waiting.
func (v *view) served(now time.Time) bool { return v.expiry.IsZero() || now.Before(v.late) }

// alive: it may still be used when nothing better is to be had.
func (v *view) alive(now time.Time) bool { return v.expiry.IsZero() || now.Before(v.expiry) }

func (v *view) is(r Record) bool { return v.gen == r.Generation && v.token.Access == r.Token.Access }
