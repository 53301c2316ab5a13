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

// Resources implements driver.ResourceLister by GET listings: the host's own and co-hosted listings, active or not. In which order they come is not
// established. Each page but the first begins with the last row of the one before; when it does not, rows have moved, and the list says that it
// may be incomplete.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "airbnb/listings/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	last, at := "", 0 // the id of the last row that was read, and the offset after it
	return pagination.Offset(ctx, s, pageSize-1, func(ctx context.Context, offset, _ int) (pagination.Batch[driver.Resource], error) {
		known := last != "" && at == offset // a stream that is ranged over again, or resumed, begins anew
		skip := offset
		if known {
			skip--
		}
		p, err := driver.Get[page](ctx, d.api, listings, "/listings", url.Values{
			"user_id": {d.host}, "has_availability": {"false"}, "exclude_active": {"false"}, "exclude_cohosted_listings": {"false"},
			"_limit": {strconv.Itoa(pageSize)}, "_offset": {strconv.Itoa(skip)},
		})
		if err != nil {
			return pagination.Batch[driver.Resource]{}, err
		}
		rows, advance, moved := p.rows, len(p.rows), false
		if known {
			if moved = len(rows) == 0 || wire.ID(rows[0], listingID...) != last; !moved {
				rows = rows[1:]
			}
			advance = max(advance-1, 0)
		}
		last, at = "", offset+advance
		if n := len(p.rows); n > 0 {
			last = wire.ID(p.rows[n-1], listingID...)
		}
		b := d.adapt.listing.Each(ctx, d.api, rows)
		b.Rows, b.Total, b.Moved = advance, p.total, moved
		if len(p.rows) == pageSize && p.total == 0 {
			b.More = pagination.Yes // a full page, and nothing that says whether it is the last
		}
		b.Fingerprint = fingerprint("", p.rows, listingID...)
		return b, nil
	})
}

// listingID are the names of a listing's id.
var listingID = []string{"id_str", "id"}

// fingerprint tells a page's content: a server that ignores _offset would send its first page for ever.
func fingerprint(of string, rows []json.RawMessage, names ...string) string {
	if len(rows) == 0 {
		return ""
	}
	first, last := wire.ID(rows[0], names...), wire.ID(rows[len(rows)-1], names...)
	if first == "" || last == "" {
		return ""
	}
	return of + " " + first + " " + last
}

// ResourcesByID implements driver.ResourceGetter by GET listings/{id}, one by one. Those that are not there are left out.
func (d *Driver) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return pagination.ByID(ctx, ids, 1, func(ctx context.Context, ids []string) (pagination.Batch[driver.Resource], error) {
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

// place is where a listing of reservations is: the first nights from start on, up to and with last, at an offset in the window.
type place struct {
	start, last driver.Date
	offset      int
}

func (p place) String() string { return fmt.Sprintf("%s+%d..%s", p.start, p.offset, p.last) }

// end is the last first night of the window.
func (p place) end() driver.Date {
	if e := p.start.AddDays(window - 1); e.Days(p.last) > 0 {
		return e
	}
	return p.last
}

// touched reports whether a stay has a night in the window, or none that can be read. A server that sends one page for ever sends those of another
// window.
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
	rest, last, ok1 := strings.Cut(text, "..")
	start, offset, ok2 := strings.Cut(rest, "+")
	s, err1 := driver.ParseDate(start)
	l, err2 := driver.ParseDate(last)
	n, err3 := strconv.Atoi(offset)
	if !ok1 || !ok2 || errors.Join(err1, err2, err3) != nil || n < 0 {
		return place{}, pagination.ErrCursor
	}
	return place{s, l, n}, nil
}

// Transactions implements driver.TransactionLister by GET reservations, of the host or of one listing, in windows of first nights: from the
// integration's history to two years ahead. There is no filter by time of update. A reservation may come twice, whether the partner means
// by a window those that begin in it or all that touch it. Inquiries are no reservations and are not listed.
func (d *Driver) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	s := pagination.Start{Stream: "airbnb/reservations/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	whose := url.Values{"host_id": {d.host}}
	if q.ResourceID != "" {
		whose = url.Values{"listing_id": {q.ResourceID}}
		s.Stream += "/" + q.ResourceID
	}
	return pagination.Token(ctx, s, func(ctx context.Context, token string) (pagination.Batch[driver.Transaction], error) {
		today := driver.DateOf(time.Now().UTC())
		at := place{start: today.AddDays(-d.history), last: today.AddDays(horizon)}
		if token != "" {
			var err error
			if at, err = placeOf(token); err != nil {
				return pagination.Batch[driver.Transaction]{}, err
			}
		}
		query := url.Values{
			"start_date": {at.start.String()}, "end_date": {at.end().String()}, allOf: {"true"},
			"_limit": {strconv.Itoa(pageSize)}, "_offset": {strconv.Itoa(at.offset)},
		}
		for name, v := range whose {
			query[name] = v
		}
		p, err := driver.Get[page](ctx, d.api, stays, "/reservations", query)
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, err
		}
		if len(p.rows) > 0 && !slices.ContainsFunc(p.rows, at.touched) {
			return pagination.Batch[driver.Transaction]{}, d.undecodable(stays, fmt.Errorf("%w: no reservation is of the dates that were asked for", pagination.ErrLoop))
		}
		b := d.adapt.reservation.Each(ctx, d.api, p.rows)
		b.Rows = len(p.rows)
		b.Fingerprint = fingerprint(at.start.String(), p.rows, "confirmation_code")
		// Neither total nor offsets come with reservations: a full page may have another after it.
		if len(p.rows) >= pageSize {
			b.Next = place{at.start, at.last, at.offset + len(p.rows)}.String()
		} else if next := at.end().AddDays(1); next.Days(at.last) >= 0 {
			b.Next = place{start: next, last: at.last}.String()
		}
		return b, nil
	})
}

// TransactionsByID implements driver.TransactionGetter by GET reservations/{confirmation_code}, one by one. Those that are not there are
// left out.
func (d *Driver) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	return pagination.ByID(ctx, ids, 1, func(ctx context.Context, ids []string) (pagination.Batch[driver.Transaction], error) {
		rows, err := d.one(ctx, "reservations.get", driver.Path("/reservations/{}", ids[0]))
		return d.adapt.reservation.Each(ctx, d.api, rows), err
	})
}

// Media implements driver.MediaLister by GET listing_photos. A listing that is not there is an error that wraps driver.ErrNotFound.
func (d *Driver) Media(ctx context.Context, resourceID string) pagination.Pages[driver.Media] {
	return pagination.Token(ctx, pagination.Start{Stream: "airbnb/photos/1"}, func(ctx context.Context, _ string) (pagination.Batch[driver.Media], error) {
		p, err := driver.Get[page](ctx, d.api, photos, "/listing_photos", url.Values{"listing_id": {resourceID}})
		if err != nil {
			return pagination.Batch[driver.Media]{}, err
		}
		b := d.adapt.photo(resourceID).Each(ctx, d.api, p.rows)
		slices.SortStableFunc(b.Items, func(a, b driver.Media) int { return cmp.Compare(a.Position.Or(1e9), b.Position.Or(1e9)) })
		return b, nil
	})
}

// PushStatus implements driver.StatusPusher: it accepts (confirmed) or declines (declined) a request. It is not sent again by itself. When the partner
// refuses, because it was done before or the request is over, or the answer is lost, the reservation is read, and is what was asked for or an
// error.
func (d *Driver) PushStatus(ctx context.Context, _ driver.EffectKey, transactionID string, s driver.TransactionStatus) (driver.Effect, error) {
	const op = "reservations.put"
	action := map[driver.TransactionStatus]string{driver.StatusConfirmed: "accept", driver.StatusDeclined: "deny"}[s]
	if action == "" {
		return driver.Effect{}, d.refused(op, fmt.Errorf("status %q cannot be written; a request can be confirmed or declined", s))
	}
	path := driver.Path("/reservations/{}", transactionID)
	r, err := driver.Send[*driver.Response](retry.WithIdempotent(ctx, false), d.api, driver.Call{
		Op: op, Method: http.MethodPut, Path: path, Body: map[string]string{"attempt_action": action},
	})
	if e, ok := errors.AsType[*retry.Error](err); ok && ctx.Err() == nil &&
		(e.Sent == retry.Unknown || e.Class == retry.Client && e.Sent == retry.Answered && e.Status != http.StatusNotFound) {
		if rows, readErr := d.one(ctx, "reservations.get", path); readErr == nil && len(rows) > 0 && d.is(rows[0], s) {
			return driver.Effect{ID: transactionID, Confirmed: true}, nil
		}
	}
	if err != nil {
		return driver.Effect{}, err
	}
	var answer one
	return driver.Effect{ID: transactionID, Confirmed: json.Unmarshal(r.Body, &answer) == nil && d.is(answer.raw, s)}, nil
}

// is reports whether a reservation has the status.
func (d *Driver) is(raw json.RawMessage, s driver.TransactionStatus) bool {
	t, _, err := d.adapt.reservation.One(raw)
	return err == nil && t.Status.Or("") == s
}

// refused is the error of a call that was not made.
func (d *Driver) refused(op string, err error) *retry.Error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never}, Partner: Partner, Op: op, Err: err}
}

// undecodable is the error of an answer that came and is not what was asked for.
func (d *Driver) undecodable(op string, err error) *retry.Error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Data, Scope: retry.Request, Sent: retry.Answered, Fault: true}, Partner: Partner, Op: op,
		Err: fmt.Errorf("%w: %w", driver.ErrUndecodable, err),
	}
}
