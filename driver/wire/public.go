package wire

import (
	"bytes"
	"encoding/json"
	"slices"
)

// Public returns a copy of raw without insignificant space and without the fields of these names, at whatever depth
// they stand and however their names are escaped. What cannot be read as JSON is kept only if none of the names can
// be in it: nil otherwise. The copy shares no memory with raw: what is kept of an item must not hold on to the page
// it came in.
func Public(raw json.RawMessage, private ...string) json.RawMessage {
	// A name can be spelt with escapes, so only a text without any is known to be clean.
	if len(private) == 0 || !bytes.Contains(raw, []byte(`\u`)) &&
		!slices.ContainsFunc(private, func(name string) bool { return bytes.Contains(raw, []byte(name)) }) {
		return Compact(raw)
	}
	if !json.Valid(raw) {
		return nil
	}
	var out bytes.Buffer
	out.Grow(len(raw))
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if publish(d, &out, private, true) != nil {
		return nil
	}
	return out.Bytes()
}

// publish copies the next value of d, without the private fields. Each byte is looked at once, however deep it stands.
func publish(d *json.Decoder, out *bytes.Buffer, private []string, keep bool) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	write := func(b ...byte) {
		if keep {
			out.Write(b)
		}
	}
	open, ok := t.(json.Delim)
	if !ok {
		b, err := literal(t)
		write(b...)
		return err
	}
	write(byte(open))
	for first := true; d.More(); {
		stays := keep
		if open == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			name, _ := t.(string)
			if stays = keep && !slices.Contains(private, name); stays {
				b, err := literal(name)
				if err != nil {
					return err
				}
				if !first {
					write(',')
				}
				first = false
				write(append(b, ':')...)
			}
		} else if !first {
			write(',')
		} else {
			first = false
		}
		if err := publish(d, out, private, stays); err != nil {
			return err
		}
	}
	shut, err := d.Token()
	if err != nil {
		return err
	}
	end, _ := shut.(json.Delim)
	write(byte(end))
	return nil
}

// literal is a scalar as JSON.
func literal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
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
