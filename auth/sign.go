package auth

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Signer signs each attempt of a request for itself, so that a retry has its own time and nonce. Use [NewSigner]. Its
// place is inside the retries, and inside any [Source] whose header is to be signed too. It is safe for concurrent
// use.
type Signer struct{ c *signing }

// SignerConfig configures a [Signer].
type SignerConfig struct {
	// Sign computes the signature and puts it on req, a copy of the request with a header and URL of its own: it may set
	// header fields and the URL's query, nothing else. body is all that will be sent, nil when there is none; it must
	// not be changed or kept. It is called concurrently, once per attempt. Its error ends the call, unsent, and must
	// hold no secret.
	Sign    func(req *http.Request, body []byte) error
	Origins []string // "https://api.example.com"
	// MaxBody is the longest body that is signed, in bytes, because it is held in memory; 0: 1 MiB. A request with a
	// longer one is refused.
	MaxBody int64
}

type signing struct {
	SignerConfig
	origins origins
}

// NewSigner returns an error that names everything that is wrong with c.
func NewSigner(c SignerConfig) (*Signer, error) {
	var p problems
	p.check(c.Sign == nil, "Sign is nil")
	p.check(c.MaxBody < 0, "MaxBody is negative")
	os, err := parseOrigins(c.Origins)
	p.join(err)
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("auth: signer: %w", err)
	}
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
	}
	return &Signer{&signing{c, os}}, nil
}

// Wrap implements [Credential]. What Sign makes of the address passes the same check.
func (s *Signer) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if err := s.c.origins.check(req.URL); err != nil {
			closeBody(req)
			return nil, err
		}
		out, err := s.c.sign(req)
		if err != nil {
			return nil, err
		}
		return answer(next, out, req)
	})
}

// sign returns a signed copy of req. What is sent is what was signed, byte for byte. The body of req is read and
// closed.
func (s *signing) sign(req *http.Request) (*http.Request, error) {
	body, err := s.read(req)
	if err != nil {
		return nil, unsent(fmt.Errorf("auth: the request's body cannot be signed: %w", bare(err)))
	}
	out := new(http.Request)
	*out = *req
	u := *req.URL
	out.URL = &u
	if out.Header = req.Header.Clone(); out.Header == nil {
		out.Header = make(http.Header, 1)
	}
	out.Body, out.GetBody = nil, nil
	if err := s.Sign(out, body); err != nil {
		return nil, unsent(fmt.Errorf("auth: the request could not be signed: %w", bare(err)))
	}
	if err := s.origins.check(out.URL); err != nil {
		return nil, err
	}
	out.Body, out.GetBody, out.ContentLength = req.Body, req.GetBody, req.ContentLength
	if body != nil {
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		out.Body, _ = out.GetBody() // it cannot fail
		out.ContentLength, out.TransferEncoding = int64(len(body)), nil
	}
	return out, nil
}

var errBodyTooLong = errors.New("it is longer than MaxBody")

// read returns the whole body, nil if there is none, and closes it.
func (s *signing) read(req *http.Request) ([]byte, error) {
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil
	}
	defer closeBody(req)
	if req.ContentLength > s.MaxBody {
		return nil, errBodyTooLong
	}
	body, err := io.ReadAll(io.LimitReader(req.Body, s.MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("it cannot be read: %w", err)
	}
	if int64(len(body)) > s.MaxBody {
		return nil, errBodyTooLong
	}
	return body, nil
}
