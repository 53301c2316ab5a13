package cloudbeds_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// requests keeps the URLs that were asked for.
type requests struct {
	next    http.RoundTripper
	urls    []*url.URL
	methods []string
}

func (r *requests) RoundTrip(req *http.Request) (*http.Response, error) {
	r.urls, r.methods = append(r.urls, req.URL), append(r.methods, req.Method)
	return r.next.RoundTrip(req)
}

func (r *requests) last() *url.URL { return r.urls[len(r.urls)-1] }

// group runs f with a driver for a simulated group, in a bubble.
func group(t *testing.T, settings map[string]string, c cloudbedstest.Config, f func(t *testing.T,
	s *cloudbedstest.Server, d *cloudbeds.Driver, seen *requests)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Seed = 1
		s, err := cloudbedstest.NewServer(c)
		if err != nil {
			t.Fatal(err)
		}
		seen := &requests{next: s.Transport()}
		reg := driver.NewRegistry(driver.Options{Transport: seen})
		if err := cloudbeds.Register(reg); err != nil {
			t.Fatal(err)
		}
		in := s.Integration("a")
		in.Settings, in.Account = settings, ""
		d, err := reg.OpenIntegration(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, d.(*cloudbeds.Driver), seen)
		if err := reg.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		// The simulated partner notes what its documentation does not know.
		if rep := s.Report(); len(rep.Unexpected) > 0 || rep.Violations > 0 || s.Suspended() {
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

// failure is the error that a stream ends with.
func failure[T any](pages pagination.Pages[T]) error {
	var last error
	for _, err := range pages {
		last = err
	}
	return last
}

func TestWhatIsSent(t *testing.T) {
	settings := map[string]string{"property": "190002", "api_version": "v1.2"}
	group(t, settings, cloudbedstest.Config{Properties: 3, ReservationsPerProperty: 4, PhotosPerProperty: 2},
		func(t *testing.T, _ *cloudbedstest.Server, d *cloudbeds.Driver, seen *requests) {
			if d.Info().APIVersion != "v1.2" {
				t.Errorf("version %s", d.Info().APIVersion)
			}
			if err := d.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if got := all(t, d.Resources(t.Context(), driver.Query{})); len(got) != 1 || got[0].ID != "190002" ||
				got[0].TimeZone.Or("") != "Europe/Lisbon" {
				t.Errorf("properties: %v", got)
			}
			if u := seen.last(); u.Path != "/api/v1.2/getHotels" ||
				u.RawQuery != "pageNumber=1&pageSize=20&propertyIDs=190002" {
				t.Errorf("properties: %s", u)
			}
			since := time.Date(2026, 10, 2, 12, 0, 0, 5, time.FixedZone("", 3600))
			all(t, d.Transactions(t.Context(), driver.Query{UpdatedSince: since}))
			q := seen.last().Query()
			if seen.last().Path != "/api/v1.2/getReservationsWithRateDetails" ||
				q.Get("modifiedFrom") != "2026-10-01 11:00:00" || q.Get("propertyID") != "190002" ||
				q.Get("includeDeleted") != "true" || q.Get("sortByRecent") != "true" || q.Get("pageSize") != "100" ||
				len(q) != 6 {
				t.Errorf("reservations: %s", seen.last())
			}
			sent := len(seen.urls)
			if got := all(t, d.Transactions(t.Context(), driver.Query{ResourceID: "190001"})); len(got) != 0 ||
				len(seen.urls) != sent {
				t.Errorf("another property than the integration's: %d reservations, %d calls", len(got),
					len(seen.urls)-sent)
			}
			if got := all(t, d.Media(t.Context(), "190002")); len(got) != 2 || got[1].Position.Or(-1) != 1 {
				t.Errorf("photos: %v", got)
			}
		})
}

// A reservation that changes before its page is read moves to the front, which was read already; neither the total
// nor a seam between two pages shows it.
func TestReservationThatChangesUnread(t *testing.T) {
	group(t, nil, cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 250},
		func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
			order := all(t, d.Transactions(t.Context(), driver.Query{}))
			unread := slices.IndexFunc(order[200:],
				func(r driver.Transaction) bool { return r.Status.Or("") == driver.StatusConfirmed })
			id := order[200+unread].ID
			seen, pages, incomplete := map[string]int{}, 0, ""
			for p, err := range d.Transactions(t.Context(), driver.Query{}) {
				if err != nil {
					t.Fatal(err)
				}
				if pages++; pages == 1 {
					if _, err := d.PushStatus(t.Context(), "", id, driver.StatusCanceled); err != nil {
						t.Fatal(err)
					}
				}
				for _, r := range p.Items {
					seen[r.ID]++
				}
				incomplete = p.Incomplete
			}
			if seen[id] != 1 || len(seen) != len(order) || incomplete != "" {
				t.Errorf("the one that changed came %d times, %d of %d came, incomplete %q", seen[id], len(seen),
					len(order), incomplete)
			}
		})
}

// Wherever the property is, and in whichever zone the partner reads the filter, what was changed since is there and no
// more.
func TestChangedSince(t *testing.T) {
	for _, ignored := range []bool{false, true} {
		c := cloudbedstest.Config{Properties: 4, ReservationsPerProperty: 60, IgnoreFilters: ignored}
		group(t, nil, c, func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
			at := time.Date(2026, 11, 20, 9, 30, 15, 0, time.UTC)
			delta := s.Change(0.3, 1, at)
			got := all(t, d.Transactions(t.Context(), driver.Query{UpdatedSince: at.Add(900 * time.Millisecond)}))
			if want := delta.Added + delta.Updated + delta.Deleted; len(got) != want {
				t.Errorf("filters ignored %v: %d reservations, want %d", ignored, len(got), want)
			}
			canceled := 0
			for _, r := range got {
				if !r.UpdatedAt.Equal(at) {
					t.Errorf("%s was changed at %v", r.ID, r.UpdatedAt)
				}
				if r.Status.Or("") == driver.StatusCanceled {
					canceled++
				}
			}
			if canceled < delta.Deleted || delta.Deleted == 0 {
				t.Errorf("%d canceled of %d deleted", canceled, delta.Deleted)
			}
			if got := all(t, d.Transactions(t.Context(),
				driver.Query{UpdatedSince: at.Add(time.Second)})); len(got) != 0 {
				t.Errorf("%d reservations from the future", len(got))
			}
			if got := all(t, d.Transactions(t.Context(), driver.Query{ResourceID: "190003"})); len(got) < 60 ||
				slices.ContainsFunc(got, func(r driver.Transaction) bool { return r.ResourceID.Or("") != "190003" }) {
				t.Errorf("filters ignored %v: %d reservations of one property", ignored, len(got))
			}
			ids := slices.Collect(s.ReservationIDs())[:3]
			if ignored {
				// A row that is missing among rows that nobody asked for must not look deleted.
				if err := failure(d.TransactionsByID(t.Context(), ids)); retry.ClassOf(err) != retry.Data {
					t.Errorf("the filter by id is ignored: %v", err)
				}
			} else if got := all(t, d.TransactionsByID(t.Context(), ids)); len(got) != 3 {
				t.Errorf("%d reservations by id", len(got))
			}
		})
	}
}

// Every record and page of a group full of odd shapes is read, and nothing private is kept.
func TestOddGroup(t *testing.T) {
	group(t, nil, cloudbedstest.Config{Properties: 30, ReservationsPerProperty: 12, PhotosPerProperty: 1, Odd: 1},
		func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
			s.Change(0.2, 1, time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC))
			hotels := all(t, d.Resources(t.Context(), driver.Query{}))
			stays := all(t, d.Transactions(t.Context(), driver.Query{}))
			if n := s.Account(); len(hotels) != 30 || len(stays) != n.Reservations+n.Deleted {
				t.Errorf("%d properties, %d reservations of %+v", len(hotels), len(stays), n)
			}
			for _, h := range hotels {
				if h.TimeZone.Or("") == "" || h.Currency.Or("") == "" {
					t.Errorf("%s without zone or currency", h.ID)
				}
			}
			canceled := 0
			for _, st := range stays {
				if strings.Contains(string(st.Raw), cloudbedstest.CardID) {
					t.Fatal("a card is kept")
				}
				if !st.Total.Observed() || !st.Paid.Observed() || !st.Start.Observed() || st.UpdatedAt.IsZero() ||
					st.ResourceID.Or("") == "" {
					t.Errorf("%s is not whole", st.ID)
				}
				if st.Status.Or("") == driver.StatusCanceled {
					canceled++
				}
			}
			if canceled < s.Account().Deleted {
				t.Errorf("%d canceled, %d deleted", canceled, s.Account().Deleted)
			}
			for _, id := range []string{"190001", "190002"} {
				if got := all(t, d.ResourcesByID(t.Context(), []string{id})); len(got) != 1 {
					t.Errorf("details of %s: %v", id, got)
				}
			}
		})
}

func TestUnknownProperties(t *testing.T) {
	group(t, map[string]string{"property": "999"}, cloudbedstest.Config{Properties: 2, PhotosPerProperty: 1},
		func(t *testing.T, s *cloudbedstest.Server, d *cloudbeds.Driver, _ *requests) {
			if err := d.Check(t.Context()); err == nil {
				t.Error("Check of a property that the key does not reach")
			}
			ids := slices.Collect(s.PropertyIDs())
			if got := all(t, d.ResourcesByID(t.Context(), append(ids, "999", "", ids[0]))); len(got) != 2 ||
				got[0].Address.Or(driver.Address{}).Country != "US" {
				t.Errorf("by id: %v", got)
			}
			if err := failure(d.Media(t.Context(), "999")); !errors.Is(err, driver.ErrNotFound) ||
				retry.ClassOf(err) != retry.Client {
				t.Errorf("photos of an unknown property: %v", err)
			}
			if err := failure(d.Resources(t.Context(), driver.Query{})); retry.ClassOf(err) != retry.Client {
				t.Errorf("listing a property that the key does not reach: %v", err)
			}
		})
}

// Refusals come with status 200. They are neither data nor tried again, and an unknown one makes nothing look deleted.
func TestRefused(t *testing.T) {
	for kind, want := range map[partnersim.Kind]struct {
		class retry.Class
		text  string
	}{
		"x-refused":     {retry.Client, "client (200)"},
		"x-uninstalled": {retry.Auth, "The application is not available to be connected."},
		"x-late":        {retry.Auth, "Scope required for this call was not granted by property."},
	} {
		c := cloudbedstest.Config{Properties: 2, ReservationsPerProperty: 2, PhotosPerProperty: 1,
			Faults: []partnersim.Rule{{Kind: kind, Rate: 1}}}
		group(t, nil, c, func(t *testing.T, _ *cloudbedstest.Server, d *cloudbeds.Driver, seen *requests) {
			for name, err := range map[string]error{
				"check": d.Check(t.Context()), "resources": failure(d.Resources(t.Context(), driver.Query{})),
				"transactions":    failure(d.Transactions(t.Context(), driver.Query{})),
				"media":           failure(d.Media(t.Context(), "190001")),
				"resources by id": failure(d.ResourcesByID(t.Context(), []string{"190001"})),
				"by id":           failure(d.TransactionsByID(t.Context(), []string{"1"})),
			} {
				if retry.ClassOf(err) != want.class || errors.Is(err, driver.ErrNotFound) {
					t.Errorf("%s, %s: class %v, %v", kind, name, retry.ClassOf(err), err)
				} else if !strings.Contains(err.Error(), want.text) || strings.Contains(err.Error(), "Guest Example") {
					t.Errorf("%s, %s: %v", kind, name, err)
				}
			}
			if len(seen.urls) != 6 {
				t.Errorf("%s: %d requests for 6 calls", kind, len(seen.urls))
			}
		})
	}
}

// answers is a partner that answers every call with one text.
type answers string

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	w := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: -1,
		Request: req}
	w.Body = body{strings.NewReader(string(a))}
	return w, nil
}

type body struct{ *strings.Reader }

func (body) Close() error { return nil }

// What is neither data nor a refusal, and data that is not what was asked for, is an error of class Data.
func TestNotWhatWasAskedFor(t *testing.T) {
	for text, want := range map[string]retry.Class{
		`{"success":true}`:                                    retry.Data,
		`{"success":true,"data":"x"}`:                         retry.Data,
		`{"success":true,"data":[{"reservationID":"77","x":1`: retry.Data,
	} {
		synctest.Test(t, func(t *testing.T) {
			reg := driver.NewRegistry(driver.Options{Transport: answers(text)})
			defer reg.Close(context.Background())
			if err := cloudbeds.Register(reg); err != nil {
				t.Fatal(err)
			}
			in, err := reg.OpenIntegration(t.Context(), good().Integration("a"))
			if err != nil {
				t.Fatal(err)
			}
			d := in.(*cloudbeds.Driver)
			for name, err := range map[string]error{
				"resources":    failure(d.Resources(t.Context(), driver.Query{})),
				"transactions": failure(d.Transactions(t.Context(), driver.Query{})),
				"media":        failure(d.Media(t.Context(), "1")), "by id": failure(d.TransactionsByID(t.Context(),
					[]string{"1"})),
				"resources by id": failure(d.ResourcesByID(t.Context(), []string{"1"})),
			} {
				if retry.ClassOf(err) != want || !strings.Contains(err.Error(), "cloudbeds: get") {
					t.Errorf("%s, %s: %v", text, name, err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := failure(d.ResourcesByID(ctx, []string{"1"})); !errors.Is(err, context.Canceled) {
				t.Errorf("canceled: %v", err)
			}
		})
	}
}

// A property that answers for another one is not the one that was asked for.
func TestAnotherProperty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := driver.NewRegistry(driver.Options{Transport: answers(`{"success":true,"data":{"propertyID":"5","propertyImage":"https://i.example.com/1.jpg"}}`)})
		defer reg.Close(context.Background())
		if err := cloudbeds.Register(reg); err != nil {
			t.Fatal(err)
		}
		c := good()
		c.Property, c.Account = "4", "acct"
		in, err := reg.OpenIntegration(t.Context(), c.Integration("a"))
		if err != nil {
			t.Fatal(err)
		}
		d := in.(*cloudbeds.Driver)
		if err := d.Check(t.Context()); retry.ClassOf(err) != retry.Auth {
			t.Errorf("check: %v", err)
		}
		if got := all(t, d.ResourcesByID(t.Context(), []string{"4"})); len(got) != 0 {
			t.Errorf("by id: %v", got)
		}
		if err := failure(d.Media(t.Context(), "4")); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("photos: %v", err)
		}
		if got := all(t, d.Media(t.Context(), "5")); len(got) != 1 {
			t.Errorf("photos: %v", got)
		}
	})
}

// A row that cannot be read is rejected alone, under its id and without what must not be kept.
func TestRejectedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := driver.NewRegistry(driver.Options{Transport: answers(`{"success":true,"data":[{"reservationID":"1","estimatedArrivalTime":"late"},
			{"reservationID":2,"startDate":"soon","cardsOnFile":["CANARY"]},{"status":"confirmed"}]}`)})
		defer reg.Close(context.Background())
		if err := cloudbeds.Register(reg); err != nil {
			t.Fatal(err)
		}
		d, err := reg.OpenIntegration(t.Context(), good().Integration("a"))
		if err != nil {
			t.Fatal(err)
		}
		for p, err := range d.(*cloudbeds.Driver).Transactions(t.Context(), driver.Query{}) {
			if err != nil || len(p.Items) != 1 || len(p.Rejected) != 2 {
				t.Fatalf("%d items, %d rejected, %v", len(p.Items), len(p.Rejected), err)
			}
			if r := p.Rejected[0]; r.ID != "2" || strings.Contains(string(r.Raw), "CANARY") ||
				r.Err.Error() != "startDate: not a date" {
				t.Errorf("%s, %s: %v", r.ID, r.Raw, r.Err)
			}
		}
	})
}
