package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// partner stands for the network in the examples: a token endpoint and an API.
var partner = rtFunc(func(req *http.Request) (*http.Response, error) {
	body := `{"access_token":"t0k3n","token_type":"Bearer","expires_in":86400}`
	if req.URL.Path != "/oauth2/token" {
		body = req.Header.Get("Authorization") + req.Header.Get("X-Api-Key")
	} else {
		fmt.Println("a token was asked for")
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
})

func call(hc *http.Client, url string) {
	resp, err := hc.Get(url)
	if err != nil {
		fmt.Println("refused:", errors.Is(err, auth.ErrOrigin))
		return
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	fmt.Println("the API saw", string(b), err)
}

// An API key in a header, for one origin.
func ExampleNewAPIKey() {
	key, err := auth.NewAPIKey(auth.APIKeyConfig{
		Header:  "X-Api-Key",
		Key:     "k3y", // from the environment or a secret manager
		Origins: []string{"https://api.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	hc := &http.Client{Transport: key.Wrap(partner)}
	call(hc, "https://api.example.com/v1/listings")
	call(hc, "https://elsewhere.example/v1/listings")
	// Output:
	// the API saw k3y <nil>
	// refused: true
}

// OAuth client credentials with a store that outlives the process: the second Source, after a restart, needs no
// request.
func ExampleNewSource() {
	store := auth.NewMemoryStore() // in earnest: sqlstore.Open
	config := auth.SourceConfig{
		Key: "acme/account-17",
		Exchanger: auth.ClientCredentials{
			TokenURL:     "https://api.example.com/oauth2/token",
			ClientID:     "account-17",
			ClientSecret: "s3cret",
			Scopes:       []string{"open-api"},
			Transport:    partner,
		},
		Store:   store,
		Origins: []string{"https://api.example.com"},
		Budget:  auth.Budget{Requests: 5, Per: 24 * time.Hour},
	}
	for range 2 {
		src, err := auth.NewSource(config)
		if err != nil {
			fmt.Println(err)
			return
		}
		call(&http.Client{Transport: src.Wrap(partner)}, "https://api.example.com/v1/listings")
		st, err := src.State(context.Background())
		fmt.Println("generation", st.Generation, "with", st.Spent, "of 5 token requests", err)
		if err := src.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// a token was asked for
	// the API saw Bearer t0k3n <nil>
	// generation 1 with 1 of 5 token requests <nil>
	// the API saw Bearer t0k3n <nil>
	// generation 1 with 1 of 5 token requests <nil>
}

// Sealing with a key, and opening after the key was replaced.
func ExampleKeys() {
	old := auth.Key{ID: "2025", Secret: auth.KeyBytes([]byte("thirty-two random bytes of 2025!"))}
	keys, err := auth.NewKeys(old)
	if err != nil {
		fmt.Println(err)
		return
	}
	sealed, err := keys.Seal("tokens/acme", []byte("plain"))
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err = auth.NewKeys(auth.Key{ID: "2026", Secret: auth.KeyBytes([]byte("thirty-two random bytes of 2026!"))}, old)
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := keys.Open("tokens/acme", sealed)
	fmt.Println(string(plain), err)
	_, err = keys.Open("tokens/other", sealed)
	fmt.Println(errors.Is(err, auth.ErrSealed))
	// Output:
	// plain <nil>
	// true
}

// A Secret does not print.
func ExampleSecret() {
	fmt.Printf("%v %q %#v\n", auth.Secret("s3cret"), auth.Secret("s3cret"), struct{ Key auth.Secret }{"s3cret"})
	// Output: [redacted] [redacted] struct { Key auth.Secret }{Key:[redacted]}
}
