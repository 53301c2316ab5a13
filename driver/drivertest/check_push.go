package drivertest

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

// effectKey is the key of the writes that the suite makes.
const effectKey = driver.EffectKey("effect-7c1f9e-of-the-suite")

func checkPushStatus(r *runner) {
	g := r.open(Conditions{})
	_, ok := g.driver.(driver.StatusPusher)
	g.close()
	switch {
	case !ok:
		r.Skip("the driver is no StatusPusher")
	case r.h.PushTo == "" || r.h.PushStatus == "":
		r.Skip("the driver is a StatusPusher, but Harness.PushTo and PushStatus are not set")
	}
	push := func(ctx context.Context, g *rig) (driver.Effect, error) {
		e, err := g.driver.(driver.StatusPusher).PushStatus(ctx, effectKey, r.h.PushTo, r.h.PushStatus)
		return e, g.saw(err)
	}
	checkPush(r, push, false)

	// What the partner then has.
	g = r.open(Conditions{})
	defer g.close()
	if _, err := push(g.ctx, g); err != nil {
		return // it was said
	}
	get, ok := g.driver.(driver.TransactionGetter)
	if !ok {
		return
	}
	found := false
	for p, err := range get.TransactionsByID(g.ctx, []string{r.h.PushTo}) {
		if g.saw(err) != nil {
			r.Errorf("push: reading what was written: %v", err)
			return
		}
		for _, t := range p.Items {
			found = true
			if got := t.Status.Or(""); got != r.h.PushStatus {
				r.Errorf("push: after the status %q was pushed the partner has %q", r.h.PushStatus, got)
			}
		}
	}
	if !found {
		r.Error("push: the transaction of Harness.PushTo is not there")
	}
}

func checkPushCalendar(r *runner) {
	g := r.open(Conditions{})
	_, ok := g.driver.(driver.CalendarPusher)
	g.close()
	switch {
	case !ok:
		r.Skip("the driver is no CalendarPusher")
	case len(r.h.PushDays) == 0:
		r.Skip("the driver is a CalendarPusher, but Harness.PushDays is empty")
	}
	resource := r.h.PushDays[0].ResourceID
	push := func(ctx context.Context, g *rig) (driver.Effect, error) {
		e, err := g.driver.(driver.CalendarPusher).PushCalendar(ctx, effectKey, resource, r.h.PushDays)
		return e, g.saw(err)
	}
	checkPush(r, push, true)

	// What cannot be told is refused as a whole, before anything is sent.
	g = r.open(Conditions{})
	defer g.close()
	strange := slices.Clone(r.h.PushDays)
	strange[len(strange)-1].ResourceID = resource + "-another"
	invalid := slices.Clone(r.h.PushDays)
	invalid[len(invalid)-1].Date = driver.Date{}
	for name, days := range map[string][]driver.Day{"of another resource": strange, "without a date": invalid} {
		if _, err := g.driver.(driver.CalendarPusher).PushCalendar(g.ctx, effectKey, resource, days); g.saw(err) == nil {
			r.Errorf("push: a day %s is no error", name)
		}
	}
	if n := g.wire.total(); n > 0 {
		r.Errorf("push: days that are refused are %d calls", n)
	}
}

// checkPush has a write succeed, fail, be throttled, and its answer be lost. again says that it may be made again in every case.
func checkPush(r *runner, push func(context.Context, *rig) (driver.Effect, error), again bool) {
	g := r.open(Conditions{})
	if _, err := push(g.ctx, g); err != nil {
		r.Errorf("push: %v", err)
	}
	whole := len(g.wire.writes())
	if whole == 0 {
		r.Error("push: nothing was written")
	}
	calls := g.wire.total()
	ctx, cancel := context.WithCancelCause(g.ctx)
	cancel(errGaveUp)
	if _, err := push(ctx, g); err == nil || g.wire.total() != calls {
		r.Errorf("push: with a context that has ended: error %v, %d calls", err, g.wire.total()-calls)
	}
	g.close()

	// Throttled once: it is made again when the partner says.
	g = r.open(Conditions{})
	g.wire.hook(refuseOnce(http.StatusTooManyRequests, "3"), nil) //nolint:bodyclose // what it makes is closed by its reader
	start := time.Now()
	if _, err := push(g.ctx, g); err != nil {
		r.Errorf("push: one 429 ends it: %v", err)
	} else if d := time.Since(start); d < 3*time.Second {
		r.Errorf("push: told to wait 3 s, the driver wrote again after %v", d)
	}
	g.close()

	// Refused without end: a client's error, and not again and again.
	g = r.open(Conditions{})
	g.wire.hook(func(_ int, req *http.Request) *http.Response {
		if !writes(req) {
			return nil
		}
		return answer(req, http.StatusUnprocessableEntity, "application/json", []byte(`{"message":"`+canary+`"}`))
	}, nil)
	g.wire.secret(canary)
	_, err := push(g.ctx, g)
	if c := retry.ClassOf(err); err == nil || c == retry.Transient || c == retry.RateLimit || c == retry.Canceled {
		r.Errorf("push: a write that is refused with 422 is an error of class %v, want client", c)
	}
	if n := len(g.wire.writes()); n > max(whole, 1) {
		r.Errorf("push: a write that is refused with 422 was sent %d times", n)
	}
	g.close()

	// The answer is lost after the partner has written. It is not known whether it has.
	g = r.open(Conditions{Faults: []partnersim.Rule{{Kind: partnersim.Lost, Count: 1, Endpoint: r.h.PushCall}}})
	_, err = push(g.ctx, g)
	if err != nil {
		if e, ok := errors.AsType[*retry.Error](err); !ok || e.Sent != retry.Unknown {
			r.Errorf("push: the error of a write whose answer was lost does not say that its outcome is unknown (retry.Error.Sent): %v", err)
		}
	}
	if !again {
		seen := g.wire.writes()
		for i := 1; i < len(seen) && whole == 1; i++ {
			if !seen[i].keyed && !g.wire.readBetween(seen[i-1], seen[i]) {
				r.Error("push: a write whose answer was lost was made again, without the effect's key and without a look at what the partner has")
			}
		}
	}
	g.close()
}

// refuseOnce refuses the first write.
func refuseOnce(status int, retryAfter string) func(int, *http.Request) *http.Response {
	done := false
	return func(_ int, req *http.Request) *http.Response {
		if done || !writes(req) {
			return nil
		}
		done = true
		resp := answer(req, status, "application/json", []byte("{}"))
		resp.Header.Set("Retry-After", retryAfter)
		return resp
	}
}

// writes says that a request is not a plain read.
func writes(req *http.Request) bool {
	return req.Method != http.MethodGet && req.Method != http.MethodHead
}

// writes returns the calls that were no reads.
func (w *wire) writes() []call {
	return slices.DeleteFunc(w.seen(), func(c call) bool { return strings.HasPrefix(c.where, "GET ") || strings.HasPrefix(c.where, "HEAD ") })
}

// readBetween reports whether something was read between two calls.
func (w *wire) readBetween(a, b call) bool {
	return slices.ContainsFunc(w.seen(), func(c call) bool {
		return strings.HasPrefix(c.where, "GET ") && c.sent.After(a.sent) && c.sent.Before(b.sent)
	})
}
