// # Contract and drift
//
// What a driver takes for granted of its partner is written down as [Terms], beside the cassette that it was recorded in:
//
//	var terms = drivertest.Terms{
//		Register: acme.Register, Cassette: "lists", Recording: recording,
//		Endpoints: []drivertest.Endpoint{
//			{Call: "POST /oauth2/token", Open: true, Fields: map[string]string{"access_token": "string", "expires_in": "number"}},
//			{Call: "GET /v1/orders", Headers: []string{"X-RateLimit-Remaining"}, Fields: map[string]string{
//				"orders[].id": "string", "orders[].changed": "instant", "orders[].note": "string|null?",
//			}},
//		},
//	}
//
//	func TestContract(t *testing.T) { drivertest.Contract(t, terms) }
//	func TestDrift(t *testing.T)    { drivertest.Drift(t, terms) }
//
// go test asks the cassette. ACME_LIVE=1 go test -run 'Contract|Drift' asks the partner, with the credentials in the environment: a nightly run's
// work, whose report lies in DRIFT_REPORT_DIR. Contract says what of the terms does not hold; Drift says what else has changed since the recording.
package drivertest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// Terms are what a driver takes for granted of its partner: for [Contract] and [Drift]. Register, Cassette, Recording and Endpoints are
// required.
type Terms struct {
	// Register adds the driver to a registry.
	Register func(*driver.Registry) error
	// Cassette and Recording are as for the function [Cassette]: with which the calls are answered when the partner is not asked itself.
	Cassette  string
	Recording Recording
	// Live names the environment variable that opts in to asking the partner itself; "" means the partner's name in capitals and _LIVE:
	// GUESTY_LIVE. Env has the variables of the credentials for that; nil means those of Recording.
	Live string
	Env  map[string]string
	// Transport leads to the partner itself; nil: the network. Recording.Transport is what is recorded.
	Transport http.RoundTripper
	// Use makes the calls; its error fails the test. Nil: Check, and everything that the driver lists, with the media of the first resource.
	Use func(ctx context.Context, d driver.Driver) error
	// Header is the request header with the credentials; "" means Authorization.
	Header string
	// Endpoints are all that Use calls.
	Endpoints []Endpoint
}

// Endpoint is what a driver takes for granted of one endpoint.
type Endpoint struct {
	// Call is its method and path, with * for text without a slash as in path.Match: "GET /v1/listings/*". Required. The first that
	// fits counts.
	Call string
	// Open says that it needs no credentials in the header: the token endpoint.
	Open bool
	// Fields are the types of fields, by path: "results[]._id": "string". A path goes from the root, with [] behind a list, and @ before an
	// attribute of XML. Types are string, date, instant, number, boolean, object, array and null; several are separated by "|", of which
	// string includes date, instant and the empty text. A "?" behind them says that the field may be missing.
	Fields map[string]string
	// Headers must be on every answer with status 200: those of the limits, say.
	Headers []string
}

var types = []string{"string", "date", "instant", "number", "boolean", "object", "array", "null"}

func (terms *Terms) validate() error {
	errs := []error{terms.Recording.validate(terms.Cassette)}
	if terms.Register == nil {
		errs = append(errs, errors.New("Terms.Register is nil"))
	}
	if len(terms.Endpoints) == 0 {
		errs = append(errs, errors.New("Terms.Endpoints is empty"))
	}
	for i, e := range terms.Endpoints {
		method, p, ok := strings.Cut(e.Call, " ")
		if _, err := path.Match(p, "/"); !ok || method != strings.ToUpper(method) || !strings.HasPrefix(p, "/") || err != nil {
			errs = append(errs, fmt.Errorf("Terms.Endpoints[%d].Call is %q, want one like GET /v1/listings/*", i, e.Call))
		}
		for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
			for want := range strings.SplitSeq(strings.TrimSuffix(e.Fields[field], "?"), "|") {
				if !slices.Contains(types, want) {
					errs = append(errs, fmt.Errorf("Terms.Endpoints[%d].Fields[%q] is %q, want types of %s", i, field, e.Fields[field], strings.Join(types, ", ")))
				}
			}
		}
	}
	if terms.Live == "" {
		terms.Live = strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(terms.Recording.Integration.Partner)) + "_LIVE"
	}
	if terms.Env == nil {
		terms.Env = terms.Recording.Env
	}
	if terms.Header == "" {
		terms.Header = "Authorization"
	}
	return errors.Join(errs...)
}

// live says that the environment opts in.
func (terms *Terms) live() bool {
	v := os.Getenv(terms.Live)
	return v != "" && v != "0" && v != "false"
}

// endpoint is the Call of the endpoint that fits; without one, the call with * for each piece of the path that has a digit.
func (terms *Terms) endpoint(method, p string) string {
	for _, e := range terms.Endpoints {
		m, pattern, _ := strings.Cut(e.Call, " ")
		if ok, err := path.Match(pattern, p); ok && err == nil && m == method {
			return e.Call
		}
	}
	pieces := strings.Split(p, "/")
	for i, s := range pieces {
		if strings.ContainsAny(s, "0123456789") && len(s) > 3 {
			pieces[i] = "*"
		}
	}
	return method + " " + strings.Join(pieces, "/")
}

// Contract asserts what a driver takes for granted of its partner: that its credentials are sent and good, that its endpoints are there and no others are
// called, that fields have their types, that the headers of limits come, and that the driver counts no oddity in driver.Drift. It asks a
// cassette; when the environment opts in (see [Terms].Live), the partner itself. A failure against the partner means that the partner has changed, or
// was never as believed; one against a cassette that the driver has.
//
// Credentials are never printed, nor bodies.
func Contract(t testing.TB, terms Terms) {
	t.Helper()
	if err := terms.validate(); err != nil {
		t.Fatalf("drivertest: Contract: %v", err)
	}
	drift := &driver.Drift{}
	called := map[string]*endpointShape{}
	for _, x := range terms.use(t, drift) {
		name := terms.endpoint(x.method, x.path)
		i := slices.IndexFunc(terms.Endpoints, func(e Endpoint) bool { return e.Call == name })
		if i < 0 {
			t.Errorf("contract: %s is called, which Terms.Endpoints does not have", name)
			continue
		}
		e := terms.Endpoints[i]
		if !e.Open && !x.credential {
			t.Errorf("contract: %s was called without %s", name, terms.Header)
		}
		if x.status/100 != 2 {
			t.Errorf("contract: %s answers with status %d", name, x.status)
			continue
		}
		for _, h := range e.Headers {
			if x.header.Get(h) == "" && x.status == http.StatusOK {
				t.Errorf("contract: an answer of %s has no %s", name, h)
			}
		}
		addAnswer(called, name, x.status, x.body)
	}
	for _, e := range terms.Endpoints {
		seen := called[e.Call]
		if seen == nil {
			t.Errorf("contract: %s gave no answer with status 2xx", e.Call)
			continue
		}
		for _, field := range slices.Sorted(maps.Keys(e.Fields)) {
			if problem := seen.lacks(field, e.Fields[field]); problem != "" {
				t.Errorf("contract: %s: %s %s", e.Call, field, problem)
			}
		}
	}
	for _, c := range drift.Snapshot() {
		t.Errorf("contract: the driver counts an oddity %d times: %s %q, %s: %s", c.Count, c.Kind, c.Field, c.Change, c.Detail)
	}
}

// lacks says what is wrong with a field.
func (a *answersShape) lacks(field, want string) string {
	wanted, optional := strings.CutSuffix(want, "?")
	f := a.fields[field]
	if f == nil {
		if optional {
			return ""
		}
		return "is not there"
	}
	if !optional && f.share() < 1 {
		return "is there " + f.often() + ", want it always"
	}
	list := strings.Split(wanted, "|")
	for _, got := range slices.Sorted(maps.Keys(f.types)) {
		text := got == "date" || got == "instant" || got == "empty"
		if !slices.Contains(list, got) && !(text && slices.Contains(list, "string")) {
			return "is of type " + got + ", want " + wanted
		}
	}
	return ""
}

// exchanged is a call that was made.
type exchanged struct {
	method, path string
	credential   bool
	status       int
	header       http.Header
	body         []byte
}

// observer notes what goes through a transport.
type observer struct {
	next   http.RoundTripper
	header string
	mu     sync.Mutex
	all    []exchanged
}

func (o *observer) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := o.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if closed := resp.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, err
	}
	if plainBody, err := plain(resp.Header.Get("Content-Encoding"), string(body)); err == nil {
		o.mu.Lock()
		o.all = append(o.all, exchanged{req.Method, req.URL.Path, req.Header.Get(o.header) != "", resp.StatusCode, resp.Header.Clone(), []byte(plainBody)})
		o.mu.Unlock()
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// use makes the calls, of the cassette or, when the environment opts in, of the partner, and returns them in the order of their answers.
func (terms *Terms) use(t testing.TB, drift *driver.Drift) []exchanged {
	t.Helper()
	o := &observer{header: terms.Header}
	in := terms.Recording.Integration
	if terms.live() && !recording() {
		o.next = terms.Transport
		if o.next == nil {
			network := http.DefaultTransport.(*http.Transport).Clone()
			t.Cleanup(network.CloseIdleConnections)
			o.next = network
		}
		var missing []string
		in.Credentials = maps.Clone(in.Credentials)
		for name, variable := range terms.Env {
			if in.Credentials == nil {
				in.Credentials = map[string]auth.Secret{}
			}
			if in.Credentials[name] = auth.Secret(os.Getenv(variable)); in.Credentials[name] == "" {
				missing = append(missing, variable)
			}
		}
		if slices.Sort(missing); len(missing) > 0 {
			t.Fatalf("drivertest: %s is set, but not: %s", terms.Live, strings.Join(missing, ", "))
		}
	} else {
		if recording() && terms.Recording.From == Simulator && terms.Recording.Transport == nil {
			t.Skipf("cassette %s is recorded by another test: Recording.Transport is nil", terms.Cassette)
		}
		tape := Cassette(t, terms.Cassette, terms.Recording)
		o.next, in = tape, tape.Integration()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	reg := driver.NewRegistry(driver.Options{Transport: o, TokenTransport: o, Telemetry: driver.Telemetry{Drift: drift}})
	if err := terms.Register(reg); err != nil {
		t.Fatalf("drivertest: Register: %v", err)
	}
	defer func() {
		if err := reg.Close(ctx); err != nil {
			t.Errorf("drivertest: closing the driver: %v", err)
		}
	}()
	d, err := reg.OpenIntegration(ctx, in)
	if err != nil {
		t.Fatalf("drivertest: opening the driver: %v", err)
	}
	use := terms.Use
	if use == nil {
		use = useAll
	}
	if err := use(ctx, d); err != nil {
		t.Errorf("drivertest: %s: %v", terms.Cassette, err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all
}

// useAll is what Terms.Use does if it is nil. What fails does not keep it from the rest.
func useAll(ctx context.Context, d driver.Driver) error {
	errs := []error{d.Check(ctx)}
	first := ""
	if l, ok := d.(driver.ResourceLister); ok {
		errs = append(errs, drain(l.Resources(ctx, driver.Query{}), func(r driver.Resource) { first = cmp.Or(first, r.ID) }))
	}
	if l, ok := d.(driver.TransactionLister); ok {
		errs = append(errs, drain(l.Transactions(ctx, driver.Query{}), func(driver.Transaction) {}))
	}
	if l, ok := d.(driver.MediaLister); ok && first != "" {
		errs = append(errs, drain(l.Media(ctx, first), func(driver.Media) {}))
	}
	return errors.Join(errs...)
}

func drain[T any](pages pagination.Pages[T], see func(T)) error {
	for p, err := range pages {
		if err != nil {
			return err
		}
		for _, it := range p.Items {
			see(it)
		}
	}
	return nil
}
