package airbnb

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/internal/sampletest"
)

var same, sample = sampletest.Same, sampletest.File

// rowsOf returns the records of a sample, of a list or of one.
func rowsOf(t testing.TB, name string) []json.RawMessage {
	t.Helper()
	var p page
	if err := json.Unmarshal(sample(t, name), &p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p.rows
}

func oddities(odd []driver.Oddity) string {
	var all []string
	for _, o := range odd {
		all = append(all, o.Field+": "+string(o.Change))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// decode decodes the records of a sample, which must be valid and without oddities, and compares them.
func decode[T any](t *testing.T, name string, d wire.Decoder[T], want ...string) {
	t.Helper()
	rows := rowsOf(t, name)
	if len(rows) != len(want) {
		t.Fatalf("%s: %d rows, want %d", name, len(rows), len(want))
	}
	for i, raw := range rows {
		r, odd, err := d.One(raw)
		if err != nil || len(odd) > 0 {
			t.Errorf("%s: %v, odd: %s", name, err, oddities(odd))
		}
		same(t, r, want[i])
		if err := driver.Validate(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSampleListings(t *testing.T) {
	d := adapters[v1].listing
	decode(t, "listing.json", d, `{"id": "21000417", "name": "Canal Loft", "listed": false, "status": "inactive", "type": "apartment", "structure": "entire_home",
		"bedrooms": 1, "bathrooms": 1, "beds": 2, "capacity": 3, "amenities": ["tv", "kitchen", "hair-dryer", "wireless_internet"],
		"address": {"street": "Example Quay 8", "city": "Gent", "postal_code": "9000", "country": "BE", "lat": 51.054, "lng": 3.725},
		"base_price": {"amount": 9600, "currency": "EUR"}, "currency": "EUR"}`)
	decode(t, "listings.json", d, `{"id": "1180000000000000417", "name": "Hill Hut", "internal_name": null, "listed": true, "status": "active", "type": "hut",
		"structure": "entire_home", "bedrooms": 1, "bathrooms": 1, "beds": 2, "capacity": 3, "amenities": ["pool", "patio"],
		"address": {"lat": 40.1, "lng": -3.9}, "base_price": {"amount": 20200, "currency": "EUR"}, "currency": "EUR"}`)
	decode(t, "listings-nested.json", d, `{"id": "21000418", "name": "Attic Room", "structure": "private_room", "bathrooms": 2,
		"address": {"lat": 51.054, "lng": 3.725}, "base_price": {"amount": 4100, "currency": "EUR"}, "currency": "EUR"}`)
}

func TestSampleReservations(t *testing.T) {
	d := adapters[v1].reservation
	decode(t, "reservation.json", d, `{"id": "HMEXAMPLE1", "code": "HMEXAMPLE1", "updated_at": "2026-03-01T10:05:00Z", "created_at": "2026-03-01T10:00:00Z",
		"confirmed_at": "2026-03-01T10:05:00Z", "resource_id": "21000417", "status": "confirmed", "status_text": "accept", "start": "2026-07-03",
		"end": "2026-07-06", "nights": 3, "party": {"total": 3, "adults": 2, "children": 1}, "customer": {"id": "810022", "name": "Lea Muster",
		"first_name": "Lea", "last_name": "Muster", "email": "lea-0000000000@guest.airbnb.com", "phone": "+32 400 00 00 00"}, "currency": "EUR",
		"fare": {"amount": 28800, "currency": "EUR"}, "fees": {"amount": 3500, "currency": "EUR"}, "taxes": {"amount": 945, "currency": "EUR"},
		"total": {"amount": 34495, "currency": "EUR"}, "commission": {"amount": 969, "currency": "EUR"}, "payout": {"amount": 31331, "currency": "EUR"},
		"lines": [{"title": "linen fee", "type": "PASS_THROUGH_LINEN_FEE", "amount": {"amount": 1250, "currency": "EUR"}}]}`)
	decode(t, "reservation-canceled.json", d, `{"id": "HMEXAMPLE2", "code": "HMEXAMPLE2", "updated_at": "2026-04-09T19:30:11Z", "created_at": "2026-04-02T08:00:00Z",
		"confirmed_at": "2026-04-02T08:00:04Z", "resource_id": "1180000000000000417", "status": "canceled", "status_text": "cancelled_by_guest",
		"start": "2026-08-10", "end": "2026-08-12", "start_at": "2026-08-10T13:00:00Z", "nights": 2, "party": {"total": 2},
		"customer": {"id": "810023", "name": "Sam", "first_name": "Sam"}, "currency": "EUR", "fare": {"amount": 40400, "currency": "EUR"},
		"payout": {"amount": 0, "currency": "EUR"}}`)
	decode(t, "reservations.json", d, `{"id": "HMEXAMPLE3", "code": "HMEXAMPLE3", "updated_at": "2026-05-05T12:00:00Z", "created_at": "2026-05-05T12:00:00Z",
		"confirmed_at": null, "resource_id": "21000417", "status": "pending", "status_text": "pending", "start": "2026-09-01", "end": "2026-09-04",
		"nights": 3, "party": {"total": 1}, "customer": {"id": "810024"}, "currency": "EUR", "payout": {"amount": 27984, "currency": "EUR"}}`)
}

func TestOddReservations(t *testing.T) {
	for _, tt := range []struct{ in, want, odd, err string }{
		{`{"confirmation_code": "HMA", "start_date": "2026-07-03", "nights": "2"}`,
			`{"id": "HMA", "code": "HMA", "start": "2026-07-03", "end": "2026-07-05", "nights": 2}`, "", ""},
		{`{"confirmation_code": "HMA", "status_type": "levitating"}`,
			`{"id": "HMA", "code": "HMA", "status": "other", "status_text": "levitating"}`, "status_type: value", ""},
		{`{"confirmation_code": "HMA", "start_date": "2026-07-03", "end_date": "2026-07-01"}`, "", "", errEnds.Error()},
		{`{"confirmation_code": "HMA", "start_date": "soon"}`, "", "start_date: type", "start_date"},
		{`{"confirmation_code": ""}`, "", "", "confirmation_code"},
		{`{"start_date": "2026-07-03"}`, "", "", "confirmation_code"},
		{`{"confirmation_code": "HMA", "host_currency": "EUR", "listing_base_price": 20, "listing_base_price_accurate": "20.45", "listing_host_fee": 3}`,
			`{"id": "HMA", "code": "HMA", "currency": "EUR", "fare": {"amount": 2045, "currency": "EUR"}, "commission": {"amount": 300, "currency": "EUR"}}`, "", ""},
		{`{"confirmation_code": "HMA", "host_currency": "EUR", "transient_occupancy_tax_details": [{"name": "City tax", "tax_type": "T", "amount_native": 4.5, "native_currency": "USD"}]}`,
			`{"id": "HMA", "code": "HMA", "currency": "EUR", "lines": [{"title": "City tax", "type": "T", "tax": true, "amount": {"amount": 450, "currency": "USD"}}]}`, "", ""},
		{`{"confirmation_code": "HMA", "check_in_datetime": "noon"}`, `{"id": "HMA", "code": "HMA"}`,
			"check_in_datetime: type", ""},
		{`{"confirmation_code": "HMA", "guest_details": {"number_of_adults": 2, "number_of_children": 1, "number_of_infants": 1}}`,
			`{"id": "HMA", "code": "HMA", "party": {"total": 3, "adults": 2, "children": 1, "infants": 1}}`, "", ""},
	} {
		r, odd, err := adapters[v1].reservation.One([]byte(tt.in))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want one with %q", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || oddities(odd) != tt.odd {
			t.Errorf("%s: %v, odd %q, want %q", tt.in, err, oddities(odd), tt.odd)
		}
		same(t, r, tt.want)
	}
}

func TestOddListings(t *testing.T) {
	for in, want := range map[string]string{
		`{"id": 7, "id_str": "8", "wifi_password": "canary", "house_manual": "canary"}`:        `{"id": "8"}`,
		`{"id": 7, "amenities": {"POOL": {"is_present": true}, "GYM": {"is_present": false}}}`: `{"id": "7", "amenities": ["pool"]}`,
		`{"id": 7, "check_in_time": "25", "check_out_time": 11}`:                               `{"id": "7", "check_in_from": "01:00", "check_out_by": "11:00"}`,
		`{"id": 7, "check_in_time": "FLEXIBLE"}`:                                               `{"id": "7", "check_in_from": null}`,
		`{"id": 7, "street": "A 1", "apt": "2B"}`:                                              `{"id": "7", "address": {"street": "A 1 2B"}}`,
	} {
		r, odd, err := adapters[v1].listing.One([]byte(in))
		if err != nil || len(odd) > 0 {
			t.Errorf("%s: %v, odd %s", in, err, oddities(odd))
		}
		same(t, r, want)
		if strings.Contains(string(r.Raw), "canary") {
			t.Errorf("what is private is kept: %s", r.Raw)
		}
	}
	if _, odd, _ := adapters[v1].listing.One([]byte(`{"id": 7, "check_in_time": 99}`)); oddities(odd) != "check_in_time: type" {
		t.Errorf("an hour beyond the day: %s", oddities(odd))
	}
}

func TestSampleCalendar(t *testing.T) {
	var r one
	if err := json.Unmarshal(sample(t, "calendar.json"), &r); err != nil {
		t.Fatal(err)
	}
	o := wire.Fields(r.raw)
	want := []string{
		`{"resource_id": "21000417", "date": "2026-07-01", "status": "available", "status_text": "available", "price": {"amount": 9600, "currency": "EUR"},
			"min_stay": 2, "max_stay": 28, "closed": false, "closed_to_arrival": false, "closed_to_departure": false}`,
		`{"resource_id": "21000417", "date": "2026-07-02", "status": "other", "status_text": "unavailable", "price": {"amount": 9600, "currency": "EUR"},
			"min_stay": 2, "max_stay": 28, "closed": true, "closed_to_arrival": true, "closed_to_departure": false}`,
	}
	for i, raw := range rows(o.Raw("days")) {
		d, odd, err := adapters[v1].day("21000417", o.Currency("listing_currency")).One(raw)
		if err != nil || len(odd) > 0 {
			t.Errorf("day %d: %v, odd %s", i, err, oddities(odd))
		}
		same(t, d, want[i])
	}
	if _, _, err := adapters[v1].day("1", driver.Some("EUR")).One([]byte(`{"availability": "available"}`)); err == nil {
		t.Error("a day without a date")
	}
}

func TestPages(t *testing.T) {
	for in, want := range map[string]struct{ rows, total int }{
		`{"listings": [], "paging": {"total_count": 0}}`:                                   {0, 0},
		`{"listings": [{"id": 1}, {"id": 2}], "paging": {"total_count": 9}}`:               {2, 9},
		`{"listings": [{"id": 1}], "metadata": {"record_count": 8, "listing_count": "7"}}`: {1, 7},
		`{"reservations": {"confirmation_code": "A"}}`:                                     {1, 0},
		`{"listing_photo": {"id": 1}}`:                                                     {1, 0},
	} {
		var p page
		if err := json.Unmarshal([]byte(in), &p); err != nil || len(p.rows) != want.rows || p.total != want.total {
			t.Errorf("%s: %v, %d rows of %d", in, err, len(p.rows), p.total)
		}
	}
	for _, in := range []string{`{}`, `[]`, `{"listings": null}`, `{"listings": "x"}`, `{"error": "x"}`} {
		if err := json.Unmarshal([]byte(in), new(page)); err == nil {
			t.Errorf("%s is a list", in)
		}
		if err := json.Unmarshal([]byte(in), new(one)); err == nil {
			t.Errorf("%s is a record", in)
		}
	}
}

func TestSampleErrors(t *testing.T) {
	for name, want := range map[string][2]string{
		"error-400.json": {"", ""}, "error-401.json": {"authentication_required", ""},
		"error-403.json": {"no_access", "error_id api_frwrk_00112233445566778899aabbccddeeff"},
	} {
		if code, message := explain(0, sample(t, name)); [2]string{code, message} != want {
			t.Errorf("%s: %q, %q, want %q", name, code, message, want)
		}
	}
}
