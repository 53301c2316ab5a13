package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

const exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// A receiver beside the routes that are there already.
func Example() {
	guesty, err := webhook.NewVerifier(webhook.Guesty(), webhook.Secret{ID: "2026-11", Value: exampleSecret})
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver, err := webhook.NewHandler(webhook.Config{
		Resolve: webhook.Paths(map[string]webhook.Endpoint{
			"/hooks/guesty/hotel-7": {Verifier: guesty, Integration: "hotel-7"},
		}),
		Sink: webhook.SinkFunc(func(ctx context.Context, e webhook.Event) error {
			// INSERT INTO events (key, body) VALUES (…) ON CONFLICT DO NOTHING, or a job with e.Key as its unique key.
			fmt.Println("kept", e.Key, e.Kind, e.Trust)
			return nil
		}),
		OnResult: func(_ context.Context, r webhook.Result) {
			fmt.Println(r.Status, r.Outcome)
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/hooks/", receiver)

	// What the partner does, three times.
	for _, altered := range []bool{false, false, true} {
		r := httptest.NewRequest(http.MethodPost, "/hooks/guesty/hotel-7", strings.NewReader(`{"event":"listing.updated"}`))
		r.Header.Set("svix-id", "msg_1")
		if err := webhook.SignRequest(webhook.Guesty().Scheme, r, exampleSecret, time.Now()); err != nil {
			fmt.Println(err)
			return
		}
		if altered {
			r.Body = io.NopCloser(strings.NewReader(`{"event":"listing.removed"}`))
		}
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// kept guesty/hotel-7/msg_1 listing.updated signed
	// 202 accepted
	// 202 duplicate
	// 401 forged
}

// Verifying alone, in a handler of your own that has read the body.
func ExampleVerifier_Verify() {
	v, err := webhook.NewVerifier(webhook.GitHub(), webhook.Secret{Value: "It's a Secret to Everybody"})
	if err != nil {
		fmt.Println(err)
		return
	}
	m := &webhook.Message{
		Header: http.Header{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}},
		Body:   []byte("Hello, World!"),
	}
	_, err = v.Verify(m, time.Now())
	fmt.Println(err)
	m.Body = []byte("Hello, World?")
	_, err = v.Verify(m, time.Now())
	fmt.Println(errors.Is(err, webhook.ErrSignature), err)
	// Output:
	// <nil>
	// true github: webhook: the signature does not match
}

// A test of your own code needs what the partner would send.
func ExampleSignRequest() {
	r := httptest.NewRequest(http.MethodPost, "/hooks/stripe", strings.NewReader(`{"id":"evt_1","type":"charge.succeeded"}`))
	err := webhook.SignRequest(webhook.Stripe().Scheme, r, "whsec_test", time.Unix(1492774577, 0))
	fmt.Println(r.Header.Get("Stripe-Signature"), err)
	// Output:
	// t=1492774577,v1=a2f9680b7feeb431729bd8d607c4d671f9b61b57aa013ce54224930c04962ece <nil>
}

// While a secret is being replaced both are valid, and the old one is counted.
func ExampleVerifier_Uses() {
	until := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	v, err := webhook.NewVerifier(webhook.GitHub(),
		webhook.Secret{ID: "new", Value: "a new secret"},
		webhook.Secret{ID: "old", Value: "the old secret", NotAfter: until},
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	m := &webhook.Message{Body: []byte("{}")}
	if err := webhook.Sign(webhook.GitHub().Scheme, m, "the old secret", time.Time{}); err != nil {
		fmt.Println(err)
		return
	}
	proof, err := v.Verify(m, until.Add(-time.Hour))
	fmt.Println(proof.SecretID, proof.Old, err)
	_, err = v.Verify(m, until)
	fmt.Println(err)
	for _, u := range v.Uses() {
		fmt.Println(u.ID, u.Count)
	}
	// Output:
	// old true <nil>
	// github: webhook: the signature does not match
	// new 0
	// old 1
}
