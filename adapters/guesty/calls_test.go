package guesty_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// requests keeps what was asked for.
type requests struct {
	next http.RoundTripper
	mu   sync.Mutex
	urls []*url.URL
}

func (r *requests) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.urls = append(r.urls, req.URL)
	r.mu.Unlock()
	return r.next.RoundTrip(req)
}

func (r *requests) last() *url.URL { return r.urls[len(r.urls)-1] }

// account runs f with a driver for a simulated account, in a bubble.
func account(t *testing.T, family guesty.Family, c guestytest.Config, f func(t *testing.T, s *guestytest.Server,
	d *guesty.Driver, seen *requests)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Seed = 1
		s, err := guestytest.NewServer(c)
		if err != nil {
			t.Fatal(err)
		}
		seen := &requests{next: s.Transport()}
		reg := driver.NewRegistry(driver.Options{Transport: seen})
		if err := guesty.Register(reg); err != nil {
			t.Fatal(err)
		}
		in := s.Integration("acct-17")
		in.Settings = map[string]string{"reservations": string(family)}
		d, err := reg.OpenIntegration(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, d.(*guesty.Driver), seen)
		if err := reg.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		// The simulated partner notes what its documentation does not know.
		if rep := s.Report(); len(rep.Unexpected) > 0 || rep.Violations > 0 {
			t.Errorf("%d violations, undocumented: %q", rep.Violations, rep.Unexpected)
		}
	})
}

// all reads a stream to its end.
func all[T any](t *testing.T, pages pagination.Pages[T]) []T {
	t.Helper()
	var items []T
	for p, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Rejected) > 0 {
			t.Fatalf("%d rejected, first: %v", len(p.Rejected), p.Rejected[0].Err)
		}
		items = append(items, p.Items...)
	}
	return items
}

func TestWhatIsSent(t *testing.T) {
	account(t, guesty.V3, guestytest.Config{Listings: 3, ReservationsPerListing: 2, PhotosPerListing: 2},
		func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
			listings := all(t, d.Resources(t.Context(), driver.Query{UpdatedSince: time.Now()}))
			q := seen.last().Query()
			if seen.last().Path != "/v1/listings" || q.Get("sort") != "_id" || q.Get("limit") != "100" ||
				q.Get("skip") != "0" || !strings.Contains(q.Get("fields"), "title") || q.Has("filters") {
				t.Errorf("listings: %s", seen.last())
			}
			id := listings[0].ID
			stays := all(t, d.Transactions(t.Context(), driver.Query{ResourceID: id, UpdatedSince: time.Now()}))
			q = seen.last().Query()
			if seen.last().Path != "/v1/reservations-v3/search" || q.Get("filter[listingId]") != id || len(q) != 4 {
				t.Errorf("v3: %s", seen.last())
			}
			if len(stays) != 2 || stays[0].ResourceID.Or("") != id {
				t.Errorf("%d stays of %s, first of %s", len(stays), id, stays[0].ResourceID.Or(""))
			}
			photos := all(t, d.Media(t.Context(), id))
			if seen.last().Path != "/v1/properties-api/property-photos/property-photos/"+id || len(photos) != 2 ||
				photos[0].ResourceID != id || photos[0].Position.Or(-1) != 0 {
				t.Errorf("photos: %s, %d", seen.last(), len(photos))
			}
		})
	account(t, guesty.Classic, guestytest.Config{Listings: 3, ReservationsPerListing: 2},
		func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
			since := time.Date(2026, 10, 28, 18, 35, 0, 1999999, time.FixedZone("", 3600))
			all(t, d.Transactions(t.Context(), driver.Query{UpdatedSince: since}))
			q := seen.last().Query()
			if want := `[{"field":"lastUpdatedAt","operator":"$gte","value":"2026-10-28T17:35:00.001Z"}]`; q.Get("filters") != want {
				t.Errorf("filters %s, want %s", q.Get("filters"), want)
			}
			fields := strings.Fields(q.Get("fields"))
			if seen.last().Path != "/v1/reservations" || !slices.Contains(fields, "status") ||
				!slices.Contains(fields, "lastUpdatedAt") || q.Get("sort") != "_id" {
				t.Errorf("classic: %s", seen.last())
			}
		})
}

// A cursor is of one selection: an offset in another one would lose rows.
func TestCursorsAreBoundToTheSelection(t *testing.T) {
	account(t, guesty.Classic, guestytest.Config{Listings: 120, ReservationsPerListing: 1},
		func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
			var next pagination.Cursor
			for p, err := range d.Transactions(t.Context(), driver.Query{MaxPages: 1}) {
				if err != nil {
					t.Fatal(err)
				}
				next = p.Next
			}
			for name, q := range map[string]driver.Query{"a time": {UpdatedSince: time.Unix(1, 0)},
				"a listing": {ResourceID: "x"}} {
				q.Cursor = next
				for _, err := range d.Transactions(t.Context(), q) {
					if !errors.Is(err, pagination.ErrCursor) {
						t.Errorf("%s: error %v", name, err)
					}
				}
			}
		})
}

func TestByID(t *testing.T) {
	unknown := strings.Repeat("e", 24)
	for _, family := range []guesty.Family{guesty.V3, guesty.Classic} {
		account(t, family, guestytest.Config{Listings: 23, ReservationsPerListing: 1},
			func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
				ids := slices.Collect(s.ListingIDs())
				before := len(seen.urls)
				got := all(t, d.ResourcesByID(t.Context(), append(ids, unknown, "", ids[0])))
				// A token, one call for the ids, one for that which was not among them.
				if len(got) != 23 || len(seen.urls)-before != 3 {
					t.Errorf("%s: %d listings in %d requests", family, len(got), len(seen.urls)-before)
				}
				ids = slices.Collect(s.ReservationIDs())
				before = len(seen.urls)
				stays := all(t, d.TransactionsByID(t.Context(), append(ids, unknown)))
				want := 3
				if family == guesty.Classic {
					want = 24
				}
				if len(stays) != 23 || len(seen.urls)-before != want {
					t.Errorf("%s: %d reservations in %d requests, want 23 in %d", family, len(stays),
						len(seen.urls)-before, want)
				}
				for _, err := range d.Media(t.Context(), unknown) {
					if !errors.Is(err, driver.ErrNotFound) {
						t.Errorf("photos of an unknown listing: %v", err)
					}
				}
			})
	}
}

// A resource that stays forbidden costs one token at most, however often it is asked for, and the rest goes on working.
func TestForbiddenBurnsNoTokens(t *testing.T) {
	forbidden := []partnersim.Rule{{Kind: "403", Endpoint: "/v1/properties-api/*"}}
	account(t, guesty.V3, guestytest.Config{Listings: 20, PhotosPerListing: 1, Faults: forbidden},
		func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
			for id := range s.ListingIDs() {
				for _, err := range d.Media(t.Context(), id) {
					if c := retry.ClassOf(err); c != retry.Auth {
						t.Errorf("class %v, want auth: %v", c, err)
					}
				}
			}
			if got := all(t, d.Resources(t.Context(), driver.Query{})); len(got) != 20 {
				t.Errorf("%d listings", len(got))
			}
			if n := s.TokensIssued(); n > 2 {
				t.Errorf("%d tokens were taken", n)
			}
		})
}

// Every record of an account full of odd shapes is read, and nothing private is kept.
func TestOddAccount(t *testing.T) {
	for _, family := range []guesty.Family{guesty.V3, guesty.Classic} {
		account(t, family, guestytest.Config{Listings: 60, ReservationsPerListing: 3, PhotosPerListing: 2, Odd: 1},
			func(t *testing.T, s *guestytest.Server, d *guesty.Driver, seen *requests) {
				listings := all(t, d.Resources(t.Context(), driver.Query{}))
				stays := all(t, d.Transactions(t.Context(), driver.Query{}))
				if len(listings) != 60 || len(stays) != 180 {
					t.Errorf("%s: %d listings, %d reservations", family, len(listings), len(stays))
				}
				for _, l := range listings {
					if strings.Contains(string(l.Raw), guestytest.SecretInListing) {
						t.Fatal("a channel's credentials are kept")
					}
				}
				for _, st := range stays {
					if !st.Start.Observed() || !st.End.Observed() || st.ResourceID.Or("") == "" {
						t.Errorf("%s: a reservation without nights or listing", family)
					}
				}
			})
	}
}
