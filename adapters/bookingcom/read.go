package bookingcom

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// reader reads the values of one message, and notes what is not as the documentation says.
type reader struct {
	id  string
	odd []driver.Oddity
}

const maxOddities = 100

func (r *reader) note(field string, c driver.Change, lost bool, detail string) {
	if len(r.odd) < maxOddities {
		r.odd = append(r.odd, driver.Oddity{Kind: driver.KindTransaction, ID: r.id, Field: field, Change: c,
			Lost: lost, Detail: detail})
	}
}

func (r *reader) not(field, want string) { r.note(field, driver.ChangeType, true, "not "+want) }

// word returns a text that means nothing when it is empty: missing then.
func word(s string) driver.Opt[string] {
	if s = strings.TrimSpace(s); s == "" {
		return driver.Opt[string]{}
	}
	return driver.Some(s)
}

// ref returns the id of another record.
func (r *reader) ref(s, field string) driver.Opt[string] {
	if s = strings.TrimSpace(s); len(s) > 200 {
		r.not(field, "an id")
		return driver.Opt[string]{}
	}
	return word(s)
}

func (r *reader) count(s, field string) driver.Opt[int] {
	if s = strings.TrimSpace(s); s == "" {
		return driver.Opt[int]{}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1e6 {
		r.not(field, "a number of people or nights")
		return driver.Opt[int]{}
	}
	return driver.Some(n)
}

func (r *reader) date(s, field string) driver.Opt[driver.Date] {
	if s = strings.TrimSpace(s); s == "" {
		return driver.Opt[driver.Date]{}
	}
	if len(s) > 10 && s[10] == 'T' { // a day as a date-time
		s = s[:10]
	}
	d, err := driver.ParseDate(s)
	if err != nil {
		r.not(field, "a date")
		return driver.Opt[driver.Date]{}
	}
	return driver.Some(d)
}

func (r *reader) instant(s, field string) driver.Opt[time.Time] {
	if s = strings.TrimSpace(s); s == "" {
		return driver.Opt[time.Time]{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		r.not(field, "an instant with its offset")
		return driver.Opt[time.Time]{}
	}
	return driver.Some(t.UTC())
}

// minor reads an amount of OTA: a whole number and how many of its digits are decimals (documented). 12500 with 2 is
// 125.00.
func (r *reader) minor(n *node, amount, field string) driver.Opt[driver.Money] {
	digits, ok := n.lookup(amount)
	if !ok || digits == "" {
		return driver.Opt[driver.Money]{}
	}
	currency := n.attr("CurrencyCode")
	places, err := strconv.Atoi(n.attr("DecimalPlaces"))
	if n.attr("DecimalPlaces") == "" {
		iso, known := driver.MinorDigits(strings.ToUpper(currency))
		r.note(field+"@DecimalPlaces", driver.ChangeMissing, !known, "missing: taken as the currency has")
		places, err = iso, nil
	}
	if err != nil || places < 0 || places > 9 {
		r.not(field+"@DecimalPlaces", "a number of decimals")
		return driver.Opt[driver.Money]{}
	}
	if strings.ContainsAny(digits, ".eE") { // documented as a whole number; a decimal point says it itself
		r.note(field, driver.ChangeType, false, "a decimal in place of a whole number")
		places = 0
	}
	return r.decimal(digits+"e-"+strconv.Itoa(places), currency, field)
}

// decimal reads an amount as it is written in B.XML: 125, 84.5, 69.50, with white space around it.
func (r *reader) decimal(s, currency, field string) driver.Opt[driver.Money] {
	if s = strings.TrimSpace(s); s == "" {
		return driver.Opt[driver.Money]{}
	}
	m, err := driver.ParseMoney(s, strings.TrimSpace(currency))
	switch {
	case errors.Is(err, driver.ErrCurrency):
		r.note(field, driver.ChangeValue, true, "no currency that is known")
		return driver.Opt[driver.Money]{}
	case err != nil:
		r.not(field, "an amount")
		return driver.Opt[driver.Money]{}
	}
	return driver.Some(m)
}

func (r *reader) currency(s, field string) driver.Opt[string] {
	if s = strings.ToUpper(strings.TrimSpace(s)); s == "" {
		return driver.Opt[string]{}
	}
	if _, ok := driver.MinorDigits(s); !ok {
		r.note(field, driver.ChangeValue, true, "no currency that is known")
		return driver.Opt[string]{}
	}
	return driver.Some(s)
}

// rawXML returns a message as the JSON that Record.Raw is: the XML as one text.
func rawXML(body []byte) json.RawMessage {
	b, err := json.Marshal(strings.ToValidUTF8(string(body), "\uFFFD"))
	if err != nil { // a text is always encoded
		return nil
	}
	return b
}

// span is from the first night to the day after the last.
type span struct{ first, last driver.Date }

func (s *span) add(d driver.Date) {
	if s.first == (driver.Date{}) || d.Days(s.first) > 0 {
		s.first = d
	}
	if s.last == (driver.Date{}) || s.last.Days(d) > 0 {
		s.last = d
	}
}

func (s *span) empty() bool { return s.first == (driver.Date{}) }

// end is the day of departure.
func (s *span) end() driver.Date {
	if s.empty() {
		return driver.Date{}
	}
	return s.last.AddDays(1)
}

// nights sets what follows from the days of the stay.
func nights(t *driver.Transaction) error {
	from, ok1 := t.Start.Get()
	to, ok2 := t.End.Get()
	if !ok1 || !ok2 {
		return nil
	}
	n := from.Days(to)
	if n < 0 || n > 10_000 {
		return errors.New("the days of the stay cannot be")
	}
	t.Nights = driver.Some(n)
	return nil
}
