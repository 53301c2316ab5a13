package guesty

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

func TestOddListings(t *testing.T) {
	for _, c := range []struct{ name, in, want, odd string }{
		{"custom fields as an object", `{"customFields": {"f1": "x", "f2": {"value": 7}, "f3": null}}`,
			`"custom": {"f1": "x", "f2": "7", "f3": ""}`, ""},
		{"custom fields as an array", `{"customFields": [{"fieldId": "f1", "value": true}, {"fieldId": "f2", "value": "cut", "fullText": "cut off"}, {"value": 1}]}`,
			`"custom": {"f1": "true", "f2": "cut off"}`, "customFields[].fieldId: missing"},
		{"custom field's list", `{"customFields": [{"fieldId": "f1", "value": [ 1, 2 ]}]}`,
			`"custom": {"f1": "[1,2]"}`, ""},
		{"custom fields as a text", `{"customFields": "none"}`, ``, "customFields: not custom fields"},
		{"address with full alone", `{"address": {"full": "somewhere"}}`, `"address": {"full": "somewhere"}`, ""},
		{"address empty", `{"address": {}}`, `"address": null`, ""},
		{"address as an empty array", `{"address": []}`, `"address": null`, "address: an array in place of an object"},
		{"address as a text", `{"address": "somewhere"}`, ``, "address: not an object"},
		{"zipCode", `{"address": {"zipCode": 200}}`, `"address": {"postal_code": "200"}`,
			"address.zipCode: a number in place of a text"},
		{"latitude beyond the pole", `{"address": {"city": "x", "lat": 91, "lng": "2.5"}}`,
			`"address": {"city": "x", "lng": 2.5}`,
			"address.lat: out of range; address.lng: a text in place of a number"},
		{"numbers as texts", `{"accommodates": "4", "bathrooms": "1.5", "bedrooms": ""}`,
			`"capacity": 4, "bathrooms": 1.5, "bedrooms": null`,
			"accommodates: a text in place of a whole number; bathrooms: a text in place of a number; bedrooms: an empty text in place of a number"},
		{"whole number with a fraction of zero", `{"accommodates": 4.0}`, `"capacity": 4`, ""},
		{"half a guest", `{"accommodates": 4.5}`, ``, "accommodates: not a whole number"},
		{"too many guests", `{"accommodates": 1e300}`, ``, "accommodates: not a whole number"},
		{"fewer than no guests", `{"accommodates": -1, "beds": -1}`, ``, "accommodates: negative; beds: out of range"},
		{"texts as numbers", `{"title": 12, "tags": [1, "b", {}]}`, `"name": "12", "tags": ["1", "b"]`,
			"tags[]: a number in place of a text; tags[]: not a text; title: a number in place of a text"},
		{"one text for an array", `{"tags": "sea", "amenities": ""}`, `"tags": ["sea"], "amenities": []`,
			"amenities: a text in place of an array; tags: a text in place of an array"},
		{"no title", `{"nickname": "N"}`, `"name": "N", "internal_name": "N"`, ""},
		{"active contradicted", `{"active": false, "pms": {"active": true}, "isListed": true}`,
			`"status": "inactive", "listed": true`, ""},
		{"active left out", `{"pms": {"active": true}}`, `"status": "active"`, ""},
		{"active as a text", `{"active": "True", "isListed": 0}`, `"status": "active", "listed": false`,
			"active: a text in place of a boolean; isListed: a number in place of a boolean"},
		{"active as something else", `{"active": "maybe"}`, ``, "active: not a boolean"},
		{"money to the cent", `{"prices": {"currency": "eur", "basePrice": 0.285, "cleaningFee": "12.34", "securityDepositFee": 1.5e2}}`,
			`"currency": "EUR", "base_price": {"amount": 29, "currency": "EUR"}, "cleaning_fee": {"amount": 1234, "currency": "EUR"}, "deposit": {"amount": 15000, "currency": "EUR"}`, "prices.cleaningFee: a text in place of an amount"},
		{"money without minor unit", `{"prices": {"currency": "JPY", "basePrice": 9007199254740993}}`,
			`"currency": "JPY", "base_price": {"amount": 9007199254740993, "currency": "JPY"}`, ""},
		{"money that is none", `{"prices": {"currency": "ZZZ", "basePrice": 1, "cleaningFee": {"value": 1}}}`, ``,
			"prices.currency: not a currency"},
		{"times of day", `{"defaultCheckInTime": "15:00:00", "defaultCheckOutTime": "noon"}`,
			`"check_in_from": "15:00"`, "defaultCheckOutTime: not a time of day"},
		{"instants", `{"createdAt": "2026-10-28T20:40:01+03:00", "lastUpdatedAt": "yesterday"}`,
			`"created_at": "2026-10-28T17:40:01Z"`, "lastUpdatedAt: not an instant"},
		{"empty dates", `{"createdAt": "", "lastUpdatedAt": ""}`, `"created_at": null`,
			"createdAt: an empty text in place of an instant; lastUpdatedAt: an empty text in place of an instant"},
		{"protocol-relative picture", `{"picture": {"original": "//img.example.com/1.jpg"}}`,
			`"cover_url": "https://img.example.com/1.jpg"`, ""},
		{"picture without the large forms",
			`{"picture": {"original": null, "thumbnail": "https://img.example.com/t.jpg"}}`,
			`"cover_url": "https://img.example.com/t.jpg"`, ""},
		{"picture of another scheme", `{"picture": {"original": "javascript:alert(1)"}}`, ``,
			"picture.original: not a URL"},
		{"nulls", `{"picture": null, "terms": null, "prices": null, "publicDescription": null, "pms": null, "customFields": null, "amenities": null, "active": null}`,
			`"cover_url": null, "min_stay": null, "max_stay": null, "currency": null, "base_price": null, "cleaning_fee": null, "deposit": null, "description": null, "custom": null, "amenities": null, "status": null`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, odd, err := adapters[v1].listing.One([]byte(`{"_id": "1", ` + c.in[1:]))
			if err != nil {
				t.Fatal(err)
			}
			want := `{"id": "1"}`
			if c.want != "" {
				want = `{"id": "1", ` + c.want + `}`
			}
			same(t, r, want)
			if got := problems(odd); got != c.odd {
				t.Errorf("oddities %q, want %q", got, c.odd)
			}
			if err := driver.Validate(r); err != nil {
				t.Error(err)
			}
		})
	}
}

func problems(odd []driver.Oddity) string {
	var all []string
	for _, o := range odd {
		all = append(all, o.Field+": "+o.Detail)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "; ")
}

func TestOddReservations(t *testing.T) {
	const stay = `"checkInDateLocalized": "2026-12-02", "checkOutDateLocalized": "2026-12-05"`
	const nights = `"start": "2026-12-02", "end": "2026-12-05", "nights": 3`
	for _, c := range []struct{ name, in, want, odd string }{
		{"no status", `{}`, ``, ""},
		{"a new status", `{"status": "paused"}`, `"status": "other", "status_text": "paused"`,
			"status: a value that is not known"},
		{"arrived", `{"status": "confirmed", "guestStay": {"status": "checked_in"}}`,
			`"status": "checked_in", "status_text": "confirmed"`, ""},
		{"canceled after arrival", `{"status": "canceled", "guestStay": {"status": "checked_in"}}`,
			`"status": "canceled", "status_text": "canceled"`, ""},
		{"null status", `{"status": null}`, `"status": null, "status_text": null`, ""},
		{"dates as midnights", `{"checkInDateLocalized": "2026-12-02T00:00:00.000Z", "checkOutDateLocalized": "2026-12-05"}`, nights, ""},
		{"planned arrival wins", `{` + stay +
			`, "checkIn": "2026-12-02T14:00:00.000Z", "plannedArrival": "9:30", "listing": {"timezone": "Europe/Madrid"}}`,
			nights + `, "arrival_time": "09:30", "start_at": "2026-12-02T08:30:00Z", "end_at": "2026-12-05T10:00:00Z"`, ""},
		{"planned arrival that is none", `{` + stay +
			`, "checkIn": "2026-12-02T14:00:00.000Z", "plannedArrival": "late"}`,
			nights + `, "start_at": "2026-12-02T14:00:00Z"`, "plannedArrival: not a time of day"},
		{"the listing's usual times", `{` + stay +
			`, "listing": {"timezone": "America/New_York", "defaultCheckInTime": "16:00"}}`,
			nights + `, "start_at": "2026-12-02T21:00:00Z", "end_at": "2026-12-05T16:00:00Z"`, ""},
		{"an unknown zone", `{` + stay + `, "plannedArrival": "10:00", "listing": {"timezone": "Mars/Olympus"}}`,
			nights + `, "arrival_time": "10:00"`, ""},
		{"several rooms", `{"stay": [{` + stay +
			`, "unitTypeId": "a", "unitId": "a1", "guestsCount": 2}, {"checkInDateLocalized": "2026-12-01", "checkOutDateLocalized": "2026-12-03", "unitTypeId": "b", "unitId": null, "guestsCount": "1"}]}`,
			`"start": "2026-12-01", "end": "2026-12-05", "nights": 4, "resource_id": "a", "unit_id": "a1", "party": {"total": 3},
			"stays": [{"resource_id": "a", "unit_id": "a1", "start": "2026-12-02", "end": "2026-12-05", "party": {"total": 2}}, {"resource_id": "b", "start": "2026-12-01", "end": "2026-12-03", "party": {"total": 1}}]`, "stay[].guestsCount: a text in place of a whole number"},
		{"one room, not in an array", `{"stay": {"unitId": "a"}}`, `"resource_id": "a", "unit_id": null, "stays": []`,
			"stay: an object in place of an array"},
		{"multi-unit", `{"listingId": "p", "mtl": {"assigned": true, "_id": "u"}}`,
			`"resource_id": "p", "unit_id": "u"`, ""},
		{"partial guest", `{"guestId": "g", "guest": {"firstName": "B.", "lastName": "Sample", "email": null}}`,
			`"customer_id": "g", "customer": {"id": "g", "name": "B. Sample", "first_name": "B.", "last_name": "Sample"}`, ""},
		{"no guest", `{"guest": null}`, `"customer": null`, ""},
		{"notes of a text", `{"note": "late"}`, `"notes": "late"`, ""},
		{"notes without the door code", `{"notes": {"keyCode": "1234", "other": "", "cleaning": "towels", "guest": "late"}}`, `"notes": "late\ntowels"`, ""},
		{"a total without items", `{"money": {"currency": "EUR", "subTotalPrice": 10, "totalTaxes": 1, "invoiceItems": []}}`,
			`"currency": "EUR", "subtotal": {"amount": 1000, "currency": "EUR"}, "taxes": {"amount": 100, "currency": "EUR"}, "lines": [], "total": {"amount": 1100, "currency": "EUR"}`, ""},
		{"a bill that misses an amount", `{"money": {"currency": "EUR", "invoiceItems": [{"amount": 1}, {"amount": "one"}, {}]}}`, `"currency": "EUR"`,
			"money.invoiceItems[].amount: missing; money.invoiceItems[].amount: not an amount"},
		{"a bill in two currencies", `{"money": {"currency": "EUR", "invoiceItems": [{"amount": 1}, {"amount": 1, "currency": "USD"}]}}`,
			`"currency": "EUR", "lines": [{"amount": {"amount": 100, "currency": "EUR"}}, {"amount": {"amount": 100, "currency": "USD"}}]`, ""},
		{"guests as a text", `{"numberOfGuests": "two", "guestsCount": 2}`, `"party": {"total": 2}`,
			"numberOfGuests: not an object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := `{"id": "17"}`
			if c.in != `{}` {
				in = `{"id": "17", ` + c.in[1:]
			}
			r, odd, err := adapters[v1].reservation.One([]byte(in))
			if err != nil {
				t.Fatal(err)
			}
			want := `{"id": "17"}`
			if c.want != "" {
				want = `{"id": "17", ` + c.want + `}`
			}
			same(t, r, want)
			// see below
			odd = slices.DeleteFunc(odd, func(o driver.Oddity) bool {
				return o.Change == driver.ChangeMissing &&
					!strings.Contains(o.Field, ".")
			})
			if got := problems(odd); got != c.odd {
				t.Errorf("oddities %q, want %q", got, c.odd)
			}
			if err := driver.Validate(r); err != nil {
				t.Error(err)
			}
		})
	}
}

// Fields that always came so far are missed.
func TestFieldsThatAreMissed(t *testing.T) {
	a := adapters[v1]
	_, stay, err1 := a.reservation.One([]byte(`{"_id": "1"}`))
	_, room, err2 := a.reservation.One([]byte(`{"_id": "1", "status": "reserved", "stay": [{"checkInDateLocalized": "2026-12-02", "checkOutDateLocalized": "2026-12-05"}]}`))
	_, photo, err3 := a.photo("l").One([]byte(`{"_id": "1"}`))
	_, full, err4 := a.day("l").One([]byte(`{"date": "2026-12-02"}`))
	_, minified, err5 := a.blocks("l", "EUR").One([]byte(`{"date": "2026-12-02"}`))
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		odd  []driver.Oddity
		want string
	}{
		{stay, "checkInDateLocalized: a stay without its nights; status: missing"}, {room, ""},
		{photo, "original: missing"}, {full, "status: missing"}, {minified, "blocks: missing"},
	} {
		if got := problems(c.odd); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What is rejected is rejected with an error that names the field and no value.
func TestRejectedItems(t *testing.T) {
	const secret = "CANARY"
	for name, c := range map[string]struct{ in, want string }{
		"no id":                 {`{"confirmationCode": "CANARY"}`, "_id: missing"},
		"an empty id":           {`{"_id": " ", "guest": {"fullName": "CANARY"}}`, "_id: missing"},
		"an id of another type": {`{"_id": {"$oid": "CANARY"}}`, "_id: missing"},
		"a long id":             {`{"_id": "` + strings.Repeat("CANARY", 40) + `"}`, "_id: longer than 200 bytes"},
		"a date that is none":   {`{"_id": "1", "checkInDateLocalized": "CANARY"}`, "checkInDateLocalized: not a date"},
		"a room's date": {`{"_id": "1", "stay": [{"checkOutDateLocalized": 20261202}]}`,
			"stay[].checkOutDateLocalized: not a date"},
		"an end before":       {`{"_id": "1", "checkInDateLocalized": "2026-12-02", "checkOutDateLocalized": "2026-12-01"}`, "checkOutDateLocalized: before checkInDateLocalized"},
		"a room's end before": {`{"_id": "1", "stay": [{"checkInDateLocalized": "2026-12-02", "checkOutDateLocalized": "2026-12-01"}, {}]}`, "checkOutDateLocalized: before checkInDateLocalized"},
		"a text":              {`"CANARY"`, "not a JSON object"},
		"an array":            {`[{"_id": "1"}]`, "not a JSON object"},
		"null":                {`null`, "not a JSON object"},
		"cut off":             {`{"_id": "CANARY", "guest": {`, "not valid JSON"},
		"nothing":             {``, "not a JSON object"},
	} {
		_, _, err := adapters[v1].reservation.One([]byte(c.in))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: error %q, want %q", name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: a value in %q", name, err)
		}
	}
}
