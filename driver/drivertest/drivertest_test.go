package drivertest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

// A driver as it should be passes.
func TestAcme(t *testing.T) { Run(t, acmeHarness("")) }

// recorder is a testing.TB that keeps what it is told, so that a check that fails is a success.
type recorder struct {
	testing.TB
	mu      sync.Mutex
	said    []string
	failed  bool
	skipped bool
}

func (r *recorder) Helper() {}

func (r *recorder) note(failed bool, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, text)
	r.failed = r.failed || failed
}

func (r *recorder) Errorf(format string, args ...any) { r.note(true, fmt.Sprintf(format, args...)) }
func (r *recorder) Error(args ...any)                 { r.note(true, fmt.Sprint(args...)) }
func (r *recorder) Fatalf(format string, args ...any) { r.Errorf(format, args...); runtime.Goexit() }
func (r *recorder) Fatal(args ...any)                 { r.Error(args...); runtime.Goexit() }
func (r *recorder) Skipf(format string, args ...any) {
	r.note(false, fmt.Sprintf(format, args...))
	r.skipped = true
	runtime.Goexit()
}
func (r *recorder) Skip(args ...any) { r.Skipf("%s", fmt.Sprint(args...)) }

// record runs one check of the suite against a driver and returns what it said.
func record(t *testing.T, h Harness, name, capability string) *recorder {
	t.Helper()
	all := checks()
	i := slices.IndexFunc(all, func(c check) bool { return c.name == name })
	if i < 0 {
		t.Fatalf("there is no check %q", name)
	}
	rec := &recorder{}
	bubble(t, func(t *testing.T) {
		rec.TB = t
		var s *stream
		if lists := streams(h); all[i].list != nil {
			s = &lists[slices.IndexFunc(lists, func(s stream) bool { return s.capability == capability })]
		}
		leak = make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			all[i].run(rec, h, s)
		}()
		<-done
		close(leak)
	})
	return rec
}

// Each driver is broken in one way, and the check that is there for it says so. The same check passes the good driver.
func TestBrokenDrivers(t *testing.T) {
	for _, c := range []struct{ flaw, check, capability, says string }{
		{"changing info", "info", "", "Info is not the same"},
		{"careless info", "info", "", "does not say its name, who shares it, or where its numbers come from"},
		{"media of nothing", "paging", "MediaLister", "invalid media: resource_id"},
		{"check says yes", "check", "", "sent nothing"},
		{"loses a page", "paging", "ResourceLister", "50 items, the partner has 70"},
		{"invalid records", "paging", "ResourceLister", "invalid resource: id"},
		{"fetches all", "paging", "ResourceLister", "something is fetched that nobody asked for"},
		{"claims to filter", "since", "ResourceLister", "items were changed since"},
		{"filters by itself", "since", "ResourceLister", "the list differs"},
		{"ignores the cursor", "resume", "ResourceLister", "resume: after page 1"},
		{"no total", "change", "ResourceLister", "the list does not say so"},
		{"no fingerprint", "loops", "ResourceLister", "one page for ever: 20 of 70 items look like all"},
		{"assumes order", "items", "ResourceLister", "rows in another order"},
		{"twice is an error", "items", "ResourceLister", "rows that come twice end the list"},
		{"invents a parameter", "paging", "ResourceLister", "what its documentation does not have"},
		{"counts oddities", "paging", "ResourceLister", "counts an oddity"},
		{"ignores types", "types", "ResourceLister", "none was rejected, and none counted"},
		{"one bad item ends all", "types", "ResourceLister", "one mistyped field end the list"},
		{"drops bad items", "types", "ResourceLister", "lost in silence"},
		{"no list is no item", "types", "TransactionLister", "has no list but null"},
		{"unknown ids are errors", "byid", "", "byid: resource, with an unknown one"},
		{"retries for ever", "throttling", "ResourceLister", "does not stop calling"},
		{"retries for ever", "outage", "ResourceLister", "does not stop calling"},
		{"retries for ever, deaf", "outage", "ResourceLister", "though its context has ended"},
		{"swallows errors", "bodies", "ResourceLister", "look like all"},
		{"no limiter", "quota", "", "although a tier was full"},
		{"no limiter", "throttling", "ResourceLister", "one 429"},
		{"no limiter", "token", "ResourceLister", "revoked in the middle ends the list"},
		{"ignores cancellation", "cancellation", "ResourceLister", "goes on to its end"},
		{"follows links", "origins/next", "TransactionLister", "followed to another server"},
		{"follows links", "origins", "TransactionLister", "followed to another server"},
		{"unbounded bodies", "size", "ResourceLister", "MiB of a body without end were read"},
		{"open bodies", "leaks", "ResourceLister", "was not closed"},
		{"goroutine", "leaks", "ResourceLister", "a goroutine is left"},
		{"secret in errors", "secrets", "ResourceLister", "is in an error"},
		{"body in errors", "secrets", "ResourceLister", "is in an error"},
	} {
		t.Run(c.flaw+"/"+c.check, func(t *testing.T) {
			rec := record(t, acmeHarness(c.flaw), c.check, c.capability)
			if !rec.failed || !slices.ContainsFunc(rec.said, func(s string) bool { return strings.Contains(s, c.says) }) {
				t.Errorf("the check did not say %q, but:\n%s", c.says, strings.Join(rec.said, "\n"))
			}
			if good := record(t, acmeHarness(""), c.check, c.capability); good.failed || good.skipped {
				t.Errorf("the good driver:\n%s", strings.Join(good.said, "\n"))
			}
		})
	}
}

// What the suite prints about a secret is not the secret.
func TestFindingsHoldNoSecret(t *testing.T) {
	rec := record(t, acmeHarness("secret in errors"), "secrets", "ResourceLister")
	for _, s := range rec.said {
		if strings.HasPrefix(s, "secrets:") && strings.Contains(s, "acme-secret") {
			t.Error("the finding repeats the secret")
		}
	}
}

// Capabilities and features that are missing are skipped by name.
func TestMissingCapabilitiesAreSkipped(t *testing.T) {
	h := acmeHarness("")
	h.NextLink, h.TokenPath = nil, ""
	if rec := record(t, millHarness(""), "paging", "MediaLister"); !rec.skipped || !strings.Contains(rec.said[0], "the driver is no MediaLister") {
		t.Errorf("mill lists no media: skipped %t, said %q", rec.skipped, rec.said)
	}
	for _, c := range []struct{ check, capability, says string }{
		{"origins/next", "TransactionLister", "hold no links"},
		{"token", "ResourceLister", "no token endpoint"},
	} {
		rec := record(t, h, c.check, c.capability)
		if !rec.skipped || rec.failed || !slices.ContainsFunc(rec.said, func(s string) bool { return strings.Contains(s, c.says) }) {
			t.Errorf("%s: skipped %t, said %q", c.check, rec.skipped, rec.said)
		}
	}
}

func TestHarnessIsChecked(t *testing.T) {
	err := Harness{Resources: -1, Canaries: []string{""}}.validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Register is nil", "Partner is nil", "negative count", "empty text"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}

var (
	_ driver.ResourceLister    = (*acme)(nil)
	_ driver.TransactionLister = (*acme)(nil)
	_ driver.ResourceGetter    = (*acme)(nil)
)
