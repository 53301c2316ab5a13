package webhook

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// What a request lacks. Every error of [Verifier.Verify] wraps one of them; [Handler] answers all with 401, but for
// what a [URLSecret] says, which is answered as an unknown path is.
var (
	// ErrMissing: there is no signature, token or timestamp where the scheme has one.
	ErrMissing = errors.New("webhook: the request is not signed")
	// ErrMalformed: there is one, which cannot be read, or which can be read in two ways.
	ErrMalformed = errors.New("webhook: the signature cannot be read")
	// ErrSignature: it was made with no secret that is valid now, or for other content.
	ErrSignature = errors.New("webhook: the signature does not match")
	// ErrTimestamp: the signature is right, and its time is further from now than the tolerance: a replay, or a clock
	// that is wrong.
	ErrTimestamp = errors.New("webhook: the signature is right, its time is not")
	// ErrAddress: the request comes from an address that is not on the list.
	ErrAddress = errors.New("webhook: the sender's address is not allowed")
)

// Message is a request as its sender signed it: with the body as it came, byte by byte.
type Message struct {
	Method string      // "": POST
	Host   string      // the Host header, as it came
	Path   string      // the escaped path, as it came
	Query  string      // the raw query, as it came
	URL    string      // the whole URL as it was registered with the partner; for schemes that sign it
	Header http.Header // only read, but by Sign
	Body   []byte      // only read
	Peer   netip.Addr  // the other end of the connection; zero if unknown
}

// NewMessage returns r, whose body has been read already, as a message. URL is left empty: a proxy may have changed
// what r says, and a scheme that signs the URL is only safe with one that the sender of r has no hand in.
func NewMessage(r *http.Request, body []byte) *Message {
	m := &Message{Method: r.Method, Host: r.Host, Header: r.Header, Body: body}
	if r.URL != nil {
		m.Path, m.Query = r.URL.EscapedPath(), r.URL.RawQuery
		if m.Host == "" {
			m.Host = r.URL.Host
		}
	}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		m.Peer = ap.Addr().Unmap().WithZone("")
	}
	return m
}

// Format prints a message's method, whatever the verb: the rest holds secrets and personal data.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.Message("+m.method()+")")
}

// MarshalJSON leaves out what Format leaves out.
func (m Message) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(m)) }

func (m *Message) method() string {
	if m.Method == "" {
		return http.MethodPost
	}
	return m.Method
}

// origin returns host, without the port, and path: those registered, if they are known.
func (m *Message) origin() (host, path string, err error) {
	host, path = m.Host, m.Path
	if m.URL != "" {
		u, err := url.Parse(m.URL)
		if err != nil {
			return "", "", errors.New("webhook: Message.URL is no URL")
		}
		host, path = u.Host, u.EscapedPath()
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if path == "" {
		path = "/"
	}
	return host, path, nil
}

// one returns the only value of a header, which may be missing. Two values are two readings: refused.
func one(h http.Header, name string) (string, error) {
	switch v := h[name]; len(v) {
	case 0:
		return "", nil
	case 1:
		return v[0], nil
	default:
		return "", fmt.Errorf("%w: there are %d headers %s", ErrMalformed, len(v), name)
	}
}

// need is one for a header that must be there.
func need(h http.Header, name string) (string, error) {
	v, err := one(h, name)
	if err == nil && v == "" {
		err = fmt.Errorf("%w: header %s is missing", ErrMissing, name)
	}
	return v, err
}

// headerName returns the canonical form of a header's name and what is wrong with it.
func headerName(what, name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("webhook: %s is missing", what)
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("()<>@,;:\\\"/[]?={}", c) >= 0 {
			return "", fmt.Errorf("webhook: %s is no header's name: %q", what, name)
		}
	}
	return http.CanonicalHeaderKey(name), nil
}

// newID returns an id for a message that is signed in a test.
func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return "msg_" + hex.EncodeToString(b[:])
}

// SignRequest signs r as the partner would, now being at: for tests, simulated partners and senders. It reads r's
// body and puts it back. secret is what [Sign] wants.
func SignRequest(s Scheme, r *http.Request, secret string, at time.Time) error {
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return fmt.Errorf("webhook: read the body to sign: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.ContentLength = int64(len(body))
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	m := NewMessage(r, body)
	if r.URL != nil {
		u := *r.URL
		if u.Host == "" {
			u.Host = r.Host
		}
		if u.Scheme == "" {
			u.Scheme = "https"
		}
		m.URL = u.String()
	}
	if err := Sign(s, m, secret, at); err != nil {
		return err
	}
	if r.URL != nil && (m.Path != r.URL.EscapedPath() || m.Query != r.URL.RawQuery) {
		path, err := url.PathUnescape(m.Path)
		if err != nil {
			return fmt.Errorf("webhook: the path to sign: %w", err)
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, m.Path, m.Query
	}
	return nil
}
