package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// registered is a subscriber with one registration of a secret of ours.
func registered(t *testing.T, w webhook.Want) (*webhook.Subscriber, *office) {
	t.Helper()
	o := &office{
		terms: webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}}, secrets: map[string]string{}, fail: map[string]error{},
	}
	s := subscriber(t, &webhook.MemoryRegistrations{})
	if _, err := s.Reconcile(t.Context(), o, w); err != nil {
		t.Fatal(err)
	}
	return s, o
}

// deliver sends a message of some age to the endpoint that p is at, and returns the endpoint.
func deliver(t *testing.T, s *webhook.Subscriber, sub webhook.Subscription, key string, p webhook.Partner, age time.Duration) (webhook.Endpoint, error) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, sub.URL, strings.NewReader("{}"))
	now := time.Now()
	if err := webhook.SignRequest(p.Scheme, r, sub.Secret, now.Add(-age)); err != nil {
		t.Fatal(err)
	}
	e, err := s.Endpoint(r, key, "", p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Verifier.Verify(webhook.NewMessage(r, []byte("{}")), now)
	return e, err
}

func uses(e webhook.Endpoint) int64 { return e.Verifier.Uses()[0].Count }

// A partner that is given in another way with the next delivery is what it is given as, and the secret's uses go on.
func TestSubscriber_PartnerGivenOtherwise(t *testing.T) {
	t.Parallel()
	strict := webhook.StandardWebhooks("acme")
	s, o := registered(t, webhook.Want{Key: "hotel-1", Base: base, Partner: strict})
	lax := strict
	lax.Tolerance = time.Hour
	if _, err := deliver(t, s, o.subs[0], "hotel-1", strict, 10*time.Minute); !errors.Is(err, webhook.ErrTimestamp) {
		t.Errorf("strict: %v", err)
	}
	e, err := deliver(t, s, o.subs[0], "hotel-1", lax, 10*time.Minute)
	if err != nil || uses(e) != 1 {
		t.Errorf("lax: %v, %d uses", err, uses(e))
	}
	if _, err := deliver(t, s, o.subs[0], "hotel-1", strict, 10*time.Minute); !errors.Is(err, webhook.ErrTimestamp) {
		t.Errorf("strict again: %v", err)
	}
	other := strict
	other.Scheme = webhook.Standard{Prefixes: []string{"acme"}}
	if e, err = deliver(t, s, o.subs[0], "hotel-1", other, 0); err != nil || uses(e) != 1 {
		t.Errorf("with other headers: %v, %d uses", err, uses(e))
	}
	if e, err = deliver(t, s, o.subs[0], "hotel-1", other, 0); err != nil || uses(e) != 2 {
		t.Errorf("once more: %v, %d uses", err, uses(e))
	}
	bad := other
	bad.Patience = -1
	r := httptest.NewRequest(http.MethodPost, o.subs[0].URL, http.NoBody)
	if _, err := s.Endpoint(r, "hotel-1", "", bad); err == nil {
		t.Error("a partner that is wrong is taken")
	}
}

// A scheme of functions, which cannot be compared, is always the one that is given; the secret's uses go on.
func TestSubscriber_CustomScheme(t *testing.T) {
	t.Parallel()
	scheme := func(header string) webhook.Custom {
		return webhook.Custom{
			Verify: func(m *webhook.Message, secret []byte) (webhook.Proof, error) {
				if m.Header.Get(header) != string(secret) {
					return webhook.Proof{}, webhook.ErrSignature
				}
				return webhook.Proof{Trust: webhook.Authenticated}, nil
			},
			Sign: func(m *webhook.Message, secret []byte, _ time.Time) error {
				m.Header.Set(header, string(secret))
				return nil
			},
		}
	}
	p := webhook.Partner{Name: "acme", Scheme: scheme("X-One")}
	s, o := registered(t, webhook.Want{Key: "hotel-1", Base: base, Partner: p})
	for i, header := range []string{"X-One", "X-Two", "X-One"} {
		p.Scheme = scheme(header)
		if e, err := deliver(t, s, o.subs[0], "hotel-1", p, 0); err != nil || uses(e) != int64(i+1) {
			t.Errorf("%s: %v, %d uses, want %d", header, err, uses(e), i+1)
		}
	}
	p.Scheme = webhook.Custom{}
	r := httptest.NewRequest(http.MethodPost, o.subs[0].URL, http.NoBody)
	if _, err := s.Endpoint(r, "hotel-1", "", p); err == nil {
		t.Error("a scheme without Verify is taken")
	}
}

// More integrations than are remembered cost one of them its count, not all.
func TestSubscriber_ManyIntegrations(t *testing.T) {
	t.Parallel()
	const n = 1001
	o := &office{terms: webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}}, secrets: map[string]string{}, fail: map[string]error{}}
	s, p := subscriber(t, &webhook.MemoryRegistrations{}), webhook.StandardWebhooks("acme")
	key := func(i int) string { return fmt.Sprintf("hotel-%d", i) }
	again := 0
	for round := range 2 {
		for i := range n {
			if round == 0 {
				w := webhook.Want{Key: key(i), Base: fmt.Sprintf("https://hooks.example.com/%d", i), Partner: p}
				if _, err := s.Reconcile(t.Context(), o, w); err != nil {
					t.Fatal(err)
				}
			}
			e, err := deliver(t, s, o.subs[i], key(i), p, 0)
			if err != nil {
				t.Fatal(err)
			}
			if uses(e) == 2 {
				again++
			}
		}
	}
	if again < n/2 {
		t.Errorf("%d of %d have lost their count", n-again, n)
	}
}
