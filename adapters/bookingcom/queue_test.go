package bookingcom_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// hotels routes each property to an integration of its own.
func hotels(_ context.Context, account string) (driver.Integration, error) {
	if !strings.HasPrefix(account, "70044") {
		return driver.Integration{}, driver.ErrNotFound
	}
	return driver.Integration{ID: "hotel-" + account, Account: account}, nil
}

func read(t *testing.T, d driver.Driver, s importer.QueueStore) importer.QueueResult {
	t.Helper()
	res, err := importer.ReadQueue(t.Context(), importer.QueueConfig{Driver: d, Store: s, Route: hotels})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// compare compares what is stored with what the partner says there is.
func compare(t *testing.T, s *bookingcomtest.Server, store importer.Store, bxml bool) {
	t.Helper()
	n := 0
	for want := range s.Reservations() {
		n++
		c := importer.Collection{Integration: "hotel-" + want.Property, Kind: driver.KindTransaction}
		got, err := store.Records(t.Context(), c, []string{want.ID})
		if err != nil || len(got) != 1 {
			t.Fatalf("%s of %s: %d records, %v", want.ID, want.Property, len(got), err)
		}
		r, err := importer.Decode[driver.Transaction](got[0])
		if err != nil {
			t.Fatal(err)
		}
		total := r.Total
		if !want.TaxAfter && !bxml {
			total = r.Subtotal
		}
		if m := total.Or(driver.Money{}); m.Amount != want.Total || m.Currency != want.Currency {
			t.Errorf("%s: total %v, want %d %s", want.ID, m, want.Total, want.Currency)
		}
		if got := r.ResourceID.Or(""); got != want.Property {
			t.Errorf("%s: of %s, want %s", want.ID, got, want.Property)
		}
		if status := r.Status.Or(""); (status == driver.StatusCanceled) != want.Cancelled &&
			r.Custom.Or(nil)["needs_recheck"] == "" {
			t.Errorf("%s: status %q, cancelled %v", want.ID, status, want.Cancelled)
		}
		if want.Cancelled {
			continue
		}
		if from, to := r.Start.Or(driver.Date{}).String(), r.End.Or(driver.Date{}).String(); from != want.Start ||
			to != want.End {
			t.Errorf("%s: from %s to %s, want %s to %s", want.ID, from, to, want.Start, want.End)
		}
		if rooms := max(len(r.Stays.Or(nil)), 1); rooms != want.Rooms {
			t.Errorf("%s: %d rooms, want %d", want.ID, rooms, want.Rooms)
		}
		if c := r.Customer.Or(driver.Customer{}); !strings.HasSuffix(c.Email, bookingcomtest.GuestDomain) ||
			c.Name == "" {
			t.Errorf("%s: the customer was not read", want.ID)
		}
	}
	if n == 0 {
		t.Error("there are no reservations")
	}
}

// clean looks for payment cards in what is stored.
func clean(t *testing.T, s *bookingcomtest.Server, store *importer.Memory) {
	t.Helper()
	for want := range s.Reservations() {
		c := importer.Collection{Integration: "hotel-" + want.Property, Kind: driver.KindTransaction}
		raw, err := store.Raw(t.Context(), c, want.ID)
		if err != nil || len(raw) == 0 {
			t.Fatalf("%s: %d bytes, %v", want.ID, len(raw), err)
		}
		for _, secret := range []string{bookingcomtest.CardNumber, bookingcomtest.CardHolder,
			">" + bookingcomtest.CardCode + "<", `\"` + bookingcomtest.CardCode + `\"`, `\"0429\"`, ">04/29<"} {
			if strings.Contains(string(raw), secret) {
				t.Fatalf("%s: a part of the card is kept", want.ID)
			}
		}
	}
}

// All reservations of all hotels arrive at theirs, are acknowledged, and follow their changes; the partner's rules are
// kept.
func TestReservations(t *testing.T) {
	for _, bxml := range []bool{false, true} {
		t.Run(fmt.Sprintf("bxml %v", bxml), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 6, ReservationsPerProperty: 60, Seed: 3,
					Latency: 100 * time.Millisecond})
				in := s.Hotel("h1", 0)
				if bxml {
					in.Settings = map[string]string{"reservations": "bxml"}
				}
				d, store := open(t, s, in), importer.NewMemory()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() {
					done <- importer.FollowQueue(ctx, importer.QueueConfig{
						Driver: d, Store: store, Route: hotels,
						OnRound: func(_ importer.QueueResult, err error) {
							if err != nil {
								t.Errorf("a round: %v", err)
							}
						},
						OnDead: func(_ context.Context, m importer.KeptMessage) {
							t.Errorf("%s is dead: %s", m.ID,
								m.Reason)
						},
					})
				}()
				time.Sleep(2 * time.Minute)
				compare(t, s, store, bxml)
				clean(t, s, store)
				for round := range 3 {
					s.Change(0.3, round+1)
					time.Sleep(2 * time.Minute)
				}
				s.Modify(s.Book(2)) // the first that is seen of it is its change
				time.Sleep(time.Minute)
				compare(t, s, store, bxml)
				if waiting, missed := s.Waiting(); waiting != 0 || missed != 0 {
					t.Errorf("%d wait, %d missed", waiting, missed)
				}
				cancel()
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				if r := s.Report(); r.Violations > 0 || len(r.Unexpected) > 0 || s.TokensIssued() != 1 {
					t.Errorf("%d violations, unexpected %q, %d tokens", r.Violations, r.Unexpected, s.TokensIssued())
				}
			})
		})
	}
}

// After an outage of hours what the queue stopped delivering is recovered, with the feature and without it, and what a
// destructive read lost.
func TestOutage(t *testing.T) {
	for name, settings := range map[string]map[string]string{
		"recovery": {"recovery": "on"}, "last_change": {"recovery": "off"}, "bxml": {"reservations": "bxml"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 3, ReservationsPerProperty: 50, Seed: 5,
					Recovery: name == "recovery"})
				in := s.Hotel("h1", 0)
				in.Settings = settings
				d, store := open(t, s, in), importer.NewMemory()
				read(t, d, store)
				s.Change(0.2, 1)
				s.Book(1)
				time.Sleep(25 * time.Hour)
				if _, missed := s.Waiting(); missed == 0 {
					t.Error("nothing was missed: the test proves nothing")
				}
				res := read(t, d, store)
				if res.Recovered == 0 {
					t.Errorf("got %+v", res)
				}
				compare(t, s, store, name == "bxml")
				if waiting, missed := s.Waiting(); waiting != 0 || missed != 0 {
					t.Errorf("%d wait, %d missed", waiting, missed)
				}
				if r := s.Report(); r.Violations > 0 || len(r.Unexpected) > 0 {
					t.Errorf("%d violations, unexpected %q", r.Violations, r.Unexpected)
				}
			})
		})
	}
}

// The answer of a destructive read is lost: it is not repeated, and what it took is asked for by the next round.
func TestPromise1_LostDestructiveRead(t *testing.T) {
	for _, kind := range []partnersim.Kind{partnersim.Lost, partnersim.Cut, "500"} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 2, ReservationsPerProperty: 20,
					Faults: []partnersim.Rule{
						{Kind: kind, Endpoint: "/hotels/xml/reservations", Count: 1},
					}})
				in := s.Hotel("h1", 0)
				in.Settings = map[string]string{"reservations": "bxml"}
				d, store := open(t, s, in), importer.NewMemory()
				cfg := importer.QueueConfig{Driver: d, Store: store, Route: hotels}
				if _, err := importer.ReadQueue(t.Context(), cfg); err == nil {
					t.Error("a lost answer is no error")
				}
				if n := s.Report().Requests; n > 2 { // with the token's
					t.Errorf("%d requests: a destructive read was repeated", n)
				}
				time.Sleep(time.Minute)
				if res := read(t, d, store); kind != "500" && res.Recovered == 0 {
					t.Errorf("got %+v", res)
				}
				compare(t, s, store, true)
			})
		})
	}
}

// tamper is a transport that changes answers.
type tamper struct {
	next http.RoundTripper
	edit func(req *http.Request, body string) string
}

func (t tamper) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	body := t.edit(req, string(b))
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// tampered opens the driver with answers that are changed.
func tampered(t *testing.T, s *bookingcomtest.Server, in driver.Integration, edit func(req *http.Request,
	body string) string) *bookingcom.Driver {
	t.Helper()
	d, err := bookingcom.New(driver.Env{Integration: in, Transport: tamper{s.Transport(), edit}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// One reservation that cannot be read is kept as it is, less its card, and holds back none of the others.
func TestQueueWithBrokenReservation(t *testing.T) {
	for _, bxml := range []bool{false, true} {
		t.Run(fmt.Sprintf("bxml %v", bxml), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 2, ReservationsPerProperty: 10})
				in := bookingcomtest.Legacy(s.Hotel("h1", 0))
				if bxml {
					in.Settings = map[string]string{"reservations": "bxml"}
				}
				bad := bookingcomtest.ReservationID(3)
				d := tampered(t, s, in, func(_ *http.Request, body string) string {
					body = strings.Replace(body, `ResID_Value="`+bad+`"`,
						`ResID_Value="`+bad+`" & CardNumber="`+bookingcomtest.CardNumber+`"`, 1)
					return strings.Replace(body, "<id>"+bad+"</id>",
						"<id>"+bad+"</id><cc_number>"+bookingcomtest.CardNumber+"</broken>", 1)
				})
				store := importer.NewMemory()
				res := read(t, d, store)
				if res.Dead != 1 || res.Counts().Added != 19 {
					t.Errorf("got %+v", res)
				}
				dead, err := store.Messages(t.Context(), d.Queue().Name, importer.MessageDead, 0, 10)
				if err != nil || len(dead) != 1 || dead[0].ID != bad ||
					dead[0].Account != bookingcomtest.PropertyID(1) {
					t.Fatalf("kept %v, %v", dead, err)
				}
				if strings.Contains(string(dead[0].Body), bookingcomtest.CardNumber) ||
					!strings.Contains(string(dead[0].Body), bad) {
					t.Error("what is kept has the card, or is not the reservation")
				}
				if waiting, _ := s.Waiting(); waiting != 0 {
					t.Errorf("%d wait", waiting)
				}
			})
		})
	}
}

// A message that a change replaced before it was acknowledged does not keep the others from being acknowledged.
func TestQueueSuperseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 1, ReservationsPerProperty: 5})
		d := open(t, s, s.Hotel("h1", 0))
		n := 0
		for page, err := range d.Receive(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				s.Modify(bookingcomtest.ReservationID(2))
			}
			n += len(page.Items)
			if err := d.Acknowledge(t.Context(), page.Receipt); err != nil {
				t.Error(err)
			}
		}
		if waiting, _ := s.Waiting(); n != 6 || waiting != 0 {
			t.Errorf("%d messages, %d wait", n, waiting)
		}
		if err := d.Acknowledge(t.Context(), 7); err == nil {
			t.Error("an unknown receipt is accepted")
		}
		if err := d.Acknowledge(t.Context(), nil); err != nil {
			t.Error(err)
		}
	})
}

// Errors in 200, other documents, and what is no XML are errors, with the RUID, and never an empty queue.
func TestQueueAnswersThatAreNone(t *testing.T) {
	for name, tt := range map[string]struct {
		body  string
		class retry.Class
		ruid  string
	}{
		"errors": {`<OTA_HotelResNotifRS><Errors><Error Code="450" ShortText="Guest Example">x</Error></Errors></OTA_HotelResNotifRS><!-- RUID: [r-1] -->`, retry.Client, "r-1"},
		"auth": {`<OTA_HotelResNotifRS><Errors><Error Code="497"/></Errors></OTA_HotelResNotifRS>`, retry.Auth,
			""},
		"late errors": {`<OTA_HotelResNotifRQ><HotelReservations/><Errors><Error Code="450"/></Errors></OTA_HotelResNotifRQ>`, retry.Client, ""},
		"other":       {`<OTA_Something/>`, retry.Data, ""},
		"dtd":         {`<!DOCTYPE x [<!ENTITY a "b">]><OTA_HotelResNotifRQ>&a;</OTA_HotelResNotifRQ>`, retry.Data, ""},
		"deep":        {strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100), retry.Data, ""},
		"text":        {`hello`, retry.Data, ""},
		"nothing":     {``, retry.Data, ""},
		"charset":     {`<?xml version="1.0" encoding="UTF-16"?><OTA_HotelResNotifRQ/>`, retry.Data, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 1, ReservationsPerProperty: 1})
				d := tampered(t, s, bookingcomtest.Legacy(s.Hotel("h1", 0)), func(*http.Request,
					string) string {
					return tt.body
				})
				var err error
				for _, err = range d.Receive(t.Context()) {
					if err == nil {
						t.Fatal("no error")
					}
				}
				e, ok := errors.AsType[*retry.Error](err)
				if !ok || e.Class != tt.class || e.RequestID != tt.ruid || strings.Contains(fmt.Sprint(err), "Guest") {
					t.Errorf("got %v, class %v, RUID %q", err, retry.ClassOf(err), e.RequestID)
				}
			})
		})
	}
}

// Whatever a destructive read takes is kept, be it what it may.
func TestDestructiveReadKeepsAll(t *testing.T) {
	const reservation = `<reservation><hotel_id>7004411</hotel_id><id>1</id><status>new</status></reservation>`
	for name, tt := range map[string]struct {
		body string
		want []string // ids of messages
		err  bool
	}{
		"cut": {"<reservations>" + reservation + "<reservation><hotel_id>7004411</hotel_id><id>2</id><room>",
			[]string{"1", "2"}, false},
		"lost end": {"<reservations><reservation><hotel_id>7004411</hotel_id><id>2</id>" + reservation +
			"</reservations>", []string{"2", "1"}, false},
		"text": {"hello 4111 1111 1111 1111", []string{""}, false},
		"16 bits": {"\xff\xfe<\x00r\x00>\x00" + strings.Join(strings.Split("4111 1111 1111 1111", ""), "\x00") +
			"\x00<\x00/\x00r\x00>\x00", []string{""}, false},
		"other":   {"<something/>", []string{""}, false},
		"utf-16":  {`<?xml version="1.0" encoding="UTF-16"?><reservations/>`, []string{""}, false},
		"empty":   {"<reservations/>", nil, false},
		"nothing": {"", nil, true},
		"fault":   {`<fault code="1"/>`, nil, true},
		"errors":  {`<response><x/><errors><error><code>E</code></error></errors></response>`, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server(t, bookingcomtest.Config{Properties: 1})
				in := bookingcomtest.Legacy(s.Hotel("h1", 0))
				in.Settings = map[string]string{"reservations": "bxml"}
				d := tampered(t, s, in, func(*http.Request, string) string { return tt.body })
				var got []string
				var failed error
				for page, err := range d.Receive(t.Context()) {
					if failed = err; err != nil {
						break
					}
					for _, m := range page.Items {
						got = append(got, m.ID)
						if strings.Contains(strings.ReplaceAll(string(m.Body), "\x00", ""), "4111") {
							t.Error("a card is kept")
						}
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(tt.want) || (failed != nil) != tt.err {
					t.Errorf("got %q, %v", got, failed)
				}
			})
		})
	}
}

// Who will not wait is told when to come back.
func TestPromise7_PauseAfterAcknowledgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 1, ReservationsPerProperty: 1})
		d := open(t, s, s.Hotel("h1", 0))
		var pages []pagination.Page[driver.Message]
		for page, err := range d.Receive(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, page)
		}
		if err := d.Acknowledge(t.Context(), pages[0].Receipt); err != nil {
			t.Fatal(err)
		}
		for _, err := range d.Receive(retry.WithMaxWait(t.Context(), time.Second)) {
			if at := retry.At(err); time.Until(at) != 5*time.Second {
				t.Errorf("got %v, at %v", err, at)
			}
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the worker is told to stop")
		time.AfterFunc(time.Second, func() { cancel(why) })
		for _, err := range d.Receive(ctx) {
			if !errors.Is(err, why) {
				t.Errorf("got %v", err)
			}
		}
	})
}
