package bookingcom_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// Properties with all their odd shapes are imported, with room types and photos.
func TestContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 36, PhotosPerProperty: 15, Seed: 2})
		in := s.Integration("all")
		d, store := open(t, s, in), importer.NewMemory()
		res, err := importer.Run(t.Context(), importer.Config{Driver: d, Integration: in, Store: store})
		if err != nil {
			t.Fatal(err)
		}
		if ok, why := res.Complete(); !ok || res.Counts().Added != 36*(1+3+15) || res.Counts().Rejected != 0 {
			t.Errorf("complete %v %s, %+v", ok, why, res.Counts())
		}
		c := importer.Collection{Integration: in.ID, Kind: driver.KindResource}
		for i := range 36 {
			got, err := store.Records(t.Context(), c, []string{bookingcomtest.PropertyID(i),
				bookingcomtest.UnitID(i, 1)})
			if err != nil || len(got) != 2 {
				t.Fatalf("property %d: %d records, %v", i, len(got), err)
			}
			for _, stored := range got {
				r, err := importer.Decode[driver.Resource](stored)
				if err != nil {
					t.Fatal(err)
				}
				if parent := r.ParentID.Or(""); r.ID == bookingcomtest.UnitID(i, 1) &&
					parent != bookingcomtest.PropertyID(i) {
					t.Errorf("%s is of %s", r.ID, parent)
				}
				if r.ID == bookingcomtest.PropertyID(i) && (r.Name.Or("") == "" || r.Currency.Or("") == "" ||
					r.CheckInFrom.Or("") == "" || r.CheckOutBy.Or("") == "") {
					t.Errorf("%s: %+v lacks something", r.ID, r.Record)
				}
			}
		}
		if r := s.Report(); r.Violations > 0 || len(r.Unexpected) > 0 {
			t.Errorf("%d violations, unexpected %q", r.Violations, r.Unexpected)
		}
	})
}

func TestResourcesByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 4})
		in := s.Integration("all")
		in.Settings["properties"] += ",7999999" // known to nobody
		d := open(t, s, in)
		ids := func(want ...string) (got []string) {
			for _, r := range all(t, d.ResourcesByID(t.Context(), want)) {
				got = append(got, r.ID)
			}
			return got
		}
		property, unit := bookingcomtest.PropertyID(1), bookingcomtest.UnitID(2, 0)
		if got := ids(property, unit, "", bookingcomtest.UnitID(1, 98)); !slices.Equal(got, []string{property, unit}) {
			t.Errorf("got %q", got)
		}
		if n := s.Report().Requests; n != 5 { // with the token's
			t.Errorf("%d requests", n)
		}
		// One whose property is not told by its id: all are looked through, and that one of them is refused is an
		// error, not an absence.
		for _, err := range d.ResourcesByID(t.Context(), []string{"12"}) {
			if err != nil && retry.ClassOf(err) != retry.Auth {
				t.Errorf("got %v", err)
			}
		}
		for page, err := range d.Resources(t.Context(), driver.Query{MaxPages: 1}) {
			if err != nil {
				t.Fatal(err)
			}
			other := open(t, s, s.Hotel("one", 0))
			for _, err := range other.Resources(t.Context(), driver.Query{Cursor: page.Next}) {
				if !errors.Is(err, pagination.ErrCursor) {
					t.Errorf("a cursor at a property of others: %v", err)
				}
			}
		}
		if got := all(t, d.Media(t.Context(), unit)); len(got) != 0 {
			t.Errorf("a room type has %d photos", len(got))
		}
	})
}

// Errors come with status 200; the RUID and the code are in ours, the text is not.
func TestContentErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		body  string
		class retry.Class
		code  string
	}{
		"fields": {`{"data":null,"errors":[{"message":"Invalid item Guest","code":394,"details":{"fields":["stars"]}}],"meta":{"ruid":"r1"}}`, retry.Client, "394"},
		"access": {`{"errors":[{"message":"Access denied for hotel Guest","code":"497"}],"meta":{"ruid":"r1"}}`,
			retry.Auth, "497"},
		"system": {`{"errors":[{"message":"Guest","code":448}],"meta":{"ruid":"r1"}}`, retry.Transient, "448"},
		"odd code": {`{"errors":[{"message":"Guest","code":"Guest Example!"}],"meta":{"ruid":"r1"}}`, retry.Client,
			""},
		"no code":    {`{"errors":{"a":"Guest"},"meta":{"ruid":"r1"}}`, retry.Client, ""},
		"no data":    {`{"data":null,"errors":[],"meta":{"ruid":"r1"}}`, retry.Data, ""},
		"no listing": {`{"data":"Guest","errors":[],"meta":{"ruid":"r1"}}`, retry.Data, ""},
		"no object":  {`["Guest"],"ruid":"r1"`, retry.Data, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 1})
				d := tampered(t, s, bookingcomtest.Legacy(s.Hotel("h1", 0)), func(req *http.Request,
					body string) string {
					if strings.HasPrefix(req.URL.Path, "/rooms-api/") || strings.HasPrefix(req.URL.Path,
						"/photo-api/") || name != "no listing" {
						return tt.body
					}
					return body
				})
				for what, err := range map[string]error{"resources": failure(d.Resources(t.Context(),
					driver.Query{})), "media": failure(d.Media(t.Context(), bookingcomtest.PropertyID(0)))} {
					e, ok := errors.AsType[*retry.Error](err)
					if !ok || e.Class != tt.class || e.Code != tt.code || strings.Contains(err.Error(), "Guest") {
						t.Errorf("%s: got %v, class %v", what, err, retry.ClassOf(err))
					} else if e.RequestID != "r1" && name != "no listing" {
						t.Errorf("%s: RUID %q", what, e.RequestID)
					}
				}
			})
		})
	}
}

// failure returns a stream's error.
func failure[T any](pages pagination.Pages[T]) error {
	for _, err := range pages {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestTokenIsSharedAndBudgeted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 3})
		reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
		defer reg.Close(context.Background())
		if err := bookingcom.Register(reg); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			d, err := reg.OpenIntegration(t.Context(), s.Hotel("h"+bookingcomtest.PropertyID(i), i))
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if n := s.TokensIssued(); n != 1 {
			t.Errorf("%d tokens for one machine account", n)
		}
	})
}
