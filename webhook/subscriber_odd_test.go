package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

func TestSubscriber_Problems(t *testing.T) {
	t.Parallel()
	_, err := webhook.NewSubscriber(webhook.SubscriberConfig{Overlap: -1})
	for _, part := range []string{"Store", "Overlap"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %s", err, part)
		}
	}
	s := subscriber(t, &webhook.MemoryRegistrations{})
	secure := webhook.StandardWebhooks("acme")
	for _, tc := range []struct {
		name  string
		terms webhook.Terms
		want  webhook.Want
		parts []string
	}{
		{"nothing", webhook.Terms{}, webhook.Want{}, []string{"Key", "Base", "Name", "Scheme", "Events"}},
		{"a base in clear", webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}},
			webhook.Want{Key: "k", Base: "http://hooks.example.com/x", Partner: secure}, []string{"https"}},
		{"a base with a query", webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}},
			webhook.Want{Key: "k", Base: "https://hooks.example.com/x?y=z", Partner: secure}, []string{"Base"}},
		{"an empty event", webhook.Terms{Secret: webhook.FromUs}, webhook.Want{Key: "k", Base: base, Partner: secure, Events: []string{"a", ""}}, []string{"Events"}},
		{"signed, and without a secret", webhook.Terms{Events: []string{"a"}}, webhook.Want{Key: "k", Base: base, Partner: secure}, []string{"url"}},
		{"a secret, and not signed", webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}},
			webhook.Want{Key: "k", Base: base, Partner: webhook.Cloudbeds()}, []string{"us"}},
		{"a secret for each event", webhook.Terms{Secret: webhook.FromPartner, PerEvent: true, Events: []string{"a"}},
			webhook.Want{Key: "k", Base: base, Partner: secure}, []string{"not supported"}},
		{"a scheme that is none", webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}},
			webhook.Want{Key: "k", Base: base, Partner: webhook.Partner{Name: "acme", Scheme: webhook.HMAC{}}}, []string{"HMAC"}},
		{"public keys are not made here", webhook.Terms{Secret: webhook.FromUs, Events: []string{"a"}},
			webhook.Want{Key: "k", Base: base, Partner: webhook.Airbnb()}, []string{"not made here"}},
	} {
		for name, run := range map[string]func(context.Context, webhook.Registrar, webhook.Want) (webhook.Report, error){
			"reconcile": s.Reconcile, "rotate": s.Rotate, "remove": s.Remove,
		} {
			if name == "remove" && tc.name == "public keys are not made here" {
				continue // none has to be made
			}
			_, err := run(t.Context(), &office{terms: tc.terms}, tc.want)
			for _, part := range tc.parts {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%s: %s: got %v, want %s", name, tc.name, err, part)
				}
			}
		}
	}
}

// TestSubscriber_SecretsOfEveryScheme: a secret of ours is one that the scheme reads, and that nobody guesses.
func TestSubscriber_SecretsOfEveryScheme(t *testing.T) {
	t.Parallel()
	for _, scheme := range []webhook.Scheme{
		webhook.Standard{}, webhook.HMAC{Header: "X"}, webhook.HMAC{Header: "X", Secret: webhook.SecretHex}, webhook.HMAC{Header: "X", Secret: webhook.SecretBase64},
		webhook.Token{}, webhook.Basic{}, webhook.Digest{Header: "X"}, webhook.FormHMAC{Header: "X"},
	} {
		w := way{partner: webhook.Partner{Name: "acme", Scheme: scheme}, terms: webhook.Terms{Secret: webhook.FromUs, Events: []string{"a", "b"}}}
		o, r := w.office()
		store := &webhook.MemoryRegistrations{}
		s := subscriber(t, store)
		if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil {
			t.Errorf("%T: %v", scheme, err)
			continue
		}
		w.settled(t, s, o, store)
		if secret := o.subs[0].Secret; len(secret) < 40 {
			t.Errorf("%T: a secret of %d bytes", scheme, len(secret))
		}
	}
}

// TestSubscriber_WhatFails: an error of the partner's is returned, nothing is lost by it, and the next call goes on.
func TestSubscriber_WhatFails(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		synctest.Test(t, func(t *testing.T) {
			for _, method := range []string{"list", "subscribe", "unsubscribe", "secret"} {
				if method == "secret" && !w.tells {
					continue
				}
				o, r := w.office()
				store := &webhook.MemoryRegistrations{}
				s := subscriber(t, store)
				if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil {
					t.Fatal(err)
				}
				o.fail[method] = &retry.Error{Verdict: retry.Verdict{Class: retry.RateLimit}, Err: errors.New("slow down")}
				if _, err := s.Rotate(t.Context(), r, w.want()); retry.ClassOf(err) != retry.RateLimit || !strings.Contains(err.Error(), "hotel-1") {
					t.Errorf("%s: %s fails: got %v", w.name, method, err)
				}
				for _, status := range w.send(t, s, o) {
					if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
						t.Errorf("%s: %s failed, and a delivery was answered %d", w.name, method, status)
					}
				}
				delete(o.fail, method)
				if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil {
					t.Errorf("%s: after %s failed: %v", w.name, method, err)
				}
				w.settled(t, s, o, store)
				if o.next > 4 {
					t.Errorf("%s: %s failed once, and %d were made", w.name, method, o.next)
				}
			}
		})
	}
}

func TestSubscriber_Undead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := ways[4]
		o, r := w.office()
		s := subscriber(t, &webhook.MemoryRegistrations{})
		if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil {
			t.Fatal(err)
		}
		o.undead = true
		rep, err := s.Rotate(t.Context(), r, w.want())
		if err != nil || len(rep.Removed) != 2 || len(rep.Undead) != 2 {
			t.Errorf("got %+v, %v", rep, err)
		}
		time.Sleep(25 * time.Hour)
		want := map[int]int{http.StatusNotFound: 2, http.StatusAccepted: 2}
		got := map[int]int{}
		for _, status := range w.send(t, s, o) {
			got[status]++
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// TestSubscriber_SecretLater: the partner has no secret at first; until it has, what it sends is asked for again.
func TestSubscriber_SecretLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := ways[3]
		o, r := w.office()
		o.slow = 2
		store := &webhook.MemoryRegistrations{}
		s := subscriber(t, store)
		for range 2 {
			_, err := s.Reconcile(t.Context(), r, w.want())
			if at := retry.At(err); !errors.Is(err, webhook.ErrNoSecretYet) || !at.After(time.Now()) || retry.ClassOf(err) != retry.Transient {
				t.Fatalf("got %v", err)
			}
			if got := w.send(t, s, o); !slices.Equal(got, []int{http.StatusServiceUnavailable}) {
				t.Errorf("without a secret: got %v", got)
			}
			time.Sleep(time.Until(retry.At(err)))
		}
		if _, err := s.Reconcile(t.Context(), r, w.want()); err != nil || o.next != 1 {
			t.Errorf("got %v, %d made", err, o.next)
		}
		w.settled(t, s, o, store)

		// Somebody registers the same URL anew: there is another secret, and what was signed with the old one still counts.
		old := slices.Clone(o.subs)
		o.subs[0].Secret = "whsec_" + strings.Repeat("B", 40)
		o.secrets[o.subs[0].URL] = o.subs[0].Secret
		if got := w.send(t, s, o); !slices.Equal(got, []int{http.StatusUnauthorized}) {
			t.Errorf("another secret: got %v", got)
		}
		if rep, err := s.Reconcile(t.Context(), r, w.want()); err != nil || !rep.Started || len(rep.Removed)+len(rep.Added) != 0 {
			t.Errorf("another secret: %+v, %v", rep, err)
		}
		w.settled(t, s, o, store)
		if got := w.send(t, s, &office{subs: old}); !slices.Equal(got, []int{http.StatusAccepted}) {
			t.Errorf("the secret before: got %v", got)
		}
		// A secret that cannot be read does not take the place of one that can.
		o.secrets[o.subs[0].URL] = "whsec_!"
		if _, err := s.Reconcile(t.Context(), r, w.want()); err == nil {
			t.Error("a secret that cannot be read is taken")
		}
		w.settled(t, s, o, store)
	})
}

// liar registers something else than it was asked to.
type liar struct {
	*office
	change func(*webhook.Subscription)
}

func (l liar) Subscribe(ctx context.Context, s webhook.Subscription) (webhook.Subscription, error) {
	s, err := l.office.Subscribe(ctx, s)
	l.change(&s)
	return s, err
}

func TestSubscriber_RegisteredOtherwise(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*webhook.Subscription){
		"URL":    func(s *webhook.Subscription) { s.URL = base },
		"events": func(s *webhook.Subscription) { s.Events = s.Events[:1] },
		"secret": func(s *webhook.Subscription) { s.Secret = "" },
	} {
		w := ways[2]
		o, _ := w.office()
		s := subscriber(t, &webhook.MemoryRegistrations{})
		_, err := s.Reconcile(t.Context(), liar{o, change}, w.want())
		if err == nil || strings.Contains(err.Error(), base) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	// The case of the host and a slash at the end are no other URL.
	w := ways[0]
	o, _ := w.office()
	s := subscriber(t, &webhook.MemoryRegistrations{})
	same := liar{o, func(s *webhook.Subscription) { s.URL = strings.Replace(s.URL, "hooks", "HOOKS", 1) + "/" }}
	if _, err := s.Reconcile(t.Context(), same, w.want()); err != nil {
		t.Errorf("written in another way: %v", err)
	}
}

// lost loses what it is told after so many saves: another process has taken the lease.
type lost struct {
	webhook.Registrations
	saves int
}

func (l *lost) Save(ctx context.Context, r webhook.Registration) (int64, error) {
	if l.saves--; l.saves < 0 {
		return 0, fmt.Errorf("lost: %w", webhook.ErrConflict)
	}
	return l.Registrations.Save(ctx, r)
}

func TestSubscriber_LeaseLost(t *testing.T) {
	t.Parallel()
	w := ways[0]
	for saves := range 4 {
		o, r := w.office()
		s := subscriber(t, &lost{&webhook.MemoryRegistrations{}, saves})
		if _, err := s.Reconcile(t.Context(), r, w.want()); !errors.Is(err, webhook.ErrConflict) {
			t.Errorf("after %d saves: got %v", saves, err)
		}
		if saves < 2 && len(o.subs) > 0 {
			t.Errorf("after %d saves the partner was told of what is not stored", saves)
		}
	}
}

func TestPromise8_RegistrationsDoNotPrint(t *testing.T) {
	t.Parallel()
	g := webhook.Generation{ID: "g1", URL: base + "/canary", Secret: "canary"}
	reg := webhook.Registration{Key: "hotel-1", Generations: []webhook.Generation{g}}
	store := &webhook.MemoryRegistrations{}
	if _, err := store.Save(t.Context(), reg); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal([]any{g, &g, reg, &reg})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", g, &g, g), fmt.Sprintf("%v %+v %#v %s", reg, &reg, reg, reg), fmt.Sprintf("%v %#v", store, store), string(raw)} {
		if strings.Contains(text, "canary") || !strings.Contains(text, "g1") && !strings.Contains(text, "hotel-1") {
			t.Errorf("got %s", text)
		}
	}
	for stage, want := range map[webhook.Stage]string{webhook.Wanted: "wanted", webhook.Current: "current", webhook.Retired: "retired", 9: "Stage(9)"} {
		if got := stage.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	doc, err := reg.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := webhook.Registration{Key: "hotel-1"}
	if err := again.UnmarshalBinary(doc); err != nil || !slices.Equal(again.Generations, reg.Generations) {
		t.Errorf("what is stored is not what was: %v", err)
	}
	if err := reg.UnmarshalBinary([]byte(`{"next":"canary`)); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("a document that is none: got %v", err)
	}
}
