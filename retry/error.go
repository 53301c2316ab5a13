package retry

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Error is the error of a call to a partner: the verdict, and the facts that somebody who reads it in a log needs.
// Its text never holds a URL, a header or a piece of a body, because any of them can carry a secret: the causes that net/http
// gives are printed without them.
//
// Layers that refuse to send (limiter, breaker, token source) return an *Error with the fields they know; driver.Client
// fills in the rest. Fields may be zero.
type Error struct {
	Verdict
	// Partner and Op say who was called and for what: "guesty", "listings.list".
	Partner, Op string
	// Integration is the id of the integration on whose behalf the call was made.
	Integration string
	// RequestID is the partner's own id of the request, for its support.
	RequestID string
	// Status is the HTTP status of the last answer; 0 if there was none.
	Status int
	// Code and Message are the partner's own words, bounded and stripped of control characters, where a
	// classifier or driver took them from a field that is known to hold no personal data. They may be empty.
	Code, Message string
	// Attempts is how many times the request was tried, the first included; 0 when it was refused before.
	Attempts int
	// Waits tells where the time went.
	Waits Waits
	// Err is the cause. It is never a *url.Error: that prints the URL.
	Err error
}

// Error says what happened, to whom, and when to come back:
// "guesty: listings.list: rate_limit (429): retry at 2026-01-02T15:04:05Z: …".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Partner != "" {
		b.WriteString(e.Partner)
		b.WriteString(": ")
	}
	if e.Op != "" {
		b.WriteString(e.Op)
		b.WriteString(": ")
	}
	b.WriteString(e.Class.String())
	if e.Status != 0 {
		b.WriteString(" (")
		b.WriteString(strconv.Itoa(e.Status))
		if e.Code != "" {
			b.WriteString(" ")
			b.WriteString(e.Code)
		}
		b.WriteString(")")
	}
	if e.Attempts > 1 {
		b.WriteString(" after ")
		b.WriteString(strconv.Itoa(e.Attempts))
		b.WriteString(" attempts")
	}
	if !e.At.IsZero() {
		b.WriteString(", retry at ")
		b.WriteString(e.At.UTC().Format(time.RFC3339Nano))
	}
	if e.RequestID != "" {
		b.WriteString(", request id ")
		b.WriteString(e.RequestID)
	}
	if e.Message != "" {
		b.WriteString(": ")
		b.WriteString(e.Message)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(text(e.Err))
	}
	return b.String()
}

// text is the text of a cause without what may be secret in it: the URL of a *url.Error, with the keys in its query, and
// what net/http quotes of an answer that it could not read.
func text(err error) string {
	s := err.Error()
	for _, u := range urlErrors(err, nil) {
		s = strings.ReplaceAll(s, u.Error(), u.Err.Error())
	}
	if i := strings.Index(s, "malformed "); i >= 0 {
		if j := strings.IndexByte(s[i:], '"'); j >= 0 {
			s = strings.TrimRight(s[:i+j], " :")
		}
	}
	return withoutURLs(s)
}

// withoutURLs replaces what has the form of a URL, in a text that somebody made around one.
func withoutURLs(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "://")
		if !found && b.Len() == 0 {
			return s
		}
		if !found {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(strings.TrimRight(before, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."))
		b.WriteString("[url]")
		end := strings.IndexAny(after, " \t\r\n\"'`<>")
		if end < 0 {
			return b.String()
		}
		s = after[end:]
	}
}

// urlErrors collects those in err's tree, outer ones first.
func urlErrors(err error, found []*url.Error) []*url.Error {
	if u, ok := err.(*url.Error); ok && u.Err != nil { //nolint:errorlint // the tree is walked here
		found = append(found, u)
	}
	switch e := err.(type) { //nolint:errorlint // the same
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			found = urlErrors(inner, found)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil {
				found = urlErrors(inner, found)
			}
		}
	}
	return found
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Waits tells where the time of a call went, summed over its attempts.
type Waits struct {
	// Limiter is the time spent waiting for the rate limiter, and Tiers how it divides.
	Limiter time.Duration
	Tiers   []TierWait
	// Backoff is the time between attempts.
	Backoff time.Duration
	// Auth is the time spent waiting for a token.
	Auth time.Duration
	// Partner is the time from sending to the header of the answer, as driver.Client measures it.
	Partner time.Duration
}

// TierWait is the time that one tier of a limiter held a call back.
type TierWait struct {
	Tier string
	Wait time.Duration
}

// AddTier counts a wait of d for the named tier.
func (w *Waits) AddTier(tier string, d time.Duration) {
	w.Limiter += d
	for i := range w.Tiers {
		if w.Tiers[i].Tier == tier {
			w.Tiers[i].Wait += d
			return
		}
	}
	w.Tiers = append(w.Tiers, TierWait{tier, d})
}
