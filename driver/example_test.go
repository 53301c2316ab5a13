package driver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// harbour is a driver, whole: 60 lines for a partner with an API key, one limit, offset paging and a list of items.
type harbour struct{ api *driver.Client }

var harbourInfo = driver.Info{
	Partner: "harbour", Title: "Harbour", APIVersion: "2026-01", AdapterVersions: []string{"v1"}, Credentials: []string{"key"},
	Limits: []driver.Limit{{Name: "api", SharedBy: "account", Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Second}, {Concurrent: 4}}}},
}

func newHarbour(env driver.Env) (driver.Driver, error) {
	in := env.Integration
	base, origin := in.Endpoint("https://api.harbour.example")
	key, err := auth.NewAPIKey(auth.APIKeyConfig{Header: "X-Api-Key", Key: in.Credentials["key"], Origins: []string{origin}})
	if err != nil {
		return nil, err
	}
	limiter, err := env.Limiter("harbour", harbourInfo.Limits[0], ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	api, err := env.Client(driver.ClientConfig{BaseURL: base, Credential: key, Limiter: limiter, LimitKey: in.Account})
	if err != nil {
		return nil, err
	}
	return harbour{api}, nil
}

func (harbour) Info() driver.Info { return harbourInfo }

func (h harbour) Check(ctx context.Context) error {
	_, err := driver.Get[json.RawMessage](ctx, h.api, "me", "/me", nil)
	return err
}

func (h harbour) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	rows := pagination.Offset(ctx, pagination.From("harbour/berths/1", q.Cursor), 3, berths.IDOf,
		func(ctx context.Context, offset, limit int) (pagination.Batch[json.RawMessage], error) {
			page, err := driver.Get[berthPage](ctx, h.api, "berths.list", "/berths",
				url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}})
			return pagination.Batch[json.RawMessage]{Items: page.Berths}, err
		})
	return berths.Pages(ctx, h.api, rows)
}

// berthPage is the envelope. Another answer with status 200 is an error, not an empty list.
type berthPage struct {
	Berths []json.RawMessage `json:"berths" wire:"required"`
}

// berths makes records of items. A title that is a number, or a price that is a text, is taken and counted.
var berths = wire.Decoder[driver.Resource]{
	Kind: driver.KindResource, ID: []string{"id"},
	Read: func(o wire.Object) (driver.Resource, error) {
		return driver.Resource{Record: o.Record("v1"), Name: o.Text("title"), BasePrice: o.Money("price", driver.Some("EUR"))}, nil
	},
}

// harbourServer is the partner.
func harbourServer() *httptest.Server {
	berths := []string{`{"id":"b1","title":"North","price":12.5}`, `{"id":"b2","title":7}`, `{"id":"b3","title":null,"price":["CANARY"]}`, `{"title":"no id"}`}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		offset, _ := strconv.Atoi(r.FormValue("offset"))
		if r.URL.Path == "/berths" {
			end := min(offset+3, len(berths))
			fmt.Fprintf(w, `{"berths":[`)
			for i, b := range berths[offset:end] {
				if i > 0 {
					io.WriteString(w, ",")
				}
				io.WriteString(w, b)
			}
			io.WriteString(w, "]}")
			return
		}
		io.WriteString(w, `{"account":"a"}`)
	}))
}

// A host registers drivers and opens them for its integrations.
func ExampleRegistry() {
	srv := harbourServer()
	defer srv.Close()
	ctx := context.Background()

	reg := driver.NewRegistry(driver.Options{
		Transport: srv.Client().Transport,
		Tiers:     map[string]ratelimit.Tiers{"harbour/api": {{Requests: 100, Per: time.Second}}}, // a better contract
	})
	defer reg.Close(ctx)
	if err := reg.Register(driver.Definition{Info: harbourInfo, New: newHarbour}); err != nil {
		fmt.Println(err)
		return
	}
	d, err := reg.OpenIntegration(ctx, driver.Integration{
		ID: "17", Partner: "harbour", Account: "a", BaseURL: srv.URL, Credentials: map[string]auth.Secret{"key": "k"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(driver.Capabilities(d), d.Check(ctx))
	for page, err := range d.(driver.ResourceLister).Resources(ctx, driver.Query{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, r := range page.Items {
			doc, _ := json.Marshal(r)
			fmt.Println(string(doc))
		}
		for _, r := range page.Rejected {
			fmt.Println("rejected", r.ID, r.Err)
		}
	}
	for _, c := range reg.Drift().Snapshot() {
		fmt.Println("drift:", c.Kind, c.Field, c.Change, c.Detail, c.Count)
	}
	// Output:
	// [ResourceLister] <nil>
	// {"id":"b1","name":"North","base_price":{"amount":1250,"currency":"EUR"}}
	// {"id":"b2","name":"7"}
	// {"id":"b3","name":null}
	// rejected  id: missing
	// drift: resource id missing no id 1
	// drift: resource price type not an amount 1
	// drift: resource title type a number in place of a text 1
}

// A client alone, with whatever layers one wants.
func ExampleClient() {
	srv := harbourServer()
	defer srv.Close()

	c, err := driver.NewClient(driver.ClientConfig{Partner: "harbour", BaseURL: srv.URL, Transport: srv.Client().Transport, Retry: retry.Policy{MaxAttempts: 2}})
	if err != nil {
		fmt.Println(err)
		return
	}
	me, err := driver.Get[struct{ Account string }](context.Background(), c, "me", driver.Path("/accounts/{}", "a/b"), nil)
	fmt.Println(me.Account, err)

	_, err = driver.Get[struct{ Account string }](context.Background(), c, "next", "https://elsewhere.example/page2", nil)
	fmt.Println(retry.ClassOf(err), err)
	// Output:
	// a <nil>
	// client harbour: next: client: driver: Call.Path: auth: not a declared origin
}
