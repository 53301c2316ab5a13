package drivertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// json redacts a JSON object or array, keeping the order of members.
func (r *redactor) json(s string) (string, bool) {
	t := strings.TrimSpace(s)
	if t == "" || t[0] != '{' && t[0] != '[' || !json.Valid([]byte(t)) {
		return "", false
	}
	dec := json.NewDecoder(strings.NewReader(t))
	dec.UseNumber()
	var b bytes.Buffer
	if err := r.jsonValue(dec, &b, "", false); err != nil {
		return "", false
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", false
	}
	return b.String(), true
}

// jsonValue copies one value. secret says that a name above it is.
func (r *redactor) jsonValue(dec *json.Decoder, b *bytes.Buffer, name string, secret bool) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch v := tok.(type) {
	case json.Delim:
		b.WriteByte(byte(v))
		for n := 0; dec.More(); n++ {
			if n > 0 {
				b.WriteByte(',')
			}
			child, denied := name, secret
			if v == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				child, _ = key.(string)
				denied = !r.allowed(child) && (secret || r.denied(child, false))
				writeJSON(b, r.text(child))
				b.WriteByte(':')
			}
			if err := r.jsonValue(dec, b, child, denied); err != nil {
				return err
			}
		}
		if _, err := dec.Token(); err != nil {
			return err
		}
		b.WriteByte(byte(v) + 2) // ']' and '}'
	case string:
		switch out, ok := r.json(v); {
		case secret:
			writeJSON(b, r.value(name, v))
		case ok:
			writeJSON(b, out)
		default:
			writeJSON(b, r.loose(v))
		}
	case json.Number:
		b.WriteString(r.numeral(string(v), secret))
	default:
		writeJSON(b, v)
	}
	return nil
}

// numeral redacts a number by a small one, so that it stays one.
func (r *redactor) numeral(v string, secret bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, known := r.number[v]
	_, text := r.known[v]
	switch {
	case known && (secret || len(v) >= 8):
		return n
	case !secret && !(text && len(v) >= 6):
		return v
	case len(v) <= 3: // is as good as a placeholder
		return v
	case r.frozen:
		return "0"
	}
	r.number[v] = strconv.Itoa(len(r.number) + 1)
	if len(v) >= 8 && !text {
		r.known[v] = "REDACTED_number_" + r.number[v]
		r.everywhere(v)
	}
	return r.number[v]
}

func writeJSON(b *bytes.Buffer, v any) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // a string, a bool or nil always encodes
		b.WriteString("null")
		return
	}
	b.Truncate(b.Len() - 1)
}
