package driver

import (
	"bytes"
	"encoding/json"
)

// Opt is a value that may be missing (not observed), null (observed to be empty) or there. The zero Opt is missing.
//
// In JSON a value is itself and null is null. Missing is left out of an object by the omitzero option, which every Opt
// field of a record has; where it cannot be left out (an element of an array) it is written as null. Reading leaves a field
// that is not in the text missing. An Opt is a value: copies share what T shares.
type Opt[T any] struct {
	v     T
	state uint8
}

const (
	optMissing uint8 = iota
	optNull
	optValue
)

// Some returns an Opt that holds v.
func Some[T any](v T) Opt[T] { return Opt[T]{v, optValue} }

// Null returns an Opt that was observed to be empty.
func Null[T any]() Opt[T] { return Opt[T]{state: optNull} }

// SomePtr returns an Opt that holds *p; null when p is nil. It is for wire types whose fields were all observed.
func SomePtr[T any](p *T) Opt[T] {
	if p == nil {
		return Null[T]()
	}
	return Some(*p)
}

// Get returns the value, and whether there is one.
func (o Opt[T]) Get() (T, bool) { return o.v, o.state == optValue }

// Or returns the value, or v when there is none.
func (o Opt[T]) Or(v T) T {
	if o.state == optValue {
		return o.v
	}
	return v
}

// Observed reports whether the field was there at all: a value or null.
func (o Opt[T]) Observed() bool { return o.state != optMissing }

// IsNull reports whether the field was observed to be empty.
func (o Opt[T]) IsNull() bool { return o.state == optNull }

// IsZero reports whether the field is missing, for the omitzero option of encoding/json.
func (o Opt[T]) IsZero() bool { return o.state == optMissing }

// MarshalJSON implements json.Marshaler.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if o.state != optValue {
		return []byte("null"), nil
	}
	return json.Marshal(o.v)
}

// UnmarshalJSON implements json.Unmarshaler. When it fails, o is as it was.
func (o *Opt[T]) UnmarshalJSON(b []byte) error {
	if string(bytes.TrimSpace(b)) == "null" {
		*o = Null[T]()
		return nil
	}
	var v T
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*o = Some(v)
	return nil
}

// value returns what there is to validate: nil when there is no value.
func (o Opt[T]) value() any {
	if o.state != optValue {
		return nil
	}
	return o.v
}
