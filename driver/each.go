package driver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/pagination"
)

// Each normalizes the items of a page one by one. An item for which f fails, or panics, is rejected alone, with its id (the
// string or number at "_id", else at "id") and the beginning of its text. The texts of errors of encoding/json, strconv and time that
// f returns or wraps are cleared of the values they quote; f must not put values in its own.
func Each[T any](items []json.RawMessage, f func(json.RawMessage) (T, error)) pagination.Batch[T] {
	b := pagination.Batch[T]{Items: make([]T, 0, len(items))}
	for _, raw := range items {
		item, err := normalize(raw, f)
		if err == nil {
			b.Items = append(b.Items, item)
			continue
		}
		b.Rejected = append(b.Rejected, pagination.Rejected{
			ID: idOf(raw), Raw: bytes.Clone(raw[:min(len(raw), pagination.MaxRaw)]), Err: withoutValues(err),
		})
	}
	return b
}

func normalize[T any](raw json.RawMessage, f func(json.RawMessage) (T, error)) (item T, err error) {
	defer func() {
		if r := recover(); r != nil {
			if re, ok := r.(runtime.Error); ok { // an index, a nil pointer: no value
				err = fmt.Errorf("driver: normalizing panicked: %w", re)
			} else {
				err = fmt.Errorf("driver: normalizing panicked with a %T", r)
			}
		}
	}()
	return f(raw)
}

// maxID bounds the id of a rejected item.
const maxID = 200

func idOf(raw json.RawMessage) string {
	var w struct {
		Underscored json.RawMessage `json:"_id"`
		Plain       json.RawMessage `json:"id"`
	}
	if json.Unmarshal(raw, &w) != nil {
		return ""
	}
	for _, v := range []json.RawMessage{w.Underscored, w.Plain} {
		var s string
		var n json.Number
		switch {
		case len(v) == 0 || len(v) > maxID:
		case json.Unmarshal(v, &s) == nil && s != "":
			return s
		case v[0] != '"' && json.Unmarshal(v, &n) == nil && n != "":
			return n.String()
		}
	}
	return ""
}

// clean is an error whose text was cleared of values.
type clean struct {
	text string
	err  error
}

func (c *clean) Error() string { return c.text }

// Is lets errors.Is see the cause; nothing may get hold of the cause itself and print it.
func (c *clean) Is(target error) bool { return errors.Is(c.err, target) }

// withoutValues clears err's text of the values that errors of the standard library quote.
func withoutValues(err error) error {
	text := err.Error()
	replace := func(inner error, by string) { text = strings.ReplaceAll(text, inner.Error(), by) }
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what, _, _ := strings.Cut(e.Value, " ") // "number 300"
		replace(e, "field "+strconv.Quote(e.Field)+" cannot be a "+what)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		replace(e, "malformed JSON at byte "+strconv.FormatInt(e.Offset, 10))
	}
	if e, ok := errors.AsType[*time.ParseError](err); ok {
		replace(e, "a time is not in the layout "+strconv.Quote(e.Layout))
	}
	if e, ok := errors.AsType[*strconv.NumError](err); ok {
		replace(e, "a number cannot be read: "+e.Err.Error())
	}
	if text == err.Error() {
		return err
	}
	return &clean{text, err}
}
