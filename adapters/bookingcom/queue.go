package bookingcom

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

const (
	poll = 20 * time.Second // documented; a page of questions says 30
	rest = 5 * time.Second  // documented: between an acknowledgement and the next GET
	// limit is how many messages are asked for at once; a client sends 200. Neither default nor ceiling is known.
	limit = 100
	// fallback is after what time a message leaves the queue, by an e-mail to the property (documented: 30 min).
	fallback = 30 * time.Minute
	// overlap is how much further back changes are asked for than it was read last. The zone of last_change is not given:
	// a day covers all there are.
	overlap = 24*time.Hour + 10*time.Minute
	// farthest is the widest window of last_change that a client is seen to ask for.
	farthest = 13 * 24 * time.Hour
)

// stream is one of OTA's two queues.
type stream struct {
	op, path string
	root     string // of what is got
	answer   string // of what acknowledges it
	outer    string
	inner    string
}

var (
	newReservations = stream{
		"queue.new", "/hotels/ota/OTA_HotelResNotif", "OTA_HotelResNotifRQ", "OTA_HotelResNotifRS",
		"HotelReservations", otaNew,
	}
	modifiedReservations = stream{
		"queue.modified", "/hotels/ota/OTA_HotelResModifyNotif", "OTA_HotelResModifyNotifRQ",
		"OTA_HotelResModifyNotifRS", "HotelResModifies", otaModified,
	}
	streams = []stream{newReservations, modifiedReservations}
)

// receipt is what Acknowledge wants.
type receipt struct {
	stream stream
	target string // of what was got: Production, Test
	ids    []string
}

// Queue implements driver.QueueSource: the machine account's queue.
func (d *Driver) Queue() driver.Queue {
	q := driver.Queue{
		Name: Partner + "/reservations/" + d.account, Poll: poll, OutageAfter: fallback - 5*time.Minute,
		Destructive: d.config.Reservations == BXML,
	}
	if d.config.Recovery && d.config.Reservations == OTA {
		q.Recover = fallback - time.Minute // documented: at least every 30 minutes
	}
	return q
}

// Receive implements driver.QueueSource. New reservations come first, then the modified and cancelled. There is no
// cursor: what is acknowledged leaves the queue, and the next GET sends what is behind it.
func (d *Driver) Receive(ctx context.Context) pagination.Pages[driver.Message] {
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		if d.config.Reservations == BXML {
			d.take(ctx, "", yield)
			return
		}
		for i, s := range streams {
			for {
				page, n, err := d.get(ctx, s, url.Values{"limit": {strconv.Itoa(limit)}})
				if err != nil {
					yield(lost(), err)
					return
				}
				more := n >= limit && page.Receipt != nil
				if more || i < len(streams)-1 {
					page.Next = pagination.Beginning
				}
				if !yield(page, nil) {
					return
				}
				if !more {
					break
				}
			}
		}
	}
}

// lost is the page that comes with an error.
func lost() pagination.Page[driver.Message] {
	return pagination.Page[driver.Message]{Next: pagination.Beginning, Total: -1}
}

// get reads a queue once, and returns how many messages there were.
func (d *Driver) get(ctx context.Context, s stream, query url.Values) (pagination.Page[driver.Message], int, error) {
	if err := d.pause(ctx, s.op); err != nil {
		return pagination.Page[driver.Message]{}, 0, err
	}
	r, err := driver.Get[*driver.Response](ctx, d.secure, s.op, s.path, query)
	if err != nil {
		return pagination.Page[driver.Message]{}, 0, err
	}
	page := pagination.Page[driver.Message]{Total: -1, Sent: r.Sent}
	doc, err := utf8Document(r.Body)
	if err != nil {
		return page, 0, d.failed(s.op, r, undecodable, err)
	}
	pieces, root, _ := split(doc, s.outer, s.inner)
	switch {
	case root == nil && (len(pieces) == 0 || !ended(doc, s.root)):
		// Cut on its way: nothing of it was acknowledged, and all of it comes again. One that is whole and no XML comes
		// again as it is.
		_, err := parseXML(doc)
		return page, 0, d.failed(s.op, r, undecodable, err)
	case root != nil && root.child("Errors") != nil: // farther in than the classifier looks
		return page, 0, d.failed(s.op, r, verdictOf(root.child("Errors", "Error").attr("Code")),
			errors.New("errors with status 200"))
	case root != nil && root.name != s.root:
		return page, 0, d.failed(s.op, r, undecodable, errors.New("XML of another kind"))
	}
	rc := receipt{stream: s, target: "Production"}
	if target := root.attr("Target"); target != "" && code.MatchString(target) {
		rc.target = target
	}
	for i, p := range pieces {
		p.message.Received = r.Sent.Add(time.Duration(i)) // of two about one reservation the later counts
		page.Items = append(page.Items, p.message)
		if digits(p.message.ID) {
			rc.ids = append(rc.ids, p.message.ID)
		}
	}
	if len(rc.ids) > 0 {
		page.Receipt = rc
	}
	return page, len(pieces), nil
}

// ended reports whether a document has its root's end tag.
func ended(doc []byte, root string) bool {
	doc = doc[max(0, len(doc)-(4<<10)):]
	return bytes.Contains(doc, []byte("</"+root)) || bytes.Contains(doc, []byte(":"+root+">"))
}

var undecodable = retry.Verdict{Class: retry.Data, Sent: retry.Answered, Fault: true}

// pause waits until the partner may be asked again after an acknowledgement. A caller who will not wait is told when to
// come back.
func (d *Driver) pause(ctx context.Context, op string) error {
	d.mu.Lock()
	wait := time.Until(d.acked.Add(rest))
	d.mu.Unlock()
	if wait <= 0 || wait > rest {
		return nil
	}
	if most, ok := retry.MaxWait(ctx); ok && most < wait {
		return &retry.Error{
			Verdict: retry.Verdict{Class: retry.RateLimit, Scope: retry.Endpoint, At: time.Now().Add(wait),
				Sent: retry.Never},
			Partner: Partner, Op: op, Integration: d.integration, Err: errors.New("an acknowledgement was just made"),
		}
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Acknowledge implements driver.QueueSource. A message that a change replaced cannot be acknowledged any more, and need
// not be: the newer one will come.
func (d *Driver) Acknowledge(ctx context.Context, of any) error {
	if of == nil {
		return nil
	}
	rc, ok := of.(receipt)
	if !ok {
		return fmt.Errorf("bookingcom: the receipt is a %T", of)
	}
	err := d.acknowledge(ctx, rc, rc.ids)
	if len(rc.ids) > 1 && superseded(err) {
		// Whether one that is stale keeps the others from being acknowledged is not documented: each by itself.
		for _, id := range rc.ids {
			if err := d.acknowledge(ctx, rc, []string{id}); err != nil && !superseded(err) {
				return err
			}
		}
		return nil
	}
	if superseded(err) {
		return nil
	}
	return err
}

// superseded reports whether an acknowledgement was refused because the message is none that waits: documented as 400
// with a text of the wrong type. A reservation that is not found (404) has nothing to acknowledge either.
func superseded(err error) bool {
	e, ok := errors.AsType[*retry.Error](err)
	return ok && (e.Status == http.StatusBadRequest && e.Message == wrongType || e.Status == http.StatusNotFound)
}

func (d *Driver) acknowledge(ctx context.Context, rc receipt, ids []string) error {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	// TimeStamp and Target are required (documented).
	fmt.Fprintf(&b, `<%s xmlns="http://www.opentravel.org/OTA/2003/05" TimeStamp="%s" Target="%s" Version="2.001"><Success/><%s><%s><ResGlobalInfo><HotelReservationIDs>`,
		rc.stream.answer, time.Now().UTC().Format("2006-01-02T15:04:05+00:00"), rc.target, rc.stream.outer, rc.stream.inner)
	for _, id := range ids {
		fmt.Fprintf(&b, `<HotelReservationID ResID_Value="%s"/>`, id) // digits
	}
	fmt.Fprintf(&b, `</HotelReservationIDs></ResGlobalInfo></%s></%s></%s>`, rc.stream.inner, rc.stream.outer,
		rc.stream.answer)
	op := strings.Replace(rc.stream.op, "queue.", "queue.acknowledge-", 1)
	// Documented: after a 5xx the same acknowledgement is repeated until the answer is none.
	r, err := driver.Send[*driver.Response](retry.WithIdempotent(ctx, true), d.secure, driver.Call{
		Op: op, Method: http.MethodPost, Path: rc.stream.path, Body: b.Bytes(),
		Header: http.Header{"Content-Type": {"application/xml; charset=utf-8"}},
	})
	d.mu.Lock()
	d.acked = time.Now()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	doc, err := utf8Document(r.Body)
	if err != nil {
		return d.failed(op, r, undecodable, err)
	}
	root, err := parseXML(doc)
	switch {
	case err != nil:
		return d.failed(op, r, undecodable, err)
	case root.child("Errors") != nil:
		return d.failed(op, r, verdictOf(root.child("Errors", "Error").attr("Code")),
			errors.New("errors with status 200"))
	case root.child("Success") == nil:
		return d.failed(op, r, undecodable, errors.New("neither Success nor Errors"))
	}
	return nil
}

// Parse implements driver.QueueSource.
func (d *Driver) Parse(m driver.Message, version string) (pagination.Batch[driver.Transaction], error) {
	t, odd, err := parse(m.Body, version)
	d.api.Report(context.Background(), odd...)
	if err != nil {
		return pagination.Batch[driver.Transaction]{}, err
	}
	return pagination.Batch[driver.Transaction]{Items: []driver.Transaction{t}}, nil
}

// parse reads one message.
func parse(body []byte, version string) (driver.Transaction, []driver.Oddity, error) {
	if version == "" {
		version = v1
	}
	adapt, ok := adapters[version]
	if !ok {
		return driver.Transaction{}, nil, errors.New("bookingcom: the adapter's version is not known")
	}
	n, err := parseXML(body)
	if err != nil {
		return driver.Transaction{}, nil, fmt.Errorf("bookingcom: %w", err)
	}
	r := &reader{}
	t, err := adapt(body, n, r)
	if err != nil {
		return driver.Transaction{}, r.odd, fmt.Errorf("bookingcom: %w", err)
	}
	return t, r.odd, nil
}
