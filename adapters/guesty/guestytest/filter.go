package guestytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// condition is one filter on reservations.
type condition struct {
	field, op string
	values    []string // one, or two for $between, or any number for $in
}

// operators are the classic ones. $in, $gte, $lte are seen in client code only, and work there.
var operators = []string{"$eq", "$not", "$contains", "$notcontains", "$gt", "$lt", "$between", "$in", "$gte", "$lte"}

// filterable are the reservation's fields that can be filtered by here. The documentation has no list; lastUpdatedAt
// and the localized dates are seen in client code.
var filterable = []string{
	"_id", "status", "listingId", "guestId", "source", "confirmationCode", "checkIn", "checkOut",
	"checkInDateLocalized",
	"checkOutDateLocalized", "createdAt", "lastUpdatedAt",
}

// instants are the filterable fields that are compared as points in time, not as text.
var instants = []string{"checkIn", "checkOut", "createdAt", "lastUpdatedAt"}

// parseFilters reads the filters parameter of the classic family: a JSON array as text.
func parseFilters(text string) ([]condition, error) {
	if text == "" {
		return nil, nil
	}
	var items []struct {
		Field    string          `json:"field"`
		Operator string          `json:"operator"`
		Value    json.RawMessage `json:"value"`
		From     string          `json:"from"`
		To       string          `json:"to"`
		Context  string          `json:"context"`
	}
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		return nil, fmt.Errorf("filters is not an array of filters: %w", err)
	}
	var out []condition
	for n, item := range items {
		c := condition{field: item.Field, op: item.Operator}
		var one string
		switch {
		case !slices.Contains(filterable, item.Field):
			return nil, fmt.Errorf("filter %d: the field %q cannot be filtered by here", n, item.Field)
		case !slices.Contains(operators, item.Operator):
			return nil, fmt.Errorf("filter %d: unknown operator %q", n, item.Operator)
		case item.Operator == "$between":
			c.values = []string{item.From, item.To}
		case item.Operator == "$in":
			if err := json.Unmarshal(item.Value, &c.values); err != nil {
				return nil, fmt.Errorf("filter %d: the value of $in is not an array of texts", n)
			}
		default:
			if err := json.Unmarshal(item.Value, &one); err != nil {
				return nil, fmt.Errorf("filter %d: the value is not a text", n)
			}
			c.values = []string{one}
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("filter %d: %w", n, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// searchable are the fields that v3's search can filter by, as documented.
var searchable = map[string][]string{
	"status": {"eq", "ne", "in", "nin"}, "listingId": {"eq", "ne", "in", "nin"}, "confirmationCode": {"eq"},
	"source":  {"eq", "ne", "in", "nin"},
	"checkIn": {"eq", "gt", "gte", "lt", "lte"}, "checkOut": {"eq", "gt", "gte", "lt", "lte"},
	"createdAt": {"eq", "gt", "gte", "lt", "lte"},
}

// parseSearch reads the parameters of v3's search: filter[status]=confirmed, filter[checkIn][gte]=2026-12-01. Only
// gte is documented of the comparisons, the others are assumed; in and nin take a list separated by commas (assumed).
func (s *Server) parseSearch(r *http.Request) ([]condition, error) {
	var out []condition
	for name, values := range r.URL.Query() {
		if slices.Contains([]string{"skip", "limit", "sort"}, name) {
			continue
		}
		inner, ok := strings.CutPrefix(name, "filter[")
		inner, closed := strings.CutSuffix(inner, "]")
		if !ok || !closed {
			s.Params(r, "skip", "limit", "sort")
			continue
		}
		field, op, has := strings.Cut(inner, "][")
		if !has {
			op = "eq"
		}
		ops, known := searchable[field]
		if !known || !slices.Contains(ops, op) {
			return nil, fmt.Errorf("there is no filter %q", name)
		}
		c := condition{field: field, op: "$" + op, values: values}
		if op == "in" || op == "nin" {
			c.values = strings.Split(strings.Join(values, ","), ",")
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// check says what is wrong with the values of a time field.
func (c condition) check() error {
	if slices.Contains(instants, c.field) {
		for _, v := range c.values {
			if _, err := instant(v); err != nil {
				return fmt.Errorf("%q is no time", v)
			}
		}
	}
	return nil
}

func instant(v string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		return t, nil
	}
	return time.Parse("2006-01-02", v)
}

// plan turns conditions into a test, and where it can into the few records that may pass it, so that neither an
// incremental query nor one for a listing looks at a whole large account.
func (s *Server) plan(conditions []condition) (candidates []int, keep func(int) bool) {
	if len(conditions) == 0 {
		return nil, nil
	}
	for _, c := range conditions {
		switch {
		case c.field == "lastUpdatedAt" && (c.op == "$gt" || c.op == "$gte"):
			if since, err := instant(c.values[0]); err == nil && since.After(s.cfg.Epoch) {
				candidates = append([]int{}, s.reservations.Changed(since)...)
			}
		case c.field == "listingId" && c.op == "$eq":
			candidates = []int{}
			if i, ok := partnersim.HexIndex(s.cfg.Seed, kindListing, c.values[0]); ok && i < s.cfg.Listings {
				per := s.cfg.ReservationsPerListing
				for n := range per {
					candidates = append(candidates, i*per+n)
				}
				for n := s.cfg.Listings * per; n < s.reservations.Total(); n++ {
					if s.listingOf(n) == i {
						candidates = append(candidates, n)
					}
				}
			}
		}
	}
	if candidates == nil && slices.ContainsFunc(conditions,
		func(c condition) bool { return c.field == "lastUpdatedAt" }) && len(conditions) == 1 {
		c := conditions[0]
		return nil, func(i int) bool { return c.holds(s.changedAt(i), "") }
	}
	return candidates, func(i int) bool {
		r := s.stay(i)
		for _, c := range conditions {
			if !c.holds(s.value(r, c.field)) {
				return false
			}
		}
		return true
	}
}

// value returns the field as a point in time or as text.
func (s *Server) value(r stay, field string) (time.Time, string) {
	switch field {
	case "_id":
		return time.Time{}, s.reservationID(r.index)
	case "status":
		return time.Time{}, r.status
	case "listingId":
		return time.Time{}, s.listingID(r.listing)
	case "guestId":
		return time.Time{}, partnersim.HexID(s.cfg.Seed, kindGuest, r.index)
	case "source":
		return time.Time{}, r.source
	case "confirmationCode":
		return time.Time{}, r.code
	case "checkInDateLocalized":
		return time.Time{}, date(r.start)
	case "checkOutDateLocalized":
		return time.Time{}, date(r.end)
	case "checkIn":
		return r.checkIn, ""
	case "checkOut":
		return r.checkOut, ""
	case "createdAt":
		return r.created, ""
	}
	return r.updated, ""
}

// holds says whether the condition does for the value: at for a point in time, else text.
func (c condition) holds(at time.Time, text string) bool {
	compare := func(v string) int {
		if slices.Contains(instants, c.field) {
			t, _ := instant(v) // checked when it was parsed
			return at.Compare(t)
		}
		return strings.Compare(text, v)
	}
	var v string // an empty list is in $in alone
	if len(c.values) > 0 {
		v = c.values[0]
	}
	switch c.op {
	case "$eq":
		return compare(v) == 0
	case "$not", "$ne":
		return compare(v) != 0
	case "$gt":
		return compare(v) > 0
	case "$gte":
		return compare(v) >= 0
	case "$lt":
		return compare(v) < 0
	case "$lte":
		return compare(v) <= 0
	case "$between":
		return compare(v) >= 0 && compare(c.values[1]) <= 0
	case "$in":
		return slices.ContainsFunc(c.values, func(v string) bool { return compare(v) == 0 })
	case "$nin":
		return !slices.ContainsFunc(c.values, func(v string) bool { return compare(v) == 0 })
	case "$contains":
		return strings.Contains(strings.ToLower(text), strings.ToLower(v))
	}
	return !strings.Contains(strings.ToLower(text), strings.ToLower(v)) // $notcontains
}
