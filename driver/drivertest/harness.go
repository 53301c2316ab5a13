package drivertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// Harness is what the suite must know of a driver. Register and Partner are required.
type Harness struct {
	// Register adds the driver to a registry.
	Register func(*driver.Registry) error
	// Partner makes a new simulated partner under the conditions, with the same data every time. It is called in the bubble
	// of a check, often.
	Partner func(Conditions) (Partner, error)
	// TokenPath is the path of the partner's token endpoint. "": it has none, and the checks of tokens are skipped.
	TokenPath string
	// Resources, Transactions and Media are how many items the partner's lists hold; Media is that of the resource MediaOf.
	// 0: not compared.
	Resources, Transactions, Media int
	// Messages is how many messages wait in the partner's queue; 0: not compared.
	Messages int
	// CalendarFrom and CalendarTo are nights of the resource MediaOf that the partner's calendar shows, and Days how many driver.Days these
	// are; 0: not compared. Required for a driver.CalendarLister. Where the partner's rows hold many days each, of a rate say, the id of a row that
	// is rejected must be one of those that its days have, so that the suite knows which it stands for.
	CalendarFrom, CalendarTo driver.Date
	Days                     int
	// PushTo and PushStatus are a transaction, and a status other than its own that the partner takes for it: for a driver.StatusPusher.
	PushTo     string
	PushStatus driver.TransactionStatus
	// PushDays are days of one resource that the partner takes: for a driver.CalendarPusher.
	PushDays []driver.Day
	// PushCall is the endpoint of these writes, as in partnersim.Rule: "PUT /v1/bookings/*". "": every call, also those that lead to it.
	PushCall string
	// WebhookKinds are the kinds of the partner's webhooks, in its words: for a driver.WebhookSource.
	WebhookKinds []string
	// MediaOf is the id of a resource that has media; "": the first one listed.
	MediaOf string
	// Canaries are further texts that must be in no log line and no error: names and addresses of the simulated guests, say. All
	// credentials of the integration, and what the requests carry in their Authorization header, are canaries already.
	Canaries []string
	// NextLink returns the body of an answer with its link to the next page replaced by url, and false when it holds none. Nil:
	// the partner's answers hold no links.
	NextLink func(body []byte, url string) ([]byte, bool)
	// Ordered says that the partner's rows come in an order that its paging goes by, so that a page in another order cannot be read
	// on from: the suite leaves their order alone.
	Ordered bool
}

// Conditions are what a check wants of the partner.
type Conditions struct {
	Faults  []partnersim.Rule
	Latency time.Duration
	Jitter  time.Duration
	Seed    uint64
}

// Partner is a simulated partner, and the integration with it that the driver is opened for.
type Partner struct {
	Server      *partnersim.Server
	Integration driver.Integration
	// Change has the partner add, change and delete some of what it lists, more of it each time. Nil: what a list does under
	// change is not checked.
	Change func()
	// Waiting is how many messages the partner's queue would still deliver. Required for a driver.QueueSource.
	Waiting func() int
}

func (h Harness) validate() error {
	var errs []error
	if h.Register == nil {
		errs = append(errs, errors.New("Harness.Register is nil"))
	}
	if h.Partner == nil {
		errs = append(errs, errors.New("Harness.Partner is nil"))
	}
	if h.Resources < 0 || h.Transactions < 0 || h.Media < 0 || h.Messages < 0 || h.Days < 0 {
		errs = append(errs, errors.New("Harness has a negative count"))
	}
	if slices.Contains(h.Canaries, "") {
		errs = append(errs, errors.New("Harness.Canaries holds an empty text, which is in every log line"))
	}
	return errors.Join(errs...)
}

// check is one of the suite. One that is about lists runs once for each list.
type check struct {
	name string
	once func(r *runner)
	list func(r *runner, s stream)
	// links and tokens say what the harness must have.
	links, tokens bool
}

func checks() []check {
	return []check{
		{name: "info", once: checkInfo},
		{name: "check", once: checkCheck},
		{name: "paging", list: checkPaging},
		{name: "resume", list: checkResume},
		{name: "change", list: checkChange},
		{name: "loops", list: checkLoops},
		{name: "items", list: checkItems},
		{name: "types", list: checkTypes},
		{name: "since", list: checkSince},
		{name: "byid", once: checkByID},
		{name: "throttling", list: checkThrottling},
		{name: "token", list: checkToken, tokens: true},
		{name: "bodies", list: checkBodies},
		{name: "outage", list: checkOutage},
		{name: "cancellation", list: checkCancellation},
		{name: "origins", list: checkRedirects},
		{name: "origins/next", list: checkNextLinks, links: true},
		{name: "size", list: checkSize},
		{name: "leaks", list: checkLeaks},
		{name: "secrets", list: checkSecrets},
		{name: "queue", once: checkQueue},
		{name: "push/status", once: checkPushStatus},
		{name: "push/calendar", once: checkPushCalendar},
		{name: "webhooks", once: checkWebhooks},
		{name: "quota", once: checkQuota},
	}
}

// Run runs the suite; see the package comment for its checks.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if err := h.validate(); err != nil {
		t.Fatalf("drivertest: %v", err)
	}
	for _, c := range checks() {
		if c.list == nil {
			t.Run(c.name, func(t *testing.T) { bubble(t, func(t *testing.T) { c.run(t, h, nil) }) })
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for _, s := range streams(h) {
				t.Run(s.capability, func(t *testing.T) { bubble(t, func(t *testing.T) { c.run(t, h, &s) }) })
			}
		})
	}
}

// run runs the check in the bubble that it is called in.
func (c check) run(tb testing.TB, h Harness, s *stream) {
	tb.Helper()
	if c.tokens && h.TokenPath == "" {
		tb.Skip("the partner has no token endpoint")
	}
	if c.links && h.NextLink == nil {
		tb.Skip("the partner's answers hold no links")
	}
	r := &runner{TB: tb, h: h, mediaOf: h.MediaOf}
	if s == nil {
		c.once(r)
		return
	}
	g := r.open(Conditions{})
	has := s.has(g.driver)
	g.close()
	if !has {
		tb.Skipf("the driver is no %s", s.capability)
	}
	if s.kind == driver.KindDay && h.CalendarFrom == (driver.Date{}) {
		tb.Skip("the driver is a CalendarLister, but Harness.CalendarFrom and CalendarTo are not set")
	}
	c.list(r, *s)
}

// bubble runs f in a bubble. What keeps the bubble from ending is a goroutine that was left, and has been reported by then.
func bubble(t *testing.T, f func(*testing.T)) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("drivertest: the check could not end: %v", fmt.Sprint(p))
		}
	}()
	synctest.Test(t, f)
}
