package bookingcom

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// Recover implements driver.QueueRecoverer. With Reservation Recovery on it reads the list of missed reservations, and
// each of them by its id; without it, what changed since (last_change), which is for use after outages only. The B.XML
// flavor asks for what changed since, too.
func (d *Driver) Recover(ctx context.Context, since time.Time) pagination.Pages[driver.Message] {
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		switch {
		case d.config.Reservations == OTA && d.config.Recovery:
			d.missed(ctx, yield)
		case d.config.Reservations == BXML:
			// Where not even the first read came to its end, it is as much as can be had.
			d.take(ctx, changedSince(since), yield)
		case since.IsZero():
			// it was never read: there is nothing to be missed
			yield(pagination.Page[driver.Message]{Total: -1, Sent: time.Now()}, nil)
		default:
			d.changed(ctx, changedSince(since), yield)
		}
	}
}

// changedSince writes a time as a client does (YYYY-MM-DD HH:MM:SS); an error text of Booking.com's speaks of ISO 8601.
func changedSince(since time.Time) string {
	since = since.Add(-overlap)
	if oldest := time.Now().Add(-farthest); since.Before(oldest) {
		since = oldest
	}
	return since.UTC().Format(time.DateTime)
}

// changed reads both queues' changes since, again as long as they bring what was not there before: whether there is a
// limit to what is sent, and whether what was acknowledged is sent again, is not known.
func (d *Driver) changed(ctx context.Context, since string, yield func(pagination.Page[driver.Message], error) bool) {
	for i, s := range streams {
		seen := map[string]bool{}
		for again := true; again; {
			page, _, err := d.get(ctx, s, url.Values{"last_change": {since}})
			if err != nil {
				yield(lost(), err)
				return
			}
			again = false
			for _, m := range page.Items {
				again = again || !seen[m.ID]
				seen[m.ID] = true
			}
			if !again {
				break
			}
			page.Next = pagination.Beginning
			if !yield(page, nil) {
				return
			}
		}
		if i == len(streams)-1 {
			yield(pagination.Page[driver.Message]{Total: -1, Sent: time.Now()}, nil)
		}
	}
}

// pageSize is Reservation Recovery's default.
const pageSize = 50

// missed reads what Reservation Recovery lists. A reservation leaves the list when it is acknowledged [unverified],
// so the list is read again as long as it shows new ones. Where it stays full of those that were read, or has one
// without a number, there is more that cannot be had, and the last page says so.
func (d *Driver) missed(ctx context.Context, yield func(pagination.Page[driver.Message], error) bool) {
	const op = "reservations.missed"
	seen := map[string]bool{}
	unread := 0
	for {
		sent := time.Now()
		rows, err := d.list(ctx, op, "/reservations-flow-control/missed-reservations?page_size="+strconv.Itoa(pageSize))
		if err != nil {
			yield(lost(), err)
			return
		}
		fresh := 0
		for _, raw := range rows {
			o := wire.Fields(raw)
			id, hotel := trimZeros(o.Word("reservation_id").Or("")), trimZeros(o.Word("hotel_id").Or(""))
			if !digits(id) {
				unread++
			}
			if !digits(id) || seen[id] {
				continue
			}
			seen[id] = true
			fresh++
			page, err := d.byID(ctx, id, hotel, o.Word("uri").Or(""))
			if err != nil {
				yield(lost(), err)
				return
			}
			page.Next = pagination.Beginning
			if !yield(page, nil) {
				return
			}
		}
		if fresh == 0 || len(rows) < pageSize {
			page := pagination.Page[driver.Message]{Total: -1, Sent: sent}
			switch {
			case unread > 0:
				page.Incomplete = "the list of missed reservations has some without a number"
			case len(rows) >= pageSize:
				page.Incomplete = "the list of missed reservations is full of those that were read"
			}
			yield(page, nil)
			return
		}
	}
}

// byID reads one reservation. The uri says which queue has it; where it does not, both are asked. One that is in
// neither is left out: it was acknowledged meanwhile.
func (d *Driver) byID(ctx context.Context, id, hotel, uri string) (pagination.Page[driver.Message], error) {
	query := url.Values{"id": {id}}
	if digits(hotel) {
		query.Set("hotel_ids", hotel)
	}
	order := streams
	if strings.Contains(uri, "ResModify") {
		order = []stream{modifiedReservations, newReservations}
	}
	for _, s := range order {
		page, n, err := d.get(ctx, s, query)
		if e, ok := errors.AsType[*retry.Error](err); ok && e.Status == http.StatusNotFound {
			continue
		}
		if err != nil || n > 0 {
			return page, err
		}
	}
	return pagination.Page[driver.Message]{Total: -1, Sent: time.Now()}, nil
}

// list returns the rows of a JSON API's answer.
func (d *Driver) list(ctx context.Context, op, path string) ([]json.RawMessage, error) {
	data, err := d.read(ctx, op, path)
	if err != nil {
		return nil, err
	}
	var rows []json.RawMessage
	if json.Unmarshal(data, &rows) != nil {
		return nil, &retry.Error{
			Verdict: undecodable, Partner: Partner, Op: op, Integration: d.integration,
			Err: errors.Join(driver.ErrUndecodable, errors.New("data is not a list")),
		}
	}
	return rows, nil
}

// request is that of B.XML.
type request struct {
	XMLName    xml.Name `xml:"request"`
	LastChange string   `xml:"last_change,omitempty"`
	Limit      int      `xml:"limit,omitempty"`
}

// take is the destructive read: pulling is delivery. It is never repeated; an answer that was lost is had again by
// last_change.
func (d *Driver) take(ctx context.Context, since string, yield func(pagination.Page[driver.Message], error) bool) {
	const op = "queue.take"
	for {
		q := request{LastChange: since, Limit: limit}
		if since != "" {
			q.Limit = 0 // there is no way to go on behind a limit
		}
		if err := d.pause(ctx, op); err != nil {
			yield(lost(), err)
			return
		}
		r, err := driver.Post[*driver.Response](ctx, d.secure, op, "/hotels/xml/reservations", driver.XML{Value: q})
		if err != nil {
			yield(lost(), err)
			return
		}
		d.mu.Lock()
		d.acked = time.Now() // what is taken is acknowledged
		d.mu.Unlock()
		page, err := d.taken(op, r)
		if err != nil {
			yield(lost(), err)
			return
		}
		more := q.Limit > 0 && len(page.Items) >= q.Limit
		if more {
			page.Next = pagination.Beginning
		}
		if !yield(page, nil) || !more {
			return
		}
	}
}

// taken makes messages of what was taken. It is gone from the partner's side, so all of it is kept, whatever it is.
func (d *Driver) taken(op string, r *driver.Response) (pagination.Page[driver.Message], error) {
	page := pagination.Page[driver.Message]{Total: -1, Sent: r.Sent}
	whole := func() pagination.Page[driver.Message] {
		// In UTF-16 a zero stands before or behind each digit, and no card's number would be seen.
		page.Items = []driver.Message{{Body: mask(bytes.ReplaceAll(r.Body, []byte{0}, nil)), Received: r.Sent}}
		return page
	}
	doc, err := utf8Document(r.Body)
	if err != nil {
		return whole(), nil //nolint:nilerr // it is kept: the message will not be understood, and is reported then
	}
	pieces, root, cut := split(doc, bxmlReservation)
	switch {
	case root == nil && len(pieces) == 0 && len(cut) == 0:
		if _, err := parseXML(doc); errors.Is(err, errNoRoot) {
			return page, d.failed(op, r, undecodable, err) // nothing at all
		}
		return whole(), nil
	case root != nil && (root.name == "error" || root.name == "fault" || root.child("errors") != nil):
		return page, d.failed(op, r, verdictOf(root.attr("code")), errors.New("an error with status 200"))
	case root != nil && root.name != "reservations":
		return whole(), nil
	}
	for i, p := range pieces {
		p.message.Received = r.Sent.Add(time.Duration(i))
		page.Items = append(page.Items, p.message)
	}
	if len(cut) > 0 {
		m := brokenPiece(cut).message
		m.Received = r.Sent.Add(time.Duration(len(pieces)))
		page.Items = append(page.Items, m)
	}
	return page, nil
}
