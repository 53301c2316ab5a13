package drivertest

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/retry"
)

// source is the driver's queue, and a host's side of it. Receive is called as the interface asks: not more often than Poll, with one page
// acknowledged before the next is asked for.
type source struct {
	*rig
	q    driver.QueueSource
	poll time.Duration
	read time.Time // when the queue was read last
}

func (g *rig) queue() (*source, bool) {
	q, ok := g.driver.(driver.QueueSource)
	if !ok {
		return nil, false
	}
	return &source{rig: g, q: q, poll: q.Queue().Poll}, true
}

// receive reads to the end, or up to so many pages if pages is positive. With ack every page is acknowledged.
func (s *source) receive(ctx context.Context, ack bool, pages int) (messages []driver.Message, receipts []any, err error) {
	s.r.Helper()
	if !s.read.IsZero() {
		time.Sleep(time.Until(s.read.Add(s.poll)))
	}
	defer func() { s.read = time.Now() }()
	n := 0
	for p, err := range s.q.Receive(ctx) {
		if s.saw(err) != nil {
			if len(p.Items) > 0 {
				s.r.Error("queue: the page that comes with an error has messages")
			}
			return messages, receipts, err
		}
		if s.q.Queue().Destructive != (p.Receipt == nil) && len(p.Items) > 0 {
			s.r.Errorf("queue: Destructive is %t, and a page's receipt %v", s.q.Queue().Destructive, p.Receipt)
		}
		messages, receipts = append(messages, p.Items...), append(receipts, p.Receipt)
		if ack {
			if err := s.saw(s.q.Acknowledge(ctx, p.Receipt)); err != nil {
				return messages, receipts, err
			}
		}
		if n++; n == pages {
			break
		}
	}
	return messages, receipts, nil
}

// waiting is how many messages the partner holds.
func (s *source) waiting() int {
	if s.partner.Waiting == nil {
		s.r.Fatal("queue: the harness does not tell how many messages wait: Partner.Waiting is nil")
	}
	return s.partner.Waiting()
}

func checkQueue(r *runner) {
	g := r.open(Conditions{})
	s, ok := g.queue()
	if !ok {
		g.close()
		r.Skip("the driver is no QueueSource")
	}
	d := s.q.Queue()
	if !reflect.DeepEqual(d, s.q.Queue()) {
		r.Error("queue: Queue is not the same every time")
	}
	if d.Name == "" || d.Poll <= 0 {
		r.Errorf("queue: its name is %q and Poll %v, want both", d.Name, d.Poll)
	}
	for _, secret := range g.partner.Integration.Credentials {
		if len(secret) >= 6 && strings.Contains(d.Name, string(secret)) {
			r.Error("queue: its name holds a credential")
		}
	}
	if n := g.wire.total(); n > 0 {
		r.Errorf("queue: describing it sent %d requests", n)
	}
	before := s.waiting()
	if before == 0 {
		r.Fatal("queue: nothing waits at the simulated partner: the suite needs some messages")
	}

	// Read and left, as by a process that died before it stored the page.
	first, _, err := s.receive(g.ctx, false, 1)
	if err != nil || len(first) == 0 {
		r.Fatalf("queue: the first page has %d messages, error %v", len(first), err)
	}
	made := len(g.wire.seen())
	time.Sleep(time.Minute)
	if later := len(g.wire.seen()); later != made {
		r.Errorf("queue: %d calls for a page, %d a minute later: a queue is never prefetched", made, later)
	}
	if left := s.waiting(); d.Destructive != (left != before) {
		r.Errorf("queue: of %d messages %d wait after a page was read and not acknowledged; Destructive is %t", before, left, d.Destructive)
	}
	g.close()

	checkDrain(r, before)
	checkParse(r)
	checkLostReads(r)
	checkLostAcknowledgement(r)
	checkQueueFaults(r)
}

// checkDrain reads the queue to its end, as a host does: everything comes, and comes once when it is acknowledged.
func checkDrain(r *runner, waiting int) {
	g := r.open(Conditions{Latency: 40 * time.Millisecond})
	defer g.close()
	s, _ := g.queue()
	all, receipts, err := s.receive(g.ctx, true, 0)
	if err != nil {
		r.Fatalf("queue: reading it to its end: %v", err)
	}
	if r.h.Messages > 0 && len(all) != r.h.Messages {
		r.Errorf("queue: %d messages were read, the partner had %d", len(all), r.h.Messages)
	}
	if n := s.waiting(); n > 0 {
		r.Errorf("queue: of %d messages %d wait after every page was acknowledged", waiting, n)
	}
	g.unexpected("queue")
	for _, m := range all {
		if len(m.Body) == 0 || m.Received.IsZero() || m.Received.After(time.Now()) {
			r.Errorf("queue: %v has a body of %d bytes and was received at %v", m, len(m.Body), m.Received)
			break
		}
	}
	for _, receipt := range receipts { // a host whose acknowledgement was cut off makes it again
		if err := g.saw(s.q.Acknowledge(g.ctx, receipt)); err != nil {
			r.Errorf("queue: a page acknowledged again: %v", err)
		}
	}
	calls := g.wire.total()
	if err := s.q.Acknowledge(g.ctx, nil); err != nil || g.wire.total() != calls {
		r.Errorf("queue: acknowledging nothing: %v, %d calls", err, g.wire.total()-calls)
	}
	if again, _, err := s.receive(g.ctx, true, 0); err != nil || len(again) > 0 {
		r.Errorf("queue: %d messages are read again that were acknowledged, error %v", len(again), err)
	}
}

// checkParse has the messages parsed: by a pure function, whatever they hold.
func checkParse(r *runner) {
	g := r.open(Conditions{})
	defer g.close()
	s, _ := g.queue()
	all, _, err := s.receive(g.ctx, false, 1)
	if err != nil || len(all) == 0 {
		r.Fatalf("queue: %d messages, %v", len(all), err)
	}
	calls := g.wire.total()
	versions := g.driver.Info().AdapterVersions
	for _, m := range all {
		b, err := s.q.Parse(m, "")
		if s.saw(err) != nil || len(b.Items) == 0 || len(b.Rejected) > 0 {
			r.Errorf("queue: Parse of a message gives %d records, %d rejected, %v", len(b.Items), len(b.Rejected), err)
			continue
		}
		if again, err := s.q.Parse(m, ""); err != nil || !reflect.DeepEqual(b.Items, again.Items) {
			r.Errorf("queue: Parse of the same message gives other records: it is not pure (%v)", err)
		}
		for _, it := range b.Items {
			if err := driver.Validate(it); err != nil {
				r.Errorf("queue: %v", err)
			}
			if len(it.Raw) == 0 || !slices.Contains(versions, it.AdapterVersion) {
				r.Errorf("queue: a record's Raw has %d bytes, and its AdapterVersion is %q", len(it.Raw), it.AdapterVersion)
			}
			if m.ID != "" && m.ID != it.ID {
				r.Errorf("queue: %v is about %q", m, it.ID)
			}
		}
		for _, v := range versions {
			if _, err := s.q.Parse(m, v); err != nil {
				r.Errorf("queue: Parse in the version %q: %v", v, err)
			}
		}
	}
	if _, err := s.q.Parse(all[0], "no such version"); err == nil {
		r.Error("queue: Parse in a version that there is not is no error")
	}
	// What a hostile or broken partner leaves in the store.
	g.wire.secret(canary)
	for _, body := range []string{"", " ", canary, "<" + canary + ">", `{"` + canary + `":`, string(all[0].Body[:len(all[0].Body)/2]), "<html>" + canary + "</html>", "null", "[]"} {
		m := all[0]
		m.Body = []byte(body)
		b, err := s.q.Parse(m, "")
		if s.saw(err) == nil && len(b.Rejected) == 0 {
			r.Errorf("queue: Parse of a message of %d bytes that is none gives %d records and no error", len(body), len(b.Items))
		}
	}
	checkParseTypes(s, all)
	if n := g.wire.total() - calls; n > 0 {
		r.Errorf("queue: Parse sent %d requests", n)
	}
}

// checkParseTypes has each field of each message mistyped, one at a time. A message says what is wrong with it, or gives valid records.
func checkParseTypes(s *source, all []driver.Message) {
	const most = 2000
	n := 0
	for _, m := range all {
		d, ok := readDocument(m.Body)
		if !ok {
			continue
		}
		for _, name := range fields(d.root) {
			for way := range mistypes {
				row := copyRow(d.root)
				if !mistype(row, name, way, nil) {
					continue
				}
				if n++; n > most {
					return
				}
				bad := m
				bad.Body = (&document{root: row, xml: d.xml, lead: d.lead}).bytes()
				b, err := s.q.Parse(bad, "")
				if s.saw(err) != nil {
					continue
				}
				for _, it := range b.Items {
					if err := driver.Validate(it); err != nil {
						s.r.Errorf("queue: Parse of a message whose %q is mistyped gives a record that is invalid: %v", name, err)
						return
					}
				}
				if len(b.Items)+len(b.Rejected) == 0 {
					s.r.Errorf("queue: Parse of a message whose %q is mistyped gives nothing, and no error", name)
					return
				}
			}
		}
	}
}

// checkLostReads has the answer to the first read lost. A read that takes is not repeated; any other may be.
func checkLostReads(r *runner) {
	g := r.open(Conditions{Faults: []partnersim.Rule{{Kind: partnersim.Lost, Count: 1}}})
	defer g.close()
	s, _ := g.queue()
	destructive := s.q.Queue().Destructive
	before := s.waiting()
	all, _, err := s.receive(g.ctx, true, 0)
	switch {
	case destructive && err == nil && len(all) < before:
		r.Errorf("queue: a destructive read whose answer was lost is no error, and %d of %d messages are gone", before-len(all), before)
	case destructive:
		if again, _, err := s.receive(g.ctx, true, 0); err != nil {
			r.Errorf("queue: read again after a lost answer: %d messages, %v", len(again), err)
		}
	case err != nil:
		if all, _, err = s.receive(g.ctx, true, 0); err != nil {
			r.Errorf("queue: read again after a lost answer: %v", err)
		}
	}
	if !destructive && len(all) != before {
		r.Errorf("queue: after an answer was lost %d of %d messages came", len(all), before)
	}
	if n := s.waiting(); n > 0 {
		r.Errorf("queue: after an answer was lost %d messages wait", n)
	}
}

// checkLostAcknowledgement has the answer to an acknowledgement lost: made again, it is good.
func checkLostAcknowledgement(r *runner) {
	g := r.open(Conditions{})
	defer g.close()
	s, _ := g.queue()
	if s.q.Queue().Destructive {
		return
	}
	before := s.waiting()
	page, receipts, err := s.receive(g.ctx, false, 1)
	if err != nil {
		r.Fatalf("queue: %v", err)
	}
	g.wire.lose(1)
	if err := g.saw(s.q.Acknowledge(g.ctx, receipts[0])); err != nil {
		if c := retry.ClassOf(err); c != retry.Transient && c != retry.Unavailable {
			r.Errorf("queue: an acknowledgement whose answer was lost is an error of class %v, want transient", c)
		}
		time.Sleep(s.poll + time.Minute)
		if err := g.saw(s.q.Acknowledge(g.ctx, receipts[0])); err != nil {
			r.Errorf("queue: acknowledged again after the answer was lost: %v", err)
		}
	}
	if n := s.waiting(); n != before-len(page) {
		r.Errorf("queue: of %d messages %d wait after %d were acknowledged", before, n, len(page))
	}
}

// checkQueueFaults has reads fail and end at every call: an error, and nothing is forgotten that was not acknowledged.
func checkQueueFaults(r *runner) {
	for _, kind := range []partnersim.Kind{"500", "503", partnersim.TooMany, partnersim.Cut, partnersim.Malformed, partnersim.HTML, partnersim.Empty, partnersim.Outage} {
		g := r.open(Conditions{Faults: []partnersim.Rule{{Kind: kind}}})
		s, _ := g.queue()
		if s.q.Queue().Destructive && kind != "500" && kind != "503" && kind != partnersim.TooMany && kind != partnersim.Outage {
			g.close()
			continue // what was taken is gone, as Destructive says
		}
		before := s.waiting()
		all, _, err := s.receive(retry.WithMaxWait(g.ctx, time.Hour), true, 0)
		if err == nil {
			r.Errorf("queue: %s without end is no error, and %d messages", kind, len(all))
		}
		if n := s.waiting(); n != before {
			r.Errorf("queue: %s without end: of %d messages %d wait", kind, before, n)
		}
		if n := len(g.wire.seen()); n > patience {
			r.Errorf("queue: %s without end was asked for %d times", kind, n)
		}
		g.close()
	}
	for n := range 4 {
		g := r.open(Conditions{Latency: 200 * time.Millisecond})
		s, _ := g.queue()
		ctx, cancel := context.WithCancelCause(g.ctx)
		if n == 0 {
			cancel(errGaveUp)
		}
		g.wire.hook(func(i int, _ *http.Request) *http.Response {
			if i == n {
				cancel(errGaveUp)
			}
			return nil
		}, nil)
		_, _, err := s.receive(ctx, true, 0)
		switch {
		case ctx.Err() == nil: // there are fewer calls
		case err == nil:
			r.Errorf("queue: its context ended during call %d, and it is read to its end", n)
		case !errors.Is(err, errGaveUp) && retry.ClassOf(err) != retry.Canceled:
			r.Errorf("queue: its context ended during call %d: the error is of class %v", n, retry.ClassOf(err))
		}
		cancel(nil)
		g.close()
	}
}
