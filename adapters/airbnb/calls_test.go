package airbnb_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// epoch is around the time that a synctest bubble begins with, so that the stays are within the windows.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bubble runs f in a bubble at the epoch with a driver for a simulated account.
func bubble(t *testing.T, c airbnbtest.Config, f func(t *testing.T, d *airbnb.Driver, s *airbnbtest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch))
		c.Epoch = epoch
		s, err := airbnbtest.NewServer(c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
		if err := airbnb.Register(reg); err != nil {
			t.Fatal(err)
		}
		defer reg.Close(context.Background())
		d, err := reg.OpenIntegration(t.Context(), s.Integration("a"))
		if err != nil {
			t.Fatal(err)
		}
		f(t, d.(*airbnb.Driver), s)
		if r := s.Report(); r.Violations != 0 || len(r.Unexpected) != 0 {
			t.Errorf("%d violations, unexpected %q", r.Violations, r.Unexpected)
		}
	})
}

func collect[T any](t *testing.T, pages pagination.Pages[T]) []T {
	t.Helper()
	var all []T
	for it, err := range pagination.Items(pages) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, it)
	}
	return all
}

func TestTransactionsAreListedByWindows(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 2, ReservationsPerListing: 150}, func(t *testing.T, d *airbnb.Driver,
		s *airbnbtest.Server) {
		all := collect(t, d.Transactions(t.Context(), driver.Query{}))
		seen := map[string]bool{}
		for _, x := range all {
			seen[x.ID] = true
		}
		if len(seen) != 300 || len(all) != 300 {
			t.Errorf("%d reservations, %d of them different, want 300", len(all), len(seen))
		}
		id := slices.Collect(s.ListingIDs())[1]
		one := collect(t, d.Transactions(t.Context(), driver.Query{ResourceID: id}))
		if len(one) != 150 || one[0].ResourceID.Or("") != id {
			t.Errorf("%d of one listing, want 150", len(one))
		}
	})
}

// moving sends the reservations of a window as if two had gone since the page before, from the second page on.
type moving struct{ next http.RoundTripper }

func (m moving) RoundTrip(req *http.Request) (*http.Response, error) {
	q := req.URL.Query()
	if n, err := strconv.Atoi(q.Get("_offset")); err == nil && n > 0 && strings.HasSuffix(req.URL.Path,
		"/reservations") {
		req = req.Clone(req.Context())
		q.Set("_offset", strconv.Itoa(n+2))
		req.URL.RawQuery = q.Encode()
	}
	return m.next.RoundTrip(req)
}

// A row that goes moves another one to the page that was read, and nothing counts reservations: the list says that it
// is incomplete, also in the run that goes on after that page.
func TestReservationsThatMove(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 1, ReservationsPerListing: 300}, func(t *testing.T, whole *airbnb.Driver,
		s *airbnbtest.Server) {
		d, err := airbnb.New(driver.Env{Integration: s.Integration("b"), Transport: moving{s.Transport()}})
		if err != nil {
			t.Fatal(err)
		}
		said := func(d *airbnb.Driver) (n int, incomplete bool) {
			next, last := pagination.Cursor(""), false
			for !last {
				for p, err := range d.Transactions(t.Context(), driver.Query{Cursor: next, MaxPages: 1}) {
					if err != nil {
						t.Fatal(err)
					}
					n += len(p.Items)
					next, last, incomplete = p.Next, p.Last(), p.Incomplete != ""
				}
			}
			return n, incomplete
		}
		if n, incomplete := said(whole); n != 300 || incomplete {
			t.Errorf("undisturbed: %d reservations, incomplete %v", n, incomplete)
		}
		if n, incomplete := said(d); n == 300 || !incomplete {
			t.Errorf("moving: %d reservations, incomplete %v", n, incomplete)
		}
	})
}

func TestCursorsOfOthers(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 1}, func(t *testing.T, d *airbnb.Driver, _ *airbnbtest.Server) {
		for _, c := range []pagination.Cursor{"x", "airbnb/reservations/1"} {
			for _, err := range d.Transactions(t.Context(), driver.Query{Cursor: c}) {
				if !errors.Is(err, pagination.ErrCursor) {
					t.Errorf("%q: %v", c, err)
				}
			}
		}
	})
}

func TestByID(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 3, ReservationsPerListing: 2}, func(t *testing.T, d *airbnb.Driver,
		s *airbnbtest.Server) {
		ids := slices.Collect(s.ListingIDs())
		if got := collect(t, d.ResourcesByID(t.Context(), []string{ids[2], "5", ids[0], ids[0], ""})); len(got) != 2 {
			t.Errorf("%d listings, want 2", len(got))
		}
		codes := slices.Collect(s.ConfirmationCodes())
		if got := collect(t, d.TransactionsByID(t.Context(), []string{codes[1], "HM00000000"})); len(got) != 1 ||
			got[0].ID != codes[1] {
			t.Errorf("%d reservations, want 1", len(got))
		}
		for _, err := range d.Media(t.Context(), "5") {
			if !errors.Is(err, driver.ErrNotFound) {
				t.Errorf("photos of no listing: %v", err)
			}
		}
	})
}

func TestCheck(t *testing.T) {
	bubble(t, airbnbtest.Config{}, func(t *testing.T, d *airbnb.Driver, s *airbnbtest.Server) {
		if err := d.Check(t.Context()); err != nil {
			t.Errorf("the host's own: %v", err)
		}
		in := s.Integration("b")
		in.Account = "700009"
		other, err := airbnb.New(driver.Env{Integration: in, Transport: s.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Check(t.Context()); retry.ClassOf(err) != retry.Auth ||
			!strings.Contains(err.Error(), "another host") {
			t.Errorf("another host's: %v", err)
		}
	})
}

// A host that withdrew is one report for a human, and no storm of token requests.
func TestWithdrawn(t *testing.T) {
	bubble(t, airbnbtest.Config{}, func(t *testing.T, d *airbnb.Driver, s *airbnbtest.Server) {
		if err := d.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.Withdraw()
		before := s.Report().TokenRequests
		for range 5 {
			if err := d.Check(t.Context()); retry.ClassOf(err) != retry.Auth {
				t.Errorf("withdrawn: %v", err)
			}
		}
		if n := s.Report().TokenRequests - before; n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
	})
}

// Tokens are refreshed before they end, with the newest refresh token.
func TestRefresh(t *testing.T) {
	for _, rotate := range []bool{false, true} {
		bubble(t, airbnbtest.Config{Rotate: rotate}, func(t *testing.T, d *airbnb.Driver, s *airbnbtest.Server) {
			for range 5 {
				if err := d.Check(t.Context()); err != nil {
					t.Fatalf("rotate %v: %v", rotate, err)
				}
				time.Sleep(13 * time.Hour)
			}
			if n := s.TokensIssued(); n != 5 {
				t.Errorf("rotate %v: %d tokens, want 5", rotate, n)
			}
		})
	}
}

func TestPushStatus(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 2, ReservationsPerListing: 40}, func(t *testing.T, d *airbnb.Driver,
		_ *airbnbtest.Server) {
		byStatus := map[driver.TransactionStatus][]string{}
		for _, x := range collect(t, d.Transactions(t.Context(), driver.Query{})) {
			byStatus[x.Status.Or("")] = append(byStatus[x.Status.Or("")], x.ID)
		}
		pending := byStatus[driver.StatusPending]
		if len(pending) < 2 {
			t.Fatal("too few requests")
		}
		for i, status := range []driver.TransactionStatus{driver.StatusConfirmed, driver.StatusDeclined} {
			for range 2 { // again is the same
				e, err := d.PushStatus(t.Context(), "key", pending[i], status)
				if err != nil || e != (driver.Effect{ID: pending[i], Confirmed: true}) {
					t.Errorf("%s: %+v, %v", status, e, err)
				}
			}
		}
		if e, err := d.PushStatus(t.Context(), "key", byStatus[driver.StatusConfirmed][0],
			driver.StatusConfirmed); err != nil || !e.Confirmed {
			t.Errorf("confirmed before: %+v, %v", e, err)
		}
		if _, err := d.PushStatus(t.Context(), "key", byStatus[driver.StatusCanceled][0],
			driver.StatusConfirmed); retry.ClassOf(err) != retry.Client {
			t.Errorf("a canceled one: %v", err)
		}
		if _, err := d.PushStatus(t.Context(), "key", pending[0],
			driver.StatusCanceled); retry.ClassOf(err) != retry.Client {
			t.Errorf("canceling: %v", err)
		}
		if _, err := d.PushStatus(t.Context(), "key", "HM00000000", driver.StatusConfirmed); !errors.Is(err,
			driver.ErrNotFound) {
			t.Errorf("none: %v", err)
		}
	})
}

func TestCalendar(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 1}, func(t *testing.T, d *airbnb.Driver, s *airbnbtest.Server) {
		id := slices.Collect(s.ListingIDs())[0]
		from := driver.DateOf(epoch)
		day := func(n int) driver.Day { return driver.Day{ResourceID: id, Date: from.AddDays(n)} }
		var days []driver.Day
		for n := range 3 {
			x := day(n)
			x.Closed, x.Price, x.MinStay = driver.Some(true), driver.Some(driver.Money{Amount: 11000,
				Currency: "EUR"}), driver.Some(4)
			days = append(days, x)
		}
		last := day(4)
		last.Closed, last.ClosedToArrival, last.MaxStay = driver.Some(false), driver.Some(true), driver.Some(9)
		days = append(days, last)
		if e, err := d.PushCalendar(t.Context(), "key", id, days); err != nil ||
			e != (driver.Effect{ID: id, Confirmed: true}) {
			t.Fatalf("%+v, %v", e, err)
		}
		got := collect(t, d.Calendar(t.Context(), id, from, from.AddDays(399)))
		if len(got) != 400 {
			t.Fatalf("%d days, want 400", len(got))
		}
		if x := got[2]; !x.Closed.Or(false) || x.Price.Or(driver.Money{}).Amount != 11000 || x.MinStay.Or(0) != 4 {
			t.Errorf("day 3: closed %v, price %v, min %v", x.Closed, x.Price, x.MinStay)
		}
		if x := got[4]; !x.ClosedToArrival.Or(false) || x.MaxStay.Or(0) != 9 {
			t.Errorf("day 5: %+v", x)
		}
		if e, err := d.PushCalendar(t.Context(), "key", id, nil); err != nil || !e.Confirmed {
			t.Errorf("nothing: %+v, %v", e, err)
		}
		for _, err := range d.Calendar(t.Context(), id, from, from.AddDays(-1)) {
			if retry.ClassOf(err) != retry.Client {
				t.Errorf("days out of order: %v", err)
			}
		}
	})
}

// Everything that cannot be written is named, and nothing is sent.
func TestPushCalendarRefuses(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 1}, func(t *testing.T, d *airbnb.Driver, s *airbnbtest.Server) {
		date := driver.DateOf(epoch)
		bad := []driver.Day{
			{ResourceID: "other", Date: date},
			{ResourceID: "1", Date: date, UnitID: driver.Some("u"), Price: driver.Some(driver.Money{Amount: 1050,
				Currency: "EUR"}), MinStay: driver.Null[int]()},
			{ResourceID: "1", Date: date, Status: driver.Some(driver.DayBooked)},
			{ResourceID: "1", Date: date, Status: driver.Some(driver.DayBlocked), Closed: driver.Some(false)},
			{ResourceID: "1"},
		}
		_, err := d.PushCalendar(t.Context(), "key", "1", bad)
		for _, want := range []string{"another resource", "no units", "whole units",
			"null cannot be written to min_stay", `status "booked"`, "contradict", "date: required"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %v", want, err)
			}
		}
		if _, err := d.PushCalendar(t.Context(), "key", "x", []driver.Day{{ResourceID: "x",
			Date: date}}); retry.ClassOf(err) != retry.Client {
			t.Errorf("no listing: %v", err)
		}
		if n := s.Report().Requests; n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// Throttling comes in three statuses, and none says for how long.
func TestThrottled(t *testing.T) {
	bubble(t, airbnbtest.Config{Listings: 120, Faults: []partnersim.Rule{{Kind: "x-slowdown",
		Endpoint: "/v2/listings", Count: 2}}},
		func(t *testing.T, d *airbnb.Driver, _ *airbnbtest.Server) {
			if got := collect(t, d.Resources(t.Context(), driver.Query{})); len(got) != 120 {
				t.Errorf("%d listings, want 120", len(got))
			}
		})
}
