package guestytest

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// projection is what the fields parameter selects. A nil one selects everything.
type projection struct{ sub map[string]*projection }

// project parses a space-separated list of names, with dots for parts of an object.
func project(fields string) *projection {
	p := &projection{sub: map[string]*projection{}}
	for _, name := range strings.Fields(fields) {
		at := p
		for part, rest, more := "", name, true; more; {
			part, rest, more = strings.Cut(rest, ".")
			next, known := at.sub[part]
			if known && next == nil {
				break // all of it is selected already
			}
			if !more {
				at.sub[part] = nil
				break
			}
			if next == nil {
				next = &projection{sub: map[string]*projection{}}
				at.sub[part] = next
			}
			at = next
		}
	}
	return p
}

// of returns what is selected of the field, and whether it is selected at all.
func (p *projection) of(name string) (*projection, bool) {
	if p == nil {
		return nil, true
	}
	sub, ok := p.sub[name]
	return sub, ok
}

// writer builds JSON. Its methods that take a projection write nothing for a field that is not selected.
type writer struct{ b []byte }

func (w *writer) comma() {
	if n := len(w.b); n > 0 && w.b[n-1] != '{' && w.b[n-1] != '[' && w.b[n-1] != ':' {
		w.b = append(w.b, ',')
	}
}

func (w *writer) open(c byte) {
	w.comma()
	w.b = append(w.b, c)
}

func (w *writer) close(c byte) { w.b = append(w.b, c) }

// name begins a field, if it is selected.
func (w *writer) name(p *projection, name string) bool {
	if _, ok := p.of(name); !ok {
		return false
	}
	w.comma()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
	return true
}

func (w *writer) raw(p *projection, name, json string) {
	if w.name(p, name) {
		w.b = append(w.b, json...)
	}
}

func (w *writer) str(p *projection, name, v string) {
	if w.name(p, name) {
		w.quote(v)
	}
}

func (w *writer) int(p *projection, name string, v int) {
	if w.name(p, name) {
		w.b = strconv.AppendInt(w.b, int64(v), 10)
	}
}

func (w *writer) float(p *projection, name string, v float64) {
	if w.name(p, name) {
		w.b = strconv.AppendFloat(w.b, v, 'f', -1, 64)
	}
}

func (w *writer) bool(p *projection, name string, v bool) {
	if w.name(p, name) {
		w.b = strconv.AppendBool(w.b, v)
	}
}

// time writes the instant as the partner does: UTC, with milliseconds.
func (w *writer) time(p *projection, name string, t time.Time) {
	if w.name(p, name) {
		w.b = append(w.b, '"')
		w.b = t.UTC().AppendFormat(w.b, "2006-01-02T15:04:05.000Z")
		w.b = append(w.b, '"')
	}
}

// money writes an amount of hundredths in major units, as short as it can be: 457.5.
func (w *writer) money(p *projection, name string, cents int) {
	if !w.name(p, name) {
		return
	}
	if cents < 0 {
		w.b = append(w.b, '-')
		cents = -cents
	}
	w.b = strconv.AppendInt(w.b, int64(cents/100), 10)
	if c := cents % 100; c != 0 {
		w.b = append(w.b, '.', byte('0'+c/10))
		if c%10 != 0 {
			w.b = append(w.b, byte('0'+c%10))
		}
	}
}

// object writes an object field whose fields inside writes.
func (w *writer) object(p *projection, name string, inside func(p *projection)) {
	if sub, ok := p.of(name); ok && w.name(p, name) {
		w.b = append(w.b, '{')
		inside(sub)
		w.close('}')
	}
}

// array writes an array field whose elements inside writes.
func (w *writer) array(p *projection, name string, inside func(p *projection)) {
	if sub, ok := p.of(name); ok && w.name(p, name) {
		w.b = append(w.b, '[')
		inside(sub)
		w.close(']')
	}
}

// strings writes an array of strings.
func (w *writer) strings(p *projection, name string, vs ...string) {
	w.array(p, name, func(*projection) {
		for _, v := range vs {
			w.comma()
			w.quote(v)
		}
	})
}

// quote writes a JSON string.
func (w *writer) quote(v string) {
	w.b = append(w.b, '"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			w.b = append(w.b, '\\', byte(r))
		case r < ' ':
			const hex = "0123456789abcdef"
			w.b = append(w.b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	w.b = append(w.b, '"')
}
