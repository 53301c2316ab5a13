package auth_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
)

// granting refuses every refresh token but the good one, as Airbnb does, with 404.
type granting struct {
	good, body string
	sent       []string
}

func (g *granting) RoundTrip(req *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	g.sent = append(g.sent, string(b))
	status, body := http.StatusNotFound, `{"error_code":404,"error_type":"record_not_found"}`
	if string(b) == `{"refresh_token":"`+g.good+`"}` {
		status, body = http.StatusOK, g.body
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, nil
}

func TestSessionRefresh(t *testing.T) {
	const kept, rotated = `{"access_token":"t","expires_at":4102444800}`, `{"access_token":"t","refresh_token":"new"}`
	for _, tt := range []struct {
		name, old, good, body string
		want                  auth.Secret // the refresh token to go on with
	}{
		{name: "the first", good: "first", body: kept, want: "first"},
		{name: "the newest", old: "second", good: "second", body: kept, want: "second"},
		{name: "a new one came", old: "second", good: "second", body: rotated, want: "new"},
		// Another process may be using the first one at this moment: it is not tried for the sake of trying.
		{name: "withdrawn, and the first one would do", old: "second", good: "first"},
		{name: "withdrawn", old: "second", good: "none"},
		{name: "withdrawn before the first refresh", old: "first", good: "none"},
	} {
		g := &granting{good: tt.good, body: tt.body}
		c := auth.Session{
			URL: "https://api.example.com/authorizations", Body: map[string]auth.Secret{"refresh_token": "first"},
			Refresh: "refresh_token", RefusedBy: []int{404}, Transport: g,
		}
		tok, err := c.Exchange(t.Context(), auth.Token{Refresh: auth.Secret(tt.old)})
		refused := tt.want == ""
		if tok.Refresh != tt.want || errors.Is(err, auth.ErrGrant) != refused || err == nil == refused {
			t.Errorf("%s: refresh token as wanted %v, %v", tt.name, tok.Refresh == tt.want, err)
		}
		if len(g.sent) != 1 {
			t.Errorf("%s: %d requests, an exchange is one", tt.name, len(g.sent))
		}
		if c.Body["refresh_token"] != "first" {
			t.Errorf("%s: the configuration was changed", tt.name)
		}
	}
	none := auth.Session{URL: "https://api.example.com", Body: map[string]auth.Secret{"a": "b"}, Refresh: "refresh_token"}
	err := none.Validate()
	if err == nil || !strings.Contains(err.Error(), `Refresh is "refresh_token", which is no member of Body`) {
		t.Errorf("a Refresh that is nowhere: %v", err)
	}
}
