package drivertest

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
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
)

// Mill is a partner with a queue of orders in XML, three to a page. GET /orders leaves them until they are acknowledged; POST /orders/take
// takes them.
const (
	millURL    = "https://api.mill.example"
	millOrders = 7
	millKey    = "mill-key-5678"
)

var millTiers = ratelimit.Tiers{{Requests: 10, Per: time.Second}}

var millInfo = driver.Info{
	Partner: "mill", Title: "Mill", APIVersion: "1", AdapterVersions: []string{"v1"}, Credentials: []string{"key"},
	Limits: []driver.Limit{{Name: "api", SharedBy: "account", Tiers: millTiers, Source: "made up"}},
}

func millPartner(c Conditions) (Partner, error) {
	var mu sync.Mutex
	var orders []string
	for i := range millOrders {
		orders = append(orders, fmt.Sprintf("m%d", i))
	}
	page := func(w http.ResponseWriter, ids []string) {
		fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?>`, "\n<orders>")
		for _, id := range ids {
			fmt.Fprintf(w, `<order id="%s" sacks="7"><total currency="EUR">12.50</total><buyer>%s</buyer></order>`, id, acmeGuest)
		}
		fmt.Fprint(w, "</orders>")
	}
	s, err := partnersim.New(partnersim.Config{
		Name: "mill", Tiers: millTiers, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed, Faults: c.Faults,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			first := slices.Clone(orders[:min(3, len(orders))])
			w.Header().Set("Content-Type", "application/xml")
			switch {
			case r.Header.Get("X-Key") != millKey:
				http.Error(w, "<error/>", http.StatusUnauthorized)
			case r.URL.Path == "/orders":
				page(w, first)
			case r.URL.Path == "/orders/take":
				orders = orders[len(first):]
				page(w, first)
			case r.URL.Path == "/orders/ack":
				body, err := io.ReadAll(r.Body)
				if err != nil {
					http.Error(w, "<error/>", http.StatusBadRequest)
					return
				}
				ids := strings.Split(string(body), ",")
				if !slices.ContainsFunc(orders, func(id string) bool { return slices.Contains(ids, id) }) {
					http.Error(w, "<error>unknown</error>", http.StatusNotFound)
					return
				}
				orders = slices.DeleteFunc(orders, func(id string) bool { return slices.Contains(ids, id) })
				fmt.Fprint(w, "<ok/>")
			default:
				http.Error(w, "<error/>", http.StatusNotFound)
			}
		}),
	})
	waiting := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(orders)
	}
	in := driver.Integration{ID: "m", Partner: "mill", Credentials: map[string]auth.Secret{"key": millKey}}
	return Partner{Server: s, Integration: in, Waiting: waiting}, err
}

func millHarness(flaw string) Harness {
	return Harness{
		Register: func(r *driver.Registry) error {
			return r.Register(driver.Definition{Info: millInfo, New: func(env driver.Env) (driver.Driver, error) { return newMill(env, flaw) }})
		},
		Partner: millPartner, Messages: millOrders, Canaries: []string{acmeGuest},
	}
}

// mill is a driver of a queue as it should be, but for its flaw.
type mill struct {
	flaw        string
	destructive bool
	api         *driver.Client
	parsed      int
}

func newMill(env driver.Env, flaw string) (driver.Driver, error) {
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Key", Key: env.Integration.Credentials["key"], Origins: []string{millURL}})
	if err != nil {
		return nil, err
	}
	lim, err := env.Limiter("mill", millInfo.Limits[0], ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	api, err := env.Client(driver.ClientConfig{BaseURL: millURL, Credential: key, Limiter: lim, LimitKey: "m"})
	return &mill{flaw: flaw, destructive: strings.HasPrefix(flaw, "destructive"), api: api}, err
}

func (m *mill) Info() driver.Info { return millInfo }

func (m *mill) Check(ctx context.Context) error {
	_, err := driver.Get[[]byte](ctx, m.api, "orders", "/orders", nil)
	return err
}

func (m *mill) Queue() driver.Queue {
	if m.flaw == "bad queue" {
		return driver.Queue{Name: "mill/" + millKey}
	}
	return driver.Queue{Name: "mill/orders/m", Poll: 10 * time.Second, Destructive: m.destructive}
}

type millOrder struct {
	ID    string `xml:"id,attr"`
	Sacks int    `xml:"sacks,attr"`
	Total string `xml:"total"`
}

type millPage struct {
	XMLName xml.Name `xml:"orders"`
	Orders  []struct {
		ID  string     `xml:"id,attr"`
		All []byte     `xml:",innerxml"`
		Etc []xml.Attr `xml:",any,attr"`
	} `xml:"order"`
}

func (m *mill) Receive(ctx context.Context) pagination.Pages[driver.Message] {
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		for {
			p := pagination.Page[driver.Message]{Sent: time.Now(), Total: -1, Next: pagination.Beginning}
			var page millPage
			var err error
			switch {
			case m.flaw == "destructive, repeated":
				page, err = driver.Get[millPage](ctx, m.api, "take", "/orders/take", nil) // a GET is repeated
			case m.destructive:
				page, err = driver.Send[millPage](ctx, m.api, driver.Call{Op: "take", Method: http.MethodPost, Path: "/orders/take"})
			default:
				page, err = driver.Get[millPage](ctx, m.api, "orders", "/orders", nil)
			}
			if err != nil {
				yield(p, err)
				return
			}
			var ids []string
			for _, o := range page.Orders {
				var b bytes.Buffer
				fmt.Fprintf(&b, `<order id="%s"`, o.ID)
				for _, a := range o.Etc {
					fmt.Fprintf(&b, ` %s="%s"`, a.Name.Local, a.Value)
				}
				fmt.Fprintf(&b, `>%s</order>`, o.All)
				p.Items = append(p.Items, driver.Message{ID: o.ID, Account: "m", Body: b.Bytes(), Received: p.Sent})
				ids = append(ids, o.ID)
			}
			switch m.flaw {
			case "loses half":
				p.Items = p.Items[:len(p.Items)/2]
			case "reads on":
				time.AfterFunc(time.Second, func() { _ = m.Check(context.WithoutCancel(ctx)) }) // what it gets is thrown away
			}
			if len(ids) == 0 {
				p.Next = ""
				yield(p, nil)
				return
			}
			if !m.destructive {
				p.Receipt = ids
			}
			if m.flaw == "acknowledges early" {
				if err := m.Acknowledge(ctx, p.Receipt); err != nil {
					yield(pagination.Page[driver.Message]{Next: pagination.Beginning}, err)
					return
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (m *mill) Acknowledge(ctx context.Context, receipt any) error {
	ids, ok := receipt.([]string)
	if !ok || m.flaw == "acknowledges nothing" {
		return nil
	}
	body := []byte(strings.Join(ids, ","))
	_, err := driver.Send[[]byte](retry.WithIdempotencyKey(ctx, "ack"), m.api,
		driver.Call{Op: "ack", Method: http.MethodPost, Path: "/orders/ack", Body: body, Header: http.Header{"Content-Type": {"text/plain"}}})
	if errors.Is(err, driver.ErrNotFound) && m.flaw != "acknowledged again is an error" {
		return nil // it was acknowledged before
	}
	return err
}

func (m *mill) Parse(msg driver.Message, version string) (pagination.Batch[driver.Transaction], error) {
	if version != "" && version != "v1" {
		return pagination.Batch[driver.Transaction]{}, errors.New("mill: no such version")
	}
	var o millOrder
	err := driver.Decode(msg.Body, "application/xml", &o)
	switch {
	case err != nil && m.flaw == "takes anything":
		return pagination.Batch[driver.Transaction]{}, nil
	case err != nil:
		return pagination.Batch[driver.Transaction]{}, err
	}
	t := driver.Transaction{Record: driver.Record{ID: o.ID, Raw: msg.Body, AdapterVersion: "v1"}, Code: driver.Some(o.Total)}
	if m.parsed++; m.flaw == "remembers" {
		t.Code = driver.Some(fmt.Sprint(m.parsed))
	}
	if err := driver.Validate(t); err != nil && m.flaw != "does not validate" {
		return pagination.Batch[driver.Transaction]{}, err
	}
	return pagination.Batch[driver.Transaction]{Items: []driver.Transaction{t}}, nil
}

// Queues as they should be pass, whether they forget when told or when read.
func TestMill(t *testing.T) {
	t.Run("acknowledged", func(t *testing.T) { Run(t, millHarness("")) })
	t.Run("destructive", func(t *testing.T) { Run(t, millHarness("destructive")) })
}

func TestBrokenQueues(t *testing.T) {
	for flaw, says := range map[string]string{
		"acknowledges early":             "wait after a page was read and not acknowledged",
		"acknowledges nothing":           "does not stop calling",
		"acknowledged again is an error": "a page acknowledged again",
		"destructive, repeated":          "a destructive read whose answer was lost is no error",
		"loses half":                     "of 7 messages",
		"bad queue":                      "want both",
		"reads on":                       "never prefetched",
		"takes anything":                 "that is none gives 0 records and no error",
		"remembers":                      "it is not pure",
		"does not validate":              "a record that is invalid",
	} {
		t.Run(flaw, func(t *testing.T) {
			rec := record(t, millHarness(flaw), "queue", "")
			if !rec.failed || !slices.ContainsFunc(rec.said, func(s string) bool { return strings.Contains(s, says) }) {
				t.Errorf("the check did not say %q, but:\n%s", says, strings.Join(rec.said, "\n"))
			}
		})
	}
	h := millHarness("")
	h.Partner = func(c Conditions) (Partner, error) { p, err := millPartner(c); p.Waiting = nil; return p, err }
	if rec := record(t, h, "queue", ""); !rec.failed || !strings.Contains(strings.Join(rec.said, "\n"), "Partner.Waiting is nil") {
		t.Errorf("without Waiting the check says %q", rec.said)
	}
}

var _ driver.QueueSource = (*mill)(nil)
