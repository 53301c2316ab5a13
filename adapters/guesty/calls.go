package guesty

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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
	pageSize   = 100 // the most that /listings, /reservations and the v3 search give
	v3IDs      = 10  // the most ids that /reservations-v3 takes
	listFields = "_id accountId createdAt lastUpdatedAt type nickname title isListed active pms.active " +
		"propertyType roomType accommodates bedrooms bathrooms beds areaSquareFeet address timezone " +
		"defaultCheckInTime defaultCheckOutTime picture amenities terms prices tags customFields " +
		"publicDescription.summary"
	// Only a few fields come unasked; without status a canceled stay looks alive.
	reservationFields = "_id accountId listingId guestId confirmationCode status checkIn checkOut " +
		"checkInDateLocalized checkOutDateLocalized plannedArrival plannedDeparture nightsCount guestsCount " +
		"numberOfGuests source integration.platform money guest listing._id listing.timezone " +
		"listing.defaultCheckInTime listing.defaultCheckOutTime createdAt confirmedAt canceledAt lastUpdatedAt " +
		"customFields note notes mtl"
)

// Resources implements driver.ResourceLister by GET /listings. Guesty documents no filter by time of update for
// listings: UpdatedSince is not used, and every run lists all.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "guesty/listings/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	return list(ctx, d, s, "listings.list", "/listings", url.Values{"fields": {listFields}}, all, d.adapt.listing)
}

func all(json.RawMessage) bool { return true }

// ResourcesByID implements driver.ResourceGetter by GET /listings?ids=…, a hundred at a time. A listing that is not
// in the answer is asked for by itself before it is taken for gone: whether the list leaves out inactive ones is
// documented both ways.
func (d *Driver) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return pagination.ByID(ctx, ids, pageSize,
		func(ctx context.Context, ids []string) (pagination.Batch[driver.Resource], error) {
			q := url.Values{"ids": {strings.Join(ids, ",")}, "fields": {listFields}, "limit": {strconv.Itoa(len(ids))}}
			p, err := driver.Get[page](ctx, d.api, "listings.list", "/listings", q)
			if err != nil {
				return pagination.Batch[driver.Resource]{}, err
			}
			rows, err := d.missing(ctx, asked(p.rows, ids), ids, "listings.get", "/listings/{}",
				url.Values{"fields": {listFields}})
			return d.adapt.listing.Each(ctx, d.api, rows), err
		})
}

// Transactions implements driver.TransactionLister, in the integration's [Family].
func (d *Driver) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	s := pagination.Start{Cursor: q.Cursor, MaxPages: q.MaxPages}
	// An offset counts the rows of one selection, so a cursor is bound to it.
	selection := "/1"
	if q.ResourceID != "" {
		selection += "/" + q.ResourceID
	}
	// The selection is checked again here: a server that did not honour it sends everything.
	keep := func(raw json.RawMessage) bool { return q.ResourceID == "" || ofListing(raw, q.ResourceID) }
	if d.family == Classic {
		var filters []filter
		if q.ResourceID != "" {
			filters = append(filters, filter{"listingId", "$eq", q.ResourceID})
		}
		if !q.UpdatedSince.IsZero() {
			// $gte on lastUpdatedAt is not documented; it is what a client is known to use in production. No filter
			// on status beside it: a cancellation is an update like any other.
			since := q.UpdatedSince.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000Z")
			filters = append(filters, filter{"lastUpdatedAt", "$gte", since})
			selection += "/since/" + since
		}
		query := url.Values{"fields": {reservationFields}}
		if len(filters) > 0 {
			text, err := json.Marshal(filters)
			if err != nil {
				return pagination.Fail[driver.Transaction](q.Cursor, err)
			}
			query.Set("filters", string(text))
		}
		s.Stream = "guesty/reservations" + selection
		return list(ctx, d, s, "reservations.list", "/reservations", query, keep, d.adapt.reservation)
	}
	query := url.Values{}
	if q.ResourceID != "" {
		query.Set("filter[listingId]", q.ResourceID)
	}
	s.Stream = "guesty/reservations-v3" + selection
	return list(ctx, d, s, "reservations-v3.search", "/reservations-v3/search", query, keep, d.adapt.reservation)
}

// filter is one condition of the classic family's filters parameter.
type filter struct {
	Field    string `json:"field"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// ofListing reports whether a reservation is of the listing. One that does not say is taken to be.
func ofListing(raw json.RawMessage, id string) bool {
	o := wire.Fields(raw)
	ids := []string{o.Word("listingId").Or("")}
	rooms, _ := o.Objects("stay").Get()
	for _, r := range rooms {
		ids = append(ids, r.Word("unitTypeId").Or(""), r.Word("unitId").Or(""))
	}
	ids = slices.DeleteFunc(ids, func(s string) bool { return s == "" })
	return len(ids) == 0 || slices.Contains(ids, id)
}

// TransactionsByID implements driver.TransactionGetter: v3 reads ten at a time, the classic family one by one.
func (d *Driver) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	size := v3IDs
	if d.family == Classic {
		size = 1
	}
	return pagination.ByID(ctx, ids, size,
		func(ctx context.Context, ids []string) (pagination.Batch[driver.Transaction], error) {
			rows, err := d.reservations(ctx, ids)
			return d.adapt.reservation.Each(ctx, d.api, rows), err
		})
}

// reservations reads reservations by id, in the integration's family.
func (d *Driver) reservations(ctx context.Context, ids []string) ([]json.RawMessage, error) {
	if d.family == Classic {
		return d.missing(ctx, nil, ids, "reservations.get", "/reservations/{}",
			url.Values{"fields": {reservationFields}})
	}
	return d.v3(ctx, ids)
}

// v3 reads reservations by id. Whether one unknown id makes the answer for all of them a 404 is not documented, so
// then each is asked for by itself.
func (d *Driver) v3(ctx context.Context, ids []string) ([]json.RawMessage, error) {
	p, err := driver.Get[page](ctx, d.api, "reservations-v3.get", "/reservations-v3",
		url.Values{"reservationIds[]": ids})
	if err == nil {
		return asked(p.rows, ids), nil
	}
	if !notFound(err) {
		return nil, err
	}
	if len(ids) == 1 {
		return nil, nil
	}
	var found []json.RawMessage
	for _, id := range ids {
		rows, err := d.v3(ctx, []string{id})
		if err != nil {
			return nil, err
		}
		found = append(found, rows...)
	}
	return found, nil
}

// asked leaves out the rows that were not asked for: a server that does not honour the selection sends everything. A
// row whose id cannot be read stays, to be rejected.
func asked(rows []json.RawMessage, ids []string) []json.RawMessage {
	return slices.DeleteFunc(slices.Clone(rows), func(raw json.RawMessage) bool {
		id := rowID(raw)
		return id != "" && !slices.Contains(ids, id)
	})
}

// Media implements driver.MediaLister by GET /properties-api/property-photos/property-photos/{id}, which sends all
// photos at once; they are in the order of their index. A listing that is not there is an error that wraps
// driver.ErrNotFound.
func (d *Driver) Media(ctx context.Context, resourceID string) pagination.Pages[driver.Media] {
	const op = "property-photos.list"
	return pagination.Token(ctx, pagination.Start{Stream: "guesty/photos/1"}, func(ctx context.Context,
		_ string) (pagination.Batch[driver.Media], error) {
		p, err := driver.Get[page](ctx, d.api, op, driver.Path("/properties-api/property-photos/property-photos/{}",
			resourceID), nil)
		if notFound(err) {
			err = fmt.Errorf("%w: %w", driver.ErrNotFound, err)
		}
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

// list pages through a collection by skip and limit. The order is _id's, which is unique and does not move when records
// change; the default orders, by title or newest first, lose and repeat rows while data change.
func list[T any](ctx context.Context, d *Driver, s pagination.Start, op, path string, query url.Values,
	keep func(json.RawMessage) bool,
	adapt wire.Decoder[T]) pagination.Pages[T] {
	query.Set("sort", "_id")
	rows := pagination.Offset(ctx, s, pageSize, rowID,
		func(ctx context.Context, skip, limit int) (pagination.Batch[json.RawMessage], error) {
			q := maps.Clone(query)
			q.Set("skip", strconv.Itoa(skip))
			q.Set("limit", strconv.Itoa(limit))
			p, err := driver.Get[page](ctx, d.api, op, path, q)
			return batch(p, limit), err
		})
	return pagination.Decode(rows, func(rows []json.RawMessage) pagination.Batch[T] {
		return adapt.Each(ctx, d.api, slices.DeleteFunc(rows, func(raw json.RawMessage) bool { return !keep(raw) }))
	})
}

// missing adds to rows those of ids that are not among them and that the partner gives when asked for one.
func (d *Driver) missing(ctx context.Context, rows []json.RawMessage, ids []string, op, path string,
	query url.Values) ([]json.RawMessage, error) {
	have := map[string]bool{}
	for _, raw := range rows {
		have[rowID(raw)] = true
	}
	for _, id := range ids {
		if have[id] {
			continue
		}
		one, err := driver.Get[row](ctx, d.api, op, driver.Path(path, id), query)
		if notFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, json.RawMessage(one))
	}
	return rows, nil
}

// row is the answer for one id: an object.
type row json.RawMessage

// UnmarshalJSON refuses what is no object.
func (r *row) UnmarshalJSON(b []byte) error {
	if wire.TypeOf(b) != '{' {
		return errNoRow
	}
	*r = bytes.Clone(b)
	return nil
}

var errNoRow = errors.New("not an object")

// notFound reports whether err is the partner's answer that there is no such thing.
func notFound(err error) bool {
	e, ok := errors.AsType[*retry.Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}
