package auth_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

func key(id string, fill byte) auth.Key {
	return auth.Key{ID: id, Secret: auth.KeyBytes(bytes.Repeat([]byte{fill}, 32))}
}

func newKeys(t testing.TB, keys ...auth.Key) *auth.Keys {
	t.Helper()
	k, err := auth.NewKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *auth.Keys, place, plain string) []byte {
	t.Helper()
	b, err := k.Seal(place, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewKeysNamesAllProblems(t *testing.T) {
	_, err := auth.NewKeys(key("", 1), key("a", 1), key("a", 2), auth.Key{ID: "zero"}, key(strings.Repeat("x", 256), 1))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"key 0", "key 2", "twice", "key 3", "all zero", "key 4", "256"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	if _, err := auth.NewKeys(); err == nil {
		t.Error("no key was accepted")
	}
}

func TestSealAndOpen(t *testing.T) {
	before := newKeys(t, key("2025", 1))
	after := newKeys(t, key("2026", 2), key("2025", 1))
	for _, plain := range []string{"", "x", strings.Repeat("long ", 1<<16)} {
		sealed := seal(t, before, "place", plain)
		if got, err := after.Open("place", sealed); err != nil || string(got) != plain {
			t.Errorf("%d bytes, opened after a change of keys: %d bytes, %v", len(plain), len(got), err)
		}
		if id, err := auth.KeyID(sealed); err != nil || id != "2025" {
			t.Errorf("KeyID: %s, %v, want 2025", id, err)
		}
	}
	newer := seal(t, after, "place", "x")
	if id, err := auth.KeyID(newer); err != nil || id != "2026" {
		t.Errorf("KeyID: %s, %v, want 2026, the first key", id, err)
	}
	if _, err := before.Open("place", newer); !errors.Is(err, auth.ErrKey) || !strings.Contains(err.Error(), "2026") {
		t.Errorf("with a key that is not there: %v, want ErrKey with its id", err)
	}
	if _, err := after.Open("elsewhere", newer); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("at another place: %v, want ErrSealed", err)
	}
	if _, err := newKeys(t, key("2026", 3)).Open("place", newer); !errors.Is(err, auth.ErrSealed) {
		t.Errorf("with another key of that id: %v, want ErrSealed", err)
	}
	if a, b := seal(t, after, "p", "x"), seal(t, after, "p", "x"); bytes.Equal(a, b) {
		t.Error("two seals of one text are equal")
	}
}

func TestAlteredSealsNeverOpen(t *testing.T) {
	k := newKeys(t, key("a", 1), key("b", 2))
	sealed := seal(t, k, "place", "plain text")
	refused := func(what string, b []byte) {
		if got, err := k.Open("place", b); err == nil || got != nil {
			t.Errorf("%s: opened", what)
		} else if !errors.Is(err, auth.ErrSealed) && !errors.Is(err, auth.ErrKey) {
			t.Errorf("%s: %v, want ErrSealed or ErrKey", what, err)
		}
	}
	for i := range sealed {
		for bit := range 8 {
			b := bytes.Clone(sealed)
			b[i] ^= 1 << bit
			refused(fmt.Sprintf("byte %d bit %d", i, bit), b)
		}
		refused(fmt.Sprintf("cut to %d", i), sealed[:i])
	}
	refused("with a byte more", append(bytes.Clone(sealed), 0))
	refused("nil", nil)
}

func FuzzOpen(f *testing.F) {
	k := newKeys(f, key("a", 1))
	// The one thing that was ever sealed with this key at this place; it also keeps the format readable for ever.
	good, err := hex.DecodeString("4b0101614c3956e417ba945aeffd945214c2a2fa75501a7a8c6ed520c1e75fdb6c71ea582d")
	if err != nil {
		f.Fatal(err)
	}
	if plain, err := k.Open("place", good); err != nil || string(plain) != "plain" {
		f.Fatalf("a seal of an earlier day: %q, %v", plain, err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Add([]byte{'K', 1, 1, 'a'})
	f.Add([]byte{'K', 2, 1, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := k.Open("place", b)
		if err == nil && !bytes.Equal(b, good) {
			t.Errorf("%x opened as %q: nobody sealed it", b, plain)
		}
		if err != nil && !errors.Is(err, auth.ErrKey) && !errors.Is(err, auth.ErrSealed) {
			t.Errorf("%v is neither ErrKey nor ErrSealed", err)
		}
		if _, err := k.OpenRecord("place", b); err == nil {
			t.Errorf("%x opened as a record", b)
		}
	})
}

func TestSealedRecords(t *testing.T) {
	k := newKeys(t, key("a", 1))
	r := rand.New(rand.NewPCG(1, 2))
	at := func() time.Time {
		if r.IntN(4) == 0 {
			return time.Time{}
		}
		return time.Unix(r.Int64N(4e9), r.Int64N(1e9)).UTC()
	}
	for range 200 {
		want := auth.Record{
			Token: auth.Token{
				Access: auth.Secret(strings.Repeat("é\x00\"", r.IntN(50))), Refresh: "r", Type: "Bearer", Expiry: at(), Obtained: at(), Scope: "s",
			},
			Generation: auth.Generation(r.Uint64()), NeedsReauth: "why", Credentials: "fp", CoolDown: at(),
		}
		for range r.IntN(4) {
			want.Requests = append(want.Requests, at())
		}
		b, err := k.SealRecord("key", want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := k.OpenRecord("key", b); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v: got %+v, want %+v", err, got, want)
		}
		if _, err := k.OpenRecord("other", b); !errors.Is(err, auth.ErrSealed) {
			t.Fatalf("under another key: %v, want ErrSealed", err)
		}
	}
	b := seal(t, k, "auth/record/key", "canary, not JSON")
	if _, err := k.OpenRecord("key", b); !errors.Is(err, auth.ErrSealed) || strings.Contains(err.Error(), "canary") {
		t.Errorf("a seal of something else: %v, want ErrSealed", err)
	}
	if _, err := k.SealRecord("key", auth.Record{CoolDown: time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
		t.Error("a time that cannot be encoded was sealed")
	}
}

func TestSecretsComeBackFromText(t *testing.T) {
	var c struct{ Key auth.Secret }
	if err := json.Unmarshal([]byte(`{"Key":"value"}`), &c); err != nil || c.Key != "value" {
		t.Errorf("read from JSON: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"Key":"[redacted]"}`), &c); err == nil {
		t.Error("a redacted secret was read as one")
	}
}
