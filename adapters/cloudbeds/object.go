package cloudbeds

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// oddity is a field that came in a form nobody documented: it is left out of the record, not guessed at, and reported. It
// holds no value of the item.
type oddity struct{ field, problem string }

// object reads a JSON object field by field. A field that is not there gives a missing Opt, null gives null, and one of
// a form that cannot be understood gives a missing Opt and an oddity. The zero object has no fields.
type object struct {
	path   string // where it stands in the item: "money."
	fields map[string]json.RawMessage
	odd    *[]oddity
}

var errNotObject = errors.New("not a JSON object")

// open reads an item. Its oddities go to odd.
func open(raw json.RawMessage, odd *[]oddity) (object, error) {
	o := object{odd: odd}
	if kind(raw) != '{' {
		return o, errNotObject
	}
	if json.Unmarshal(raw, &o.fields) != nil {
		return o, errors.New("not valid JSON") // the decoder's own text can quote the item
	}
	return o, nil
}

// kind is the first byte of a JSON value, which tells its type: one of {["tfn, or - or a digit; 0 of nothing.
func kind(raw json.RawMessage) byte {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	if len(raw) == 0 {
		return 0
	}
	if raw[0] >= '0' && raw[0] <= '9' {
		return '-'
	}
	return raw[0]
}

func (o object) strange(field, problem string) {
	*o.odd = append(*o.odd, oddity{o.path + field, problem})
}

// has reports whether the field was observed, be it as null.
func (o object) has(field string) bool { _, ok := o.fields[field]; return ok }

// object returns the object in a field, and whether the field holds one, null, or was not observed. An empty array stands
// for an empty object, as PHP-style serializers write it.
func (o object) object(field string) driver.Opt[object] {
	sub := object{path: o.path + field + ".", odd: o.odd}
	raw, ok := o.fields[field]
	switch {
	case !ok:
		return driver.Opt[object]{}
	case kind(raw) == 'n':
		return driver.Null[object]()
	case kind(raw) == '{' && json.Unmarshal(raw, &sub.fields) == nil:
		return driver.Some(sub)
	case kind(raw) == '[' && len(o.list(field)) == 0:
		return driver.Some(sub)
	}
	o.strange(field, "not an object")
	return driver.Opt[object]{}
}

// list returns the elements of an array. An object whose values are all objects is a list keyed by id; any other object stands for an array
// of one.
func (o object) list(field string) []json.RawMessage {
	raw, ok := o.fields[field]
	if !ok {
		return nil
	}
	switch kind(raw) {
	case '[':
		var l []json.RawMessage
		if json.Unmarshal(raw, &l) == nil {
			return l
		}
	case '{':
		var keyed map[string]json.RawMessage
		if json.Unmarshal(raw, &keyed) != nil {
			return nil
		}
		l := make([]json.RawMessage, 0, len(keyed))
		for _, key := range sortedKeys(keyed) {
			if kind(keyed[key]) != '{' {
				return []json.RawMessage{raw}
			}
			l = append(l, keyed[key])
		}
		return l
	}
	return nil
}

// objects returns the objects in an array, each under its place in it.
func (o object) objects(field string) driver.Opt[[]object] {
	raw, ok := o.fields[field]
	switch k := kind(raw); {
	case !ok:
		return driver.Opt[[]object]{}
	case k == 'n':
		return driver.Null[[]object]()
	case k != '[' && k != '{':
		o.strange(field, "not an array")
		return driver.Opt[[]object]{}
	}
	l := o.list(field)
	all := make([]object, 0, len(l))
	for _, raw := range l {
		sub := object{path: o.path + field + "[].", odd: o.odd}
		if kind(raw) != '{' || json.Unmarshal(raw, &sub.fields) != nil {
			o.strange(field+"[]", "not an object")
			continue
		}
		all = append(all, sub)
	}
	return driver.Some(all)
}

// scalar returns the text of a string, or the literal of a number or boolean.
func scalar(raw json.RawMessage) (string, bool) {
	switch kind(raw) {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return "", false
		}
		return s, true
	case '-', 't', 'f':
		return string(bytes.TrimSpace(raw)), true
	}
	return "", false
}

// text returns a text field. An empty text is a value.
func (o object) text(field string) driver.Opt[string] {
	raw, ok := o.fields[field]
	if !ok {
		return driver.Opt[string]{}
	}
	if kind(raw) == 'n' {
		return driver.Null[string]()
	}
	s, ok := scalar(raw)
	if !ok {
		o.strange(field, "not a text")
		return driver.Opt[string]{}
	}
	return driver.Some(s)
}

// word returns a text field that means nothing when it is empty: a code, an id, a date.
func (o object) word(field string) driver.Opt[string] {
	t := o.text(field)
	if s, ok := t.Get(); ok {
		if s = strings.TrimSpace(s); s == "" {
			return driver.Null[string]()
		}
		return driver.Some(s)
	}
	return t
}

// ref reads the id of another record.
func (o object) ref(field string) driver.Opt[string] {
	w := o.word(field)
	if len(w.Or("")) > maxID {
		o.strange(field, "too long for an id")
		return driver.Opt[string]{}
	}
	return w
}

// zone reads the name of a time zone. Whether it is one that is known here is found out where it is used.
func (o object) zone(field string) driver.Opt[string] {
	w := o.word(field)
	if len(w.Or("")) > 100 {
		o.strange(field, "too long for a time zone")
		return driver.Opt[string]{}
	}
	return w
}

// first returns the first of the fields that holds something, else the first that was observed.
func (o object) first(read func(string) driver.Opt[string], fields ...string) driver.Opt[string] {
	var found driver.Opt[string]
	for _, f := range fields {
		t := read(f)
		if s, ok := t.Get(); ok && s != "" {
			return t
		}
		if !found.Observed() {
			found = t
		}
	}
	return found
}

// parse reads a word with f; what f refuses is an oddity.
func parse[T any](o object, field, want string, f func(string) (T, error)) driver.Opt[T] {
	w := o.word(field)
	s, ok := w.Get()
	if !ok {
		if w.IsNull() {
			return driver.Null[T]()
		}
		return driver.Opt[T]{}
	}
	v, err := f(s)
	if err != nil {
		o.strange(field, "not "+want)
		return driver.Opt[T]{}
	}
	return driver.Some(v)
}

var errForm = errors.New("another form")

func (o object) number(field string) driver.Opt[float64] {
	return parse(o, field, "a number", func(s string) (float64, error) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			return 0, errForm
		}
		return v, nil
	})
}

// integer also takes 4.0 and "4", and nothing beyond a thousand million either way.
func (o object) integer(field string) driver.Opt[int] {
	return parse(o, field, "a whole number", func(s string) (int, error) {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || v != math.Trunc(v) || math.Abs(v) > 1e9 {
			return 0, errForm
		}
		return int(v), nil
	})
}

func (o object) flag(field string) driver.Opt[bool] {
	return parse(o, field, "a boolean", func(s string) (bool, error) {
		switch strings.ToLower(s) {
		case "true", "1", "yes":
			return true, nil
		case "false", "0", "no":
			return false, nil
		}
		return false, errForm
	})
}

// instant reads one of the …UTC twins: YYYY-MM-DD HH:MM:SS without a zone (seen), or RFC 3339 (what the specification says). The
// fields without a twin are in a zone that is not established, and are not read.
func (o object) instant(field string) driver.Opt[time.Time] {
	return parse(o, field, "an instant", func(s string) (time.Time, error) {
		t, err := time.Parse(time.DateTime, s)
		if err != nil {
			t, err = time.Parse(time.RFC3339Nano, s)
		}
		if t = t.UTC(); err != nil || t.Year() < 1 || t.Year() > 9999 {
			return time.Time{}, errForm
		}
		return t, nil
	})
}

// date reads YYYY-MM-DD.
func (o object) date(field string) driver.Opt[driver.Date] {
	return parse(o, field, "a date", driver.ParseDate)
}

// clock reads a time of day as HH:MM.
func (o object) clock(field string) driver.Opt[string] {
	return parse(o, field, "a time of day", func(s string) (string, error) {
		for _, layout := range []string{"15:04", "15:04:05"} {
			if t, err := time.Parse(layout, s); err == nil {
				return t.Format("15:04"), nil
			}
		}
		return "", errForm
	})
}

// texts reads an array of texts; one text stands for an array of one.
func (o object) texts(field string) driver.Opt[[]string] {
	raw, ok := o.fields[field]
	switch k := kind(raw); {
	case !ok:
		return driver.Opt[[]string]{}
	case k == 'n':
		return driver.Null[[]string]()
	case k == '"':
		s, _ := scalar(raw)
		if s == "" {
			return driver.Some([]string{})
		}
		return driver.Some([]string{s})
	case k != '[':
		o.strange(field, "not an array")
		return driver.Opt[[]string]{}
	}
	all := []string{}
	for _, raw := range o.list(field) {
		if s, ok := scalar(raw); ok {
			all = append(all, s)
		} else {
			o.strange(field+"[]", "not a text")
		}
	}
	return driver.Some(all)
}

// currency reads an ISO 4217 code.
func (o object) currency(field string) driver.Opt[string] {
	return parse(o, field, "a currency", func(s string) (string, error) {
		s = strings.ToUpper(s)
		if _, ok := driver.MinorDigits(s); !ok {
			return "", errForm
		}
		return s, nil
	})
}

// money reads an amount in major units from its decimal literal, number or text: a float64 would round what it is not asked
// to. Without a currency there is no amount: getReservation sends none.
func (o object) money(field string, currency driver.Opt[string]) driver.Opt[driver.Money] {
	c, ok := currency.Get()
	if !ok {
		return driver.Opt[driver.Money]{}
	}
	return parse(o, field, "an amount", func(s string) (driver.Money, error) { return driver.ParseMoney(s, c) })
}

// id reads the record's id, which has several names: the first that holds something.
func (o object) id(names ...string) (string, error) {
	id, _ := o.first(o.word, names...).Get()
	switch {
	case id == "":
		return "", errors.New(names[0] + ": missing")
	case len(id) > maxID:
		return "", errors.New(names[0] + ": longer than " + strconv.Itoa(maxID) + " bytes")
	}
	return id, nil
}

const maxID = 200
