package guesty

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// page is what the envelopes of all families have in common.
type page struct {
	rows  []json.RawMessage
	total int             // 0: not said
	limit int             // the limit that the server says it applied; 0: not said
	more  pagination.More // what pagination.hasMore says
}

// readPage reads any of the envelopes: a bare array; rows under results or data, which is unconfirmed for the v3 search; data
// that holds results. An answer without any rows field is an error, never an empty page: a stream that ends early looks
// like one that is complete, and what it did not list would be taken for deleted. Errors hold no piece of the body.
func readPage(body []byte) (page, error) {
	body = repair(body)
	if !json.Valid(body) {
		what := "not JSON"
		switch b := bytes.TrimSpace(body); {
		case len(b) == 0:
			what = "an empty body"
		case b[0] == '<':
			what = "markup, not JSON"
		case b[0] == '{' || b[0] == '[':
			what = "truncated or malformed JSON"
		}
		return page{}, fmt.Errorf("%w: %s", driver.ErrUndecodable, what)
	}
	var p page
	rows, err := p.find(body, 2)
	if err == nil {
		p.rows = rows
		return p, nil
	}
	return page{}, fmt.Errorf("%w: %w", driver.ErrUndecodable, err)
}

var errNoRows = errors.New("neither an array nor an envelope with results or data")

// find returns the rows in body, at most so many envelopes deep, and notes what the envelopes say.
func (p *page) find(body json.RawMessage, depth int) ([]json.RawMessage, error) {
	switch kind(body) {
	case '[':
		var rows []json.RawMessage
		err := json.Unmarshal(body, &rows)
		return rows, err
	case '{':
	default:
		return nil, errNoRows
	}
	var env map[string]json.RawMessage
	if err := json.Unmarshal(body, &env); err != nil || depth == 0 {
		return nil, errNoRows
	}
	count, counted := p.count(env)
	for _, name := range []string{"results", "data"} {
		raw, ok := env[name]
		if !ok {
			continue
		}
		switch kind(raw) {
		case '[':
			return p.find(raw, depth-1)
		case 'n':
			if counted && count == 0 {
				return nil, nil
			}
		case '{':
			if rows, err := p.find(raw, depth-1); err == nil {
				return rows, nil
			}
			var one struct {
				ID  string `json:"_id"`
				ID2 string `json:"id"`
				ID3 string `json:"reservationId"`
			}
			if json.Unmarshal(raw, &one) == nil && one.ID+one.ID2+one.ID3 != "" {
				return []json.RawMessage{raw}, nil // a single row that was not put into an array
			}
		}
	}
	return nil, errNoRows
}

// count notes count, limit and hasMore, beside the rows or under pagination, and reports whether a count was given.
func (p *page) count(env map[string]json.RawMessage) (int, bool) {
	counted := false
	read := func(raw json.RawMessage) (int, bool) {
		s, ok := scalar(raw)
		n, err := strconv.Atoi(s)
		return n, ok && err == nil && n >= 0
	}
	for _, name := range []string{"count", "total"} {
		if n, ok := read(env[name]); ok && !counted {
			p.total, counted = n, true
		}
	}
	if n, ok := read(env["limit"]); ok {
		p.limit = n
	}
	switch s, _ := scalar(env["hasMore"]); s {
	case "true":
		p.more = pagination.Yes
	case "false":
		p.more = pagination.No
	}
	var sub map[string]json.RawMessage
	if kind(env["pagination"]) == '{' && json.Unmarshal(env["pagination"], &sub) == nil {
		if n, ok := p.count(sub); ok {
			return n, true
		}
	}
	return p.total, counted
}

// batch is the page as pagination wants it: limit rows were asked for.
//
// Where the server says nothing about more, a page of fewer rows than the limit is the last one (the count lags, or is
// absent); but if it applied a lower limit than was asked for, that one decides, and while a count says that rows are missing
// pagination asks once more, and calls the stream incomplete if they do not come.
func batch[T any](p page, limit int, b pagination.Batch[T]) pagination.Batch[T] {
	b.Rows, b.Total, b.More = len(p.rows), p.total, p.more
	if b.More == pagination.Unsaid && p.total == 0 && p.limit > 0 && p.limit < limit && len(p.rows) >= p.limit {
		b.More = pagination.Yes
	}
	if b.Rows > 0 {
		// A server that ignores skip would send its first page for ever.
		b.Fingerprint = rowID(p.rows[0]) + " " + rowID(p.rows[len(p.rows)-1])
		if b.Fingerprint == " " {
			b.Fingerprint = ""
		}
	}
	return b
}

// rowID returns a row's id under any of its names, "" if it cannot be read.
func rowID(raw json.RawMessage) string {
	o, err := open(raw, new([]oddity))
	if err != nil {
		return ""
	}
	id, err := o.id("_id", "reservationId", "id")
	if err != nil {
		return ""
	}
	return id
}

// repair makes JSON of what Guesty has been seen to send: a byte-order mark at the start and raw control characters inside
// texts. Anything else is left as it is. It returns body itself when nothing is to be done.
func repair(body []byte) []byte {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	var out []byte
	from, inText, escaped := 0, false, false
	for i, c := range body {
		switch {
		case escaped:
			escaped = false
			if c < 0x20 {
				// A backslash before a raw control character: the character is what was meant.
				out = append(append(out, body[from:i-1]...), `\u00`...)
				out = append(out, hexDigits[c>>4], hexDigits[c&15])
				from = i + 1
			}
		case inText && c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		case inText && c < 0x20:
			out = append(append(out, body[from:i]...), `\u00`...)
			out = append(out, hexDigits[c>>4], hexDigits[c&15])
			from = i + 1
		}
	}
	if out == nil {
		return body
	}
	return append(out, body[from:]...)
}

const hexDigits = "0123456789abcdef"
