package cloudbeds

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
)

const (
	opHotels       = "getHotels"
	opDetails      = "getHotelDetails"
	opReservations = "getReservationsWithRateDetails"

	hotelsPage       = 20  // the default of getHotels, whose maximum is not documented
	reservationsPage = 100 // the default and maximum of getReservationsWithRateDetails
)

// overlap is how far a filter by time of update reaches back: it is not established in which zone modifiedFrom is read.
const overlap = 24 * time.Hour

// Resources implements driver.ResourceLister by GET getHotels: the properties that the key reaches, or the
// integration's one. Address, policy and amenities are getHotelDetails' alone, see ResourcesByID. There is no filter by
// time of update, and no order: behind each page the one before is read again, and where it holds other properties than
// before the list is incomplete.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "cloudbeds/hotels/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	query := url.Values{}
	if d.property != "" {
		query.Set("propertyIDs", d.property) // the plural here, the singular elsewhere
		s.Stream += "/" + d.property
	}
	keep := func(raw json.RawMessage) bool { return of(raw, d.property) }
	return list(ctx, d, pagination.Number, s, opHotels, "propertyID", hotelsPage, query, keep, d.adapt.hotel)
}

// Transactions implements driver.TransactionLister by GET getReservationsWithRateDetails, newest change first: what
// changes meanwhile moves rows to the front, so that rows come twice, and the front is read again at the end, see
// [pagination.Newest]. Deleted reservations are listed, as canceled ones.
//
// A misspelt or unknown filter is ignored by the partner without a word, so property and time of update are looked at
// again here.
func (d *Driver) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	s := pagination.Start{Stream: "cloudbeds/reservations/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	query := url.Values{"includeDeleted": {"true"}, "sortByRecent": {"true"}}
	property := d.property
	if q.ResourceID != "" {
		if property != "" && property != q.ResourceID {
			return pagination.Of[driver.Transaction]() // another property than the integration's
		}
		property = q.ResourceID
	}
	if property != "" {
		query.Set("propertyID", property)
		s.Stream += "/" + property
	}
	var since time.Time
	if !q.UpdatedSince.IsZero() {
		since = q.UpdatedSince.UTC().Truncate(time.Second)
		// A time in ISO 8601, with T and Z, is refused.
		query.Set("modifiedFrom", since.Add(-overlap).Format(time.DateTime))
		s.Stream += "/since/" + strconv.FormatInt(since.Unix(), 10)
	}
	keep := func(raw json.RawMessage) bool { return of(raw, property) && !before(raw, since) }
	return list(ctx, d, pagination.Newest, s, opReservations, "reservationID", reservationsPage, query, keep,
		d.adapt.reservation)
}

// of reports whether a row is of the property. One that does not say is taken to be.
func of(raw json.RawMessage, property string) bool {
	id := wire.ID(raw, "propertyID")
	return property == "" || id == "" || id == property
}

// before reports whether a row says that it was changed last before since.
func before(raw json.RawMessage, since time.Time) bool {
	if since.IsZero() {
		return false
	}
	t, ok := utc(wire.Fields(raw), "dateModifiedUTC").Get()
	return ok && t.Before(since)
}

// ResourcesByID implements driver.ResourceGetter by GET getHotelDetails, one call for each. A property that is not the
// key's is refused with one of two messages, which mean that it is not there; no other refusal does.
func (d *Driver) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return pagination.ByID(ctx, ids, 1, func(ctx context.Context, ids []string) (pagination.Batch[driver.Resource],
		error) {
		raw, _, err := d.hotel(ctx, ids[0])
		if unknown(err) || err == nil && wire.ID(raw, "propertyID") != ids[0] {
			return pagination.Batch[driver.Resource]{}, nil
		}
		if err != nil {
			return pagination.Batch[driver.Resource]{}, err
		}
		return d.adapt.hotel.Each(ctx, d.api, []json.RawMessage{raw}), nil
	})
}

// TransactionsByID implements driver.TransactionGetter by getReservationsWithRateDetails with a list of ids: a row that
// does not come is not there.
func (d *Driver) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	return pagination.ByID(ctx, ids, reservationsPage, func(ctx context.Context,
		ids []string) (pagination.Batch[driver.Transaction], error) {
		q := url.Values{"reservationID": {strings.Join(ids, ",")}, "includeDeleted": {"true"}, "pageNumber": {"1"},
			"pageSize": {strconv.Itoa(reservationsPage)}}
		if d.property != "" {
			q.Set("propertyID", d.property)
		}
		env, r, err := d.call(ctx, opReservations, "/"+opReservations, q)
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, err
		}
		rows, err := env.rows("reservationID")
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, d.failed(opReservations, r, err)
		}
		for _, raw := range rows {
			// Rows that were not asked for say that the filter was ignored, and then a row that is missing says
			// nothing.
			if id := wire.ID(raw, "reservationID"); id != "" && !slices.Contains(ids, id) {
				return pagination.Batch[driver.Transaction]{}, d.failed(opReservations, r, errIgnored)
			}
		}
		rows = slices.DeleteFunc(rows, func(raw json.RawMessage) bool { return !of(raw, d.property) })
		return d.adapt.reservation.Each(ctx, d.api, rows), nil
	})
}

// Media implements driver.MediaLister: the photos of getHotelDetails, the property's own first. They have no ids; one
// is made from the URL. A property that is not there is an error that wraps driver.ErrNotFound.
func (d *Driver) Media(ctx context.Context, resourceID string) pagination.Pages[driver.Media] {
	return pagination.Token(ctx, pagination.Start{Stream: "cloudbeds/photos/1"},
		func(ctx context.Context, _ string) (pagination.Batch[driver.Media], error) {
			raw, r, err := d.hotel(ctx, resourceID)
			if unknown(err) || err == nil && wire.ID(raw, "propertyID") != resourceID {
				err = d.failed(opDetails, r, driver.ErrNotFound)
			}
			if err != nil {
				return pagination.Batch[driver.Media]{}, err
			}
			b := d.adapt.photo(resourceID).Each(ctx, d.api, photos(raw))
			seen := map[string]bool{}
			b.Items = slices.DeleteFunc(b.Items, func(m driver.Media) bool {
				again := seen[m.ID]
				seen[m.ID] = true
				return again
			})
			for i := range b.Items {
				b.Items[i].Position = driver.Some(i)
			}
			return b, nil
		})
}

// paging is a strategy of pages by number.
type paging func(ctx context.Context, s pagination.Start, first, size int, id func(json.RawMessage) string,
	fetch func(ctx context.Context, page, size int) (pagination.Batch[json.RawMessage],
		error)) pagination.Pages[json.RawMessage]

// list pages through a collection by page number.
func list[T any](ctx context.Context, d *Driver, by paging, s pagination.Start, op, id string, size int,
	query url.Values,
	keep func(json.RawMessage) bool, adapt wire.Decoder[T]) pagination.Pages[T] {
	name := func(raw json.RawMessage) string { return wire.ID(raw, id) }
	rows := by(ctx, s, 1, size, name, func(ctx context.Context, number, size int) (pagination.Batch[json.RawMessage],
		error) {
		q := maps.Clone(query)
		q.Set("pageNumber", strconv.Itoa(number))
		q.Set("pageSize", strconv.Itoa(size))
		env, r, err := d.call(ctx, op, "/"+op, q)
		if err != nil {
			return pagination.Batch[json.RawMessage]{}, err
		}
		rows, err := env.rows(id)
		if err != nil {
			return pagination.Batch[json.RawMessage]{}, d.failed(op, r, err)
		}
		b := pagination.Batch[json.RawMessage]{Items: rows, Total: env.total}
		if env.counted && env.total == 0 && len(rows) == 0 {
			b.More = pagination.No
		}
		return b, nil
	})
	return pagination.Decode(rows, func(rows []json.RawMessage) pagination.Batch[T] {
		return adapt.Each(ctx, d.api, slices.DeleteFunc(rows, func(raw json.RawMessage) bool { return !keep(raw) }))
	})
}

// call makes a call and reads the envelope of its answer. A refusal that the classifier did not see, because success
// stood behind more than it looks at, is found here.
func (d *Driver) call(ctx context.Context, op, path string, query url.Values) (envelope, *driver.Response, error) {
	r, err := driver.Get[*driver.Response](ctx, d.api, op, path, query)
	if err != nil {
		return envelope{}, nil, err
	}
	env, err := readEnvelope(r.Body, r.Header.Get("Content-Type"))
	if err != nil {
		return envelope{}, r, d.failed(op, r, err)
	}
	if env.refused {
		e := d.failed(op, r, errRefused)
		e.Verdict, e.Message = refusal(env.message), say(env.message)
		return envelope{}, r, e
	}
	return env, r, nil
}
