package drivertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

// Quay is a partner with a calendar of 40 days, ten to a page, and bookings whose status can be set.
const (
	quayURL  = "https://api.quay.example"
	quayKey  = "quay-key-9012"
	quayDays = 40
)

var (
	quayTiers = ratelimit.Tiers{{Requests: 10, Per: time.Second}}
	quayFrom  = mustDate("2026-12-01")
	quayInfo  = driver.Info{
		Partner: "quay", Title: "Quay", APIVersion: "1", AdapterVersions: []string{"v1"}, Credentials: []string{"key"},
		Limits: []driver.Limit{{Name: "api", SharedBy: "account", Tiers: quayTiers, Source: "made up"}},
	}
)

func mustDate(s string) driver.Date {
	d, err := driver.ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

func quayPartner(c Conditions) (Partner, error) {
	var mu sync.Mutex
	status := map[string]string{"b1": "booked"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	mux.HandleFunc("GET /days", func(w http.ResponseWriter, r *http.Request) {
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		rows := []map[string]any{}
		for i := offset; i < min(offset+10, quayDays); i++ {
			rows = append(rows, map[string]any{"date": quayFrom.AddDays(i).String(), "left": i % 3})
		}
		writeValue(w, map[string]any{"days": rows, "total": quayDays})
	})
	mux.HandleFunc("GET /bookings/{id}", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if status[r.PathValue("id")] == "" {
			http.Error(w, "{}", http.StatusNotFound)
			return
		}
		writeValue(w, map[string]any{"id": r.PathValue("id"), "status": status[r.PathValue("id")]})
	})
	mux.HandleFunc("POST /bookings/{id}/status", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Status string }
		if json.NewDecoder(r.Body).Decode(&body) != nil {
			http.Error(w, "{}", http.StatusUnprocessableEntity)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		status[r.PathValue("id")] = body.Status
		writeValue(w, map[string]any{"id": r.PathValue("id")})
	})
	mux.HandleFunc("PUT /days", func(w http.ResponseWriter, _ *http.Request) { writeValue(w, map[string]any{"ok": true}) })
	s, err := partnersim.New(partnersim.Config{
		Name: "quay", Tiers: quayTiers, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed, Faults: c.Faults,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Key") != quayKey {
				http.Error(w, "{}", http.StatusUnauthorized)
				return
			}
			mux.ServeHTTP(w, r)
		}),
	})
	return Partner{Server: s, Integration: driver.Integration{ID: "q", Partner: "quay", Credentials: map[string]auth.Secret{"key": quayKey}}}, err
}

func writeValue(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(err) // maps of texts and numbers
	}
}

func quayHarness(flaw string) Harness {
	return Harness{
		Register: func(r *driver.Registry) error {
			return r.Register(driver.Definition{Info: quayInfo, New: func(env driver.Env) (driver.Driver, error) { return newQuay(env, flaw) }})
		},
		Partner: quayPartner, MediaOf: "r1", CalendarFrom: quayFrom, CalendarTo: quayFrom.AddDays(quayDays - 1), Days: quayDays,
		PushTo: "b1", PushStatus: driver.StatusCanceled, PushCall: "POST /bookings/*/status",
		PushDays:     []driver.Day{{ResourceID: "r1", Date: quayFrom, Closed: driver.Some(true)}, {ResourceID: "r1", Date: quayFrom.AddDays(1), Closed: driver.Some(true)}},
		WebhookKinds: []string{"booking"},
	}
}

// quay is a driver as it should be, but for its flaw.
type quay struct {
	flaw string
	api  *driver.Client
	seen int
}

func newQuay(env driver.Env, flaw string) (driver.Driver, error) {
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Key", Key: env.Integration.Credentials["key"], Origins: []string{quayURL}})
	if err != nil {
		return nil, err
	}
	lim, err := env.Limiter("quay", quayInfo.Limits[0], ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	api, err := env.Client(driver.ClientConfig{BaseURL: quayURL, Credential: key, Limiter: lim, LimitKey: "q"})
	return &quay{flaw: flaw, api: api}, err
}

func (q *quay) Info() driver.Info { return quayInfo }

func (q *quay) Check(ctx context.Context) error {
	_, err := driver.Get[json.RawMessage](ctx, q.api, "me", "/me", nil)
	return err
}

func (q *quay) Calendar(ctx context.Context, resourceID string, from, to driver.Date) pagination.Pages[driver.Day] {
	return pagination.Offset(ctx, pagination.Start{Stream: "quay/days/1"}, 10, nil, func(ctx context.Context, offset, _ int) (pagination.Batch[driver.Day], error) {
		env, err := driver.Get[struct {
			Days  []json.RawMessage `json:"days" wire:"required"`
			Total int               `json:"total"`
		}](ctx, q.api, "days", "/days", url.Values{"offset": {strconv.Itoa(offset)}})
		if err != nil {
			return pagination.Batch[driver.Day]{}, err
		}
		if q.flaw == "loses days" && offset > 0 {
			return pagination.Batch[driver.Day]{}, nil
		}
		b := driver.Each(env.Days, func(raw json.RawMessage) (driver.Day, error) {
			var w struct {
				Date string
				Left int
			}
			if err := json.Unmarshal(raw, &w); err != nil {
				return driver.Day{}, err
			}
			date, err := driver.ParseDate(w.Date)
			if err != nil {
				return driver.Day{}, errors.New("date: none")
			}
			d := driver.Day{ResourceID: resourceID, Date: date, Available: driver.Some(w.Left), Raw: raw, AdapterVersion: "v1"}
			return d, driver.Validate(d)
		})
		b.Total = env.Total
		if len(b.Items) > 0 {
			b.Fingerprint = b.Items[0].Date.String()
		}
		return b, nil
	})
}

func (q *quay) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	return pagination.Token(ctx, pagination.Start{Stream: "quay/booking/1"}, func(ctx context.Context, _ string) (pagination.Batch[driver.Transaction], error) {
		raw, err := driver.Get[json.RawMessage](ctx, q.api, "booking", driver.Path("/bookings/{}", ids[0]), nil)
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, err
		}
		return driver.Each([]json.RawMessage{raw}, func(raw json.RawMessage) (driver.Transaction, error) {
			var w struct{ ID, Status string }
			err := json.Unmarshal(raw, &w)
			status := driver.StatusConfirmed
			if w.Status == "canceled" {
				status = driver.StatusCanceled
			}
			return driver.Transaction{Record: driver.Record{ID: w.ID, Raw: raw, AdapterVersion: "v1"}, Status: driver.Some(status)}, err
		}), nil
	})
}

func (q *quay) PushStatus(ctx context.Context, key driver.EffectKey, id string, s driver.TransactionStatus) (driver.Effect, error) {
	word := string(s)
	switch q.flaw {
	case "writes nothing":
		return driver.Effect{ID: id, Confirmed: true}, nil
	case "writes another":
		word = "booked"
	case "keyed":
		ctx = retry.WithIdempotencyKey(ctx, string(key))
	}
	_, err := driver.Post[json.RawMessage](ctx, q.api, "booking.status", driver.Path("/bookings/{}/status", id), map[string]string{"status": word})
	switch {
	case err != nil && q.flaw == "writes again":
		_, err = driver.Post[json.RawMessage](ctx, q.api, "booking.status", driver.Path("/bookings/{}/status", id), map[string]string{"status": word})
	case err != nil && q.flaw == "says nothing":
		return driver.Effect{ID: id}, nil
	case err != nil && q.flaw == "hides the outcome":
		return driver.Effect{}, errors.New("quay: it did not work")
	}
	return driver.Effect{ID: id}, err
}

func (q *quay) PushCalendar(ctx context.Context, _ driver.EffectKey, resourceID string, days []driver.Day) (driver.Effect, error) {
	for _, d := range days {
		if err := driver.Validate(d); q.flaw != "sends anything" && (err != nil || d.ResourceID != resourceID) {
			return driver.Effect{}, errors.Join(err, errors.New("quay: a day that cannot be written"))
		}
	}
	_, err := driver.Send[json.RawMessage](ctx, q.api, driver.Call{Op: "days.put", Method: http.MethodPut, Path: "/days", Body: days})
	return driver.Effect{ID: resourceID}, err
}

func (q *quay) Webhooks() webhook.Partner {
	q.seen++
	if q.flaw == "other webhooks" {
		return webhook.Partner{Name: "quay", Patience: time.Duration(q.seen) * time.Second}
	}
	return webhook.Partner{Name: "quay"}
}

func (q *quay) Notices(e webhook.Event) ([]webhook.Notice, error) {
	var w struct{ ID string }
	err := json.Unmarshal(e.Body, &w)
	switch {
	case q.flaw == "panics" && len(e.Body) == 0:
		panic("no body")
	case err != nil && q.flaw == "repeats bodies":
		return nil, fmt.Errorf("quay: %s", e.Body)
	case q.flaw == "asks":
		return nil, q.Check(context.Background())
	case err != nil:
		return nil, errors.New("quay: a delivery that cannot be read")
	case w.ID == "" && q.flaw != "about nothing":
		return nil, nil
	}
	return []webhook.Notice{{Event: e, Kind: webhook.TransactionChanged, Record: w.ID, Thin: true}}, nil
}

func TestQuay(t *testing.T) {
	Run(t, quayHarness(""))
	t.Run("keyed", func(t *testing.T) {
		if rec := record(t, quayHarness("keyed"), "push/status", ""); rec.failed {
			t.Errorf("%s", strings.Join(rec.said, "\n"))
		}
	})
}

func TestBrokenWriters(t *testing.T) {
	for _, c := range []struct{ flaw, check, capability, says string }{
		{"loses days", "paging", "CalendarLister", "10 items, the partner has 40"},
		{"writes nothing", "push/status", "", "nothing was written"},
		{"writes another", "push/status", "", `after the status "canceled" was pushed the partner has "confirmed"`},
		{"writes again", "push/status", "", "without the effect's key and without a look"},
		{"says nothing", "push/status", "", "refused with 422 is an error of class"},
		{"hides the outcome", "push/status", "", "does not say that its outcome is unknown"},
		{"sends anything", "push/calendar", "", "days that are refused are"},
		{"other webhooks", "webhooks", "", "not the same every time"},
		{"panics", "webhooks", "", "panics with a string"},
		{"repeats bodies", "webhooks", "", "is in an error"},
		{"asks", "webhooks", "", "reading deliveries sent"},
		{"about nothing", "webhooks", "", "is about no record"},
	} {
		t.Run(c.flaw, func(t *testing.T) {
			rec := record(t, quayHarness(c.flaw), c.check, c.capability)
			if !rec.failed || !slices.ContainsFunc(rec.said, func(s string) bool { return strings.Contains(s, c.says) }) {
				t.Errorf("the check did not say %q, but:\n%s", c.says, strings.Join(rec.said, "\n"))
			}
		})
	}
}

// What the harness does not say how to check is skipped by name.
func TestWritesThatAreNotDescribed(t *testing.T) {
	h := quayHarness("")
	h.PushTo, h.PushDays, h.CalendarFrom = "", nil, driver.Date{}
	for _, c := range []struct{ check, capability, says string }{
		{"push/status", "", "Harness.PushTo and PushStatus are not set"},
		{"push/calendar", "", "Harness.PushDays is empty"},
		{"paging", "CalendarLister", "Harness.CalendarFrom and CalendarTo are not set"},
	} {
		if rec := record(t, h, c.check, c.capability); !rec.skipped || !strings.Contains(strings.Join(rec.said, ""), c.says) {
			t.Errorf("%s: skipped %t, %q", c.check, rec.skipped, rec.said)
		}
	}
	for check, says := range map[string]string{
		"push/status": "no StatusPusher", "push/calendar": "no CalendarPusher", "webhooks": "no WebhookSource", "queue": "no QueueSource",
	} {
		if rec := record(t, acmeHarness(""), check, ""); !rec.skipped || !strings.Contains(strings.Join(rec.said, ""), says) {
			t.Errorf("%s: skipped %t, %q", check, rec.skipped, rec.said)
		}
	}
}

var (
	_ driver.CalendarLister    = (*quay)(nil)
	_ driver.CalendarPusher    = (*quay)(nil)
	_ driver.StatusPusher      = (*quay)(nil)
	_ driver.TransactionGetter = (*quay)(nil)
	_ driver.WebhookSource     = (*quay)(nil)
)
