package retry

import (
	"io"
	"net/http"
)

// peek returns up to n bytes of the body, and puts them back. An error before n bytes, io.EOF apart, is returned, and
// left for the body's reader to meet in its place.
func peek(resp *http.Response, n int) ([]byte, error) {
	buf := make([]byte, 0, min(n, 4<<10))
	var err error
	for idle := 0; len(buf) < n && err == nil; {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		var k int
		k, err = resp.Body.Read(buf[len(buf):min(cap(buf), n)])
		buf = buf[:len(buf)+k]
		if idle++; k > 0 {
			idle = 0
		} else if idle == 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	resp.Body = &peeked{ReadCloser: resp.Body, rest: buf, err: err}
	if len(buf) < n && err != io.EOF { //nolint:errorlint // a wrapped one is a failure, as for io.Copy
		return buf, err
	}
	return buf, nil
}

// peeked is a body whose beginning was read already.
type peeked struct {
	io.ReadCloser
	rest []byte // of what was read
	err  error  // that reading ended with, if it did
}

// Read implements io.Reader.
func (p *peeked) Read(b []byte) (int, error) {
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.ReadCloser.Read(b)
}

// WriteTo implements io.WriterTo.
func (p *peeked) WriteTo(w io.Writer) (int64, error) {
	n := 0
	if len(p.rest) > 0 {
		var err error
		n, err = w.Write(p.rest)
		if err == nil && n < len(p.rest) {
			err = io.ErrShortWrite
		}
		p.rest = p.rest[n:]
		if err != nil {
			return int64(n), err
		}
	}
	if p.err == io.EOF { //nolint:errorlint // one that is wrapped is no end but a failure, as for io.Copy
		return int64(n), nil
	}
	if p.err != nil {
		return int64(n), p.err
	}
	m, err := io.Copy(w, p.ReadCloser)
	return int64(n) + m, err
}
