package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

const (
	clientSecret = "client-secret-of-32-bytes-or-so."
	issueKey     = "a-key-that-only-we-have-of-32-by"
)

func tokenEndpoint(t testing.TB, change func(*webhook.TokenEndpointConfig)) *webhook.TokenEndpoint {
	t.Helper()
	c := webhook.TokenEndpointConfig{
		Clients: map[string][]webhook.Secret{"cns": {{Value: clientSecret}}},
		Key:     webhook.Secret{Value: issueKey}, Member: "jwt",
	}
	if change != nil {
		change(&c)
	}
	e, err := webhook.NewTokenEndpoint(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func credentials(id, secret string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
}

// ask asks for a token and returns the answer's status and members.
func ask(e http.Handler, form string, changes ...func(*http.Request)) (*httptest.ResponseRecorder, map[string]any) {
	r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	var members map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &members)
	return w, members
}

// TestTokenEndpoint: what it gives out is what the receiver takes, until it ends.
func TestTokenEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		told := ""
		e := tokenEndpoint(t, func(c *webhook.TokenEndpointConfig) {
			c.Lifetime = 10 * time.Minute
			c.OnResult = func(_ context.Context, client string, err error) { told = fmt.Sprint(client, " ", err) }
		})
		w, members := ask(e, credentials("cns", clientSecret).Encode())
		jwt, _ := members["jwt"].(string)
		if w.Code != 200 || jwt == "" || members["access_token"] != jwt || members["token_type"] != "Bearer" || members["expires_in"] != 600.0 ||
			w.Header().Get("Cache-Control") != "no-store" || told != "cns <nil>" {
			t.Fatalf("got %d %v; told %q", w.Code, members, told)
		}
		v, err := webhook.NewVerifier(webhook.BookingCom(), webhook.Secret{ID: "new", Value: issueKey + "2"}, webhook.Secret{ID: "old", Value: issueKey})
		if err != nil {
			t.Fatal(err)
		}
		verify := func(token string) (webhook.Proof, error) {
			return v.Verify(&webhook.Message{Header: headers("Authorization", "Bearer "+token), Body: []byte("{}")}, time.Now())
		}
		if p, err := verify(jwt); err != nil || p.Trust != webhook.Authenticated || p.SecretID != "old" || !p.Old {
			t.Errorf("got %+v, %v", p, err)
		}
		for name, forged := range map[string]string{
			"nothing": "", "a part": jwt[:len(jwt)-4], "padded": jwt + "=", "three dots": strings.Repeat(".", 3), "another's": otherIssuer(t, jwt),
			"the head alone": jwt[:strings.IndexByte(jwt, '.')+1], "long": jwt + strings.Repeat("A", 20_000),
			"without algorithm": base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + jwt[strings.IndexByte(jwt, '.'):],
			"of no end":         forge(`{"iss":"webhook","sub":"cns"}`), "no claims": forge("[]"), "of somebody else": forge(`{"iss":"x","exp":99999999999}`),
		} {
			if p, err := verify(forged); err == nil {
				t.Errorf("%s passes: %+v", name, p)
			}
		}
		time.Sleep(16 * time.Minute) // its time, and the tolerance
		if _, err := verify(jwt); !errors.Is(err, webhook.ErrTimestamp) {
			t.Errorf("after its end: got %v", err)
		}
	})
}

// otherIssuer changes the payload of a token.
func otherIssuer(t *testing.T, jwt string) string {
	t.Helper()
	parts := strings.Split(jwt, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), "cns", "CNS", 1)))
	return strings.Join(parts, ".")
}

// forge signs claims with the right key.
func forge(claims string) string {
	content := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	h := hmac.New(sha256.New, []byte(issueKey))
	h.Write([]byte(content))
	return content + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func TestTokenEndpoint_Refusals(t *testing.T) {
	t.Parallel()
	var told error
	e := tokenEndpoint(t, func(c *webhook.TokenEndpointConfig) {
		c.Attempts = 1000
		c.Clients["changing"] = []webhook.Secret{
			{Value: clientSecret + "2"}, {Value: clientSecret, NotAfter: time.Now().Add(time.Hour)}, {Value: clientSecret + "0", NotAfter: time.Now().Add(-time.Hour)},
		}
		c.OnResult = func(_ context.Context, _ string, err error) { told = err }
	})
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	const grant = "grant_type=client_credentials"
	right := credentials("cns", clientSecret).Encode()
	for _, tc := range []struct {
		name    string
		form    string
		changes []func(*http.Request)
		status  int
		code    string
	}{
		{"right", right, nil, 200, ""},
		{"with a charset", right, []func(*http.Request){set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")}, 200, ""},
		{"basic", grant, []func(*http.Request){basic("cns", clientSecret)}, 200, ""},
		{"basic, escaped", grant, []func(*http.Request){basic("c%6Es", clientSecret)}, 200, ""},
		{"the new secret", credentials("changing", clientSecret+"2").Encode(), nil, 200, ""},
		{"the old one", credentials("changing", clientSecret).Encode(), nil, 200, ""},
		{"one that is over", credentials("changing", clientSecret+"0").Encode(), nil, 401, "invalid_client"},
		{"another's", credentials("cns", clientSecret+"2").Encode(), nil, 401, "invalid_client"},
		{"nobody", credentials("nobody", clientSecret).Encode(), nil, 401, "invalid_client"},
		{"no secret", credentials("cns", "").Encode(), nil, 401, "invalid_client"},
		{"nothing", grant, nil, 401, "invalid_client"},
		{"basic, wrong", grant, []func(*http.Request){basic("cns", "x")}, 401, "invalid_client"},
		{"in two ways", right, []func(*http.Request){basic("cns", clientSecret)}, 400, "invalid_request"},
		{"twice", right + "&client_id=x", nil, 400, "invalid_request"},
		{"another grant", strings.Replace(right, "client_credentials", "password", 1), nil, 400, "unsupported_grant_type"},
		{"JSON", `{"grant_type":"client_credentials"}`, []func(*http.Request){set("Content-Type", "application/json")}, 400, "invalid_request"},
		{"no form", "%zz", nil, 400, "invalid_request"},
		{"GET", "", []func(*http.Request){func(r *http.Request) { r.Method = http.MethodGet }}, 405, "invalid_request"},
		{"too large", right + "&x=" + strings.Repeat("y", 9000), nil, 413, "invalid_request"},
	} {
		told = nil
		w, members := ask(e, tc.form, tc.changes...)
		code, _ := members["error"].(string)
		if w.Code != tc.status || code != tc.code || (told != nil) != (tc.status != 200) || (members["jwt"] != nil) != (tc.status == 200) {
			t.Errorf("%s: got %d %v, told %v", tc.name, w.Code, members, told)
		}
		if text := w.Body.String() + fmt.Sprint(told, e, w.Header()); strings.Contains(text, clientSecret) || strings.Contains(text, issueKey) {
			t.Errorf("%s: a secret is told", tc.name)
		}
		if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (strings.HasPrefix(tc.name, "basic") && tc.status == 401) {
			t.Errorf("%s: got challenge %q", tc.name, challenge)
		}
	}
}

// TestTokenEndpoint_Attempts: who guesses is refused before the guess is looked at, and nobody else is.
func TestTokenEndpoint_Attempts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := tokenEndpoint(t, func(c *webhook.TokenEndpointConfig) {
			c.From = &webhook.AddressList{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}} // httptest's peer
			c.Attempts = 5
		})
		from := func(a string) func(*http.Request) { return set("X-Forwarded-For", a) }
		right, wrong := credentials("cns", clientSecret).Encode(), credentials("cns", "guess").Encode()
		status := func(form, address string) int {
			w, _ := ask(e, form, from(address))
			if (w.Code == 429) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("got %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
			}
			return w.Code
		}
		for i := range 8 {
			want := 401
			if i >= 5 {
				want = 429
			}
			if got := status(wrong, "2001:db8::"+fmt.Sprint(i)); got != want {
				t.Errorf("guess %d: got %d, want %d", i, got, want)
			}
		}
		if got := status(right, "2001:db8::99"); got != 429 {
			t.Errorf("the right one from where guesses come: got %d", got)
		}
		for _, other := range []string{"2001:db8:0:1::1", "198.51.100.7"} {
			if got := status(right, other); got != 200 {
				t.Errorf("from %s: got %d", other, got)
			}
		}
		time.Sleep(61 * time.Second)
		if got := status(right, "2001:db8::99"); got != 200 {
			t.Errorf("a minute later: got %d", got)
		}
		// More addresses than are remembered: the count is bounded, and the right secret still does.
		for i := range 6000 {
			ask(e, wrong, from(fmt.Sprintf("10.%d.%d.1", i/250, i%250)))
		}
		if got := status(right, "198.51.100.7"); got != 200 {
			t.Errorf("after guesses from everywhere: got %d", got)
		}
	})
	// From where calls may come.
	e := tokenEndpoint(t, func(c *webhook.TokenEndpointConfig) {
		c.From = &webhook.AddressList{From: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	})
	if w, _ := ask(e, credentials("cns", clientSecret).Encode()); w.Code != 403 {
		t.Errorf("from elsewhere: got %d", w.Code)
	}
}

func TestNewTokenEndpoint_Problems(t *testing.T) {
	t.Parallel()
	_, err := webhook.NewTokenEndpoint(webhook.TokenEndpointConfig{
		Clients: map[string][]webhook.Secret{"": {{Value: "canary"}}, "b": nil}, Key: webhook.Secret{Value: "canary"}, Lifetime: -1,
		Scheme: webhook.Issued{Header: " "},
	})
	for _, part := range []string{"no id or no secret", "6 bytes", "Lifetime", "Header"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %s", err, part)
		}
	}
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("got %v", err)
	}
	_, err = webhook.NewTokenEndpoint(webhook.TokenEndpointConfig{Lifetime: time.Millisecond, Key: webhook.Secret{Value: "short"}})
	for _, part := range []string{"Clients is empty", "5 bytes", "second"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %s", err, part)
		}
	}
}

// FuzzTokenEndpoint: without a client's secret there is no token, whatever is asked for and how.
func FuzzTokenEndpoint(f *testing.F) {
	e := tokenEndpoint(f, func(c *webhook.TokenEndpointConfig) { c.Attempts = 1 << 30 })
	right := credentials("cns", clientSecret).Encode()
	f.Add(right, "application/x-www-form-urlencoded", "")
	f.Add(credentials("cns", "x").Encode(), "application/x-www-form-urlencoded", "Basic "+base64.StdEncoding.EncodeToString([]byte("cns:"+clientSecret)))
	f.Add("grant_type=client_credentials", "application/x-www-form-urlencoded", "Basic "+base64.StdEncoding.EncodeToString([]byte("cns:"+clientSecret)))
	f.Add("grant_type=client_credentials&client_id=cns&client_secret=", "application/x-www-form-urlencoded;a=b", "Basic Y25zOg==")
	f.Add("", "", "")
	f.Fuzz(func(t *testing.T, form, kind, authorization string) {
		w, members := ask(e, form, func(r *http.Request) {
			r.Header.Set("Content-Type", kind)
			if authorization != "" {
				r.Header.Set("Authorization", authorization)
			}
		})
		if w.Code != 200 {
			if members["jwt"] != nil || members["access_token"] != nil {
				t.Errorf("refused with a token: %d", w.Code)
			}
			return
		}
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", authorization)
		_, password, _ := r.BasicAuth()
		if plain, err := url.QueryUnescape(password); err == nil {
			password = plain
		}
		if r.PostFormValue("client_secret") != clientSecret && password != clientSecret {
			t.Errorf("a token for %q, %q", form, authorization)
		}
	})
}

// Booking.com fetches a token from us, and sends notifications with it.
func ExampleTokenEndpoint() {
	key := webhook.Secret{ID: "2026-11", Value: issueKey} // from where secrets are kept
	tokens, err := webhook.NewTokenEndpoint(webhook.TokenEndpointConfig{
		Clients: map[string][]webhook.Secret{"booking.com": {{Value: clientSecret}}}, Key: key, Member: "jwt",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := webhook.NewVerifier(webhook.BookingCom(), key)
	if err != nil {
		fmt.Println(err)
		return
	}
	receiver, err := webhook.NewHandler(webhook.Config{
		Resolve: webhook.Paths(map[string]webhook.Endpoint{"/hooks/bookingcom": {Verifier: verifier}}),
		Sink: webhook.SinkFunc(func(_ context.Context, e webhook.Event) error {
			fmt.Println(e.Kind, "about", e.Account, "is", e.Trust)
			return nil
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/token", tokens)
	mux.Handle("/hooks/", receiver)

	_, answer := ask(mux, credentials("booking.com", clientSecret).Encode()) // what the partner does
	r := httptest.NewRequest(http.MethodPost, "/hooks/bookingcom",
		strings.NewReader(`{"metadata":{"uuid":"c0ffee","type":"MESSAGING_API_NEW_MESSAGE"},"payload":{"propertyId":7004411}}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+answer["jwt"].(string))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// MESSAGING_API_NEW_MESSAGE about 7004411 is authenticated
	// 202
}
