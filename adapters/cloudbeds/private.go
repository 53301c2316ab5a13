package cloudbeds

import (
	"bytes"
	"encoding/json"
	"slices"
)

// private are the fields that are taken out of what is kept: cards, which Cloudbeds says not to store, and guests' papers.
var private = []string{
	"cardsOnFile", "guestBirthdate", "guestBirthDate", "guestDocumentType", "guestDocumentNumber", "guestDocumentIssueDate",
	"guestDocumentIssuingCountry", "guestDocumentExpirationDate",
}

// public returns the item without its private fields, at whatever depth they stand.
func public(raw json.RawMessage) json.RawMessage {
	// A field name can be spelt with escapes, so only a text without any is known to be clean.
	if !bytes.Contains(raw, []byte(`\u`)) &&
		!slices.ContainsFunc(private, func(name string) bool { return bytes.Contains(raw, []byte(name)) }) {
		return compact(raw)
	}
	switch kind(raw) {
	case '{':
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return nil
		}
		for name, v := range fields {
			if slices.Contains(private, name) {
				delete(fields, name)
			} else {
				fields[name] = public(v)
			}
		}
		b, err := json.Marshal(fields)
		if err != nil {
			return nil
		}
		return b
	case '[':
		var l []json.RawMessage
		if json.Unmarshal(raw, &l) != nil {
			return nil
		}
		for i := range l {
			l[i] = public(l[i])
		}
		b, err := json.Marshal(l)
		if err != nil {
			return nil
		}
		return b
	}
	return compact(raw)
}

// compact returns a copy without insignificant space, for what is kept must not hold on to the page it came in.
func compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.Grow(len(raw))
	if json.Compact(&b, raw) != nil {
		return bytes.Clone(raw)
	}
	return b.Bytes()
}
