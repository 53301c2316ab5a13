package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// A human authorizes the host at a partner; from then on the Source refreshes. The two handlers are mounted behind
// the host's login; the page that leads to them holds <form method="post" action="/connect"><button>…
func ExampleNewCodeFlow() {
	client := auth.RefreshToken{
		TokenURL:     "https://api.example.com/oauth2/token",
		ClientID:     "our-app",
		ClientSecret: "s3cret",
		Transport:    partner,
	}
	src, err := auth.NewSource(auth.SourceConfig{
		Key: "acme/hotel-7", Exchanger: client, Origins: []string{"https://api.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer src.Close()
	keys, err := auth.NewKeys(auth.Key{ID: "2026", Secret: auth.KeyBytes([]byte("thirty-two random bytes of 2026!"))})
	if err != nil {
		fmt.Println(err)
		return
	}
	flow, err := auth.NewCodeFlow(auth.CodeFlowConfig{
		Client:       client,
		AuthorizeURL: "https://partner.example/authorize",
		CallbackURL:  "https://host.example/connect/callback",
		Keys:         keys,
		Subject:      func(*http.Request) (string, error) { return "hotel-7", nil }, // from the host's session
		OnToken: func(ctx context.Context, subject string, t auth.Token) error {
			return src.Replace(ctx, t) // the source of that subject
		},
		Done: "/integrations",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("POST /connect", flow.Start())
	mux.Handle("GET /connect/callback", flow.Callback())

	w := httptest.NewRecorder() // a browser: the button
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "https://host.example/connect", nil))
	page, err := w.Result().Location()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("the browser is at", page.Host, "which wants", page.Query().Get("code_challenge_method"))

	back := httptest.NewRequest(http.MethodGet, "https://host.example/connect/callback?code=c0de&state="+page.Query().Get("state"), nil)
	back.AddCookie(w.Result().Cookies()[0])
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, back)
	fmt.Println("the browser is at", w.Header().Get("Location"))
	call(&http.Client{Transport: src.Wrap(partner)}, "https://api.example.com/v1/listings")
	// Output:
	// the browser is at partner.example which wants S256
	// a token was asked for
	// the browser is at /integrations
	// the API saw Bearer t0k3n <nil>
}

// An HMAC of method, path and body, with the time of the attempt.
func ExampleNewSigner() {
	signer, err := auth.NewSigner(auth.SignerConfig{
		Sign: func(req *http.Request, body []byte) error {
			at := "1767225600" // in earnest: strconv.FormatInt(time.Now().Unix(), 10)
			mac := hmac.New(sha256.New, []byte("s3cret"))
			fmt.Fprintf(mac, "%s\n%s\n%s\n%s", at, req.Method, req.URL.RequestURI(), body)
			req.Header.Set("X-Api-Key", at+" "+hex.EncodeToString(mac.Sum(nil))[:16])
			return nil
		},
		Origins: []string{"https://api.example.com"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	hc := &http.Client{Transport: signer.Wrap(partner)}
	call(hc, "https://api.example.com/v1/listings")
	call(hc, "https://elsewhere.example/v1/listings")
	// Output:
	// the API saw 1767225600 075dc4868c760ae9 <nil>
	// refused: true
}

// An API with a token exchange of its own, here in the words of Booking.com's: one JSON object for another, a JWT that
// says itself how long it lives, and 30 exchanges an hour.
func ExampleSession() {
	login := rtFunc(func(req *http.Request) (*http.Response, error) {
		body := fmt.Sprintf(`{"jwt":"h.%s.s","ruid":"8b0a6d3c"}`, base64.RawURLEncoding.EncodeToString(
			fmt.Appendf(nil, `{"exp":%d}`, time.Now().Add(time.Hour).Unix())))
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
	})
	src, err := auth.NewSource(auth.SourceConfig{
		Key: "booking/machine-41001",
		Exchanger: auth.Session{
			URL:       "https://login.example.com/token-based-authentication/exchange",
			Body:      map[string]auth.Secret{"client_id": "41001", "client_secret": "s3cret"},
			Token:     "jwt",
			RequestID: "ruid",     // in errors, for the partner's support
			RefusedBy: []int{400}, // as 401 and 403 do
			Transport: login,
		},
		Origins: []string{"https://api.example.com"},
		Budget:  auth.Budget{Requests: 30, Per: time.Hour},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer src.Close()
	token, generation, err := src.Token(context.Background())
	fmt.Println("generation", generation, "lives for", token.Expiry.Sub(token.Obtained).Round(time.Minute), err)
	// Output:
	// generation 1 lives for 1h0m0s <nil>
}

// A hotel that is closed for the winter: no call needs its token, a sweep each day keeps its grant alive.
func ExampleSource_KeepAlive() {
	src, err := auth.NewSource(auth.SourceConfig{
		Key: "acme/hotel-7",
		Exchanger: auth.RefreshToken{
			TokenURL: "https://api.example.com/oauth2/token", ClientID: "our-app", ClientSecret: "s3cret", Transport: partner,
		},
		Origins:         []string{"https://api.example.com"},
		RefreshLifetime: 30 * 24 * time.Hour, // says the partner
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer src.Close()
	ctx := context.Background()
	autumn := time.Now().Add(-21 * 24 * time.Hour)
	if err := src.Replace(ctx, auth.Token{Refresh: "from the human", Obtained: autumn}); err != nil {
		fmt.Println(err)
		return
	}
	for range 2 { // days
		fmt.Println("swept", src.KeepAlive(ctx))
	}
	st, err := src.State(ctx)
	fmt.Println("generation", st.Generation, "would die in", time.Until(st.RefreshDies).Round(time.Hour), err)
	// Output:
	// a token was asked for
	// swept <nil>
	// swept <nil>
	// generation 2 would die in 720h0m0s <nil>
}

// A partner announces a new key by webhook (or a human pastes it): it is tested before anybody uses it, switched to for
// all processes that share the store, verified, and taken back if the partner refuses it after all. Calls under way are
// not disturbed.
func ExampleRotating_Rotate() {
	takes := map[string]bool{"old": true, "new": true} // while the partner changes over, both
	api := rtFunc(func(req *http.Request) (*http.Response, error) {
		status := http.StatusOK
		if !takes[req.Header.Get("X-Api-Key")] {
			status = http.StatusUnauthorized
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(req.Header.Get("X-Api-Key"))), Request: req}, nil
	})
	key, err := auth.NewRotating(auth.RotatingConfig{
		Key:     "acme/app",
		Initial: map[string]auth.Secret{"api_key": "old"}, // from the configuration
		Store:   auth.NewMemoryStore(),                    // in earnest: sqlstore.Open
		Make: func(values map[string]auth.Secret) (auth.Credential, error) {
			return auth.NewAPIKey(auth.APIKeyConfig{
				Header: "X-Api-Key", Key: values["api_key"], Origins: []string{"https://api.example.com"},
			})
		},
		Test: func(ctx context.Context, c auth.Credential) error { // a driver's Check would do
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/v1/me", nil)
			if err != nil {
				return err
			}
			resp, err := c.Wrap(api).RoundTrip(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode == http.StatusUnauthorized {
				return auth.ErrGrant
			}
			return nil
		},
		OnEvent: func(e auth.RotationEvent) { fmt.Println(e.Kind, "generation", e.Generation) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	hc := &http.Client{Transport: key.Wrap(api)}
	call(hc, "https://api.example.com/v1/listings")

	ctx := context.Background() // of the job that the webhook led to
	fmt.Println("a typo:", key.Rotate(ctx, map[string]auth.Secret{"api_key": "nwe"}) != nil)
	fmt.Println("the new key:", key.Rotate(ctx, map[string]auth.Secret{"api_key": "new"}))
	call(hc, "https://api.example.com/v1/listings")
	// Output:
	// the API saw old <nil>
	// rotation_failed generation 0
	// a typo: true
	// rotated generation 1
	// the new key: <nil>
	// the API saw new <nil>
}
