package auth

import (
	"context"
	"errors"
	"time"
)

// Errors of this package, to be tested with errors.Is.
var (
	// ErrGrant: the grant itself is dead (invalid_grant, invalid_client); no repetition heals it.
	ErrGrant = errors.New("auth: the grant was refused")
	// ErrNeedsReauth: a human must authorize again.
	ErrNeedsReauth = errors.New("auth: needs re-authorization")
	// ErrConflict: the record changed since it was read.
	ErrConflict = errors.New("auth: the stored token changed meanwhile")
)

// Record is what a store keeps of one token. Do not encode it with encoding/json: its secrets would be lost.
// [Keys.SealRecord] is the encoding for stores.
type Record struct {
	Token      Token
	Generation Generation
	// NeedsReauth says why a human must act, "" if not.
	NeedsReauth string
	// Credentials is a fingerprint of the credentials with which NeedsReauth was found, so that other ones are tried.
	// It says nothing of the credentials to who does not have them.
	Credentials string
	// CoolDown is the time before which no refresh is tried.
	CoolDown time.Time
	// Failure says what the last refresh met, "" after one that succeeded. It holds no secret.
	Failure string
	// Requests are the token requests in the budget's window, oldest first, each at the latest time at which it can
	// have arrived.
	Requests []time.Time
	// Version is the store's own, for compare-and-set; 0: there is no record.
	Version uint64
}

// Store keeps tokens. What it writes is durable before it returns, and sealed where it leaves the process. It is safe
// for concurrent use. Package auth/authtest tests that an implementation is one.
//
// A context that has ended makes each method fail with an error that wraps the context's.
type Store interface {
	// LoadToken returns the record, the zero Record if there is none. The caller owns what it gets.
	LoadToken(ctx context.Context, key string) (Record, error)
	// SaveToken replaces the record if its version is still r.Version (0: if there is none), and returns the new
	// version, which no record of the key had before; else an error that wraps ErrConflict. It keeps nothing of r's
	// memory. Times are kept to the millisecond or better.
	SaveToken(ctx context.Context, key string, r Record) (uint64, error)
	// LockToken makes the caller the only one to refresh key, across all processes that share the store, for at most
	// ttl. It waits for others until ctx ends. unlock gives it back early; it may be called at any time and more than
	// once, and does nothing once the lock has passed on. A holder that outlived its ttl is fenced off by SaveToken's
	// versions, not by the lock.
	LockToken(ctx context.Context, key string, ttl time.Duration) (unlock func(), err error)
}
