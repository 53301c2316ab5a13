package drivertest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// Acme is a partner with things by offset and orders by next link.
const (
	acmeThings = 70
	acmeOrders = 45
	acmePage   = 20
	acmeURL    = "https://api.acme.example"
	acmeGuest  = "guest-of-acme@example.com"
)

var acmeTiers = ratelimit.Tiers{{Requests: 10, Per: time.Second}, {Requests: 100, Per: time.Minute}, {Concurrent: 8}}

func acmePartner(c Conditions) (Partner, error) {
	tokens := &partnersim.Tokens{Path: "/token", Clients: map[string]string{"acme-client": "acme-secret-1234"}, Lifetime: time.Hour,
		Budget: ratelimit.Tiers{{Requests: 5, Per: 24 * time.Hour}}}
	var s *partnersim.Server
	var gone atomic.Int64 // things and orders that are not there any more, from the first on
	things := func(w http.ResponseWriter, r *http.Request, total int, kind string) {
		if _, ok := tokens.Client(r); !ok {
			http.Error(w, `{"code":"bad_token"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if id := strings.TrimPrefix(r.URL.Path, "/"+kind+"/"); id != r.URL.Path {
			if i, err := strconv.Atoi(strings.TrimPrefix(id, kind)); err == nil && i < total {
				fmt.Fprint(w, acmeItem(kind, i))
				return
			}
			http.Error(w, `{}`, http.StatusNotFound)
			return
		}
		s.Params(r, "offset", "after")
		first := int(gone.Load())
		offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
		if after, err := strconv.Atoi(r.URL.Query().Get("after")); err == nil {
			offset = max(after+1-first, 0)
		}
		var items []string
		for i := first + offset; i < min(first+offset+acmePage, total); i++ {
			items = append(items, acmeItem(kind, i))
		}
		next := ""
		if first+offset+acmePage < total {
			next = fmt.Sprintf("%s/%s?after=%d", acmeURL, kind, first+offset+acmePage-1)
		}
		fmt.Fprintf(w, `{"items":[%s],"total":%d,"next":%q}`, strings.Join(items, ","), total-first, next)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := tokens.Client(r); !ok {
			http.Error(w, `{"code":"bad_token"}`, http.StatusUnauthorized)
			return
		}
		fmt.Fprint(w, `{}`)
	})
	mux.HandleFunc("/thing", func(w http.ResponseWriter, r *http.Request) { things(w, r, acmeThings, "thing") })
	mux.HandleFunc("/media", func(w http.ResponseWriter, r *http.Request) { things(w, r, acmeMedia, "media") })
	mux.HandleFunc("/thing/", func(w http.ResponseWriter, r *http.Request) { things(w, r, acmeThings, "thing") })
	mux.HandleFunc("/order", func(w http.ResponseWriter, r *http.Request) { things(w, r, acmeOrders, "order") })
	var err error
	s, err = partnersim.New(partnersim.Config{Name: "acme", Handler: mux, Tiers: acmeTiers, Tokens: tokens, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed, Faults: c.Faults})
	in := driver.Integration{ID: "a", Partner: "acme", Credentials: map[string]auth.Secret{"client_id": "acme-client", "client_secret": "acme-secret-1234"}}
	return Partner{Server: s, Integration: in, Change: func() { gone.Add(3) }}, err
}

func acmeItem(kind string, i int) string {
	return fmt.Sprintf(`{"id":"%s%d","name":"%s %d","guest":"%s"}`, kind, i, kind, i, acmeGuest)
}

func acmeHarness(flaw string) Harness {
	return Harness{
		Register: func(r *driver.Registry) error {
			return r.Register(driver.Definition{Info: acmeInfo, New: func(env driver.Env) (driver.Driver, error) { return newAcme(env, flaw) }})
		},
		Partner: acmePartner, TokenPath: "/token", Resources: acmeThings, Transactions: acmeOrders, Media: acmeMedia, Canaries: []string{acmeGuest},
		NextLink: func(body []byte, to string) ([]byte, bool) {
			var env map[string]any
			if json.Unmarshal(body, &env) != nil || env["next"] == nil || env["next"] == "" {
				return body, false
			}
			env["next"] = to
			b, err := json.Marshal(env)
			return b, err == nil
		},
	}
}

var acmeInfo = driver.Info{
	Partner: "acme", Title: "Acme", APIVersion: "1", AdapterVersions: []string{"v1"}, Credentials: []string{"client_id", "client_secret"},
	Limits: []driver.Limit{{Name: "api", SharedBy: "account", Tiers: acmeTiers, Source: "made up"}},
}

// acme is a driver as it should be, but for its flaw.
type acme struct {
	flaw   string
	api    *driver.Client
	source *auth.Source
	base   http.RoundTripper
	secret auth.Secret
	infos  atomic.Int64
	seen   map[string]bool
}

// anyType takes items as they are, whatever they hold.
func anyType(rows []json.RawMessage) pagination.Batch[driver.Resource] {
	return driver.Each(rows, func(raw json.RawMessage) (driver.Resource, error) {
		var w map[string]any
		_ = json.Unmarshal(raw, &w) // that is the flaw
		return driver.Resource{Record: driver.Record{ID: fmt.Sprint(w["id"]), Raw: raw, AdapterVersion: "v1"}}, nil
	})
}

// fingerprint is how a page is told from another.
func fingerprint(items []driver.Resource) string {
	if len(items) == 0 {
		return ""
	}
	return items[0].ID + " " + items[len(items)-1].ID
}

func newAcme(env driver.Env, flaw string) (driver.Driver, error) {
	a := &acme{flaw: flaw, seen: map[string]bool{}, base: env.Transport, secret: env.Integration.Credentials["client_secret"]}
	id := env.Integration.Credentials["client_id"]
	var err error
	a.source, err = env.Source(auth.SourceConfig{
		Key: "acme/" + env.Integration.ID, Origins: []string{acmeURL}, Budget: auth.Budget{Requests: 5, Per: 24 * time.Hour},
		Exchanger: auth.ClientCredentials{TokenURL: acmeURL + "/token", ClientID: string(id), ClientSecret: a.secret, Transport: cmp.Or(env.TokenTransport, env.Transport)},
	})
	if err != nil {
		return nil, err
	}
	lim, err := env.Limiter("acme", acmeInfo.Limits[0], ratelimit.Options{})
	if err != nil {
		return nil, err
	}
	a.api, err = env.Client(driver.ClientConfig{Partner: "acme", Integration: env.Integration.ID, BaseURL: acmeURL, Credential: a.source, Limiter: lim, LimitKey: "acme"})
	return a, err
}

func (a *acme) Info() driver.Info {
	i := acmeInfo
	if n := a.infos.Add(1); a.flaw == "changing info" {
		i.APIVersion = strconv.FormatInt(n, 10)
	}
	if a.flaw == "careless info" {
		return careless(i)
	}
	if a.flaw == "claims to filter" {
		i.Incremental = []driver.Kind{driver.KindResource}
	}
	return i
}

func (a *acme) Check(ctx context.Context) error {
	if a.flaw == "check says yes" {
		return nil
	}
	_, err := driver.Get[json.RawMessage](ctx, a.api, "me", "/me", nil)
	return err
}

type acmeEnvelope struct {
	Items []json.RawMessage `json:"items"` // there must be some, if only none
	Total int               `json:"total"`
	Next  string            `json:"next"`
}

// get makes a call, with the flaws that a driver gets by making calls in its own way.
func (a *acme) get(ctx context.Context, op, path string, query url.Values) (acmeEnvelope, error) {
	var env acmeEnvelope
	var err error
	switch a.flaw {
	case "no limiter", "open bodies", "unbounded bodies", "follows links":
		env, err = a.raw(ctx, path, query)
	case "ignores cancellation":
		ctx = context.WithoutCancel(ctx)
		env, err = driver.Get[acmeEnvelope](ctx, a.api, op, path, query)
	case "retries for ever":
		for {
			if env, err = driver.Get[acmeEnvelope](ctx, a.api, op, path, query); err == nil || ctx.Err() != nil {
				break
			}
		}
	case "retries for ever, deaf":
		for {
			if env, err = driver.Get[acmeEnvelope](context.WithoutCancel(ctx), a.api, op, path, query); err == nil {
				break
			}
		}
	case "goroutine":
		go func() { // waits for what never comes; the test's end frees it
			select {
			case <-leak:
			case <-time.After(1000 * time.Hour):
			}
		}()
		env, err = driver.Get[acmeEnvelope](ctx, a.api, op, path, query)
	default:
		env, err = driver.Get[acmeEnvelope](ctx, a.api, op, path, query)
	}
	switch {
	case err == nil && env.Items == nil && a.flaw != "no list is no item":
		err = &retry.Error{Verdict: retry.Verdict{Class: retry.Data}, Partner: "acme", Op: op, Err: driver.ErrUndecodable}
	case err != nil && a.flaw == "secret in errors":
		err = fmt.Errorf("with %s: %w", string(a.secret), err)
	case err != nil && a.flaw == "body in errors":
		err = errors.Join(err, errors.New(canary))
	case err != nil && a.flaw == "swallows errors" && errors.Is(err, driver.ErrUndecodable):
		return acmeEnvelope{}, nil
	}
	return env, err
}

var leak = make(chan struct{})

// raw is a call as it is made without the kit.
func (a *acme) raw(ctx context.Context, path string, query url.Values) (acmeEnvelope, error) {
	var env acmeEnvelope
	tok, _, err := a.source.Token(ctx)
	if err != nil {
		return env, err
	}
	u := path
	if !strings.Contains(path, "://") {
		u = acmeURL + path
	}
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return env, err
	}
	req.Header.Set("Authorization", "Bearer "+string(tok.Access))
	resp, err := (&http.Client{Transport: a.base}).Do(req)
	if err != nil {
		return env, err
	}
	if a.flaw != "open bodies" {
		defer resp.Body.Close()
	}
	if resp.StatusCode != http.StatusOK {
		return env, fmt.Errorf("status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return env, err
	}
	return env, json.Unmarshal(b, &env)
}

func (a *acme) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "acme/things/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	if a.flaw == "filters by itself" && !q.UpdatedSince.IsZero() {
		return pagination.Of[driver.Resource]()
	}
	if a.flaw == "ignores the cursor" {
		s.Cursor = ""
	}
	pages := pagination.Offset(ctx, s, acmePage, nil, func(ctx context.Context, off, n int) (pagination.Batch[driver.Resource], error) {
		if a.flaw == "loses a page" && off > 0 {
			off += acmePage
		}
		query := url.Values{"offset": {strconv.Itoa(off)}}
		if a.flaw == "invents a parameter" {
			query.Set("sort", "id")
		}
		env, err := a.get(ctx, "things", "/thing", query)
		if err != nil {
			return pagination.Batch[driver.Resource]{}, err
		}
		b := driver.Each(env.Items, func(raw json.RawMessage) (driver.Resource, error) {
			r, err := acmeRecord(raw)
			return driver.Resource{Record: r}, err
		})
		b.Fingerprint = fingerprint(b.Items)
		switch {
		case a.flaw == "counts oddities":
			a.api.Report(ctx, driver.Oddity{Kind: driver.KindResource, Field: "name", Change: driver.ChangeType, Detail: "a text in place of a number"})
		case a.flaw == "ignores types":
			b = anyType(env.Items)
		case a.flaw == "invalid records":
			b.Items[0].ID = ""
		case a.flaw == "no fingerprint":
			b.Fingerprint = ""
		case a.flaw == "one bad item ends all" && len(b.Rejected) > 0:
			return pagination.Batch[driver.Resource]{}, b.Rejected[0].Err
		case a.flaw == "drops bad items":
			b.Rows, b.Rejected = len(env.Items), nil
		case a.flaw == "assumes order":
			b.Rows = len(env.Items)
			for i := 1; i < len(b.Items); i++ {
				if len(b.Items[i].ID) <= len(b.Items[i-1].ID) && b.Items[i].ID < b.Items[i-1].ID {
					b.Items = b.Items[:i]
				}
			}
		case a.flaw == "twice is an error":
			for _, it := range b.Items {
				if a.seen[it.ID] {
					return pagination.Batch[driver.Resource]{}, errors.New("the same again")
				}
				a.seen[it.ID] = true
			}
		}
		if b.Total = env.Total; a.flaw == "loses a page" || a.flaw == "no total" {
			b.Total = 0
		}
		return b, nil
	})
	if a.flaw == "fetches all" {
		return func(yield func(pagination.Page[driver.Resource], error) bool) {
			var all []pagination.Page[driver.Resource]
			for p, err := range pages {
				if err != nil {
					yield(p, err)
					return
				}
				all = append(all, p)
			}
			for _, p := range all {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
	return pages
}

func (a *acme) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	s := pagination.Start{Stream: "acme/orders/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	fetch := func(ctx context.Context, link string) (pagination.Batch[driver.Transaction], error) {
		env, err := a.get(ctx, "orders", cmp.Or(link, "/order"), nil)
		if err != nil {
			return pagination.Batch[driver.Transaction]{}, err
		}
		b := driver.Each(env.Items, func(raw json.RawMessage) (driver.Transaction, error) {
			r, err := acmeRecord(raw)
			return driver.Transaction{Record: r}, err
		})
		b.Next = env.Next
		return b, nil
	}
	return pagination.Token(ctx, s, fetch)
}

func (a *acme) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return pagination.Token(ctx, pagination.Start{Stream: "acme/thing/1"}, func(ctx context.Context, _ string) (pagination.Batch[driver.Resource], error) {
		var rows []json.RawMessage
		for _, id := range ids {
			raw, err := driver.Get[json.RawMessage](ctx, a.api, "thing", driver.Path("/thing/{}", id), nil)
			if err != nil && a.flaw != "unknown ids are errors" && strings.Contains(err.Error(), "404") {
				continue
			}
			if err != nil {
				return pagination.Batch[driver.Resource]{}, err
			}
			rows = append(rows, raw)
		}
		return driver.Each(rows, func(raw json.RawMessage) (driver.Resource, error) {
			r, err := acmeRecord(raw)
			return driver.Resource{Record: r}, err
		}), nil
	})
}

func acmeRecord(raw json.RawMessage) (driver.Record, error) {
	var w struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return driver.Record{}, err
	}
	r := driver.Record{ID: w.ID, Raw: raw, AdapterVersion: "v1"}
	return r, driver.Validate(driver.Resource{Record: r})
}
