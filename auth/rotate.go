package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// RotationEvent is what happened to rotating credentials.
type RotationEvent struct {
	Key        string
	Kind       RotationKind
	Generation Generation // in use afterwards
	Err        error      // nil for Rotated
}

// RotationKind is the kind of a [RotationEvent].
type RotationKind uint8

// The kinds of rotation events.
const (
	// Rotated: the new values passed their test, are in use, and passed it again.
	Rotated RotationKind = iota + 1
	// RotationFailed: the new values did not pass; nothing has changed.
	RotationFailed
	// RotationUnverified: the new values passed, are in use, and whether the partner takes them now is not known. They
	// are verified by the next Rotate with them; if they are refused, the way back is taken.
	RotationUnverified
	// RolledBack: the partner refused values in use; those before them are in use again. They passed their test, or
	// nobody could tell, and then State says that they are not verified.
	RolledBack
)

// String returns the name in lower case, as used in metrics and logs.
func (k RotationKind) String() string {
	switch k {
	case Rotated:
		return "rotated"
	case RotationFailed:
		return "rotation_failed"
	case RotationUnverified:
		return "rotation_unverified"
	case RolledBack:
		return "rolled_back"
	}
	return "unknown"
}

// RotationState is the visible state of rotating credentials. It holds no secret.
type RotationState struct {
	Generation Generation // 0: the initial values are in use
	Switched   time.Time  // when the values in use became so; zero: never
	// Verified says that they passed their test since, or when they were gone back to. The initial ones count as such.
	Verified bool
	// FallbackUntil is until when other values are kept, to go back to; zero: none are.
	FallbackUntil time.Time
}

// State returns what the store says of the credentials.
func (r *Rotating) State(ctx context.Context) (RotationState, error) {
	v, err := r.r.load(ctx)
	if err != nil {
		return RotationState{}, err
	}
	st := RotationState{Generation: v.gen, Switched: v.Switched, Verified: v.Verified}
	if time.Now().Before(v.OtherUntil) {
		st.FallbackUntil = v.OtherUntil
	}
	return st, nil
}

// rotation is what a store keeps of credentials, as the access token of a [Record].
type rotation struct {
	Values map[string]Secret
	// Other are the values before Values, or after a way back those that were left; they are of use until OtherUntil.
	Other      map[string]Secret
	OtherUntil time.Time
	Verified   bool
	Switched   time.Time
}

type wireRotation struct {
	Values     map[string]string `json:"values"`
	Other      map[string]string `json:"other,omitempty"`
	OtherUntil time.Time         `json:"other_until,omitzero"`
	Verified   bool              `json:"verified,omitempty"`
	Switched   time.Time         `json:"switched,omitzero"`
}

func (r rotation) encode() (Secret, error) {
	w := wireRotation{plain(r.Values), plain(r.Other), r.OtherUntil, r.Verified, r.Switched}
	b, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("encode the credentials: %w", err) // a time outside the years 0 to 9999
	}
	return Secret(b), nil
}

func decodeRotation(rec Record) (rotation, error) {
	var w wireRotation
	if json.Unmarshal([]byte(rec.Token.Access), &w) != nil || len(w.Values) == 0 {
		return rotation{}, errors.New("the stored credentials are none") // the text of the error may quote them
	}
	return rotation{secrets(w.Values), secrets(w.Other), w.OtherUntil, w.Verified, w.Switched}, nil
}

func plain(values map[string]Secret) map[string]string {
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = string(v)
	}
	return out
}

func secrets(values map[string]string) map[string]Secret {
	out := make(map[string]Secret, len(values))
	for name, v := range values {
		out[name] = Secret(v)
	}
	return out
}

// Rotate replaces the values, fed by a partner's webhook or by a human: it tests the new ones, switches to them in one
// write to the store, for all processes, verifies them, and goes back if the partner refuses them after all, unless it
// refuses those before too. Calls under way keep the values they began with; both are kept for [RotatingConfig]
// Overlap. Values that were never verified are not what is kept: they are tested once more, and if they do not pass,
// those before them are.
//
// One rotation of a key runs at a time, in all processes that share the store; another waits, as long as ctx allows.
// Values that are in use and verified already are no work and no error, so that a webhook may come twice. If the
// process ends at any point, the values in use are ones that passed their test, and the same Rotate again ends what is
// not.
//
// The error wraps Test's, whose class says whether to come back ([retry.ClassOf]): Auth when the values were refused.
func (r *Rotating) Rotate(ctx context.Context, values map[string]Secret) error {
	var p problems
	p.values("values", values)
	var cred *made
	if p == nil {
		var err error
		cred, err = r.r.make(values)
		p.join(err)
	}
	if err := p.err(); err != nil {
		return unsent(fmt.Errorf("auth: %s: rotate: %w", r.r.Key, err))
	}
	event, err := r.r.rotate(ctx, maps.Clone(values), cred)
	if err != nil {
		err = fmt.Errorf("auth: %s: rotate: %w", r.r.Key, err)
	}
	if event.Kind != 0 && r.r.OnEvent != nil {
		event.Key, event.Err = r.r.Key, err
		r.r.OnEvent(event)
	}
	return err
}

// locked runs f with the lock and the values in use. The lock lasts for the tests that f makes, which end within its
// ctx, and its writes.
func (r *rotating) locked(
	ctx context.Context, f func(ctx context.Context, v *values) (RotationEvent, error),
) (RotationEvent, error) {
	unlock, err := r.Store.LockToken(ctx, r.place, 3*r.Timeout)
	if err != nil {
		return RotationEvent{}, fmt.Errorf("lock the credentials: %w", err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(ctx, 5*r.Timeout/2)
	defer cancel()
	v, err := r.load(ctx)
	if err != nil {
		return RotationEvent{}, err
	}
	return f(ctx, v)
}

func (r *rotating) rotate(ctx context.Context, next map[string]Secret, cred *made) (RotationEvent, error) {
	return r.locked(ctx, func(ctx context.Context, v *values) (RotationEvent, error) {
		if maps.Equal(v.Values, next) {
			if v.Verified {
				return RotationEvent{}, nil
			}
			return r.verify(ctx, v)
		}
		failed := RotationEvent{Kind: RotationFailed, Generation: v.gen}
		if err := r.test(ctx, cred); err != nil {
			return failed, fmt.Errorf("the new values did not pass their test: %w", err)
		}
		now := time.Now().Round(0).UTC()
		to := rotation{Values: next, Other: v.Values, OtherUntil: now.Add(r.Overlap), Switched: now}
		if !v.Verified && v.fallback(now) && !maps.Equal(v.Other, next) && r.test(ctx, v.cred) != nil {
			to.Other = v.Other // the last that were good
		}
		switched, err := r.save(ctx, v, to)
		if err != nil {
			return failed, fmt.Errorf("the new values could not be stored: %w", err)
		}
		return r.verify(ctx, switched)
	})
}

// verify tests the values in use, and goes back if they are refused. It has the lock.
func (r *rotating) verify(ctx context.Context, v *values) (RotationEvent, error) {
	err := r.test(ctx, v.cred)
	next := v.rotation
	event := RotationEvent{Kind: Rotated, Generation: v.gen}
	switch {
	case err == nil:
		next.Verified = true
	case refusedBy(err) && v.fallback(time.Now()):
		cred, otherErr := r.make(v.Other)
		if otherErr == nil {
			otherErr = r.test(ctx, cred)
		}
		if cred == nil || refusedBy(otherErr) {
			event.Kind = RotationUnverified
			err = fmt.Errorf("the new values were refused when in use: %w", err)
			return event, fmt.Errorf("%w; those before are no way back: %w", err, otherErr)
		}
		event.Kind, err = RolledBack, fmt.Errorf("the new values were refused when in use, those before are again: %w", err)
		next = v.swapped(otherErr == nil)
	default:
		event.Kind, err = RotationUnverified, fmt.Errorf("the new values are in use, and not verified: %w", err)
		return event, err
	}
	// Whoever asked may be gone; what is known is written all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Timeout/3)
	defer cancel()
	saved, saveErr := r.save(ctx, v, next)
	if saveErr != nil {
		event.Kind = RotationUnverified
		return event, errors.Join(err, fmt.Errorf("what their test said could not be stored: %w", saveErr))
	}
	event.Generation = saved.gen
	return event, err
}

// fallback reports whether there are values to go back to.
func (v *values) fallback(now time.Time) bool { return len(v.Other) > 0 && now.Before(v.OtherUntil) }

// swapped is v with the other values in use.
func (v *values) swapped(verified bool) rotation {
	return rotation{
		Values: v.Other, Other: v.Values, OtherUntil: v.OtherUntil, Verified: verified, Switched: time.Now().Round(0).UTC(),
	}
}

// save writes what is to be in use after v, by compare-and-set, and publishes it. Other values are another generation.
func (r *rotating) save(ctx context.Context, v *values, next rotation) (*values, error) {
	access, err := next.encode()
	if err != nil {
		return nil, err
	}
	rec := Record{Token: Token{Access: access}, Generation: v.gen, Version: v.version}
	if !maps.Equal(v.Values, next.Values) {
		rec.Generation++
	}
	if rec.Version, err = r.Store.SaveToken(ctx, r.place, rec); err != nil {
		return nil, err
	}
	return r.publish(rec, time.Now())
}

func (r *rotating) test(ctx context.Context, c Credential) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return bare(r.Test(ctx, c))
}

func refusedBy(err error) bool { return retry.ClassOf(err) == retry.Auth || errors.Is(err, ErrGrant) }

// healPause is how long after a way back that led nowhere the next is tried.
const healPause = time.Minute

// newer returns what is stored if it is other than v, which was refused, and else whether better may find a way back.
func (r *rotating) newer(ctx context.Context, v *values) (n *values, search bool) {
	n, err := r.load(ctx)
	if err != nil {
		return nil, false // the partner's refusal stands
	}
	if n.gen != v.gen {
		return n, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return nil, n.fallback(time.Now()) && (r.search != nil || time.Since(r.healed) >= healPause)
}

// search is one look for a way back. Those who wait for it read what it found after done.
type search struct {
	done  chan struct{}
	found *values // nil: nothing
}

// better returns values to try when those of v were refused, nil if there are none. All calls wait for one search, each
// as long as it can; the search does not end with any of them, so that an impatient one spoils it for none.
func (r *rotating) better(ctx context.Context, v *values) *values {
	r.mu.Lock()
	s := r.search
	if s == nil {
		if time.Since(r.healed) < healPause {
			r.mu.Unlock()
			return nil
		}
		s = &search{done: make(chan struct{})}
		r.search = s
		go r.find(s, v.gen)
	}
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	select {
	case <-s.done:
	case <-ctx.Done():
		return nil
	}
	if s.found == nil || s.found.gen == v.gen {
		return nil
	}
	return s.found
}

// find is the search for what is better than a generation. It ends within three timeouts.
func (r *rotating) find(s *search, gen Generation) {
	var n *values
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if n != nil && n.gen != gen {
			s.found = n
		} else {
			r.healed = time.Now()
		}
		r.search = nil
		close(s.done)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 3*r.Timeout)
	defer cancel()
	event, err := r.locked(ctx, func(ctx context.Context, cur *values) (RotationEvent, error) {
		n = cur
		if cur.gen != gen || !cur.fallback(time.Now()) { // another process was here
			return RotationEvent{}, nil
		}
		return r.heal(ctx, &n)
	})
	if event.Kind != 0 && r.OnEvent != nil {
		event.Key, event.Err = r.Key, err
		r.OnEvent(event)
	}
}

// heal goes back to the other values of *v, if the partner refuses those in use and takes them. It has the lock.
func (r *rotating) heal(ctx context.Context, v **values) (RotationEvent, error) {
	cur := *v
	refused := r.test(ctx, cur.cred)
	if refused == nil || !refusedBy(refused) {
		return RotationEvent{}, refused // what was refused was not the credentials, or nobody knows
	}
	cred, err := r.make(cur.Other)
	if err == nil {
		err = r.test(ctx, cred)
	}
	if err != nil {
		return RotationEvent{}, err
	}
	saved, err := r.save(ctx, cur, cur.swapped(true))
	if err != nil {
		return RotationEvent{}, err
	}
	*v = saved
	return RotationEvent{Kind: RolledBack, Generation: saved.gen},
		fmt.Errorf("auth: %s: the values in use were refused, others that were kept are in use: %w", r.Key, refused)
}
