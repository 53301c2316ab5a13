package cloudbeds

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/internal/sampletest"
	"github.com/integrationkit/integrationkit/retry"
)

var same = sampletest.Same

func sample(t testing.TB, name string) []byte {
	t.Helper()
	return sampletest.File(t, name+".json")
}

// rowsOf returns the rows of a sample.
func rowsOf(t testing.TB, name, id string) []json.RawMessage {
	t.Helper()
	env, err := readEnvelope(sample(t, name), "application/json")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := env.rows(id)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func oddities(odd []driver.Oddity) string {
	var all []string
	for _, o := range odd {
		all = append(all, o.Field+": "+o.Detail)
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

func TestSampleHotels(t *testing.T) {
	for name, want := range map[string][]string{
		"hotels-currency-array": {`{"id": "190001", "name": "Sample Bay Hostel", "description": "By the <b>bay</b>.", "time_zone": "Europe/Lisbon",
			"currency": "EUR", "cover_url": "https://images.example.com/bay.jpg"}`},
		"hotels-currency-object": {
			`{"id": "190001", "name": "Sample Bay Hostel", "description": "", "time_zone": "Europe/Lisbon", "currency": "EUR", "cover_url": null}`,
			`{"id": "190002", "name": "Sample Hill Inn", "description": "", "time_zone": "Asia/Ho_Chi_Minh", "currency": "VND", "cover_url": null}`,
		},
		"hotel-details": {`{"id": "190001", "name": "Sample Bay Hostel", "type": "hostel", "description": "By the bay.", "currency": "EUR",
			"cover_url": "https://images.example.com/bay.jpg", "check_in_from": "15:00", "check_out_by": "11:00", "amenities": ["Wi-Fi", "Bar"],
			"address": {"street": "1 Sample Pier", "city": "Sampleport", "postal_code": "0000-001", "country": "PT", "lat": 38.7001, "lng": -9.1002}}`},
		"hotel-details-thin": {`{"id": "190002", "name": "Sample Hill Inn", "currency": "VND", "cover_url": null, "check_in_from": "14:00", "check_out_by": "12:00",
			"amenities": [], "address": {"country": "VN"}}`},
	} {
		rows := rowsOf(t, name, "propertyID")
		if len(rows) != len(want) {
			t.Fatalf("%s: %d rows, want %d", name, len(rows), len(want))
		}
		for i, raw := range rows {
			r, odd, err := adapters[v1].hotel.One(raw)
			if err != nil || len(odd) > 0 {
				t.Errorf("%s: %v, %s", name, err, oddities(odd))
			}
			same(t, r, want[i])
			if err := driver.Validate(r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestSamplePhotos(t *testing.T) {
	var urls []string
	for _, raw := range photos(rowsOf(t, "hotel-details", "propertyID")[0]) {
		m, _, err := adapters[v1].photo("190001").One(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := driver.Validate(m); err != nil || len(m.ID) != 24 || m.ResourceID != "190001" {
			t.Errorf("%+v, %v", m, err)
		}
		urls = append(urls, m.URL.Or(""), m.ThumbnailURL.Or(""))
	}
	want := []string{"https://images.example.com/bay.jpg", "https://images.example.com/bay_t.jpg",
		"https://images.example.com/bar.jpg", "https://images.example.com/bar_t.jpg"}
	if !slices.Equal(urls, want) {
		t.Errorf("%q, want %q", urls, want)
	}
	if got := photos([]byte(`{"propertyImage": "https://i.example.com/1.jpg", "propertyAdditionalPhotos": ["", "//i.example.com/2.jpg"]}`)); len(got) != 2 {
		t.Errorf("images as texts: %d photos", len(got))
	}
	for _, raw := range []string{`7`, `{}`, `{"image": "javascript:x"}`} {
		if _, _, err := adapters[v1].photo("1").One([]byte(raw)); err == nil {
			t.Errorf("%s is a photo", raw)
		}
	}
	if photos([]byte(`[]`)) != nil {
		t.Error("photos of what is no property")
	}
}

const adaStay = `"customer": {"id": "50400123"}`

func TestSampleReservations(t *testing.T) {
	for name, want := range map[string][]string{
		"reservations-rate-details": {`{"id": "7736451029384", "updated_at": "2026-10-29T09:12:44Z", "created_at": "2026-10-28T18:40:02Z", "resource_id": "190001",
			"unit_id": "514201-0", "code": "4400112233", "status": "confirmed", "status_text": "confirmed", "channel": "s-2-1", "source": "Booking.com",
			"start": "2026-12-02", "end": "2026-12-05", "nights": 3, "party": {"total": 2, "adults": 2}, ` + adaStay + `, "currency": "EUR",
			"taxes": {"amount": 2840, "currency": "EUR"}, "subtotal": {"amount": 60000, "currency": "EUR"}, "total": {"amount": 62840, "currency": "EUR"},
			"paid": {"amount": 50000, "currency": "EUR"}, "balance": {"amount": 12840, "currency": "EUR"}, "stays": []}`},
		"reservations": {
			`{"id": "7736451029384", "resource_id": "190001", "code": "4400112233", "status": "confirmed", "status_text": "confirmed", "channel": "s-2-1",
			"source": "Booking.com", "start": "2026-12-02", "end": "2026-12-05", "nights": 3, "party": {"total": 2, "adults": 2},
			"customer": {"id": "50400123", "name": "Ada Example"}}`,
			`{"id": "1029384756102", "resource_id": "190001", "code": null, "status": "canceled", "status_text": "canceled", "channel": "s-3",
			"source": "Walk-In", "start": "2026-11-10", "end": "2026-11-12", "nights": 2, "party": {"total": 1, "adults": 1},
			"customer": {"id": "50400124", "name": "B. Sample"}}`,
		},
		"reservation": {`{"id": "7736451029384", "resource_id": "190001", "unit_id": null, "code": "4400112233", "status": "confirmed", "status_text": "confirmed",
			"channel": "s-2-1", "source": "Booking.com", "start": "2026-12-02", "end": "2026-12-05", "nights": 3, "arrival_time": "18:30",
			"party": {"total": 3, "adults": 3}, "customer": {"id": "50400123", "name": "Ada Example", "first_name": "Ada", "last_name": "Example",
			"email": "ada@guests.example.com", "phone": "+15550100"}, "stays": [
			{"resource_id": "190001", "unit_id": "514201-0", "start": "2026-12-02", "end": "2026-12-05", "party": {"total": 2, "adults": 2}},
			{"resource_id": "190001", "start": "2026-12-02", "end": "2026-12-05", "party": {"total": 1, "adults": 1}}]}`},
		"reservation-awkward": {`{"id": "1029384756102", "resource_id": "190001", "unit_id": null, "code": null, "status": "canceled", "status_text": "canceled",
			"channel": "s-3", "source": "Walk-In", "start": "2026-11-10", "end": "2026-11-12", "nights": 2, "arrival_time": null, "customer": null, "stays": []}`},
	} {
		rows := rowsOf(t, name, "reservationID")
		if len(rows) != len(want) {
			t.Fatalf("%s: %d rows, want %d", name, len(rows), len(want))
		}
		for i, raw := range rows {
			r, odd, err := adapters[v1].reservation.One(raw)
			if err != nil || len(odd) > 0 {
				t.Errorf("%s: %v, %s", name, err, oddities(odd))
			}
			same(t, r, want[i])
			if err := driver.Validate(r); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if kept := string(r.Raw); strings.Contains(kept, "cardsOnFile") ||
				strings.Contains(kept, "guestBirthdate") || strings.Contains(kept, "guestDocument") {
				t.Errorf("%s: what must not be kept is kept: %s", name, kept)
			}
		}
	}
}

func TestOddReservations(t *testing.T) {
	want := map[string]struct{ record, odd, err string }{
		"9": {`{"id": "9", "resource_id": "190001", "unit_id": null, "created_at": "2026-10-28T18:40:02Z", "status": "canceled", "status_text": "Cancelled", "channel": null,
			"source": "Walk-In", "start": "2026-12-02", "end": "2026-12-05", "nights": 3, "party": {"total": 3, "adults": 2, "children": 1}, "currency": "VND",
			"total": {"amount": 700000, "currency": "VND"}, "balance": {"amount": 0, "currency": "VND"}, "paid": {"amount": 700000, "currency": "VND"},
			"subtotal": null, "stays": []}`, "balanceDetailed[].taxesFees: not an amount", ""},
		"10": {`{"id": "10", "unit_id": null, "status": "canceled", "status_text": "confirmed", "start": "2026-12-02", "end": null, "currency": null, "stays": []}`, "", ""},
		"11": {"", "startDate: not a date; status: a value that is not known", "startDate: not a date"},
		"12": {"", "", errEnds.Error()},
		"":   {"", "reservationID: no id", "reservationID: missing"},
		"14": {`{"id": "14", "status": null, "status_text": null, "party": {}}`,
			"adults: negative; estimatedArrivalTime: not a time of day; propertyCurrency: not a currency; rooms: not an array", ""},
	}
	rows := rowsOf(t, "odd-reservations", "reservationID")
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for _, raw := range rows {
		id := wire.ID(raw, "reservationID")
		w := want[id]
		r, odd, err := adapters[v1].reservation.One(raw)
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			same(t, r, w.record)
		}
		if text != w.err || oddities(odd) != w.odd {
			t.Errorf("%s: error %q, odd %q, want %q, %q", id, text, oddities(odd), w.err, w.odd)
		}
	}
}

func TestOddHotels(t *testing.T) {
	for in, want := range map[string]struct{ record, odd string }{
		`{"propertyCurrency": [], "propertyImage": [{"thumb": "x"}], "propertyAddress": null}`:                       {`"currency": null, "address": null`, ""},
		`{"propertyCurrency": null, "propertyImage": 7, "propertyAddress": []}`:                                      {`"currency": null, "address": null`, "propertyImage: not an array"},
		`{"propertyCurrency": 7, "propertyAddress": "x", "propertyPolicy": []}`:                                      {``, "propertyAddress: not an object; propertyCurrency: not an array"},
		`{"propertyAddress": {"propertyLatitude": "91", "propertyLongitude": "east"}, "propertyAmenities": {"a":1}}`: {`"address": {}`, "propertyAddress.propertyLatitude: out of range; propertyAddress.propertyLongitude: not a number; propertyAmenities: not an array"},
		`{"propertyTimezone": "` + strings.Repeat("z", 101) +
			`", "propertyName": {}}`: {``,
			"propertyName: not a text; propertyTimezone: too long for a time zone"},
		`{"propertyAmenities": "Bar", "propertyImage": "//i.example.com/1.jpg"}`: {`"amenities": ["Bar"], "cover_url": "https://i.example.com/1.jpg"`, ""},
	} {
		r, odd, err := adapters[v1].hotel.One([]byte(`{"propertyID": 1, ` + in[1:]))
		if err != nil {
			t.Fatal(err)
		}
		if oddities(odd) != want.odd {
			t.Errorf("%s: odd %q, want %q", in, oddities(odd), want.odd)
		}
		if want.record != "" {
			want.record = ", " + want.record
		}
		same(t, r, `{"id": "1"`+want.record+`}`)
	}
	for _, in := range []string{`{}`, `7`, `{"propertyID": ""}`, `{"propertyID": "` + strings.Repeat("1", 300) + `"}`,
		`{"propertyID": {}}`} {
		if _, _, err := adapters[v1].hotel.One([]byte(in)); err == nil {
			t.Errorf("%s is a property", in)
		}
	}
}

func TestSampleErrors(t *testing.T) {
	for name, want := range map[string]struct {
		class         retry.Class
		code, message string
	}{
		"error-1": {retry.Client, "", "Parameter status is not valid"},
		"error-2": {retry.Auth, "", "Scope required for this call was not granted by property."},
		"error-3": {retry.Client, "", "Unknown method."},
		"error-4": {retry.Auth, "access_denied", "The resource owner or authorization server denied the request."},
	} {
		body := sample(t, name)
		env := head(body)
		if !env.refused || refusal(env.message).Class != want.class {
			t.Errorf("%s: refused %v, class %v", name, env.refused, refusal(env.message).Class)
		}
		if code, message := explain(200, body); code != want.code || message != want.message {
			t.Errorf("%s: %q, %q", name, code, message)
		}
	}
}
