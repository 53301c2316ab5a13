package drivertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// checkWebhooks has the driver read deliveries that hold anything. Whether a delivery is the partner's is webhook.Handler's to say.
func checkWebhooks(r *runner) {
	g := r.open(Conditions{})
	defer g.close()
	d, ok := g.driver.(driver.WebhookSource)
	if !ok {
		r.Skip("the driver is no WebhookSource")
	}
	p := d.Webhooks()
	if q := d.Webhooks(); p.Name != q.Name || p.Tolerance != q.Tolerance || p.Patience != q.Patience || p.Answer != q.Answer {
		r.Error("webhooks: Webhooks is not the same every time")
	}
	if p.Name != g.driver.Info().Partner {
		r.Errorf("webhooks: the partner's name is %q, Info's %q", p.Name, g.driver.Info().Partner)
	}
	g.wire.secret(canary)
	bodies := []string{
		"", "{}", "[]", "null", `"` + canary + `"`, canary, "<" + canary + "/>", "{", `{"` + canary + `":"` + canary + `"}`,
		`{"event":7,"data":"` + canary + `","id":{}}`, `{"event":"` + canary + `","reservation":{"_id":"` + canary + `"}}`, "\xff\xfe", strings.Repeat("[", 100_000),
	}
	for _, kind := range append([]string{"", canary, "reservation.new", "listing.updated", "app.disabled"}, r.h.WebhookKinds...) {
		for _, body := range bodies {
			e := webhook.Event{Key: "k", Partner: p.Name, Integration: "a", Kind: kind, ContentType: "application/json", ReceivedAt: time.Now(), Body: []byte(body)}
			notices, err := r.notices(d, e)
			_ = g.saw(err) // it is searched for the canary at the end
			again, errAgain := r.notices(d, e)
			if len(notices) != len(again) || (err == nil) != (errAgain == nil) {
				r.Errorf("webhooks: Notices of the same event differ: it is not pure")
			}
			for _, n := range notices {
				if n.Of("resource") || n.Of("transaction") {
					if n.Record == "" {
						r.Errorf("webhooks: a notice of the kind %s of %d bytes is about no record", n.Kind, len(body))
					}
				}
			}
		}
	}
	if n := g.wire.total(); n > 0 {
		r.Errorf("webhooks: reading deliveries sent %d requests", n)
	}
}

// notices calls the driver, and reports a panic.
func (r *runner) notices(d driver.WebhookSource, e webhook.Event) (n []webhook.Notice, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it panicked with a %T", p)
			r.Errorf("webhooks: Notices of an event of %d bytes panics with a %T", len(e.Body), p)
		}
	}()
	return d.Notices(e)
}
