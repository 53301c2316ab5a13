// # Cassettes
//
// A cassette is a recorded conversation with a partner, kept in testdata/cassettes, that a test replays without a network:
//
//	tape := drivertest.Cassette(t, "reservations", drivertest.Recording{
//		From: drivertest.Live, Of: "sandbox account", Date: "2026-11-25",
//		Integration: driver.Integration{ID: "a", Partner: "acme", BaseURL: "https://api.acme.example"},
//		Env:         map[string]string{"client_id": "ACME_ID", "client_secret": "ACME_SECRET"},
//	})
//	d := tape.Open(acme.Register)
//	// … call d as ever, compare what it returns
//
// go test -run Reservations -record makes the cassette, with the credentials in the environment; without -record it is replayed.
// In a replay the integration's credentials are placeholders, and nothing is read from the environment.
//
// What is secret is replaced before anything is written, and never in the running conversation. Of headers only a list is kept.
// Fields, parameters and elements whose names say token, secret, password, signature and the like, or name a person, lose their
// values; so do the credentials, wherever they occur, JWTs and e-mail addresses. The same secret has the same placeholder
// throughout, so a token that comes in one answer and goes out in the next request still matches. Then everything is
// searched again: for each secret that was seen, and for strings that look as if they were random. If one is left, or a body cannot
// be searched because it is not text, the test fails and no cassette is written. Recording.Secret and Recording.Allow say what the kit
// cannot know of a partner.
//
// A replayed request must have the method, URL, query and body of a recorded one that was not played yet, in any order of
// parameters and of JSON members, and with any header. One that has not fails the test with what comes nearest and where it
// differs; so do interactions that were not played. Recorded latency is left out, and so are attempts that ended without an answer.
// Waits for Retry-After and limits are the driver's own: let a replay run in a testing/synctest bubble.
//
// The first line of a cassette says what it was recorded from. A cassette from a simulator shows that driver and simulator
// agree, and nothing of the partner.
package drivertest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
	vcr "gopkg.in/dnaeon/go-vcr.v3/cassette"
	vcrec "gopkg.in/dnaeon/go-vcr.v3/recorder"
)

func init() {
	if flag.Lookup("record") == nil {
		flag.Bool("record", false, "record cassettes in place of replaying them")
	}
}

func recording() bool {
	f := flag.Lookup("record")
	return f != nil && f.Value.String() == "true"
}

// What a cassette is recorded from.
const (
	Simulator = "simulator" // a simulated partner
	Live      = "live"      // the partner: an account or its sandbox
)

// Recording says what a cassette is recorded from, and what is secret in it. From, Of, Date and Integration are required.
type Recording struct {
	// From is Simulator or Live.
	From string
	// Of names the simulator or the kind of account, in one line that may be published.
	Of string
	// Date is the day of the recording, "2026-11-25".
	Date string
	// Integration is what the driver is opened for. Its credentials are secrets: they are replaced wherever they occur, if they have six
	// bytes or more, and by placeholders when the cassette is replayed.
	Integration driver.Integration
	// Env has the environment variables of credentials, by the credential's name. They are read when recording only.
	Env map[string]string
	// Transport is what is recorded; nil: the network. It is not used in a replay.
	Transport http.RoundTripper
	// Headers are further response headers to be kept, such as the one with the partner's request id.
	Headers []string
	// Secret are names of further fields, parameters and elements whose values are secret or personal.
	Secret []string
	// Allow are names whose values are neither, although their names or their looks say so: ids that look random, say. It does not
	// spare credentials or anything that is secret elsewhere.
	Allow []string
	// Ignore are names of parameters and body members that differ each time and are not compared: times and nonces.
	Ignore []string

	dir string // in place of testdata/cassettes
}

// ErrUnmatched is wrapped by the error of a request that is not in the cassette.
var ErrUnmatched = errors.New("drivertest: the request is not in the cassette")

// Tape records or replays a cassette. It is the transport of the driver under test, for calls and tokens, and safe for concurrent use.
// Make it with [Cassette].
type Tape struct {
	t       testing.TB
	name    string
	file    string
	r       Recording
	rec     *vcrec.Recorder
	record  bool
	secrets *redactor
	origin  string

	mu        sync.Mutex
	done      bool
	unmatched map[string]bool
	left      []*vcr.Interaction // not played, at the end
}

// Cassette returns the cassette testdata/cassettes/NAME.yaml, to be replayed, or recorded under the -record flag. It ends with the test:
// then a recording is written, or what was not played is reported. It ends the test when r is wrong or there is no such cassette.
func Cassette(t testing.TB, name string, r Recording) *Tape {
	t.Helper()
	return newTape(t, name, r, recording())
}

var cassetteName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)*$`)

func (r Recording) validate(name string) error {
	var errs []error
	if !cassetteName.MatchString(name) {
		errs = append(errs, fmt.Errorf("its name %q is not of a-z, 0-9, '_', '-' and '/'", name))
	}
	if r.From != Simulator && r.From != Live {
		errs = append(errs, fmt.Errorf("its Recording.From is %q, want %q or %q", r.From, Simulator, Live))
	}
	if r.Of == "" || strings.ContainsAny(r.Of, "\r\n") {
		errs = append(errs, errors.New("its Recording.Of is not one line"))
	}
	if _, err := time.Parse(time.DateOnly, r.Date); err != nil {
		errs = append(errs, fmt.Errorf("its Recording.Date is %q, want one like 2026-11-25", r.Date))
	}
	if r.Integration.ID == "" || r.Integration.Partner == "" {
		errs = append(errs, errors.New("its Recording.Integration has no ID or no Partner"))
	}
	return errors.Join(errs...)
}

func newTape(t testing.TB, name string, r Recording, record bool) *Tape {
	t.Helper()
	if err := r.validate(name); err != nil {
		t.Fatalf("drivertest: cassette: %v", err)
	}
	c := &Tape{t: t, name: name, r: r, record: record, unmatched: map[string]bool{}}
	c.file = filepath.Join(cmp.Or(r.dir, filepath.Join("testdata", "cassettes")), filepath.FromSlash(name)+".yaml")
	in := r.Integration
	in.Credentials = maps.Clone(in.Credentials)
	if in.Credentials == nil {
		in.Credentials = map[string]auth.Secret{}
	}
	var missing []string
	for name, variable := range r.Env {
		in.Credentials[name] = ""
		if record {
			in.Credentials[name] = auth.Secret(os.Getenv(variable))
		}
		if in.Credentials[name] == "" {
			missing = append(missing, variable)
		}
	}
	c.secrets = newRedactor(r.Secret, r.Allow)
	o := &vcrec.Options{CassetteName: strings.TrimSuffix(c.file, ".yaml"), Mode: vcrec.ModeReplayOnly, SkipRequestLatency: true}
	if record {
		if slices.Sort(missing); len(missing) > 0 {
			t.Fatalf("drivertest: cassette %s cannot be recorded: not set in the environment: %s", name, strings.Join(missing, ", "))
		}
		// Written elsewhere first, so that what is not clean never gets to its place.
		o.CassetteName, o.Mode, o.RealTransport = filepath.Join(t.TempDir(), "cassette"), vcrec.ModeRecordOnly, r.Transport
		if r.Transport == nil {
			network := http.DefaultTransport.(*http.Transport).Clone()
			t.Cleanup(network.CloseIdleConnections)
			o.RealTransport = network
		}
	} else if err := c.readOrigin(); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Credentials)) {
		p := c.secrets.credential(name, string(in.Credentials[name]))
		if !record {
			in.Credentials[name] = auth.Secret(p)
		}
	}
	c.r.Integration = in
	c.secrets.frozen = !record
	rec, err := vcrec.NewWithOptions(o)
	if err != nil {
		t.Fatalf("drivertest: cassette %s: %v", name, err)
	}
	c.rec = rec
	c.rec.SetMatcher(func(req *http.Request, i vcr.Request) bool {
		got, ok := req.Context().Value(shapeKey{}).(shape)
		return ok && len(got.differences(c.recorded(i))) == 0
	})
	// Nothing is changed here: what is recorded is still in use. Names are seen, so that all secrets are known before one is looked for.
	c.rec.AddHook(c.captured, vcrec.AfterCaptureHook)
	c.rec.AddHook(c.beforeSave, vcrec.BeforeSaveHook)
	c.rec.AddHook(func(i *vcr.Interaction) error {
		if !record && !i.WasReplayed() {
			c.left = append(c.left, i)
		}
		return nil
	}, vcrec.OnRecorderStopHook)
	t.Cleanup(func() { c.stop(o.CassetteName + ".yaml") })
	return c
}

// Integration returns what the driver is to be opened for: Recording.Integration with credentials from the environment when recording, and
// with placeholders in a replay.
func (c *Tape) Integration() driver.Integration {
	in := c.r.Integration
	in.Credentials = maps.Clone(in.Credentials)
	return in
}

// Recorded says what the cassette was recorded from, and when: "simulator acmetest, 2026-11-25".
func (c *Tape) Recorded() string { return c.origin }

// Open returns the driver that register adds to a registry, opened for the integration, with the cassette as its only transport. It is
// closed with the test.
func (c *Tape) Open(register func(*driver.Registry) error) driver.Driver {
	c.t.Helper()
	reg := driver.NewRegistry(driver.Options{Transport: c, TokenTransport: c})
	if err := register(reg); err != nil {
		c.t.Fatalf("drivertest: cassette %s: Register: %v", c.name, err)
	}
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := reg.Close(ctx); err != nil {
			c.t.Errorf("drivertest: cassette %s: closing the driver: %v", c.name, err)
		}
	})
	d, err := reg.OpenIntegration(context.Background(), c.Integration())
	if err != nil {
		c.t.Fatalf("drivertest: cassette %s: opening the driver: %v", c.name, err)
	}
	return d
}

// RoundTrip implements http.RoundTripper.
func (c *Tape) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		req.Body.Close()
		if err != nil {
			return nil, err
		}
		body = b
	}
	c.mu.Lock()
	done := c.done
	c.mu.Unlock()
	if done {
		return nil, refused(errors.New("drivertest: the cassette's test has ended"))
	}
	// The recorder gets a copy, because it replaces the body and keeps the headers.
	ctx, got := req.Context(), shape{}
	if !c.record {
		got = c.arriving(req, body)
		ctx = context.WithValue(ctx, shapeKey{}, got)
	}
	r := req.Clone(ctx)
	if r.Body = http.NoBody; len(body) > 0 {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	resp, err := c.rec.RoundTrip(r)
	switch {
	case errors.Is(err, vcr.ErrInteractionNotFound):
		c.report(got)
		return nil, refused(ErrUnmatched)
	case err != nil:
		return nil, err
	}
	// It gives away the headers that it keeps, and a request of its own making.
	resp.Header, resp.Trailer, resp.TransferEncoding = resp.Header.Clone(), resp.Trailer.Clone(), slices.Clone(resp.TransferEncoding)
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	resp.Request, resp.Close = req, false
	return resp, nil
}

// refused is an error that is not worth trying again.
func refused(err error) error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never}, Err: err}
}

// captured is told of each interaction that was recorded. The maps are copied, because those whose they are go on using them.
func (c *Tape) captured(i *vcr.Interaction) error {
	i.Request.Headers, i.Request.Trailer = i.Request.Headers.Clone(), nil
	seen := *i
	_ = c.clean(&seen) // an error comes again, and counts, when the cassette is written
	return nil
}

// keptHeaders are recorded. Those of requests are not compared.
var (
	keptRequestHeaders  = []string{"Accept", "Content-Type"}
	keptResponseHeaders = []string{
		"Content-Type", "Content-Language", "Etag", "Last-Modified", "Link", "Location", "Retry-After",
		"Ratelimit", "Ratelimit-Limit", "Ratelimit-Policy", "Ratelimit-Remaining", "Ratelimit-Reset",
	}
)

func kept(h http.Header, names []string, prefixes ...string) http.Header {
	out := http.Header{}
	for name, values := range h {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(names, name) || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
			out[name] = slices.Clone(values)
		}
	}
	return out
}

// beforeSave cleans an interaction that goes into the file, and refuses one that is not clean.
func (c *Tape) beforeSave(i *vcr.Interaction) error {
	if err := c.clean(i); err != nil {
		return err
	}
	return c.secrets.search(i)
}

// clean redacts an interaction. It makes new maps and changes none.
func (c *Tape) clean(i *vcr.Interaction) error {
	body, err := plain(i.Response.Headers.Get("Content-Encoding"), i.Response.Body)
	if err != nil {
		return fmt.Errorf("interaction %d: the answer's body cannot be searched: %w", i.ID, err)
	}
	extra := make([]string, len(c.r.Headers))
	for n, name := range c.r.Headers {
		extra[n] = http.CanonicalHeaderKey(name)
	}
	q, a, s := i.Request, i.Response, c.secrets
	if m := multipartBoundary.FindStringSubmatch(q.Headers.Get("Content-Type")); m != nil { // random, and of no meaning
		q.Headers = q.Headers.Clone()
		q.Headers.Set("Content-Type", strings.Replace(q.Headers.Get("Content-Type"), m[1], "boundary", 1))
		q.Body = strings.ReplaceAll(q.Body, strings.Trim(m[1], `"`), "boundary")
	}
	// What is left out does not tell of secrets, but what it held may come again in a body.
	s.headers(q.Headers)
	s.headers(a.Headers)
	i.Request = vcr.Request{
		Proto: q.Proto, ProtoMajor: q.ProtoMajor, ProtoMinor: q.ProtoMinor, Method: q.Method,
		URL: s.url(q.URL), Body: s.body(q.Headers.Get("Content-Type"), q.Body), Headers: s.headers(kept(q.Headers, keptRequestHeaders)),
	}
	i.Request.ContentLength = int64(len(i.Request.Body))
	i.Response = vcr.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Status: a.Status, Code: a.Code,
		Body:    s.body(a.Headers.Get("Content-Type"), body),
		Headers: s.headers(kept(a.Headers, append(extra, keptResponseHeaders...), "X-Ratelimit-")),
	}
	i.Response.ContentLength = int64(len(i.Response.Body))
	return nil
}

// plain is a body as text.
func plain(encoding, body string) (string, error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return body, nil
	case "gzip":
		z, err := gzip.NewReader(strings.NewReader(body))
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(z)
		return string(b), err
	}
	return "", errors.New("its Content-Encoding is neither gzip nor none")
}
