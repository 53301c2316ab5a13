package driver

import "time"

// Opt is a value that may be missing (not observed), null (observed to be empty) or there. The zero Opt is missing. In JSON, with
// the omitzero option, missing is left out and null is null.
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

// Money is an amount in the minor unit of its currency: {1050, "EUR"} is 10.50 €, {1050, "JPY"} is 1050 ¥.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency" validate:"required,iso4217"`
}

// ParseMoney reads a decimal literal in major units, as it stands in the partner's text, without going through
// a binary fraction. Digits beyond the minor unit are rounded half away from zero. It returns an error for anything that is not a
// decimal number, for an unknown currency and for an amount beyond int64.
func ParseMoney(decimal, currency string) (Money, error) { panic("spike") }

// String returns "10.50 EUR".
func (m Money) String() string { panic("spike") }

// Date is a calendar day, local to the place it is about: a night starts on it. It is not an instant. The zero Date is no day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDate reads "2026-12-02".
func ParseDate(s string) (Date, error) { panic("spike") }

// String returns "2026-12-02".
func (d Date) String() string { panic("spike") }

// MarshalText, UnmarshalText: as String and ParseDate; the zero Date is "".
func (d Date) MarshalText() ([]byte, error) { panic("spike") }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(b []byte) error { panic("spike") }

// Days returns the number of days from d to e: the nights of a stay from d to e.
func (d Date) Days(e Date) int { panic("spike") }

// In returns the instant of the time of day hhmm ("15:00") on d in the IANA zone.
func (d Date) In(zone, hhmm string) (time.Time, error) { panic("spike") }
