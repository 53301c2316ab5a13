package sketch

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// Guesty: offset paging, envelopes of JSON items. The short way that most drivers take.
type guesty struct{ api *driver.Client }

var (
	_ driver.ResourceLister    = guesty{}
	_ driver.TransactionLister = guesty{}
	_ driver.MediaLister       = guesty{}
)

type envelope struct {
	Results []json.RawMessage `json:"results"`
	Count   int               `json:"count"`
}

func (guesty) Info() driver.Info { return driver.Info{Partner: "guesty"} }

func (g guesty) Check(ctx context.Context) error {
	_, err := driver.Get[json.RawMessage](ctx, g.api, "accounts.me", "/accounts/me", nil)
	return err
}

func (g guesty) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	return pagination.Offset(ctx, pagination.From("guesty/listings/1", q.Cursor), 100,
		func(ctx context.Context, off, n int) (pagination.Batch[driver.Resource], error) {
			env, err := driver.Get[envelope](ctx, g.api, "listings.list", "/listings", window(off, n))
			if err != nil {
				return pagination.Batch[driver.Resource]{}, err
			}
			b := driver.Each(env.Results, resource)
			b.Total = env.Count
			return b, nil
		})
}

func (g guesty) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	return pagination.Fail[driver.Transaction](q.Cursor, driver.ErrNotFound)
}

func (g guesty) Media(ctx context.Context, id string) pagination.Pages[driver.Media] {
	return pagination.Fail[driver.Media]("", driver.ErrNotFound)
}

func window(off, n int) url.Values {
	return url.Values{"skip": {strconv.Itoa(off)}, "limit": {strconv.Itoa(n)}, "sort": {"_id"}}
}

func resource(raw json.RawMessage) (driver.Resource, error) {
	var w struct {
		ID string `json:"_id"`
	}
	err := json.Unmarshal(raw, &w)
	return driver.Resource{Record: driver.Record{ID: w.ID, Raw: raw}}, err
}

// Cloudbeds: page numbers, a form for every write, 200 with success:false.
type cloudbeds struct{ api *driver.Client }

var (
	_ driver.TransactionLister = cloudbeds{}
	_ driver.StatusPusher      = cloudbeds{}
)

func (cloudbeds) Info() driver.Info               { return driver.Info{Partner: "cloudbeds"} }
func (cloudbeds) Check(ctx context.Context) error { return nil }

func (c cloudbeds) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	return pagination.Number(ctx, pagination.From("cloudbeds/reservations/1", q.Cursor), 1, 100,
		func(ctx context.Context, page, size int) (pagination.Batch[driver.Transaction], error) {
			env, err := driver.Get[struct {
				Data  []json.RawMessage `json:"data"`
				Total int               `json:"total"`
			}](ctx, c.api, "getReservationsWithRateDetails", "/getReservationsWithRateDetails", url.Values{"pageNumber": {strconv.Itoa(page)}, "pageSize": {strconv.Itoa(size)}})
			if err != nil {
				return pagination.Batch[driver.Transaction]{}, err
			}
			b := driver.Each(env.Data, transaction)
			b.Total = env.Total
			return b, nil
		})
}

func (c cloudbeds) PushStatus(ctx context.Context, key driver.EffectKey, id string, s driver.TransactionStatus) (driver.Effect, error) {
	ctx = retry.WithIdempotencyKey(ctx, string(key)) // the partner takes none: a lost answer ends in an error, not in a second write
	_, err := driver.Post[json.RawMessage](ctx, c.api, "putReservation", "/putReservation", url.Values{"reservationID": {id}, "status": {string(s)}})
	return driver.Effect{ID: id}, err
}

// The dialect of a partner that says 200 and means no.
var successFalse = retry.Classifier{
	PeekBody: func(*http.Response) int { return 64 },
	Classify: func(x retry.Exchange) (retry.Verdict, bool) { return retry.Verdict{}, false },
}

func transaction(raw json.RawMessage) (driver.Transaction, error) {
	return driver.Transaction{Record: driver.Record{ID: "1", Raw: raw}}, nil
}

// Airbnb: offset paging with a next cursor, per-operation limits.
type airbnb struct{ api *driver.Client }

var (
	_ driver.ResourceLister = airbnb{}
	_ driver.ResourceGetter = airbnb{}
)

func (airbnb) Info() driver.Info               { return driver.Info{Partner: "airbnb"} }
func (airbnb) Check(ctx context.Context) error { return nil }

func (a airbnb) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	return pagination.Token(ctx, pagination.From("airbnb/listings/1", q.Cursor),
		func(ctx context.Context, cursor string) (pagination.Batch[driver.Resource], error) {
			env, err := driver.Get[struct {
				Listings []json.RawMessage `json:"listings"`
				Paging   struct {
					Next string `json:"next_cursor"`
				} `json:"paging"`
			}](ctx, a.api, "listings.list", "/listings", url.Values{"_cursor": {cursor}})
			if err != nil {
				return pagination.Batch[driver.Resource]{}, err
			}
			b := driver.Each(env.Listings, resource)
			b.Next = env.Paging.Next
			return b, nil
		})
}

func (a airbnb) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return func(yield func(pagination.Page[driver.Resource], error) bool) {
		for _, id := range ids {
			raw, err := driver.Get[json.RawMessage](ctx, a.api, "listings.get", driver.Path("/listings/{}", id), nil)
			if err != nil {
				yield(pagination.Page[driver.Resource]{}, err)
				return
			}
			b := driver.Each([]json.RawMessage{raw}, resource)
			if !yield(pagination.Page[driver.Resource]{Items: b.Items, Rejected: b.Rejected}, nil) {
				return
			}
		}
	}
}

// Booking.com: one queue for all properties of a machine account, in XML. It is read, stored, and only then acknowledged; what is not
// acknowledged comes again.
type bookingcom struct {
	api     *driver.Client
	machine string
}

var _ driver.QueueSource = bookingcom{}

type hotelResNotif struct {
	XMLName      xml.Name `xml:"OTA_HotelResNotifRQ"`
	Reservations []struct {
		Inner []byte `xml:",innerxml"`
	} `xml:"HotelReservations>HotelReservation"`
}

type acknowledgement struct {
	XMLName xml.Name `xml:"OTA_HotelResNotifRS"`
	IDs     []string `xml:"HotelReservations>HotelReservation>HotelReservationID"`
}

func (bookingcom) Info() driver.Info               { return driver.Info{Partner: "bookingcom"} }
func (bookingcom) Check(ctx context.Context) error { return nil }
func (b bookingcom) Queue() string                 { return "bookingcom/" + b.machine }

func (b bookingcom) Receive(ctx context.Context) pagination.Pages[driver.Message] {
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		ctx := retry.WithIdempotent(ctx, false)
		env, err := driver.Get[hotelResNotif](ctx, b.api, "reservations.new", "/OTA_HotelResNotif", nil)
		if err != nil {
			yield(pagination.Page[driver.Message]{}, err)
			return
		}
		p := pagination.Page[driver.Message]{Receipt: []string{}}
		for _, r := range env.Reservations {
			p.Items = append(p.Items, driver.Message{Body: r.Inner})
		}
		yield(p, nil)
	}
}

func (b bookingcom) Acknowledge(ctx context.Context, receipt any) error {
	ids, _ := receipt.([]string)
	_, err := driver.Post[[]byte](retry.WithIdempotent(ctx, true), b.api, "reservations.ack", "/OTA_HotelResNotif", driver.XML{Value: acknowledgement{IDs: ids}})
	return err
}

func (bookingcom) Parse(m driver.Message) (pagination.Batch[driver.Transaction], error) {
	return driver.Each([]json.RawMessage{m.Body}, transaction), nil
}
