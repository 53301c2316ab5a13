package guesty

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/internal/sampletest"
)

var same = sampletest.Same

// rows returns the items of a sample: those of its envelope, or the sample itself.
func rows(t testing.TB, name string) []json.RawMessage {
	t.Helper()
	b := sampleBytes(t, name)
	var p page
	if err := driver.Decode(b, "", &p); err == nil {
		return p.rows
	}
	return []json.RawMessage{b}
}

func TestSampleListings(t *testing.T) {
	for name, want := range map[string]string{
		"listing-page": `{"id": "66f0c1a2b3d4e5f607182930", "updated_at": "2026-10-28T17:40:03.511Z",
			"created_at": "2024-03-05T09:14:22.118Z", "name": "Harbour loft with balcony", "internal_name": "HARBOUR-2B",
			"status": "active", "listed": true, "type": "Loft", "structure": "SINGLE",
			"description": "Bright loft by the water.", "capacity": 4, "bedrooms": 2, "beds": 3, "bathrooms": 1.5,
			"area_sqm": 75.25, "address": {"full": "12 Example Quay, Port Sample, 00100, Exampleland",
			"street": "12 Example Quay", "city": "Port Sample", "postal_code": "00100", "country": "Exampleland",
			"lat": 41.0012, "lng": 2.0034}, "time_zone": "Europe/Madrid", "check_in_from": "15:00",
			"check_out_by": "11:00", "currency": "EUR", "base_price": {"amount": 14000, "currency": "EUR"},
			"cleaning_fee": {"amount": 5550, "currency": "EUR"}, "deposit": {"amount": 20000, "currency": "EUR"},
			"min_stay": 2, "max_stay": 60, "amenities": ["Wireless Internet", "Kitchen", "Washer"], "tags": ["sea-view"],
			"cover_url": "https://images.example.com/harbour.jpg", "custom": {"61aa00112233445566770001": "blue door"}}`,
		"listing-sparse": `{"id": "66f0c1a2b3d4e5f607182931", "name": "draft unit", "internal_name": "draft unit", "status": "inactive",
			"listed": false, "structure": "MTL", "capacity": null, "bathrooms": null, "address": null, "currency": "USD",
			"base_price": {"amount": 0, "currency": "USD"}, "amenities": [], "cover_url": null, "custom": {}}`,
		"listing-projection": `{"id": "66f0c1a2b3d4e5f607182932", "name": "Garden studio", "address": {"city": "Sampleville"},
			"time_zone": "America/New_York"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, odd, err := adapters[v1].listing.One(rows(t, name)[0])
			if err != nil || len(odd) > 0 {
				t.Fatalf("error %v, oddities %v", err, odd)
			}
			same(t, r, want)
			if err := driver.Validate(r); err != nil {
				t.Error(err)
			}
			if r.AdapterVersion != v1 || len(r.Raw) == 0 {
				t.Errorf("version %q, %d bytes raw", r.AdapterVersion, len(r.Raw))
			}
		})
	}
}

func TestSampleReservations(t *testing.T) {
	for name, want := range map[string]string{
		"reservation-channel": `{"id": "67aa10b2c3d4e5f607180001", "updated_at": "2026-10-28T17:40:03.511Z",
			"created_at": "2026-10-28T17:40:02.004Z", "resource_id": "66f0c1a2b3d4e5f607182930", "code": "HMSAMPLE42",
			"status": "confirmed", "status_text": "confirmed", "channel": "airbnb2", "source": "Airbnb",
			"start": "2026-12-02", "end": "2026-12-05", "start_at": "2026-12-02T17:30:00Z",
			"end_at": "2026-12-05T10:00:00Z", "arrival_time": "18:30", "departure_time": null, "nights": 3,
			"party": {"total": 2, "adults": 2}, "customer_id": "67aa10b2c3d4e5f607180abc", "customer": {"id": "67aa10b2c3d4e5f607180abc", "name": "Ada Example",
			"first_name": "Ada", "last_name": "Example", "email": "ada@guests.example.com", "phone": "+15550100"},
			"currency": "EUR", "fare": {"amount": 45750, "currency": "EUR"}, "fees": {"amount": 5550, "currency": "EUR"},
			"taxes": {"amount": 5130, "currency": "EUR"}, "subtotal": {"amount": 51300, "currency": "EUR"},
			"total": {"amount": 56430, "currency": "EUR"}, "commission": {"amount": 1539, "currency": "EUR"},
			"payout": {"amount": 54891, "currency": "EUR"}, "paid": {"amount": 54891, "currency": "EUR"},
			"balance": {"amount": 0, "currency": "EUR"}, "fully_paid": true, "lines": [{"id": "67aa10b2c3d4e5f607181001",
			"title": "Accommodation fare", "type": "ACCOMMODATION_FARE", "amount": {"amount": 45750,
			"currency": "EUR"}}, {"id": "67aa10b2c3d4e5f607181002", "title": "Cleaning fee", "type": "CLEANING_FEE",
			"amount": {"amount": 5550, "currency": "EUR"}}, {"id": "67aa10b2c3d4e5f607181003", "title": "Local tax",
			"type": "TAX", "amount": {"amount": 5130, "currency": "EUR"}, "tax": true}],
			"confirmed_at": "2026-10-28T17:40:03Z", "custom": {}}`,
		"reservation-canceled": `{"id": "67aa10b2c3d4e5f607180002", "updated_at": "2026-10-20T11:22:33.417Z",
			"created_at": "2026-10-01T08:00:00Z", "resource_id": "66f0c1a2b3d4e5f607182931", "code": "GY-SAMPLE7",
			"status": "canceled", "status_text": "canceled", "channel": "manual", "source": "manual",
			"start": "2026-11-10", "end": "2026-11-12", "start_at": "2026-11-10T20:00:00Z",
			"end_at": "2026-11-12T16:00:00Z", "nights": 2, "party": {"total": 1}, "customer": {"name": "B. Sample"},
			"currency": "USD", "fare": {"amount": 18000, "currency": "USD"}, "payout": {"amount": 18000,
			"currency": "USD"}, "paid": {"amount": 0, "currency": "USD"}, "balance": {"amount": 18000,
			"currency": "USD"}, "fully_paid": false, "lines": [], "canceled_at": "2026-10-20T11:22:33Z", "custom": {}}`,
		"reservations-v3": `{"id": "67aa10b2c3d4e5f607180001", "created_at": "2026-10-28T17:40:02.004Z",
			"resource_id": "66f0c1a2b3d4e5f607182930", "unit_id": null, "code": "HMSAMPLE42", "status": "confirmed",
			"status_text": "confirmed", "channel": "airbnb2", "start": "2026-12-02", "end": "2026-12-05",
			"arrival_time": "18:30", "nights": 3, "party": {"total": 2, "adults": 2},
			"customer_id": "67aa10b2c3d4e5f607180abc", "stays": [], "notes": "late arrival"}`,
		"reservations-v3-search": `{"id": "67aa10b2c3d4e5f607180003", "resource_id": "66f0c1a2b3d4e5f607182931", "unit_id": null,
			"code": "GY-SAMPLE8", "status": "canceled", "status_text": "canceled", "start": "2027-01-03",
			"end": "2027-01-04", "nights": 1, "party": {"total": 1}, "stays": []}`,
		"hook-reservation": `{"id": "67aa10b2c3d4e5f607180001", "resource_id": "66f0c1a2b3d4e5f607182930", "code": "HMSAMPLE42",
			"status": "canceled", "status_text": "canceled", "start": "2026-12-02", "end": "2026-12-05", "nights": 3,
			"party": {"total": 2}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r, odd, err := adapters[v1].reservation.One(rows(t, name)[0])
			if err != nil || len(odd) > 0 {
				t.Fatalf("error %v, oddities %v", err, odd)
			}
			same(t, r, want)
			if err := driver.Validate(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSamplePhotos(t *testing.T) {
	m, odd, err := adapters[v1].photo("66f0c1a2b3d4e5f607182930").One(rows(t, "photos")[1])
	if err != nil || len(odd) > 0 {
		t.Fatalf("error %v, oddities %v", err, odd)
	}
	same(t, m, `{"id": "6701aa00bb11cc22dd33ee02", "updated_at": "2025-06-11T08:30:00Z", "created_at": "2025-02-01T10:00:05Z",
		"resource_id": "66f0c1a2b3d4e5f607182930", "url": "https://images.example.com/p/2.jpg",
		"thumbnail_url": "https://images.example.com/p/2_t.jpg", "caption": "", "position": 1, "source": "url"}`)
	if err := driver.Validate(m); err != nil {
		t.Error(err)
	}
}

// A field that was not sent stays unobserved, and null stays null: the first never erases what is known, the second
// does.
func TestOptOfSparseAnswers(t *testing.T) {
	r, _, err := adapters[v1].listing.One([]byte(`{"_id": "1", "address": null, "title": null, "nickname": null, "tags": []}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][2]bool{
		"address, null":   {r.Address.IsNull(), true},
		"name, null":      {r.Name.IsNull(), true},
		"tags, empty":     {r.Tags.Observed() && !r.Tags.IsNull(), true},
		"currency, unset": {r.Currency.Observed(), false},
		"status, unset":   {r.Status.Observed(), false},
		"cover, unset":    {r.CoverURL.Observed(), false},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: %t", name, got[0])
		}
	}
}

func TestPrivateFieldsAreNotKept(t *testing.T) {
	raw := `{"_id":"1","integrations":[{"platform":"airbnb2","token":"CANARY"}],"title":"our \"integrations\"","pictures":[],` +
		`"listing":{"integr\u0061tions":{"password":"CANARY"},"privateDescription":{"wifiPassword":"CANARY"},"amount":1.10}}`
	r, _, err := adapters[v1].listing.One([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(r.Raw), "CANARY") {
		t.Errorf("kept: %s", r.Raw)
	}
	stay := `{"_id":"1","keyCode":"CANARY","notes":{"keyCode":"CANARY","guest":"late"},"stay":[{"checkInDateLocalized":"2026-12-02"}]}`
	v3, _, err := adapters[v1].reservation.One([]byte(stay))
	if err != nil || strings.Contains(string(v3.Raw), "CANARY") || !strings.Contains(string(v3.Raw), "late") {
		t.Errorf("kept of a reservation: %s, %v", v3.Raw, err)
	}
	for _, want := range []string{`"title":"our \"integrations\""`, `1.10`, `"pictures":[]`} {
		if !strings.Contains(string(r.Raw), want) {
			t.Errorf("%s is not in %s", want, r.Raw)
		}
	}
}

// An integration that changes from the classic family to v3, whose rows have neither guests nor amounts, loses neither.
func TestChangeOfFamilyErasesNothing(t *testing.T) {
	store := importer.NewMemory()
	cfg := importer.Config{Integration: Config{ClientID: "id", ClientSecret: "s"}.Integration("a"), Store: store}
	began := time.Now().Add(-time.Hour)
	for i, name := range []string{"reservation-channel", "reservations-v3"} {
		r, _, err := adapters[v1].reservation.One(rows(t, name)[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := importer.Apply(t.Context(), cfg, began.Add(time.Duration(i)*time.Minute), &r); err != nil {
			t.Fatal(err)
		}
	}
	all, err := store.Records(t.Context(), importer.Collection{Integration: "a", Kind: driver.KindTransaction},
		[]string{"67aa10b2c3d4e5f607180001"})
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	r, err := importer.Decode[driver.Transaction](all[0])
	if err != nil {
		t.Fatal(err)
	}
	c := r.Customer.Or(driver.Customer{})
	if c.Name != "Ada Example" || c.Email != "ada@guests.example.com" || r.CustomerID.Or("") != c.ID {
		t.Errorf("the customer is %s", all[0].Document)
	}
	if m := r.Total.Or(driver.Money{}); m.Amount != 56430 || len(r.Lines.Or(nil)) != 3 || r.Source.Or("") != "Airbnb" {
		t.Errorf("the amounts are %s", all[0].Document)
	}
	if r.Notes.Or("") != "late arrival" { // what v3 does know is new
		t.Errorf("the notes are %q", r.Notes.Or(""))
	}
}
