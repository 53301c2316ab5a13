package airbnb

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

const (
	pageSize = 50           // the maximum (seen in client code)
	horizon  = 730          // days ahead that reservations are listed for
	window   = 90           // days of first nights that are listed at once
	calendar = 180          // days of a calendar that are read at once
	allOf    = "all_status" // without it, confirmed reservations alone seem to come (unverified)

	listings   = "listings.list" // the names of operations
	stays      = "reservations.list"
	photos     = "photos.list"
	calendarOp = "calendar_operations.post"
)

// Resources implements driver.ResourceLister by GET listings: the host's own and co-hosted listings, active or not.
// In which order they come is not established: if it is one that an update changes, a listing may be missed while the
// host works.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "airbnb/listings/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	rows := pagination.Offset(ctx, s, pageSize, d.adapt.listing.IDOf,
		func(ctx context.Context, offset, limit int) (pagination.Batch[json.RawMessage], error) {
			p, err := driver.Get[page](ctx, d.api, listings, "/listings", url.Values{
				"user_id": {d.host}, "has_availability": {"false"}, "exclude_active": {"false"},
				"exclude_cohosted_listings": {"false"}, "_limit": {strconv.Itoa(limit)},
				"_offset": {strconv.Itoa(offset)},
			})
			return pagination.Batch[json.RawMessage]{Items: p.rows, Total: p.total}, err
		})
	return d.adapt.listing.Pages(ctx, d.api, rows)
}

// reservationID is a reservation's code, "" if it cannot be read.
func reservationID(raw json.RawMessage) string { return wire.ID(raw, "confirmation_code") }

// fingerprint tells a page's content: a server that ignores _offset would send a window's first page for ever.
func fingerprint(window string, rows []json.RawMessage) string {
	if len(rows) == 0 {
		return ""
	}
	first, last := reservationID(rows[0]), reservationID(rows[len(rows)-1])
	if first == "" || last == "" {
		return ""
	}
	return window + " " + first + " " + last
}

// ResourcesByID implements driver.ResourceGetter by GET listings/{id}, one by one. Those that are not there are left
// out.
func (d *Driver) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return pagination.ByID(ctx, ids, 1, func(ctx context.Context, ids []string) (pagination.Batch[driver.Resource],
		error) {
		rows, err := d.one(ctx, "listings.get", driver.Path("/listings/{}", ids[0]))
		return d.adapt.listing.Each(ctx, d.api, rows), err
	})
}

// one reads one record; none if there is none.
func (d *Driver) one(ctx context.Context, op, path string) ([]json.RawMessage, error) {
	r, err := driver.Get[one](ctx, d.api, op, path, nil)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []json.RawMessage{r.raw}, nil
}

// place is where a listing of reservations is: the first nights from start on, up to and with last, at an offset in the
// window, behind the row with the code.
type place struct {
	start, last driver.Date
	offset      int
	code        string
}

func (p place) String() string { return fmt.Sprintf("%s+%d..%s%s", p.start, p.offset, p.last, p.code) }

// end is the last first night of the window.
func (p place) end() driver.Date {
	if e := p.start.AddDays(window - 1); e.Days(p.last) > 0 {
		return e
	}
	return p.last
}

// touched reports whether a stay has a night in the window, or none that can be read. A server that sends one page
// for ever sends those of another window.
func (p place) touched(raw json.RawMessage) bool {
	o := wire.Fields(raw)
	start, ok := o.Date("start_date").Get()
	if !ok {
		return true
	}
	end := o.Date("end_date").Or(start.AddDays(max(min(o.Count("nights").Or(1), 10_000), 1)))
	return start.Days(p.end()) >= 0 && p.start.Days(end) >= 0
}

func placeOf(text string) (place, error) {
	rest, last, _ := strings.Cut(text, "..")
	start, offset, _ := strings.Cut(rest, "+")
	days := min(len(last), len("2006-01-02"))
	s, err1 := driver.ParseDate(start)
	l, err2 := driver.ParseDate(last[:days])
	n, err3 := strconv.Atoi(offset)
	if errors.Join(err1, err2, err3) != nil || n < 0 {
		return place{}, pagination.ErrCursor
	}
	return place{s, l, n, last[days:]}, nil
}

// Transactions implements driver.TransactionLister by GET reservations, of the host or of one listing, in windows of
// first nights: from the integration's history to two years ahead. There is no filter by time of update. A
// reservation may come twice, whether the partner means by a window those that begin in it or all that touch it.
// Inquiries are no reservations and are not listed. In which order they come is not established: a page of a window
// begins with the last row of the one before, and where it does not, the list is incomplete.
func (d *Driver) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	s := pagination.Start{Stream: "airbnb/reservations/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	whose := url.Values{"host_id": {d.host}}
	if q.ResourceID != "" {
		whose = url.Values{"listing_id": {q.ResourceID}}
		s.Stream += "/" + q.ResourceID
	}
	return pagination.Token(ctx, s, func(ctx context.Context, token string) (pagination.Batch[driver.Transaction],
		error) {
		today := driver.DateOf(time.Now().UTC())
		at := place{start: today.AddDays(-d.history), last: today.AddDays(horizon)}
		if token != "" {
			var err error
			if at, err = placeOf(token); err != nil {
				return pagination.Batch[driver.Transaction]{}, err
			}
		}
		skip := max(at.offset-1, 0)
		query := url.Values{
			"start_date": {at.start.String()}, "end_date": {at.end().String()}, allOf: {"true"},
			"_limit": {strconv.Itoa(pageSize)}, "_offset": {strconv.Itoa(skip)},
		}
		for name, v := range whose {
			query[name] = v
		}
		p, err := driver.Get[page](ctx, d.api, stays, "/reservations", query)
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, err
		}
		if len(p.rows) > 0 && !slices.ContainsFunc(p.rows, at.touched) {
			return pagination.Batch[driver.Transaction]{}, d.undecodable(stays,
				fmt.Errorf("%w: no reservation is of the dates that were asked for", pagination.ErrLoop))
		}
		rows, moved := p.rows, false
		if at.offset > 0 {
			if moved = len(rows) == 0 || at.code == "" || reservationID(rows[0]) != at.code; !moved {
				rows = rows[1:]
			}
		}
		b := d.adapt.reservation.Each(ctx, d.api, rows)
		b.Rows, b.Moved = len(rows), moved
		b.Fingerprint = fingerprint(at.start.String(), p.rows)
		// Neither total nor offsets come with reservations: a full page may have another after it.
		if len(p.rows) >= pageSize {
			b.Next = place{at.start, at.last, skip + len(p.rows), reservationID(p.rows[len(p.rows)-1])}.String()
		} else if next := at.end().AddDays(1); next.Days(at.last) >= 0 {
			b.Next = place{start: next, last: at.last}.String()
		}
		return b, nil
	})
}

// TransactionsByID implements driver.TransactionGetter by GET reservations/{confirmation_code}, one by one. Those
// that are not there are left out.
func (d *Driver) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	return pagination.ByID(ctx, ids, 1, func(ctx context.Context, ids []string) (pagination.Batch[driver.Transaction],
		error) {
		rows, err := d.one(ctx, "reservations.get", driver.Path("/reservations/{}", ids[0]))
		return d.adapt.reservation.Each(ctx, d.api, rows), err
	})
}

// Media implements driver.MediaLister by GET listing_photos. A listing that is not there is an error that wraps
// driver.ErrNotFound.
func (d *Driver) Media(ctx context.Context, resourceID string) pagination.Pages[driver.Media] {
	return pagination.Token(ctx, pagination.Start{Stream: "airbnb/photos/1"}, func(ctx context.Context,
		_ string) (pagination.Batch[driver.Media], error) {
		p, err := driver.Get[page](ctx, d.api, photos, "/listing_photos", url.Values{"listing_id": {resourceID}})
		if err != nil {
			return pagination.Batch[driver.Media]{}, err
		}
		b := d.adapt.photo(resourceID).Each(ctx, d.api, p.rows)
		slices.SortStableFunc(b.Items, func(a, b driver.Media) int {
			return cmp.Compare(a.Position.Or(1e9),
				b.Position.Or(1e9))
		})
		return b, nil
	})
}

// PushStatus implements driver.StatusPusher: it accepts (confirmed) or declines (declined) a request. It is not sent
// again by itself. When the partner refuses, because it was done before or the request is over, or the answer is
// lost, the reservation is read, and is what was asked for or an error.
func (d *Driver) PushStatus(ctx context.Context, _ driver.EffectKey, transactionID string,
	s driver.TransactionStatus) (driver.Effect, error) {
	const op = "reservations.put"
	action := map[driver.TransactionStatus]string{driver.StatusConfirmed: "accept", driver.StatusDeclined: "deny"}[s]
	if action == "" {
		return driver.Effect{}, d.refused(op,
			fmt.Errorf("status %q cannot be written; a request can be confirmed or declined", s))
	}
	path := driver.Path("/reservations/{}", transactionID)
	r, err := driver.Send[*driver.Response](retry.WithIdempotent(ctx, false), d.api, driver.Call{
		Op: op, Method: http.MethodPut, Path: path, Body: map[string]string{"attempt_action": action},
	})
	if e, ok := errors.AsType[*retry.Error](err); ok && ctx.Err() == nil &&
		(e.Sent == retry.Unknown || e.Class == retry.Client && e.Sent == retry.Answered &&
			e.Status != http.StatusNotFound) {
		if rows, readErr := d.one(ctx, "reservations.get", path); readErr == nil && len(rows) > 0 && d.is(rows[0], s) {
			return driver.Effect{ID: transactionID, Confirmed: true}, nil
		}
	}
	if err != nil {
		return driver.Effect{}, err
	}
	var answer one
	return driver.Effect{ID: transactionID, Confirmed: json.Unmarshal(r.Body, &answer) == nil &&
		d.is(answer.raw, s)}, nil
}

// is reports whether a reservation has the status.
func (d *Driver) is(raw json.RawMessage, s driver.TransactionStatus) bool {
	t, _, err := d.adapt.reservation.One(raw)
	return err == nil && t.Status.Or("") == s
}

// refused is the error of a call that was not made.
func (d *Driver) refused(op string, err error) *retry.Error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never},
		Partner: Partner, Op: op, Err: err}
}

// undecodable is the error of an answer that came and is not what was asked for.
func (d *Driver) undecodable(op string, err error) *retry.Error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Data, Scope: retry.Request, Sent: retry.Answered, Fault: true},
		Partner: Partner, Op: op,
		Err: fmt.Errorf("%w: %w", driver.ErrUndecodable, err),
	}
}
