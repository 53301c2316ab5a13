package webhook

import (
	"fmt"
	"io"
	"time"
)

// Outcome is how a request ended. There are few of them: they make good labels of metrics.
type Outcome string

// Outcomes, with their answers.
const (
	Accepted   Outcome = "accepted"    // handed over: the partner's success, 202 by default
	Duplicate  Outcome = "duplicate"   // kept before: likewise
	Challenged Outcome = "challenged"  // a handshake: 200
	Busy       Outcome = "in_progress" // the same delivery is being handed over: 503, so that it is sent again
	NotKept    Outcome = "not_kept"    // the Sink failed: 503
	Unresolved Outcome = "unresolved"  // Resolver, Owner or Dedupe failed: 503
	Unknown    Outcome = "unknown"     // no such endpoint, or not with this URL secret: 404
	Forbidden  Outcome = "forbidden"   // the sender's address: 403; with a URL secret it is Unknown
	Unproved   Outcome = "unproved"    // ErrMissing or ErrMalformed: 401
	Forged     Outcome = "forged"      // ErrSignature: 401
	Late       Outcome = "late"        // ErrTimestamp: 401
	BadMethod  Outcome = "bad_method"  // 405
	BadType    Outcome = "bad_type"    // content type or encoding: 415
	BadBody    Outcome = "bad_body"    // it broke off, or was not what its encoding says: 400
	TooLarge   Outcome = "too_large"   // 413
	Panicked   Outcome = "panicked"    // a function of the host's did: 500
)

// Result is how one request ended.
type Result struct {
	Outcome     Outcome
	Status      int           // answered
	Partner     string        // "" until the endpoint is known
	Integration string        // likewise
	Kind        string        // the partner's words: not for labels
	Key         string        // of the event; "" before it was verified
	SecretID    string        // that proved it
	OldSecret   bool          // it was not the current one
	Bytes       int           // of the body, uncompressed
	Took        time.Duration // until the answer was written
	// Err is what went wrong, nil if nothing did. Those of this package hold no secret and nothing of a body. It may
	// be set although the event was accepted: it was kept, and Dedupe could not be told.
	Err error
}

// PanicError is the Err of [Panicked]. It prints neither what the function panicked with, nor does it go into JSON.
type PanicError struct {
	Stack string // of the goroutine, from the panic on
	value any
}

// Value returns what the function panicked with. It may hold anything.
func (e *PanicError) Value() any { return e.value }

// Error says that there was a panic, and of what type.
func (e *PanicError) Error() string {
	return fmt.Sprintf("webhook: a function of the host's panicked with a %T", e.value)
}

// Format prints what Error returns, whatever the verb.
func (e *PanicError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }
