package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Stage is how far one generation of a [Registration] has come.
type Stage uint8

const (
	// Wanted: it is decided, and its URL and our secret are stored. The partner may know of it or not.
	Wanted Stage = iota
	// Current: the partner sends here, and all that is needed to verify it is stored.
	Current
	// Retired: another has taken its place. What comes is taken until its NotAfter.
	Retired
)

// String returns "wanted", "current" or "retired".
func (s Stage) String() string {
	switch s {
	case Wanted:
		return "wanted"
	case Current:
		return "current"
	case Retired:
		return "retired"
	}
	return fmt.Sprintf("Stage(%d)", uint8(s))
}

// Generation is one URL with one secret. A change of the secret is a new generation. It does not print.
type Generation struct {
	ID        string // names it and its secret in counts and logs: "g1"
	URL       string // as registered; its last segment, or a parameter, is a token that nobody can guess
	Secret    string // as [Secret].Value; "" while the partner has not told it. Of a [URLSecret] it is the token.
	Stage     Stage
	CreatedAt time.Time
	NotAfter  time.Time // of a retired one: when its secret is no longer taken
}

// Format prints the ID and the stage, whatever the verb.
func (g Generation) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "webhook.Generation("+g.ID+" "+g.Stage.String()+")")
}

// MarshalJSON leaves out what Format leaves out.
func (g Generation) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(g)) }

// Registration is what is known on our side of one integration's webhooks: which URLs and secrets are in use, and who
// is at work on them. It does not print its secrets; MarshalBinary has them.
type Registration struct {
	Key         string // of the integration
	Version     int64  // of the stored document, from 1; 0: it is not stored
	Next        int    // number of the next generation
	Generations []Generation
	// Holder has the registration until the time at Until: one process works on it at a time.
	Holder string
	Until  time.Time
}

// Format prints the key and the generations, whatever the verb.
func (r Registration) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, fmt.Sprintf("webhook.Registration(%s %v)", r.Key, r.Generations))
}

// MarshalJSON leaves out what Format leaves out.
func (r Registration) MarshalJSON() ([]byte, error) { return json.Marshal(fmt.Sprint(r)) }

// registrationDoc and generationDoc are the stored form.
type registrationDoc struct {
	Next        int             `json:"next"`
	Generations []generationDoc `json:"generations"`
	Holder      string          `json:"holder,omitempty"`
	Until       time.Time       `json:"until,omitzero"`
}

type generationDoc Generation

// MarshalBinary returns the document that a store keeps, without Key and Version. It holds secrets: a store seals it.
func (r Registration) MarshalBinary() ([]byte, error) {
	d := registrationDoc{Next: r.Next, Holder: r.Holder, Until: r.Until}
	for _, g := range r.Generations {
		d.Generations = append(d.Generations, generationDoc(g))
	}
	return json.Marshal(d)
}

// UnmarshalBinary reads what MarshalBinary wrote into all but Key and Version.
func (r *Registration) UnmarshalBinary(raw []byte) error {
	var d registrationDoc
	if json.Unmarshal(raw, &d) != nil {
		return errors.New("webhook: a stored registration cannot be read") // the decoder's text could quote a secret
	}
	r.Next, r.Holder, r.Until, r.Generations = d.Next, d.Holder, d.Until, nil
	for _, g := range d.Generations {
		r.Generations = append(r.Generations, Generation(g))
	}
	return nil
}

// ErrConflict says that a registration was changed by another since it was loaded.
var ErrConflict = errors.New("webhook: the registration was changed by another")

// Registrations stores one document for each key. Its methods may be called by several goroutines, and by processes
// where the store is shared. webhooktest.Registrations tells whether an implementation keeps to this.
type Registrations interface {
	// Load returns the registration with the key; one with Version 0 if there is none.
	Load(ctx context.Context, key string) (Registration, error)
	// Save stores r, if what is stored has r.Version (0: nothing is), and returns the new version, which the key has
	// not had before. [ErrConflict] otherwise; nothing is changed then. When it returns nil, r is where it survives
	// what the store survives.
	Save(ctx context.Context, r Registration) (version int64, err error)
	// Delete removes the registration, if it has that version. [ErrConflict] if it has another, or is not there.
	Delete(ctx context.Context, key string, version int64) error
}

// MemoryRegistrations is a [Registrations] of this process, for tests: secrets that are forgotten cannot be asked for
// again at every partner. The zero value is ready.
type MemoryRegistrations struct {
	mu   sync.Mutex // guards the fields below
	keys map[string]Registration
	next int64
}

// Load implements [Registrations].
func (s *MemoryRegistrations) Load(_ context.Context, key string) (Registration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.keys[key]
	r.Key, r.Generations = key, slices.Clone(r.Generations)
	return r, nil
}

// Save implements [Registrations].
func (s *MemoryRegistrations) Save(_ context.Context, r Registration) (int64, error) {
	if r.Key == "" {
		return 0, errors.New("webhook: a registration without a key cannot be kept")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[r.Key].Version != r.Version {
		return 0, ErrConflict
	}
	if s.keys == nil {
		s.keys = map[string]Registration{}
	}
	s.next++
	r.Version, r.Generations = s.next, slices.Clone(r.Generations)
	s.keys[r.Key] = r
	return r.Version, nil
}

// Delete implements [Registrations].
func (s *MemoryRegistrations) Delete(_ context.Context, key string, version int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.keys[key]; !ok || r.Version != version {
		return ErrConflict
	}
	delete(s.keys, key)
	return nil
}

// Format prints the keys, whatever the verb.
func (s *MemoryRegistrations) Format(f fmt.State, _ rune) {
	s.mu.Lock()
	keys := slices.Sorted(maps.Keys(s.keys))
	s.mu.Unlock()
	_, _ = io.WriteString(f, fmt.Sprintf("webhook.MemoryRegistrations(%q)", keys))
}

// tokenURL returns base with a token in it: as its last segment, or in the parameter.
func tokenURL(base, param, token string) string {
	u, err := url.Parse(base)
	if err != nil {
		return base // was checked before
	}
	if param == "" {
		u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/")+"/"+token, ""
		return u.String()
	}
	q := u.Query()
	q.Set(param, token)
	u.RawQuery = q.Encode()
	return u.String()
}

// tokenOf returns the token in a URL that tokenURL made.
func tokenOf(u *url.URL, param string) string {
	if param != "" {
		return u.Query().Get(param)
	}
	return u.Path[strings.LastIndexByte(u.Path, '/')+1:]
}

// plain is a URL as it is compared: partners change the case of the host, and slashes at the end.
func plain(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	u.Scheme, u.Host, u.Fragment = strings.ToLower(u.Scheme), strings.ToLower(u.Host), ""
	return strings.TrimSuffix(u.String(), "/")
}

// below reports whether a URL is base or below it.
func below(raw, base string) bool {
	rest, ok := strings.CutPrefix(plain(raw), plain(base))
	return ok && (rest == "" || rest[0] == '/' || rest[0] == '?')
}
