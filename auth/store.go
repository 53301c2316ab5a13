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

// Record is what a store keeps of one token.
type Record struct {
	Token       Token
	Generation  Generation
	NeedsReauth string      // why, "" if not
	CoolDown    time.Time   // no refresh before
	Requests    []time.Time // token requests in the budget's window
	// Version is the store's own, for compare-and-set; 0: there is no record.
	Version uint64
}

// Store keeps tokens. What it writes is durable before it returns, and sealed where it leaves the process. It is safe for concurrent use.
type Store interface {
	// LoadToken returns the record, the zero Record if there is none.
	LoadToken(ctx context.Context, key string) (Record, error)
	// SaveToken replaces the record if its version is still r.Version, and returns the new version; else ErrConflict.
	SaveToken(ctx context.Context, key string, r Record) (uint64, error)
	// LockToken makes the caller the only one to refresh key, across all processes that share the store, for at most ttl. It
	// waits for others until ctx ends. unlock gives it back early.
	LockToken(ctx context.Context, key string, ttl time.Duration) (unlock func(), err error)
}

// NewMemoryStore returns a Store in memory. Tokens are gone with the process.
func NewMemoryStore() Store { panic("spike") }
