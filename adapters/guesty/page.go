package guesty

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
)

// page is what the envelopes of all families have in common.
type page struct {
	rows  []json.RawMessage
	total int             // 0: not said
	limit int             // the limit that the server says it applied; 0: not said
	more  pagination.More // what pagination.hasMore says
}

// UnmarshalJSON reads any of the envelopes: a bare array; rows under results or data, which is unconfirmed for the v3
// search; data that holds results. An answer without any rows field is an error, never an empty page: a stream that
// ends early looks like one that is complete, and what it did not list would be taken for deleted. Errors hold no
// piece of the body.
func (p *page) UnmarshalJSON(body []byte) error {
	*p = page{}
	rows, err := p.find(body, 2)
	p.rows = rows
	return err
}

var errNoRows = errors.New("neither an array nor an envelope with results or data")

// find returns the rows in body, at most so many envelopes deep, and notes what the envelopes say.
func (p *page) find(body json.RawMessage, depth int) ([]json.RawMessage, error) {
	switch wire.TypeOf(body) {
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
		switch wire.TypeOf(raw) {
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
			if rowID(raw) != "" {
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
		s, ok := wire.Scalar(raw)
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
	switch s, _ := wire.Scalar(env["hasMore"]); s {
	case "true":
		p.more = pagination.Yes
	case "false":
		p.more = pagination.No
	}
	var sub map[string]json.RawMessage
	if wire.TypeOf(env["pagination"]) == '{' && json.Unmarshal(env["pagination"], &sub) == nil {
		if n, ok := p.count(sub); ok {
			return n, true
		}
	}
	return p.total, counted
}

// batch is the page as pagination wants it: limit rows were asked for.
//
// Where the server says nothing about more, a page of fewer rows than the limit is the last one (the count lags, or
// is absent); but if it applied a lower limit than was asked for, that one decides, and while a count says that rows
// are missing pagination asks once more, and calls the stream incomplete if they do not come.
func batch(p page, limit int) pagination.Batch[json.RawMessage] {
	b := pagination.Batch[json.RawMessage]{Items: p.rows, Total: p.total, More: p.more}
	if b.More == pagination.Unsaid && p.total == 0 && p.limit > 0 && p.limit < limit && len(p.rows) >= p.limit {
		b.More = pagination.Yes
	}
	return b
}

// rowID returns a row's id under any of its names, "" if it cannot be read.
func rowID(raw json.RawMessage) string { return wire.ID(raw, reservationID...) }
