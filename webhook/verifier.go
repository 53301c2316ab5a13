package webhook

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const defaultTolerance = 5 * time.Minute

// Scheme is how a partner proves that a request is its own: data. The schemes are those of this package; [Custom] is
// for what none of them says.
type Scheme interface {
	// prepare reads the data once and says everything that is wrong with them.
	prepare() (checker, error)
}

// checker is a scheme, ready.
type checker interface {
	// key reads a secret as the partner writes it; to sign, it may be the private half.
	key(k *key, value string) error
	// check finds the key among keys that proves m. It must not look at the time.
	check(m *Message, keys []*key) (claim, error)
	// sign makes of m what the partner sends at that time.
	sign(m *Message, k *key, at time.Time) error
	// keyless says that there are no secrets.
	keyless() bool
}

// claim is what a checked message says of itself.
type claim struct {
	key   *key // that proved it; nil for none
	trust Trust
	id    string    // of the delivery, if it is covered
	at    time.Time // when it was signed, if that is covered

	from, until time.Time // between which a token is valid, if it says so
}

// Trust is how far an event's content may be believed.
type Trust uint8

const (
	// Hint: nobody vouches for the content; something may have happened. Fetch the record with your own credentials.
	Hint Trust = iota
	// Authenticated: the sender showed a credential. What it sent is only as safe as the connection it came through.
	Authenticated
	// Signed: the content is what the partner signed.
	Signed
)

// String returns "hint", "authenticated" or "signed".
func (t Trust) String() string {
	switch t {
	case Hint:
		return "hint"
	case Authenticated:
		return "authenticated"
	case Signed:
		return "signed"
	}
	return "Trust(" + strconv.Itoa(int(t)) + ")"
}

// Secret is one secret, or public key, shared with a partner. It does not print.
type Secret struct {
	ID    string // names it in counts and logs, and is none itself; "": its place, "1" for the first
	Value string // as the partner shows it: a text, whsec_…, whpk_…, PEM, user:password

	NotBefore time.Time // zero: always
	NotAfter  time.Time // zero: for ever
}

// Format prints the id, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "webhook.Secret("+s.ID+")") }

// LogValue returns what Format prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(s)) }

// MarshalJSON leaves the value out.
func (s Secret) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, fmt.Sprint(s)), nil }

// key is a secret, ready.
type key struct {
	Secret
	raw  []byte    // of symmetric ones
	pair any       // of others: *rsa.PublicKey, *rsa.PrivateKey, ed25519.PublicKey, ed25519.PrivateKey, …
	macs sync.Pool // of *mac, keyed with raw

	uses atomic.Int64
	last atomic.Int64 // when it was last used, in Unix seconds
}

func (s Secret) alive(now time.Time) bool {
	return (s.NotBefore.IsZero() || !now.Before(s.NotBefore)) && (s.NotAfter.IsZero() || now.Before(s.NotAfter))
}

// mac is a keyed hash with some room, used by one at a time.
type mac struct {
	h   hash.Hash
	buf []byte
}

// writeString hashes s without making garbage of it.
func (m *mac) writeString(s string) {
	m.buf = append(m.buf[:0], s...)
	m.h.Write(m.buf)
}

// sum is valid until the next call of a method.
func (m *mac) sum() []byte {
	m.buf = m.h.Sum(m.buf[:0])
	return m.buf
}

// Proof is what a verified message has been found to be.
type Proof struct {
	Trust    Trust
	SecretID string    // of the secret that proved it; "" if the scheme has none
	Old      bool      // proved by a secret that is not the first of those valid now
	Delivery string    // the id of the delivery, if it is signed
	At       time.Time // when it was signed, if that is signed
}

// Use is how often a secret has proved a message.
type Use struct {
	ID    string
	Count int64
	Last  time.Time // zero: never
}

// Verifier verifies messages of one partner with one set of secrets. It may be used by several goroutines at once. It
// prints as its partner's name.
type Verifier struct {
	partner  Partner
	check    checker
	keys     []*key
	lifetime bool // some key has one
}

// NewVerifier returns a verifier for what p sends, with the secrets that may be in use: the current one first, then
// those that are being replaced. It names every problem at once; one is a scheme with secrets that is given none, and
// the other way round.
func NewVerifier(p Partner, secrets ...Secret) (*Verifier, error) {
	v := &Verifier{partner: p}
	problems := p.problems()
	if p.Scheme != nil {
		var err error
		if v.check, err = p.Scheme.prepare(); err != nil {
			problems = append(problems, err)
			v.check = nil // it can read no secrets
		}
	}
	if v.check != nil {
		switch {
		case v.check.keyless() && len(secrets) > 0:
			problems = append(problems, fmt.Errorf("webhook: %T has no secrets", p.Scheme))
		case !v.check.keyless() && len(secrets) == 0:
			problems = append(problems, errors.New("webhook: there are no secrets"))
		}
	}
	ids := map[string]bool{}
	for i, s := range secrets {
		if s.ID == "" {
			s.ID = strconv.Itoa(i + 1)
		}
		k := &key{Secret: s}
		if ids[s.ID] {
			problems = append(problems, fmt.Errorf("webhook: two secrets are called %q", s.ID))
		}
		ids[s.ID] = true
		if !s.NotAfter.IsZero() && !s.NotBefore.Before(s.NotAfter) {
			problems = append(problems, fmt.Errorf("webhook: secret %q ends before it begins", s.ID))
		}
		if v.check != nil && !v.check.keyless() {
			if err := v.check.key(k, s.Value); err != nil {
				problems = append(problems, fmt.Errorf("webhook: secret %q: %w", s.ID, err))
			}
		}
		v.lifetime = v.lifetime || !s.NotBefore.IsZero() || !s.NotAfter.IsZero()
		v.keys = append(v.keys, k)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return v, nil
}

// Format prints the partner's name, whatever the verb.
func (v *Verifier) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.Verifier("+v.partner.Name+")")
}

// Verify says whether m comes from the partner, is as it was sent, and was signed within the tolerance of now. The
// error wraps [ErrMissing], [ErrMalformed], [ErrSignature] or [ErrTimestamp]; it holds nothing of the message nor of
// a secret. The time is looked at last, so that ErrTimestamp says that the signature itself is right.
func (v *Verifier) Verify(m *Message, now time.Time) (Proof, error) {
	keys := v.keys
	if v.lifetime {
		keys = make([]*key, 0, len(v.keys))
		for _, k := range v.keys {
			if k.alive(now) {
				keys = append(keys, k)
			}
		}
	}
	c, err := v.check.check(m, keys)
	if err != nil {
		return Proof{}, fmt.Errorf("%s: %w", v.partner.Name, err)
	}
	if tolerance := v.partner.tolerance(); !c.at.IsZero() && tolerance >= 0 {
		switch age := now.Sub(c.at); {
		case age > tolerance:
			return Proof{}, fmt.Errorf("%s: %w: it is %v old", v.partner.Name, ErrTimestamp, age.Round(time.Second))
		case age < -tolerance:
			ahead := -age.Round(time.Second)
			return Proof{}, fmt.Errorf("%s: %w: it is %v in the future", v.partner.Name, ErrTimestamp, ahead)
		}
	}
	leeway := max(v.partner.tolerance(), 0)
	switch {
	case !c.until.IsZero() && now.After(c.until.Add(leeway)):
		return Proof{}, fmt.Errorf("%s: %w: it has ended", v.partner.Name, ErrTimestamp)
	case !c.from.IsZero() && now.Before(c.from.Add(-leeway)):
		return Proof{}, fmt.Errorf("%s: %w: it has not begun", v.partner.Name, ErrTimestamp)
	}
	p := Proof{Trust: c.trust, Delivery: c.id, At: c.at}
	if c.key != nil {
		p.SecretID, p.Old = c.key.ID, c.key != keys[0]
		c.key.uses.Add(1)
		c.key.last.Store(now.Unix())
	}
	return p, nil
}

// Uses says how often each secret, in the order given, has proved a message so far. A secret that is being replaced
// may go once its Last is longer ago than the partner's retries last.
func (v *Verifier) Uses() []Use {
	uses := make([]Use, 0, len(v.keys))
	for _, k := range v.keys {
		u := Use{ID: k.ID, Count: k.uses.Load()}
		if last := k.last.Load(); last != 0 {
			u.Last = time.Unix(last, 0)
		}
		uses = append(uses, u)
	}
	return uses
}

// Sign makes of m what a partner with this scheme would send at that time: it sets headers and, for a [URLSecret],
// the path or query. It is for tests, simulated partners, and senders. secret is what a [Secret] has as its Value, of
// asymmetric schemes the private key (whsk_…, or PEM). An id that is signed is taken from m's header if it is there,
// otherwise made up.
func Sign(s Scheme, m *Message, secret string, at time.Time) error {
	if s == nil {
		return errors.New("webhook: Sign: there is no scheme")
	}
	c, err := s.prepare()
	if err != nil {
		return err
	}
	if m.Header == nil {
		m.Header = map[string][]string{}
	}
	k := &key{}
	if !c.keyless() {
		if err := c.key(k, secret); err != nil {
			return fmt.Errorf("webhook: Sign: %w", err)
		}
	}
	return c.sign(m, k, at)
}
