package auth

import "time"

// Event is what happened to a token.
type Event struct {
	Key        string
	Kind       EventKind
	Generation Generation // of the token in the store afterwards
	Took       time.Duration
	KeepAlive  bool  // it was for [Source.KeepAlive], not for a call
	Err        error // nil for Refreshed
}

// EventKind is the kind of an [Event].
type EventKind uint8

// The kinds of events.
const (
	// Refreshed: this process obtained a token and stored it.
	Refreshed EventKind = iota + 1
	// RefreshFailed: it tried, and will again.
	RefreshFailed
	// NeedsReauth: a human must authorize again. It is told once, by the process that recorded it in the store.
	NeedsReauth
)

// String returns the name in lower case, as used in metrics and logs.
func (k EventKind) String() string {
	switch k {
	case Refreshed:
		return "refreshed"
	case RefreshFailed:
		return "refresh_failed"
	case NeedsReauth:
		return "needs_reauth"
	}
	return "unknown"
}
