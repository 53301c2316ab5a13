package webhook

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// body reads the body, no longer than the patience and no larger than MaxBody, and undoes its compression, likewise.
// The outcome is "" if all is well.
func (q *request) body() ([]byte, Outcome, error) {
	limit := q.h.c.MaxBody
	if q.r.ContentLength > limit {
		q.w.Header().Set("Connection", "close") // what is not read is not waited for
		return nil, TooLarge, errTooLarge(limit)
	}
	rc := http.NewResponseController(q.w)
	// A writer without deadlines, as in tests, is read for as long as it takes.
	timed := rc.SetReadDeadline(q.start.Add(q.patience)) == nil
	raw, err := read(http.MaxBytesReader(q.w, q.r.Body, limit), q.r.ContentLength)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, TooLarge, errTooLarge(limit)
	case err != nil:
		return nil, BadBody, fmt.Errorf("webhook: read the body: %w", err)
	}
	if timed {
		_ = rc.SetReadDeadline(time.Time{}) // worked a moment ago; the body has been read in any case
	}
	switch encoding := strings.ToLower(strings.Join(q.r.Header.Values("Content-Encoding"), ",")); encoding {
	case "", "identity":
		return raw, "", nil
	case "gzip", "x-gzip":
		return q.gunzip(raw, limit)
	}
	q.w.Header().Set("Accept-Encoding", "gzip")
	return nil, BadType, errors.New("webhook: the body is compressed in an unknown way")
}

func errTooLarge(limit int64) error {
	return fmt.Errorf("webhook: the body has more than %d bytes", limit)
}

// read reads all, and does not believe what size is announced.
func read(r io.Reader, announced int64) ([]byte, error) {
	const believed = 64 << 10
	var buf bytes.Buffer
	buf.Grow(int(min(max(announced, 0), believed)) + bytes.MinRead)
	_, err := buf.ReadFrom(r)
	return buf.Bytes(), err
}

func (q *request) gunzip(raw []byte, limit int64) ([]byte, Outcome, error) {
	bad := errors.New("webhook: the body is not what its encoding says")
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return nil, BadBody, bad
	}
	body, err := read(io.LimitReader(z, limit+1), int64(len(raw)))
	switch {
	case int64(len(body)) > limit:
		return nil, TooLarge, errTooLarge(limit)
	case err != nil:
		return nil, BadBody, bad
	}
	return body, "", nil
}

// answer returns what a handshake is answered, if m is one.
func (c Challenge) answer(m *Message) (string, bool) {
	if c.Method == "" && m.method() != http.MethodPost || c.Method != "" && m.method() != c.Method {
		return "", false
	}
	var value func(name string) string
	if c.Query {
		q, err := url.ParseQuery(m.Query)
		if err != nil {
			return "", false
		}
		value = q.Get
	} else {
		var top map[string]json.RawMessage
		if json.Unmarshal(m.Body, &top) != nil {
			return "", false
		}
		value = func(name string) string { return at(top, []string{name}) }
	}
	for name, want := range c.When {
		if value(name) != want {
			return "", false
		}
	}
	echo := value(c.Echo)
	return echo, echo != ""
}
