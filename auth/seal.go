package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// ErrKey is wrapped by the error of opening something sealed with a key that is not among the [Keys].
var ErrKey = errors.New("auth: sealed with an unknown key")

// ErrSealed is wrapped by the error of opening something that was altered, cut, moved from another place, or never
// sealed.
var ErrSealed = errors.New("auth: not what was sealed here")

// KeyBytes are the bytes of a sealing key. They do not print.
type KeyBytes [32]byte

// String returns "[redacted]".
func (KeyBytes) String() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (KeyBytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (KeyBytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (KeyBytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Key is a sealing key: 32 random bytes under an id. The id is written in clear with what the key seals.
type Key struct {
	ID     string // 1 to 255 bytes
	Secret KeyBytes
}

// Keys seals what is stored with AES-256-GCM. New seals use the first key; any may open, so that a key is replaced by
// putting a new one before it. One key may seal 2³² things (the bound for random nonces, NIST SP 800-38D). It is safe
// for concurrent use.
type Keys struct {
	seal *sealer
	open map[string]*sealer
}

type sealer struct {
	id   string
	aead cipher.AEAD
}

// NewKeys returns an error that names everything that is wrong: no key, an empty, overlong or repeated id, an
// all-zero secret.
func NewKeys(keys ...Key) (*Keys, error) {
	if len(keys) == 0 {
		return nil, errors.New("auth: sealing keys: there is none")
	}
	var errs []error
	k := &Keys{open: make(map[string]*sealer, len(keys))}
	for i, key := range keys {
		if n := len(key.ID); n == 0 || n > 255 {
			errs = append(errs, fmt.Errorf("key %d: its id has %d bytes, want 1 to 255", i, n))
		} else if k.open[key.ID] != nil {
			errs = append(errs, fmt.Errorf("key %d: its id %q is used twice", i, key.ID))
		}
		if key.Secret == (KeyBytes{}) {
			errs = append(errs, fmt.Errorf("key %d: its secret is all zero", i))
		}
		block, err := aes.NewCipher(key.Secret[:])
		if err != nil {
			return nil, fmt.Errorf("auth: sealing keys: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("auth: sealing keys: %w", err)
		}
		s := &sealer{key.ID, aead}
		k.open[key.ID] = s
		if i == 0 {
			k.seal = s
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("auth: sealing keys: %w", err)
	}
	return k, nil
}

// The format: 'K', version 1, length of the id, id, nonce (12), ciphertext and tag. All before the nonce, and the
// place, are authenticated.
const (
	sealMagic   = 'K'
	sealVersion = 1
	sealHead    = 3
)

// Seal encrypts plain, bound to where it is stored: Open with another place fails.
func (k *Keys) Seal(place string, plain []byte) ([]byte, error) {
	s := k.seal
	out := make([]byte, 0, sealHead+len(s.id)+s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	out = append(out, sealMagic, sealVersion, byte(len(s.id)))
	out = append(out, s.id...)
	head := len(out)
	out = out[:head+s.aead.NonceSize()]
	nonce := out[head:]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("auth: seal: %w", err)
	}
	return s.aead.Seal(out, nonce, plain, sealed(out[:head], place)), nil
}

// sealed returns what is authenticated beside the plain text.
func sealed(head []byte, place string) []byte {
	return append(append(make([]byte, 0, len(head)+len(place)), head...), place...)
}

// Open decrypts what Seal made. Its errors wrap [ErrKey] or [ErrSealed].
func (k *Keys) Open(place string, b []byte) ([]byte, error) {
	id, rest, err := splitSealed(b)
	if err != nil {
		return nil, err
	}
	s := k.open[id]
	if s == nil {
		return nil, fmt.Errorf("%w: its id is %q", ErrKey, id)
	}
	n := s.aead.NonceSize()
	if len(rest) < n+s.aead.Overhead() {
		return nil, fmt.Errorf("%w: it is cut short", ErrSealed)
	}
	plain, err := s.aead.Open(nil, rest[:n], rest[n:], sealed(b[:len(b)-len(rest)], place))
	if err != nil {
		return nil, fmt.Errorf("%w: altered, or moved from another place", ErrSealed)
	}
	return plain, nil
}

// KeyID returns the id of the key that sealed b, without opening it: what is to be sealed again after a change of
// keys is what has another id than the first key.
func KeyID(b []byte) (string, error) {
	id, _, err := splitSealed(b)
	return id, err
}

func splitSealed(b []byte) (id string, rest []byte, err error) {
	switch {
	case len(b) < sealHead || b[0] != sealMagic:
		return "", nil, fmt.Errorf("%w: it does not begin as a seal does", ErrSealed)
	case b[1] != sealVersion:
		return "", nil, fmt.Errorf("%w: format version %d is not known", ErrSealed, b[1])
	case b[2] == 0 || len(b) < sealHead+int(b[2]):
		return "", nil, fmt.Errorf("%w: it is cut short", ErrSealed)
	}
	end := sealHead + int(b[2])
	return string(b[sealHead:end]), b[end:], nil
}

// wireRecord is the encoding of a [Record] within a seal. Fields are only ever added.
type wireRecord struct {
	Access      string      `json:"access,omitempty"`
	Refresh     string      `json:"refresh,omitempty"`
	Type        string      `json:"type,omitempty"`
	Scope       string      `json:"scope,omitempty"`
	Expiry      time.Time   `json:"expiry,omitzero"`
	Obtained    time.Time   `json:"obtained,omitzero"`
	Generation  uint64      `json:"generation,omitempty"`
	NeedsReauth string      `json:"needs_reauth,omitempty"`
	Credentials string      `json:"credentials,omitempty"`
	CoolDown    time.Time   `json:"cool_down,omitzero"`
	Failure     string      `json:"failure,omitempty"`
	Requests    []time.Time `json:"requests,omitempty"`
}

// SealRecord encodes and seals r for a store that keeps it under key, all but its Version, which is the store's to
// keep.
func (k *Keys) SealRecord(key string, r Record) ([]byte, error) {
	w := wireRecord{
		Access: string(r.Token.Access), Refresh: string(r.Token.Refresh), Type: r.Token.Type, Scope: r.Token.Scope,
		Expiry: r.Token.Expiry, Obtained: r.Token.Obtained, Generation: uint64(r.Generation),
		NeedsReauth: r.NeedsReauth, Credentials: r.Credentials, CoolDown: r.CoolDown, Failure: r.Failure,
		Requests: r.Requests,
	}
	plain, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("auth: seal record: %w", err) // a time outside the years 0 to 9999
	}
	return k.Seal("auth/record/"+key, plain)
}

// OpenRecord is the reverse of SealRecord. The record's Version is zero.
func (k *Keys) OpenRecord(key string, b []byte) (Record, error) {
	plain, err := k.Open("auth/record/"+key, b)
	if err != nil {
		return Record{}, err
	}
	var w wireRecord
	if err := json.Unmarshal(plain, &w); err != nil {
		return Record{}, fmt.Errorf("%w: its content is not a record", ErrSealed) // the text of err may quote it
	}
	return Record{
		Token: Token{
			Access: Secret(w.Access), Refresh: Secret(w.Refresh), Type: w.Type, Scope: w.Scope,
			Expiry: w.Expiry, Obtained: w.Obtained,
		},
		Generation: Generation(w.Generation), NeedsReauth: w.NeedsReauth, Credentials: w.Credentials,
		CoolDown: w.CoolDown, Failure: w.Failure, Requests: w.Requests,
	}, nil
}
