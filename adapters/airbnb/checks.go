package airbnb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// ChecksConfig configures the handler for the calls that Airbnb makes and waits for while a guest books. Available
// and Reserve are required, and either a Verifier or Unsigned.
type ChecksConfig struct {
	// Available says whether a stay can be had. It is only asked and reserves nothing.
	Available func(ctx context.Context, s CheckedStay) (bool, error)
	// Reserve says whether a booking, or its alteration, is accepted; the guest has not paid yet and may still go
	// away. What it holds for the booking it should let go of unless the reservation comes, by webhook or import.
	Reserve func(ctx context.Context, r CheckedBooking) (bool, error)
	// Verifier verifies the calls as those of webhooks are: whether they are signed alike is not established.
	Verifier *webhook.Verifier
	// Unsigned takes calls without a signature at their word: they can make the host say what is free, and hold what
	// it holds for a booking. A secret part in the URL's path is then advisable. With a Verifier, a call that is
	// signed must still be signed right.
	Unsigned bool
	// Patience bounds Available and Reserve. Airbnb's own limit is not established; 0 means 3 s.
	Patience time.Duration
	// Logger is told of calls that were refused without asking, and of errors; nil: nobody.
	Logger *slog.Logger
}

// CheckedStay is a stay that Airbnb asks about.
type CheckedStay struct {
	ListingID  string
	Start, End driver.Date // the first night and the day of departure
	Nights     int
}

// CheckedBooking is a booking, or an alteration of one, that Airbnb asks about.
type CheckedBooking struct {
	CheckedStay
	// Code and GuestID may be "".
	Code, GuestID string
	Altered       bool
	Party         driver.Party
	// BasePrice is of the accommodation in whole units of the listing's currency, -1 if it was not said.
	BasePrice int64
}

// String returns the listing and the days.
func (b CheckedBooking) String() string {
	return b.ListingID + " " + b.Start.String() + " to " + b.End.String()
}

// GoString is String.
func (b CheckedBooking) GoString() string { return b.String() }

// probe is the listing id with which Airbnb tests the handler; it wants yes (seen in client code).
const probe = "0"

const maxCheck = 64 << 10

// NewChecks returns the handler for Airbnb's calls:
//
//	GET  ?action=check_availability&listing_id=…&start_date=…&nights=…
//	POST a booking, PUT /{confirmation_code} an alteration
//
// It always answers 200 with the decision in the body, as Airbnb wants it (seen in client code). Whatever goes wrong
// (no or a wrong signature, a call that cannot be read, an error of a callback, one that is not back in time, a
// panic) is a no: a booking lost is better than a room sold twice. It returns an error that names everything that is
// wrong with c.
func NewChecks(c ChecksConfig) (http.Handler, error) {
	var errs []error
	if c.Available == nil {
		errs = append(errs, errors.New("ChecksConfig.Available is nil"))
	}
	if c.Reserve == nil {
		errs = append(errs, errors.New("ChecksConfig.Reserve is nil"))
	}
	if c.Verifier == nil && !c.Unsigned {
		errs = append(errs, errors.New("there is no Verifier, and Unsigned does not say that there need be none"))
	}
	if c.Patience < 0 {
		errs = append(errs, fmt.Errorf("ChecksConfig.Patience is %v, want 0 or more", c.Patience))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("airbnb: checks: %w", err)
	}
	if c.Patience == 0 {
		c.Patience = 3 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &checks{c}, nil
}

type checks struct{ c ChecksConfig }

// ServeHTTP implements http.Handler.
func (h *checks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	word := "succeed"
	if r.Method == http.MethodGet {
		word = "available"
	}
	yes, err := h.decide(r)
	if err != nil {
		h.c.Logger.WarnContext(r.Context(), "a check of Airbnb's was answered no without a decision", "partner",
			Partner, "method", r.Method, "error", err)
	}
	answer := map[string]any{word: yes}
	if !yes {
		answer["failure_code"] = nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		body = []byte(`{}`) // a bool and null can be written
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(body); err != nil {
		h.c.Logger.WarnContext(r.Context(), "a check of Airbnb's could not be answered", "partner", Partner, "error",
			err)
	}
}

func (h *checks) decide(r *http.Request) (bool, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCheck+1))
	switch {
	case err != nil:
		return false, errors.New("the call could not be read")
	case len(body) > maxCheck:
		return false, fmt.Errorf("the call is larger than %d bytes", maxCheck)
	}
	if h.c.Verifier != nil && (!h.c.Unsigned || r.Header.Get("Authorization") != "") {
		if _, err := h.c.Verifier.Verify(webhook.NewMessage(r, body), time.Now()); err != nil {
			return false, err
		}
	}
	var b CheckedBooking
	reserve := false
	switch r.Method {
	case http.MethodGet:
		q := r.URL.Query()
		if action := q.Get("action"); action != "check_availability" {
			return false, errors.New("the action is not check_availability")
		}
		b.CheckedStay, err = checkedStay(q.Get("listing_id"), q.Get("start_date"), q.Get("nights"))
	case http.MethodPost, http.MethodPut:
		reserve = true
		b, err = checkedBooking(body)
		if r.Method == http.MethodPut {
			b.Altered = true
			if b.Code == "" {
				b.Code = lastPart(r.URL)
			}
		}
	default: // DELETE is accepted by one public client; what it is for is not established
		return false, fmt.Errorf("method %s is not known", r.Method)
	}
	if b.ListingID == probe {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return h.ask(r.Context(), b, reserve)
}

// ask asks the host, and waits no longer than its patience: the callback is told to stop, and what it says later is
// not heard.
func (h *checks) ask(ctx context.Context, b CheckedBooking, reserve bool) (bool, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.c.Patience, fmt.Errorf("the host did not decide within %v",
		h.c.Patience))
	defer cancel()
	type decision struct {
		yes bool
		err error
	}
	decided := make(chan decision, 1)
	go func() {
		var d decision
		defer func() {
			if p := recover(); p != nil {
				d = decision{err: errors.New("the host's callback panicked")} // the value may hold what it was given
			}
			decided <- d
		}()
		if reserve {
			d.yes, d.err = h.c.Reserve(ctx, b)
		} else {
			d.yes, d.err = h.c.Available(ctx, b.CheckedStay)
		}
		d.yes = d.yes && d.err == nil
	}()
	select {
	case d := <-decided:
		return d.yes, d.err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

func checkedStay(listing, start, nights string) (CheckedStay, error) {
	s := CheckedStay{ListingID: listing}
	if listing == "" || len(listing) > 20 || strings.Trim(listing, "0123456789") != "" {
		s.ListingID = ""
		return s, errors.New("listing_id is not an id")
	}
	d, err := driver.ParseDate(start)
	if err != nil || !d.Valid() {
		return s, errors.New("start_date is not a date")
	}
	n := 0
	if _, err := fmt.Sscanf(nights, "%d", &n); err != nil || n < 1 || n > 10_000 || fmt.Sprint(n) != nights {
		return s, errors.New("nights is not a number of nights")
	}
	s.Start, s.Nights, s.End = d, n, d.AddDays(n)
	return s, nil
}

// lastPart is the last element of the path, a confirmation code.
func lastPart(u *url.URL) string {
	code := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	if !confirmationCode.MatchString(code) {
		return ""
	}
	return code
}
