package driver_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

func whole() driver.Transaction {
	return driver.Transaction{
		Record:     driver.Record{ID: "t-1", UpdatedAt: time.Unix(1, 0)},
		ResourceID: driver.Some("r-1"), Status: driver.Some(driver.StatusConfirmed), Currency: driver.Some("EUR"),
		Start: driver.Some(driver.Date{Year: 2026, Month: 12, Day: 2}), End: driver.Some(driver.Date{Year: 2026, Month: 12, Day: 5}),
		Customer: driver.Some(driver.Customer{Name: "Canary Name", Email: "canary@example.com"}),
		Party:    driver.Some(driver.Party{Total: 2, Adults: 2}), Total: driver.Some(driver.Money{Amount: 100, Currency: "EUR"}),
		Lines: driver.Some([]driver.Line{{ID: "l", Amount: driver.Money{Amount: 1, Currency: "EUR"}}}),
		Stays: driver.Some([]driver.Stay{{ResourceID: "r-1"}}), ArrivalTime: driver.Some("18:30"), Payout: driver.Null[driver.Money](),
	}
}

func TestValidateAcceptsWhatIsRight(t *testing.T) {
	tx := whole()
	lat := 0.0
	for _, rec := range []any{
		tx, &tx, driver.Resource{Record: driver.Record{ID: "r"}}, driver.Media{Record: driver.Record{ID: "m"}, ResourceID: "r"},
		driver.Day{ResourceID: "r", Date: driver.Date{Year: 2026, Month: 12, Day: 2}, MinStay: driver.Some(2), MaxStay: driver.Some(0)},
		driver.Resource{Record: driver.Record{ID: "r"}, Status: driver.Some(driver.ResourceActive), Address: driver.Some(driver.Address{Lat: &lat}),
			Amenities: driver.Some([]string(nil)), Custom: driver.Null[map[string]string](), CoverURL: driver.Some("https://cdn.example.com/a.jpg")},
	} {
		if err := driver.Validate(rec); err != nil {
			t.Errorf("%T: %v", rec, err)
		}
	}
}

func TestValidateNamesEveryProblem(t *testing.T) {
	lat := 91.0
	tx := whole()
	tx.ID = ""
	tx.Aliases = []string{""}
	tx.Status = driver.Some(driver.TransactionStatus("canary"))
	tx.Currency = driver.Some("canary")
	tx.End = driver.Some(driver.Date{Year: 2026, Month: 12, Day: 1})
	tx.Total = driver.Some(driver.Money{})
	tx.Party = driver.Some(driver.Party{Adults: -1})
	tx.Lines = driver.Some([]driver.Line{{}})
	tx.Stays = driver.Some([]driver.Stay{{Start: driver.Date{Year: 2026, Month: 2, Day: 30}}})
	tx.ArrivalTime = driver.Some("canary")
	for _, tt := range []struct {
		rec  any
		want []string
	}{
		{&tx, []string{"id: required", "aliases[0]: required", "status: status", "currency: currency", "end: not_before_start", "total.currency: currency",
			"party.adults: gte=0", "lines[0].amount.currency: currency", "stays[0].start.day: date", "arrival_time: timeofday"}},
		{&driver.Resource{Record: driver.Record{ID: strings.Repeat("canary", 100)}, Status: driver.Some(driver.ResourceStatus("")), Bedrooms: driver.Some(math.NaN()), MinStay: driver.Some(-1),
			Address: driver.Some(driver.Address{Lat: &lat}), CoverURL: driver.Some("javascript:canary")},
			[]string{"id: max=200", "status: status", "bedrooms: finite", "min_stay: gte=0", "address.lat: lte=90", "cover_url: weburl"}},
		{driver.Media{Record: driver.Record{ID: "m"}, URL: driver.Some("file:///canary"), Position: driver.Some(-1)},
			[]string{"resource_id: required", "url: weburl", "position: gte=0"}},
		{driver.Day{Date: driver.Date{Year: 2026, Month: 2, Day: 30}, Status: driver.Some(driver.DayStatus("canary")), Available: driver.Some(-1),
			Price: driver.Some(driver.Money{Currency: "canary"}), MinStay: driver.Some(3), MaxStay: driver.Some(2)},
			[]string{"resource_id: required", "date.day: date", "status: status", "available: gte=0", "price.currency: currency",
				"max_stay: not_below_min_stay"}},
		{driver.Day{ResourceID: "r"}, []string{"date: required"}},
	} {
		err := driver.Validate(tt.rec)
		if err == nil {
			t.Errorf("%T is valid", tt.rec)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%T: %v; want %q in it", tt.rec, err, w)
			}
		}
		if n := strings.Count(err.Error(), "; ") + 1; n != len(tt.want) {
			t.Errorf("%T: %d problems, want %d: %v", tt.rec, n, len(tt.want), err)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("a value is in %v", err)
		}
	}
}

func TestValidateRefusesWhatIsNoRecord(t *testing.T) {
	for _, rec := range []any{nil, 1, "x", struct{}{}, (*driver.Resource)(nil), driver.Record{ID: "x"}} {
		if err := driver.Validate(rec); err == nil {
			t.Errorf("%T is valid", rec)
		}
	}
}

// Each field of the records can be set, written, read back and validated; a tag that the validator does not know panics.
func TestEveryFieldOfTheModel(t *testing.T) {
	for _, rec := range []any{&driver.Resource{}, &driver.Transaction{}, &driver.Media{}, &driver.Day{}} {
		v := reflect.ValueOf(rec).Elem()
		fields := 0
		names := map[string]bool{}
		for f, fv := range v.Fields() {
			if f.Anonymous || f.Tag.Get("json") == "-" {
				continue
			}
			fields++
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			if name == "" || names[name] || strings.HasPrefix(f.Type.Name(), "Opt[") != (opts == "omitzero") {
				t.Errorf("%T.%s: tag %q", rec, f.Name, f.Tag)
			}
			names[name] = true
			if u, ok := fv.Addr().Interface().(json.Unmarshaler); ok {
				if err := u.UnmarshalJSON([]byte("null")); err != nil {
					t.Errorf("%T.%s: %v", rec, f.Name, err)
				}
			}
		}
		required := 1
		switch r := rec.(type) {
		case *driver.Day:
			r.ResourceID, r.Date = "r", driver.Date{Year: 2026, Month: 12, Day: 2}
			required = 2
		case *driver.Media:
			r.ID, r.ResourceID = "x", "r"
		default:
			v.FieldByName("ID").SetString("x")
		}
		if err := driver.Validate(rec); err != nil {
			t.Errorf("%T of nulls: %v", rec, err)
		}
		b, err := json.Marshal(rec)
		if err != nil || bytes.Count(b, []byte("null")) < fields-required {
			t.Errorf("%T: %s, %v", rec, b, err)
		}
		back := reflect.New(v.Type())
		if err := json.Unmarshal(b, back.Interface()); err != nil || !reflect.DeepEqual(back.Interface(), rec) {
			t.Errorf("%T: back as %+v, %v", rec, back.Interface(), err)
		}
	}
}

func TestDayKey(t *testing.T) {
	night := driver.Date{Year: 2026, Month: 12, Day: 2}
	d := driver.Day{ResourceID: "r", Date: night}
	if got, want := d.Key(), (driver.DayKey{ResourceID: "r", Date: night}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	d.UnitID, d.RatePlanID = driver.Some("u"), driver.Some("p")
	if got, want := d.Key(), (driver.DayKey{ResourceID: "r", UnitID: "u", RatePlanID: "p", Date: night}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := d.String(), "r 2026-12-02"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPromise8_RecordsDoNotPrint(t *testing.T) {
	tx := whole()
	tx.Raw = json.RawMessage(`{"guest":"Canary Name"}`)
	m := driver.Message{ID: "m", Body: []byte("canary@example.com")}
	c, _ := tx.Customer.Get()
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, nil))
	d := driver.Day{ResourceID: "r", Date: driver.Date{Year: 2026, Month: 12, Day: 2}, StatusText: driver.Some("canary")}
	for _, v := range []any{tx, &tx, m, &m, c, &c, d, &d} {
		fmt.Fprintf(&b, "%v %+v %#v %s\n", v, v, v, v)
		log.Info("record", "v", v)
	}
	if out := strings.ToLower(b.String()); strings.Contains(out, "canary") {
		t.Errorf("personal data printed: %s", out)
	}
}
