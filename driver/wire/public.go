package wire

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Public returns a copy of raw without insignificant space and without the fields of these names, at whatever depth they stand and however their
// names are escaped. What cannot be read as JSON is kept only if none of the names can be in it: nil otherwise. The copy shares no memory with raw: what is
// kept of an item must not hold on to the page it came in.
func Public(raw json.RawMessage, private ...string) json.RawMessage {
	// A name can be spelt with escapes, so only a text without any is known to be clean.
	if len(private) == 0 || !bytes.Contains(raw, []byte(`\u`)) &&
		!slices.ContainsFunc(private, func(name string) bool { return bytes.Contains(raw, []byte(name)) }) {
		return Compact(raw)
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
				fields[name] = Public(v, private...)
			}
		}
		return marshal(fields)
	case '[':
		var l []json.RawMessage
		if json.Unmarshal(raw, &l) != nil {
			return nil
		}
		for i := range l {
			l[i] = Public(l[i], private...)
		}
		return marshal(l)
	}
	if !json.Valid(raw) {
		return nil
	}
	return Compact(raw)
}

func marshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// Compact returns a copy of raw without insignificant space, or as it is when it is no JSON.
func Compact(raw json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.Grow(len(raw))
	if json.Compact(&b, raw) != nil {
		return bytes.Clone(raw)
	}
	return b.Bytes()
}
