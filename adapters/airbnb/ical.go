package airbnb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	ics "github.com/arran4/golang-ical"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// Feed is what a listing's exported calendar holds: the public fallback for hosts without access to the partner API.
// It has no names, no prices and no times of change, and nothing of the past.
type Feed struct {
	// Bookings and Blocks are in the order of their first day. What is not available may be a booking elsewhere, a
	// day the host closed, or the edge of the booking window, which moves every day: a block is no transaction.
	Bookings, Blocks []FeedEvent
	// Rejected counts events that could not be understood. While there are any, nothing has vanished.
	Rejected int
}

// FeedEvent is an event of a calendar: from Start, the first night, to End, the day of departure.
type FeedEvent struct {
	UID        string
	Start, End driver.Date
	// Code is the confirmation code of a booking, and Phone the last four digits of the guest's phone, personal data.
	// "": the feed does not say, as for blocks, and in older feeds.
	Code, Phone string
}

// String returns the event's days alone, so that what identifies a guest gets into no log.
func (e FeedEvent) String() string { return e.Start.String() + " to " + e.End.String() }

// GoString is String.
func (e FeedEvent) GoString() string { return e.String() }

// MaxFeed bounds a feed, in bytes.
const MaxFeed = 8 << 20

// ErrFeed is wrapped by the errors of a feed that is not a whole calendar. Nothing may be taken for canceled because
// of it.
var ErrFeed = errors.New("airbnb: not a whole calendar")

// The lines of a feed (seen in fixtures of public iCal parsers).
const (
	summaryReserved = "reserved"
	summaryBlocked  = "not available"
)

var (
	feedCode  = regexp.MustCompile(`/reservations/details/([A-Z0-9]{6,20})`)
	feedPhone = regexp.MustCompile(`\(Last 4 Digits\):\s*([0-9]{4})`)
)

// ReadFeed reads a calendar as Airbnb exports it. It fails, with an error that wraps [ErrFeed], unless the calendar
// is there from its beginning to END:VCALENDAR. An event without usable days is counted in Rejected.
func ReadFeed(r io.Reader) (Feed, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxFeed+1))
	switch {
	case err != nil:
		return Feed{}, fmt.Errorf("%w: %w", ErrFeed, err)
	case len(text) > MaxFeed:
		return Feed{}, fmt.Errorf("%w: larger than %d bytes", ErrFeed, MaxFeed)
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")))
	if !bytes.HasPrefix(text, []byte("BEGIN:VCALENDAR")) || !bytes.HasSuffix(text, []byte("END:VCALENDAR")) {
		return Feed{}, fmt.Errorf("%w: it does not begin with BEGIN:VCALENDAR and end with END:VCALENDAR", ErrFeed)
	}
	cal, err := ics.ParseCalendar(bytes.NewReader(text))
	if err != nil {
		return Feed{}, ErrFeed // the parser's error may quote a line
	}
	var f Feed
	for _, e := range cal.Events() {
		event, booked, ok := feedEvent(e)
		switch {
		case !ok:
			f.Rejected++
		case booked:
			f.Bookings = append(f.Bookings, event)
		default:
			f.Blocks = append(f.Blocks, event)
		}
	}
	byStart := func(a, b FeedEvent) int { return strings.Compare(a.Start.String()+a.UID, b.Start.String()+b.UID) }
	slices.SortFunc(f.Bookings, byStart)
	slices.SortFunc(f.Blocks, byStart)
	return f, nil
}

func feedEvent(e *ics.VEvent) (event FeedEvent, booked, ok bool) {
	text := func(p ics.ComponentProperty) string {
		if v := e.GetProperty(p); v != nil {
			return strings.TrimSpace(v.Value)
		}
		return ""
	}
	day := func(p ics.ComponentProperty) (driver.Date, bool) {
		v := text(p)
		if len(v) < 8 || strings.Trim(v[:8], "0123456789") != "" {
			return driver.Date{}, false
		}
		d, err := driver.ParseDate(v[:4] + "-" + v[4:6] + "-" + v[6:8])
		return d, err == nil
	}
	event.UID = text(ics.ComponentPropertyUniqueId)
	start, ok1 := day(ics.ComponentPropertyDtStart)
	end, ok2 := day(ics.ComponentPropertyDtEnd)
	if !ok1 || !ok2 || start.Days(end) < 1 {
		return event, false, false
	}
	event.Start, event.End = start, end
	description := text(ics.ComponentPropertyDescription)
	if m := feedCode.FindStringSubmatch(description); m != nil {
		event.Code = m[1]
	}
	if m := feedPhone.FindStringSubmatch(description); m != nil {
		event.Phone = m[1]
	}
	switch summary := strings.ToLower(text(ics.ComponentPropertySummary)); {
	case event.Code != "", summary == summaryReserved:
		booked = true
	case strings.Contains(summary, summaryBlocked):
	default:
		// Older feeds put the guest's name and the code there. What is neither is a booking: a day too many is
		// closed, not too few.
		booked = true
	}
	return event, booked, true
}

// Vanished returns the bookings of before that are not in after: canceled ones, for the feed has no other word for
// it. Those that ended before today are not among them, because the feed forgets the past, and none is while after
// has events that could not be understood. A booking is known by its code, or else by its UID, or its first night;
// one whose days changed has not vanished.
func Vanished(before, after Feed, today driver.Date) []FeedEvent {
	if after.Rejected > 0 {
		return nil
	}
	key := func(e FeedEvent) string {
		switch {
		case e.Code != "":
			return "code " + e.Code
		case e.UID != "":
			return "uid " + e.UID
		}
		return "day " + e.Start.String()
	}
	there := map[string]bool{}
	for _, e := range after.Bookings {
		there[key(e)] = true
	}
	var gone []FeedEvent
	for _, e := range before.Bookings {
		if !there[key(e)] && today.Days(e.End) > 0 {
			gone = append(gone, e)
		}
	}
	return gone
}

// FetchFeed reads a listing's exported calendar from its address, which is a credential. client nil means a client
// with the default transport; wrap it in the kit's layers to retry and to limit. Redirects are followed within
// airbnb.* hosts only; the error, a *retry.Error, does not hold the address.
func FetchFeed(ctx context.Context, client *http.Client, address auth.Secret) (Feed, error) {
	const op = "calendar.ical"
	fail := func(v retry.Verdict, status int, err error) (Feed, error) {
		return Feed{}, &retry.Error{Verdict: v, Partner: Partner, Op: op, Status: status, Err: err}
	}
	never := retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never}
	u, err := url.Parse(string(address))
	if err != nil || !feedHost(u) {
		return fail(never, 0, errors.New("the address is not one of an Airbnb calendar: "+
			"https://www.airbnb.…/calendar/ical/…"))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fail(never, 0, errors.New("the address cannot be requested"))
	}
	if client == nil {
		client = http.DefaultClient
	}
	own := *client
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) >= 5 || !feedHost(req.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := own.Do(req)
	v := retry.Judge(req, resp, err)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return fail(v, 0, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// so that the connection can be used again; what fails here fails nothing
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
		if !v.Failed() { // a redirect that was not followed
			v = retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Answered}
		}
		return fail(v, resp.StatusCode, fmt.Errorf("status %d", resp.StatusCode))
	}
	f, err := ReadFeed(resp.Body)
	if err != nil {
		return fail(retry.Verdict{Class: retry.Data, Scope: retry.Request, Sent: retry.Answered, Fault: true},
			resp.StatusCode, err)
	}
	return f, nil
}

// feedHost reports whether u is where Airbnb's calendars are: www.airbnb.com or a country's domain (seen in client
// code), over https.
func feedHost(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && feedHosts.MatchString(strings.ToLower(u.Host)) &&
		strings.HasPrefix(u.Path, "/calendar/ical/")
}

var feedHosts = regexp.MustCompile(`^(www\.)?airbnb\.(com|cat|[a-z]{2}|com?\.[a-z]{2})$`)
