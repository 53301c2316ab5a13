package auth

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// RotatingConfig configures a [Rotating].
type RotatingConfig struct {
	// Key identifies the credentials in the store, errors and events: "airbnb/app-7". It is no token's: both may be the
	// same.
	Key   string
	Store Store // nil: in memory, for this Rotating alone
	// Initial are the values, by name, that are used until a rotation has stored others: those of the configuration.
	Initial map[string]Secret
	// Make puts values on requests: [NewAPIKey] or the like. It sends nothing. It is not told when a credential is not
	// used any more; a [Source] that it makes needs no Close then.
	Make func(values map[string]Secret) (Credential, error)
	// Test makes one cheap call with c. An error of class [retry.Auth], or one that wraps [ErrGrant], says that the
	// partner refuses the credentials; any other, that nobody knows. It may be called by each process, while others use
	// c, and through the same limiter as other calls: none of this Rotating's holds anything of it meanwhile. Its ctx is
	// that of Rotate, or when the test looks for a way back one of its own: it does not end with the call that was
	// refused, and has none of its values.
	Test func(ctx context.Context, c Credential) error
	// Timeout bounds one Test; 0: 30 s.
	Timeout time.Duration
	// Overlap is for how long after a rotation the values before it are kept, to go back to if the partner refuses the
	// new ones after all; 0: 24 h.
	Overlap time.Duration
	// ReadEvery is how long a rotation by another process may go unnoticed while the partner takes the old values; 0: 1
	// min. When it refuses them, the store is read at once.
	ReadEvery time.Duration
	// OnEvent, if set, is told of rotations. It is called without locks held.
	OnEvent func(RotationEvent)
}

// Rotating is a [Credential] whose values are replaced while it is used: see [Rotating.Rotate]. Use [NewRotating]. It
// is safe for concurrent use, and needs no Close.
//
// A request is sent with the values of its moment and keeps them to its end. When the partner refuses them (an answer
// judged [retry.Auth] with scope Credential, or 401), the store is read: another process may have rotated. If none has,
// and the values before (or, after a way back, those that were left) are still kept, they are tested and, if the
// partner takes them, used from then on. Either way the request is replayed once, if its body can be had again. Tests
// are made once for all calls that were refused, for at most three Timeouts, also when those calls end before; of a
// refusal that waits for them 256 KiB are kept.
type Rotating struct{ r *rotating }

type rotating struct {
	RotatingConfig
	place   string // in the store
	now     atomic.Pointer[values]
	reading atomic.Bool

	mu     sync.Mutex // guards the fields below; not held in a callback, an I/O or a wait
	search *search    // for a way back, under way
	healed time.Time  // when there was none
}

// made is what Make made, with an identity.
type made struct{ Credential }

// values are the credentials in use. Immutable.
type values struct {
	rotation
	gen     Generation
	version uint64
	cred    *made
	read    time.Time // no later than when it was so
}

// NewRotating returns an error that names everything that is wrong with c. It sends nothing.
func NewRotating(c RotatingConfig) (*Rotating, error) {
	var p problems
	p.check(c.Key == "", "Key is empty")
	p.check(len(c.Key) > 480, "Key is longer than 480 bytes")
	p.check(c.Make == nil, "Make is nil")
	p.check(c.Test == nil, "Test is nil")
	p.check(c.Timeout < 0, "Timeout is negative")
	p.check(c.Overlap < 0, "Overlap is negative")
	p.check(c.ReadEvery < 0, "ReadEvery is negative")
	p.values("Initial", c.Initial)
	r := &rotating{RotatingConfig: c, place: "credentials/" + c.Key}
	if p == nil {
		_, err := r.make(c.Initial)
		p.join(err)
	}
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("auth: rotating credentials %q: %w", c.Key, err)
	}
	if r.Store == nil {
		r.Store = NewMemoryStore()
	}
	r.Timeout = cmp.Or(r.Timeout, 30*time.Second)
	r.Overlap = cmp.Or(r.Overlap, 24*time.Hour)
	r.ReadEvery = cmp.Or(r.ReadEvery, time.Minute)
	r.Initial = maps.Clone(c.Initial)
	return &Rotating{r}, nil
}

func (r *rotating) make(values map[string]Secret) (*made, error) {
	c, err := r.Make(maps.Clone(values))
	if err == nil && c == nil {
		err = errors.New("neither a credential nor an error came of Make")
	}
	if err != nil {
		return nil, err
	}
	return &made{c}, nil
}

// values checks a set of named secrets.
func (p *problems) values(what string, values map[string]Secret) {
	p.check(len(values) == 0, what+" is empty")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p.secret(fmt.Sprintf("%s[%q]", what, name), values[name])
	}
}

// Format writes the type's name and the key, whatever the verb.
func (r Rotating) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "auth.Rotating("+r.r.Key+")")
}

// Values returns the values in use, for a host that hands them on (to the driver of an integration, say), and their
// generation: 0 for the initial ones.
func (r *Rotating) Values(ctx context.Context) (map[string]Secret, Generation, error) {
	v, err := r.r.current(ctx)
	if err != nil {
		return nil, 0, err
	}
	return maps.Clone(v.Values), v.gen, nil
}

// current returns what is in use. The store is read at first, and then now and again by one caller at a time.
func (r *rotating) current(ctx context.Context) (*values, error) {
	v := r.now.Load()
	if v != nil && time.Since(v.read) < r.ReadEvery {
		return v, nil
	}
	if v == nil {
		return r.load(ctx)
	}
	if !r.reading.CompareAndSwap(false, true) {
		return v, nil
	}
	defer r.reading.Store(false)
	soon, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if fresh, err := r.load(soon); err == nil {
		return fresh, nil
	}
	again := *v // a store that fails is asked again, not at once
	again.read = time.Now()
	r.now.CompareAndSwap(v, &again)
	return v, nil
}

// load reads the store and publishes what it says.
func (r *rotating) load(ctx context.Context) (*values, error) {
	asked := time.Now()
	rec, err := r.Store.LoadToken(ctx, r.place)
	if err != nil {
		return nil, r.refusal(retry.Unavailable, fmt.Errorf("read the stored credentials: %w", err))
	}
	return r.publish(rec, asked)
}

// publish makes what is stored the values in use, unless what is in use was read later.
func (r *rotating) publish(rec Record, at time.Time) (*values, error) {
	v := &values{gen: rec.Generation, version: rec.Version, read: at}
	var err error
	if rec.Version == 0 {
		v.rotation = rotation{Values: r.Initial, Verified: true}
	} else if v.rotation, err = decodeRotation(rec); err != nil {
		return nil, r.refusal(retry.Data, err)
	}
	for {
		old := r.now.Load()
		if old != nil && old.gen == v.gen && maps.Equal(old.Values, v.Values) {
			v.cred = old.cred
		} else if v.cred == nil {
			if v.cred, err = r.make(v.Values); err != nil {
				return nil, r.refusal(retry.Client, fmt.Errorf("the stored credentials cannot be used: %w", err))
			}
		}
		if old != nil && old.read.After(at) || r.now.CompareAndSwap(old, v) {
			return v, nil
		}
	}
}

func (r *rotating) refusal(class retry.Class, err error) *retry.Error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: class, Scope: retry.Credential, Sent: retry.Never},
		Err:     fmt.Errorf("auth: %s: %w", r.Key, err),
	}
}

// Wrap implements [Credential].
func (r *Rotating) Wrap(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &rotatingTransport{r: r.r, next: next}
}

type rotatingTransport struct {
	r    *rotating
	next http.RoundTripper
	last atomic.Pointer[wrapped]
}

type wrapped struct {
	cred *made
	rt   http.RoundTripper
}

// of returns the RoundTripper of a credential, made once.
func (t *rotatingTransport) of(c *made) http.RoundTripper {
	if w := t.last.Load(); w != nil && w.cred == c {
		return w.rt
	}
	w := &wrapped{c, c.Wrap(t.next)}
	t.last.Store(w)
	return w.rt
}

// RoundTrip implements http.RoundTripper.
func (t *rotatingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	v, err := t.r.current(req.Context())
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := t.of(v.cred).RoundTrip(req)
	if !refusedCredential(req, resp, err) {
		return resp, err
	}
	hasBody := req.Body != nil && req.Body != http.NoBody
	if hasBody && req.GetBody == nil {
		return resp, err
	}
	n, search := t.r.newer(req.Context(), v)
	if search {
		if resp != nil {
			keep(resp) // so that it holds nothing that the test needs: a connection, a limiter's permit
		}
		n = t.r.better(req.Context(), v)
	}
	if n == nil {
		return resp, err
	}
	out := new(http.Request)
	*out = *req
	if hasBody {
		body, bodyErr := req.GetBody()
		if bodyErr != nil {
			return resp, err // a body that cannot be had again cannot be replayed; the answer stands
		}
		out.Body = body
	}
	if resp != nil {
		discard(resp)
	}
	resp, err = t.of(n.cred).RoundTrip(out)
	if resp != nil {
		resp.Request = req
	}
	retry.Judge(req, resp, err) // what the layers outside are to see is the replay
	return resp, err
}

// keptRefusal is how much is kept of an answer that waits for a way back.
const keptRefusal = 256 << 10

// keep reads an answer into memory and closes it. What is beyond the bound is an error of the body's reader.
func keep(resp *http.Response) {
	b, err := io.ReadAll(io.LimitReader(resp.Body, keptRefusal+1))
	switch closed := resp.Body.Close(); {
	case len(b) > keptRefusal:
		b, err = b[:keptRefusal], errRefusalCut
	case err == nil:
		err = closed
	}
	rest := io.Reader(bytes.NewReader(b))
	if err != nil {
		rest = io.MultiReader(rest, failing{err})
	}
	resp.Body = io.NopCloser(rest)
}

var errRefusalCut = errors.New("auth: no more than 256 KiB were kept of the partner's refusal")

// failing is a reader that has no more, for a reason.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// refusedCredential reports whether the partner, or a token source, says that the credentials are not taken.
func refusedCredential(req *http.Request, resp *http.Response, err error) bool {
	if err != nil {
		return errors.Is(err, ErrNeedsReauth)
	}
	verdict := retry.Judge(req, resp, err)
	return verdict.Class == retry.Auth &&
		(verdict.Scope == retry.Credential || resp.StatusCode == http.StatusUnauthorized)
}
