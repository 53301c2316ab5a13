package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"github.com/integrationkit/integrationkit/retry"
)

// Send makes a call and decodes the answer into T: as XML when that is what it holds, else as JSON. T may be
// json.RawMessage, []byte (the body as it came) or *Response. An empty body is an error, [ErrEmpty], unless T is one of these.
//
// Partners are taken as they are: a byte order mark and raw control characters within strings are put right (in XML they become spaces), and
// a declared Latin-1 or windows-1252 becomes UTF-8. A page of HTML, or anything else that is not what T is, is an error of class Data that wraps
// [ErrUndecodable], and its text holds no value.
//
// So is an answer of another shape, where T says what there must be: a field with the tag wire:"required" that is missing, null or an empty
// text. Without it {"error": …} with status 200 would read as an empty list, and what an empty list does not have is taken for deleted:
//
//	type page struct {
//		Results []json.RawMessage `json:"results" wire:"required"` // [] is there, null is not
//		Next    *string           `json:"next"`
//	}
//
// The tag is for slices, maps, pointers, interfaces, texts and [Opt], at any depth of structs; of another type it is an error, because its zero is a value.
// A T that is a list or a map itself refuses null. A T with an UnmarshalJSON of its own says what it refuses there, in errors that hold no value.
func Send[T any](ctx context.Context, c *Client, call Call) (T, error) {
	var v T
	resp, err := c.Do(ctx, call)
	if err != nil {
		return v, err
	}
	switch p := any(&v).(type) {
	case **Response:
		*p = resp
		return v, nil
	case *[]byte:
		*p = resp.Body
		return v, nil
	case *json.RawMessage:
		var b []byte
		if b, err = toUTF8(resp.Body, resp.Header.Get("Content-Type")); err == nil {
			if b, err = validJSON(b); err == nil {
				*p = b
				return v, nil
			}
		}
	default:
		if err = decode(resp.Body, resp.Header.Get("Content-Type"), &v); err == nil {
			return v, nil
		}
		if missing, ok := errors.AsType[*errRequired](err); ok {
			c.Report(ctx, Oddity{Kind: Kind(call.Op), Field: missing.field, Change: ChangeMissing, Detail: "a required field did not come"})
		}
	}
	var zero T
	if !errors.Is(err, ErrUndecodable) {
		err = fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	e := &retry.Error{
		Verdict: retry.Verdict{Class: retry.Data, Sent: retry.Answered}, Partner: c.c.Partner, Op: call.Op, Integration: c.c.Integration,
		RequestID: resp.RequestID, Status: resp.Status, Attempts: resp.Attempts, Waits: resp.Waits, Err: err,
	}
	c.telemetry.undecodable(ctx, e)
	return zero, e
}

// Get is Send with method GET.
func Get[T any](ctx context.Context, c *Client, op, path string, query url.Values) (T, error) {
	return Send[T](ctx, c, Call{Op: op, Path: path, Query: query})
}

// Post is Send with method POST. Whether it may be repeated is said by retry.WithIdempotencyKey.
func Post[T any](ctx context.Context, c *Client, op, path string, body any) (T, error) {
	return Send[T](ctx, c, Call{Op: op, Method: http.MethodPost, Path: path, Body: body})
}

// Decode decodes a body of the given Content-Type ("" if unknown) into v as [Send] does, for messages that came by another way.
func Decode(body []byte, contentType string, v any) error {
	if err := decode(body, contentType, v); err != nil {
		if !errors.Is(err, ErrUndecodable) {
			err = fmt.Errorf("%w: %w", ErrUndecodable, err)
		}
		return err
	}
	return nil
}

var (
	errEmpty = fmt.Errorf("%w: %w", ErrUndecodable, ErrEmpty)
	errHTML  = errors.New("a page of HTML")
	errXML   = errors.New("XML where JSON was expected")
	errUTF16 = errors.New("UTF-16")
)

func decode(body []byte, contentType string, v any) error {
	if declaresEncoding(body) {
		contentType = mediaType(contentType) // a document that says it itself is converted by its reader
	}
	b, err := toUTF8(body, contentType)
	if err != nil {
		return err
	}
	first := bytes.TrimLeft(b, " \t\r\n")
	if len(first) == 0 {
		return errEmpty
	}
	if first[0] != '<' {
		if err := decodeJSON(b, v); err != nil {
			return err
		}
		return checkRequired(v)
	}
	media := mediaType(contentType)
	switch {
	case isHTML(first) || media == "text/html" || media == "application/xhtml+xml":
		return errHTML
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return errXML
	}
	if err := decodeXML(b, v); err != nil {
		return err
	}
	return checkRequired(v)
}

func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

func isHTML(b []byte) bool {
	head := strings.ToLower(string(b[:min(len(b), 20)]))
	return strings.HasPrefix(head, "<!doctype html") || strings.HasPrefix(head, "<html")
}

// declaresEncoding reports whether b begins with an XML declaration that names an encoding.
func declaresEncoding(b []byte) bool {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, bom), " \t\r\n")
	if !bytes.HasPrefix(b, []byte("<?xml")) {
		return false
	}
	declaration, _, _ := bytes.Cut(b[:min(len(b), 256)], []byte("?>"))
	return bytes.Contains(declaration, []byte("encoding"))
}

// decodeJSON decodes b, with raw control characters in strings escaped if that is what is wrong with it.
func decodeJSON(b []byte, v any) error {
	err := json.Unmarshal(b, v)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		if fixed := escapeControls(b); fixed != nil && json.Valid(fixed) {
			err = json.Unmarshal(fixed, v)
		}
	}
	if err != nil {
		return withoutValues(err)
	}
	return nil
}

func validJSON(b []byte) ([]byte, error) {
	if json.Valid(b) || len(bytes.TrimSpace(b)) == 0 {
		return b, nil
	}
	if fixed := escapeControls(b); fixed != nil && json.Valid(fixed) {
		return fixed, nil
	}
	if isHTML(bytes.TrimLeft(b, " \t\r\n")) {
		return nil, errHTML
	}
	return nil, errors.New("no JSON")
}

// escapeControls escapes the control characters that stand raw within strings, which RFC 8259 section 7 forbids. It returns nil when
// there are none.
func escapeControls(b []byte) []byte {
	var out []byte
	from := 0
	in, escaped := false, false
	for i, c := range b {
		switch {
		case !in:
			in = c == '"'
		case c < ' ':
			end := i
			if escaped {
				end-- // a backslash before it: the character is what was meant
				escaped = false
			}
			out = append(out, b[from:end]...)
			out = append(out, '\\', 'u', '0', '0', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
			from = i + 1
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			in = false
		}
	}
	if out == nil {
		return nil
	}
	return append(out, b[from:]...)
}

var bom = []byte("\xef\xbb\xbf")

// toUTF8 returns the body without a byte order mark, and in UTF-8 when its media type declares one of the Latin encodings. It
// returns b itself when nothing is to be done.
func toUTF8(b []byte, contentType string) ([]byte, error) {
	if bytes.HasPrefix(b, bom) {
		return b[len(bom):], nil
	}
	if bytes.HasPrefix(b, []byte("\xfe\xff")) || bytes.HasPrefix(b, []byte("\xff\xfe")) {
		return nil, errUTF16
	}
	if !strings.Contains(contentType, ";") {
		return b, nil
	}
	_, params, _ := mime.ParseMediaType(contentType) // one that nobody can read says nothing
	cm := latin(params["charset"])
	if cm == nil || utf8.Valid(b) { // some declare Latin-1 and send UTF-8
		return b, nil
	}
	return cm.NewDecoder().Bytes(b)
}

// latin returns the Latin encoding with that name, nil for any other. What is called Latin-1 is read as windows-1252, its superset, as
// the WHATWG's encoding standard does.
func latin(charset string) *charmap.Charmap {
	switch strings.ToLower(charset) {
	case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1", "windows-1252", "cp1252", "us-ascii", "ascii":
		return charmap.Windows1252
	case "iso-8859-15", "iso8859-15", "latin-9", "latin9":
		return charmap.ISO8859_15
	}
	return nil
}
