package bookingcom_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/internal/sampletest"
	"github.com/integrationkit/integrationkit/webhook"
)

var sample = sampletest.File

// served is a partner that answers with samples, by path; what is sent is kept.
type served struct {
	t     *testing.T
	files map[string]string
	sent  map[string][]string
	seen  []*http.Request
}

func (s *served) RoundTrip(req *http.Request) (*http.Response, error) {
	var b []byte
	if req.Body != nil {
		var err error
		if b, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	key := req.Method + " " + req.URL.Path
	s.sent[key] = append(s.sent[key], string(b))
	s.seen = append(s.seen, req)
	name, ok := s.files[key]
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Request: req, ProtoMajor: 1, ProtoMinor: 1}
	if !ok {
		resp.StatusCode = http.StatusNotFound
		resp.Body = http.NoBody
		return resp, nil
	}
	body := sample(s.t, name)
	resp.Header.Set("Content-Type", map[string]string{".xml": "text/xml",
		".json": "application/json"}[filepath.Ext(name)])
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// with opens the driver on a partner that answers with samples.
func with(t *testing.T, files map[string]string, settings map[string]string) (*bookingcom.Driver, *served) {
	t.Helper()
	s := &served{t: t, files: files, sent: map[string][]string{}}
	in := bookingcom.Config{Username: "user-of-tests", Password: "password-of-tests",
		Account: "7004411"}.Integration("s")
	in.Settings = settings
	d, err := bookingcom.New(driver.Env{Integration: in, Transport: s})
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

// received reads the queues and parses what they hold.
func received(t *testing.T, d *bookingcom.Driver) []driver.Transaction {
	t.Helper()
	var out []driver.Transaction
	for page, err := range d.Receive(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Items {
			b, err := d.Parse(m, "v1")
			if err != nil || len(b.Items) != 1 {
				t.Fatalf("%v: %v", m, err)
			}
			if err := driver.Validate(b.Items[0]); err != nil {
				t.Errorf("%v: %v", m, err)
			}
			b.Items[0].Raw = nil
			out = append(out, b.Items[0])
		}
		if err := d.Acknowledge(t.Context(), page.Receipt); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func eur(minor int64) driver.Money { return driver.Money{Amount: minor, Currency: "EUR"} }
func jpy(minor int64) driver.Money { return driver.Money{Amount: minor, Currency: "JPY"} }

func date(s string) driver.Date {
	d, err := driver.ParseDate(s)
	if err != nil {
		panic(err) // of this file
	}
	return d
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if reflect.DeepEqual(got, want) {
		return
	}
	g, _ := json.MarshalIndent(got, "", " ")
	w, _ := json.MarshalIndent(want, "", " ")
	t.Errorf("got %s\nwant %s", g, w)
}

const (
	newPath      = "GET /hotels/ota/OTA_HotelResNotif"
	newAck       = "POST /hotels/ota/OTA_HotelResNotif"
	modifiedPath = "GET /hotels/ota/OTA_HotelResModifyNotif"
	modifiedAck  = "POST /hotels/ota/OTA_HotelResModifyNotif"
)

func TestSampleOTA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := with(t, map[string]string{
			newPath: "ota-new.xml", newAck: "ota-acknowledged.xml", modifiedPath: "ota-modified.xml",
			modifiedAck: "ota-acknowledged.xml",
		}, nil)
		got := received(t, d)
		if len(got) != 2 {
			t.Fatalf("%d reservations", len(got))
		}
		line := func(day string, minor int64) driver.Line {
			return driver.Line{ID: "311/" + day, Title: "Garden Studio", Type: "night/31200451", Amount: eur(minor)}
		}
		want := driver.Transaction{
			Record: driver.Record{ID: "4120087731", AdapterVersion: "v1"}, ResourceID: driver.Some("7004411"),
			UnitID: driver.Some("700441102"),
			Code:   driver.Some("4120087731"), Status: driver.Some(driver.StatusConfirmed),
			StatusText: driver.Some("new"), Channel: driver.Some("booking.com"),
			Start: driver.Some(date("2026-05-08")), End: driver.Some(date("2026-05-10")), Nights: driver.Some(2),
			Party: driver.Some(driver.Party{Total: 3, Adults: 2, Children: 1}), Currency: driver.Some("EUR"),
			Total:      driver.Some(eur(25750)),
			Commission: driver.Some(eur(3863)), Lines: driver.Some([]driver.Line{line("2026-05-08", 12500),
				line("2026-05-09", 13250)}),
			Stays: driver.Some([]driver.Stay{}),
			Customer: driver.Some(driver.Customer{Name: "Mirela Antal", FirstName: "Mirela", LastName: "Antal",
				Email: "mantal.100200@guest.booking.com", Phone: "+40 700 000 000"}),
			Notes:  driver.Some("Approximate time of arrival: between 21:00 and 22:00.\nWe arrive by train around nine.\nsmoking preference: Non-Smoking"),
			Custom: driver.Some(map[string]string{"booked_at": "2026-02-03T09:13:41"}),
		}
		same(t, got[0], want)
		want.StatusText = driver.Some("modified")
		want.Start, want.Nights = driver.Some(date("2026-05-09")), driver.Some(1)
		want.Party, want.Total = driver.Some(driver.Party{Total: 2, Adults: 2}), driver.Some(eur(13250))
		want.Lines = driver.Some([]driver.Line{line("2026-05-09", 13250)})
		want.Commission, want.Customer, want.Notes = driver.Opt[driver.Money]{}, driver.Opt[driver.Customer]{}, driver.Opt[string]{}
		same(t, got[1], want)

		// The acknowledgements are the samples, but for their time and the number of their ids.
		for key, name := range map[string]string{newAck: "ota-acknowledge-new.xml",
			modifiedAck: "ota-acknowledge-modified.xml"} {
			text := strings.ReplaceAll(string(sample(t, name)), `<HotelReservationID ResID_Value="4120090015"/>`, "")
			text = strings.NewReplacer("2026-02-03T09:14:20", "2000-01-01T00:00:05", "2026-02-04T07:00:30",
				"2000-01-01T00:00:05").Replace(text)
			squeeze := strings.NewReplacer("\n", "", "    ", "", "  ", "").Replace
			ack := strings.TrimPrefix(s.sent[key][0], `<?xml version="1.0" encoding="UTF-8"?>`)
			ack = strings.Replace(ack, "2000-01-01T00:00:00", "2000-01-01T00:00:05", 1)
			if got, want := squeeze(ack), squeeze(text); got != want {
				t.Errorf("%s: sent\n%s\nwant\n%s", key, got, want)
			}
		}
		if host := s.seen[0].URL.Host; host != "secure-supply-xml.booking.com" {
			t.Errorf("reservations are read at %s", host)
		}
	})
}

func TestSampleVirtualCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := with(t, map[string]string{newPath: "ota-new-vcc.xml", newAck: "ota-acknowledged.xml",
			modifiedPath: "ota-empty-modified.xml"}, nil)
		got := received(t, d)
		if len(got) != 1 {
			t.Fatalf("%d reservations", len(got))
		}
		night := func(index, room string, minor int64) driver.Line {
			return driver.Line{ID: index + "/2026-04-01", Title: room, Type: "night/28100077VCC", Amount: jpy(minor)}
		}
		stay := func(unit string, n int) driver.Stay {
			return driver.Stay{ResourceID: "7005520", UnitID: unit, Start: date("2026-04-01"),
				End: date("2026-04-02"), Party: driver.Party{Total: n}}
		}
		same(t, got[0], driver.Transaction{
			Record: driver.Record{ID: "4120090015", AdapterVersion: "v1"}, ResourceID: driver.Some("7005520"),
			Code:   driver.Some("4120090015"),
			Status: driver.Some(driver.StatusConfirmed), StatusText: driver.Some("new"),
			Channel: driver.Some("booking.com"),
			Start:   driver.Some(date("2026-04-01")), End: driver.Some(date("2026-04-02")), Nights: driver.Some(1),
			Party:    driver.Some(driver.Party{Total: 3}),
			Currency: driver.Some("JPY"), Subtotal: driver.Some(jpy(23000)),
			Lines: driver.Some([]driver.Line{
				night("902", "Twin Room", 14000), night("905", "Single Room", 9000),
				{ID: "service/1", Type: "service/22", Amount: jpy(1500)},
			}),
			Stays: driver.Some([]driver.Stay{stay("700552001", 2), stay("700552003", 1)}),
			Customer: driver.Some(driver.Customer{Name: "Aiko Demo", FirstName: "Aiko", LastName: "Demo",
				Email: "ademo.200300@guest.booking.com"}),
			Custom: driver.Some(map[string]string{
				"booked_at": "2026-02-03T09:19:22", "genius": "true", "virtual_card": "true",
				"vcc_from": "2026-04-02", "vcc_until": "2027-04-30",
				"vcc_balance": "23000 JPY",
			}),
		})
	})
}

func TestSampleBXML(t *testing.T) {
	for name, want := range map[string][]driver.Transaction{
		"bxml-empty.xml": nil,
		"bxml-new.xml": {{
			Record: driver.Record{ID: "4120087731", CreatedAt: driver.Some(time.Date(2026, 2, 3, 9, 13, 41, 0,
				time.UTC)), AdapterVersion: "v1"},
			ResourceID: driver.Some("7004411"), UnitID: driver.Some("700441102"), Code: driver.Some("4120087731"),
			Status:     driver.Some(driver.StatusConfirmed),
			StatusText: driver.Some("new"), Channel: driver.Some("booking.com"),
			Start: driver.Some(date("2026-05-08")), End: driver.Some(date("2026-05-10")),
			Nights: driver.Some(2), Party: driver.Some(driver.Party{Total: 3}), Currency: driver.Some("EUR"),
			Total:      driver.Some(eur(25750)),
			Commission: driver.Some(eur(3863)),
			Lines: driver.Some([]driver.Line{
				{ID: "5200110091/2026-05-08", Title: "Garden Studio", Type: "night/31200451", Amount: eur(12500)},
				{ID: "5200110091/2026-05-09", Title: "Garden Studio", Type: "night/31200451", Amount: eur(13250)},
			}),
			Stays: driver.Some([]driver.Stay{}),
			Customer: driver.Some(driver.Customer{Name: "Mirela Antal", FirstName: "Mirela", LastName: "Antal",
				Email: "mantal.100200@guest.booking.com", Phone: "+40 700 000 000"}),
			Notes:  driver.Some("We arrive by train around nine."),
			Custom: driver.Some(map[string]string{"booked_at": "2026-02-03 09:13:41"}),
		}},
		"bxml-changes.xml": {{
			Record: driver.Record{ID: "4120087731", AdapterVersion: "v1"}, ResourceID: driver.Some("7004411"),
			Code:   driver.Some("4120087731"),
			Status: driver.Some(driver.StatusCanceled), StatusText: driver.Some("cancelled"),
			Channel: driver.Some("booking.com"), Currency: driver.Some("EUR"),
			Total: driver.Some(eur(0)), Customer: driver.Some(driver.Customer{Name: "Mirela Antal",
				FirstName: "Mirela", LastName: "Antal"}),
			Custom: driver.Some(map[string]string{"booked_at": "2026-02-10 18:02:10", "cancel_fee": "0.00 EUR"}),
		}, {
			Record: driver.Record{ID: "4120087999", AdapterVersion: "v1"}, ResourceID: driver.Some("7004411"),
			UnitID: driver.Some("700441101"),
			Code:   driver.Some("4120087999"), Status: driver.Some(driver.StatusConfirmed),
			StatusText: driver.Some("modified"), Channel: driver.Some("booking.com"),
			Start: driver.Some(date("2026-06-01")), End: driver.Some(date("2026-06-02")), Nights: driver.Some(1),
			Party:    driver.Some(driver.Party{Total: 2}),
			Currency: driver.Some("EUR"), Total: driver.Some(eur(14600)), Commission: driver.Some(eur(2190)),
			Lines: driver.Some([]driver.Line{
				{ID: "5200110400/2026-06-01", Type: "night/31200451", Amount: eur(12600)},
				{ID: "5200110400/addon/1", Title: "Parking", Type: "addon/22", Amount: eur(2000)},
			}),
			Stays:    driver.Some([]driver.Stay{}),
			Customer: driver.Some(driver.Customer{Name: "Jo Muster", FirstName: "Jo", LastName: "Muster"}),
			Custom:   driver.Some(map[string]string{"booked_at": "2026-02-09 08:00:00"}),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _ := with(t, map[string]string{"POST /hotels/xml/reservations": name},
					map[string]string{"reservations": "bxml"})
				got := received(t, d)
				if len(got) != len(want) {
					t.Fatalf("%d reservations, want %d", len(got), len(want))
				}
				for i := range got {
					same(t, got[i], want[i])
				}
			})
		})
	}
}

// An odd payload is understood as far as it can be; the rest is missing, and counted.
func TestOddOTA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &served{t: t, files: map[string]string{newPath: "ota-odd.xml", newAck: "ota-acknowledged.xml",
			modifiedPath: "ota-empty-modified.xml"}, sent: map[string][]string{}}
		drift := &driver.Drift{}
		d, err := bookingcom.New(driver.Env{
			Integration: bookingcom.Config{Username: "user-of-tests", Password: "password-of-tests",
				Account: "417"}.Integration("s"), Transport: s,
			Telemetry: driver.Telemetry{Drift: drift},
		})
		if err != nil {
			t.Fatal(err)
		}
		same(t, received(t, d)[0], driver.Transaction{
			Record: driver.Record{ID: "77", AdapterVersion: "v1"}, ResourceID: driver.Some("417"),
			UnitID: driver.Some("1001"), Code: driver.Some("77"),
			Status: driver.Some(driver.StatusConfirmed), StatusText: driver.Some("Commit"),
			Channel: driver.Some("booking.com"),
			Start:   driver.Some(date("2026-05-08")), End: driver.Some(date("2026-05-10")), Nights: driver.Some(2),
			Party:    driver.Some(driver.Party{Total: 1}),
			Currency: driver.Some("EUR"), Total: driver.Some(eur(2184)),
			Lines: driver.Some([]driver.Line{
				{ID: "7/2026-05-09", Title: "Zimmer", Type: "night/", Amount: eur(1235)},
				{ID: "7/2026-05-08", Title: "Zimmer", Type: "night/", Amount: eur(950)},
				{ID: "service/1", Type: "service/22", Amount: eur(1500)},
			}),
			Stays:    driver.Some([]driver.Stay{}),
			Customer: driver.Some(driver.Customer{Name: "Müller", LastName: "Müller"}),
			Custom:   driver.Some(map[string]string{}),
		})
		var odd []string
		for _, c := range drift.Snapshot() {
			odd = append(odd, fmt.Sprintf("%s %s %d", c.Field, c.Change, c.Lost))
		}
		want := []string{
			"GuestCount@AgeQualifyingCode value 0", "GuestCount@Count type 1", "RoomRate.Total type 0",
			"Service.Fee@Amount type 1",
			"Total@DecimalPlaces missing 0", "TotalCommissions value 1",
		}
		same(t, odd, want)
	})
}

func TestSampleContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := with(t, map[string]string{
			"GET /property-api/properties/7004411":     "property.json",
			"GET /rooms-api/properties/7004411/units":  "units.json",
			"GET /photo-api/properties/7004411/photos": "photos.json",
		}, nil)
		resources := all(t, d.Resources(t.Context(), driver.Query{}))
		for i := range resources {
			resources[i].Raw = nil
		}
		lat, lng := 46.77, 23.59
		same(t, resources, []driver.Resource{{
			Record: driver.Record{ID: "7004411", AdapterVersion: "v1"}, ParentID: driver.Null[string](),
			Name:         driver.Some("Example Garden House"),
			InternalName: driver.Some("H-000417"), Structure: driver.Some("property"), Type: driver.Some("20"),
			Status: driver.Some(driver.ResourceInactive),
			Listed: driver.Some(false), Currency: driver.Some("EUR"), CheckInFrom: driver.Some("15:00"),
			CheckOutBy: driver.Some("11:00"),
			Address: driver.Some(driver.Address{Street: "Str. Exemplu 4", City: "Cluj-Napoca", PostalCode: "400001",
				Country: "RO", Lat: &lat, Lng: &lng}),
			Custom: driver.Some(map[string]string{"stars": "3.5", "target": "test"}),
		}, {
			Record: driver.Record{ID: "700441102", AdapterVersion: "v1"}, ParentID: driver.Some("7004411"),
			Name:         driver.Some("studio-garden"),
			InternalName: driver.Some("studio-garden"), Structure: driver.Some("unit"), Type: driver.Some("11"),
			Status:   driver.Some(driver.ResourceActive),
			Capacity: driver.Some(3), Bedrooms: driver.Some(1.0), Beds: driver.Some(1.0), AreaSqM: driver.Some(31.0),
			Custom: driver.Some(map[string]string{"number_of_units": "2", "smoking_policy": "NON_SMOKING",
				"unit_name_id": "118"}),
		}, {
			Record: driver.Record{ID: "700441101", AdapterVersion: "v1"}, ParentID: driver.Some("7004411"),
			Structure: driver.Some("unit"), Type: driver.Some("9"),
			Status: driver.Some(driver.ResourceActive), Capacity: driver.Some(2),
			Custom: driver.Some(map[string]string{"number_of_units": "2", "smoking_policy": "NON_SMOKING",
				"unit_name_id": "90"}),
		}})
		media := all(t, d.Media(t.Context(), "7004411"))
		for i := range media {
			media[i].Raw = nil
		}
		same(t, media, []driver.Media{{
			Record: driver.Record{ID: "301200455", AdapterVersion: "v1"}, ResourceID: "7004411",
			URL:     driver.Some("https://photos.example.net/301200455.jpg"),
			Caption: driver.Some("Terrace"), Position: driver.Some(0), Source: driver.Some("bookingcom"),
		}})
		if host := s.seen[0].URL.Host; host != "supply-xml.booking.com" {
			t.Errorf("content is read at %s", host)
		}
	})
}

func TestSampleMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := with(t, map[string]string{
			"GET /reservations-flow-control/missed-reservations": "missed.json", newPath: "ota-new.xml",
			newAck: "ota-acknowledged.xml",
		}, map[string]string{"recovery": "on"})
		n := 0
		for page, err := range d.Recover(t.Context(), time.Time{}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(page.Items)
			if err := d.Acknowledge(t.Context(), page.Receipt); err != nil {
				t.Error(err)
			}
		}
		if q := s.seen[1].URL.Query(); n != 1 || q.Get("id") != "4120087731" || q.Get("hotel_ids") != "7004411" {
			t.Errorf("%d messages, asked for %v", n, q)
		}
	})
}

func TestNotices(t *testing.T) {
	for name, want := range map[string]webhook.Notice{
		"notification-pbb.json":     {Kind: webhook.ResourceChanged, Record: "7004411", Thin: true},
		"notification-message.json": {Kind: "MESSAGING_API_NEW_MESSAGE", Thin: true},
	} {
		e := webhook.Event{Body: sample(t, name), ContentType: "application/json"}
		want.Event = e
		d, _ := with(t, nil, nil)
		got, err := d.Notices(e)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		same(t, got[0], want)
	}
	for body, want := range map[string]string{
		`{"metadata":{"type":"PBB_CONFIG_UPDATE_STATUS"},"payload":{"propertyId":"007"}}`: "7",
		`{"metadata":{"type":"PBB_CONFIG_UPDATE_STATUS"},"payload":{"propertyId":"x"}}`:   "",
		`{"metadata":{"type":"PBB_CONFIG_UPDATE_STATUS"},"payload":{"propertyId":[1,2]}}`: "",
	} {
		got, err := bookingcom.Notices(webhook.Event{Body: []byte(body)})
		if err != nil || len(got) != 1 || got[0].Record != want ||
			(got[0].Kind == webhook.ResourceChanged) != (want != "") {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, body := range []string{``, `[]`, `{}`, `{"metadata":{}}`, `{"metadata":{"type":7}}`} {
		if got, err := bookingcom.Notices(webhook.Event{Body: []byte(body)}); err == nil {
			t.Errorf("%s: %+v", body, got)
		}
	}
}
