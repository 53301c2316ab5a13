package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
)

// Object reads a JSON object field by field. A field that did not come gives a missing Opt, null gives null, and one
// of a form that cannot be understood gives a missing Opt: what is not understood never erases what is known.
// Whatever is not as the method's name says is noted as an oddity, whether it could be understood or not.
//
// The zero Object has no fields. An Object is a view: it shares the item's bytes and the list of oddities with the
// Object that it came from, and is for one goroutine.
type Object struct {
	path   string // where it stands in the item: "money."
	fields map[string]json.RawMessage
	item   *item
}

// item is what all Objects of one item share.
type item struct {
	kind    driver.Kind
	id      string
	raw     json.RawMessage
	private []string
	loose   bool
	odd     []driver.Oddity
}

var (
	errNotObject = errors.New("not a JSON object")
	errNotJSON   = errors.New("not valid JSON") // the decoder's own text can quote the item
)

// maxOddities bounds what is noted of one item.
const maxOddities = 100

// TypeOf tells a JSON value's type by its beginning, see [Object.Type]. It does not say that the rest is valid.
func TypeOf(raw json.RawMessage) byte { return kind(raw) }

// kind is the first byte of a JSON value, which tells its type: one of {["tfn, or - or a digit as -; 0 of nothing.
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

// typeNames are what people call what kind returns.
var typeNames = map[byte]string{'{': "an object", '[': "an array", '"': "a text", 't': "a boolean", 'f': "a boolean",
	'-': "a number", 'n': "null"}

func open(raw json.RawMessage, it *item) (Object, error) {
	o := Object{item: it}
	if kind(raw) != '{' {
		return o, errNotObject
	}
	if json.Unmarshal(raw, &o.fields) != nil {
		return o, errNotJSON
	}
	return o, nil
}

// Odd notes an oddity of a field that the caller found: the detail is in the driver's words and holds no value.
func (o Object) Odd(field string, c driver.Change, detail string) { o.note(field, c, false, detail) }

func (o Object) note(field string, c driver.Change, lost bool, detail string) {
	if o.item == nil || len(o.item.odd) >= maxOddities {
		return
	}
	odd := driver.Oddity{Kind: o.item.kind, ID: o.item.id, Field: o.path + field, Change: c, Lost: lost, Detail: detail}
	// each is news once an item: a list of a thousand odd elements is one piece of it
	if !slices.Contains(o.item.odd, odd) {
		o.item.odd = append(o.item.odd, odd)
	}
}

// form notes a field that was understood although it came in another form. In a loose partner's answers it is no news.
func (o Object) form(field string, got byte, want string) {
	if !o.item.loose {
		o.Odd(field, driver.ChangeType, typeNames[got]+" in place of "+want)
	}
}

// not notes a field of a form that was not understood.
func (o Object) not(field, want string) { o.note(field, driver.ChangeType, true, "not "+want) }

// beyond notes a field whose value cannot be.
func (o Object) beyond(field, why string) { o.note(field, driver.ChangeValue, true, why) }

// Lost returns an error that names the first field of one of these names, wherever in the item, that was read and not
// understood; nil if there is none. It is for fields without which a record is worse than one that is rejected and
// seen to be.
func (o Object) Lost(names ...string) error {
	if o.item == nil {
		return nil
	}
	for _, f := range o.item.odd {
		if f.Lost && slices.Contains(names, f.Field[strings.LastIndexByte(f.Field, '.')+1:]) {
			return errors.New(f.Field + ": " + f.Detail)
		}
	}
	return nil
}

// Has reports whether the field came, be it as null.
func (o Object) Has(field string) bool { _, ok := o.fields[field]; return ok }

// Len is how many fields came.
func (o Object) Len() int { return len(o.fields) }

// Names returns the names of the fields that came, sorted.
func (o Object) Names() []string { return slices.Sorted(maps.Keys(o.fields)) }

// Raw returns a field as it came, nil if it did not. It is the item's own memory.
func (o Object) Raw(field string) json.RawMessage { return o.fields[field] }

// Type is the type that a field came in: '{', '[', '"', 't' or 'f' for a boolean, '-' for a number, 'n' for null, and
// 0 if it did not. It is for fields that are documented in several forms.
func (o Object) Type(field string) byte { return kind(o.fields[field]) }

// Require notes those of the fields that did not come, for what always came so far.
func (o Object) Require(fields ...string) {
	for _, f := range fields {
		if !o.Has(f) {
			o.Odd(f, driver.ChangeMissing, "missing")
		}
	}
}

// Record is what every record begins with: the item's id, its raw form without private fields, and the version of the
// normalization.
func (o Object) Record(version string) driver.Record {
	if o.item == nil {
		return driver.Record{AdapterVersion: version}
	}
	return driver.Record{ID: o.item.id, Raw: Public(o.item.raw, o.item.private...), AdapterVersion: version}
}

func (o Object) sub(path string) Object { return Object{path: path, item: o.item} }

// Object reads an object. An empty array stands for an empty object, as PHP writes it; a list with one object in it
// for that.
func (o Object) Object(field string) driver.Opt[Object] {
	raw, ok := o.fields[field]
	sub := o.sub(o.path + field + ".")
	switch k := kind(raw); {
	case !ok:
		return driver.Opt[Object]{}
	case k == 'n':
		return driver.Null[Object]()
	case k == '{' && json.Unmarshal(raw, &sub.fields) == nil:
		return driver.Some(sub)
	case k == '[':
		var l []json.RawMessage
		if json.Unmarshal(raw, &l) != nil || len(l) > 1 || len(l) == 1 && (kind(l[0]) != '{' ||
			json.Unmarshal(l[0], &sub.fields) != nil) {
			break
		}
		o.form(field, '[', "an object")
		return driver.Some(sub)
	}
	o.not(field, "an object")
	return driver.Opt[Object]{}
}

// Map reads an object whose names the partner chooses. Each of its values is an object; its field path has "*" for
// the name.
func (o Object) Map(field string) driver.Opt[map[string]Object] {
	m := o.Object(field)
	outer, ok := m.Get()
	if !ok {
		if m.IsNull() {
			return driver.Null[map[string]Object]()
		}
		return driver.Opt[map[string]Object]{}
	}
	all := make(map[string]Object, len(outer.fields))
	for name, raw := range outer.fields {
		sub := o.sub(o.path + field + ".*.")
		if kind(raw) != '{' || json.Unmarshal(raw, &sub.fields) != nil {
			o.not(field+".*", "an object")
			continue
		}
		all[name] = sub
	}
	return driver.Some(all)
}

// elements returns the elements of an array. One object or scalar stands for an array of one; in a loose partner's
// answer an object whose values are all objects is an array keyed by id.
func (o Object) elements(field string) (l []json.RawMessage, ok bool) {
	raw := o.fields[field]
	switch k := kind(raw); k {
	case '[':
		return l, json.Unmarshal(raw, &l) == nil
	case '{':
		var keyed map[string]json.RawMessage
		if json.Unmarshal(raw, &keyed) != nil {
			return nil, false
		}
		if o.item.loose {
			for _, key := range slices.Sorted(maps.Keys(keyed)) {
				if kind(keyed[key]) != '{' {
					return []json.RawMessage{raw}, true
				}
				l = append(l, keyed[key])
			}
			return l, true
		}
		o.form(field, k, "an array")
		return []json.RawMessage{raw}, true
	}
	return nil, false
}

// Elements returns the elements of an array as they came, with what [Object.Objects] takes for one; nil when there is
// none.
func (o Object) Elements(field string) []json.RawMessage {
	l, _ := o.elements(field)
	return l
}

// Objects reads an array of objects; one object stands for an array of one. An element that is no object is left out
// and noted.
func (o Object) Objects(field string) driver.Opt[[]Object] {
	switch k := o.Type(field); {
	case !o.Has(field):
		return driver.Opt[[]Object]{}
	case k == 'n':
		return driver.Null[[]Object]()
	}
	l, ok := o.elements(field)
	if !ok {
		o.not(field, "an array")
		return driver.Opt[[]Object]{}
	}
	all := make([]Object, 0, len(l))
	for _, raw := range l {
		sub := o.sub(o.path + field + "[].")
		if kind(raw) != '{' || json.Unmarshal(raw, &sub.fields) != nil {
			o.not(field+"[]", "an object")
			continue
		}
		all = append(all, sub)
	}
	return driver.Some(all)
}

// MaxID bounds ids, in bytes, as [driver.Validate] does.
const MaxID = 200

// id reads the record's id under the first of the names that holds something.
func (o Object) idOf(names []string, numeric bool) (string, error) {
	id, _ := o.First(func(field string) driver.Opt[string] {
		if numeric && o.Type(field) == '-' {
			if s, ok := Scalar(o.fields[field]); ok {
				return driver.Some(s)
			}
		}
		return o.Word(field)
	}, names...).Get()
	switch {
	case id == "":
		o.Odd(names[0], driver.ChangeMissing, "no id")
		return "", errors.New(names[0] + ": missing")
	case len(id) > MaxID:
		o.beyond(names[0], "too long for an id")
		return "", errors.New(names[0] + ": longer than " + strconv.Itoa(MaxID) + " bytes")
	}
	return id, nil
}
