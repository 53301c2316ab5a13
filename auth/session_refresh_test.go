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
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func TestSessionRefresh(t *testing.T) {
	const kept, rotated = `{"access_token":"t","expires_at":4102444800}`, `{"access_token":"t","refresh_token":"new"}`
	for _, tt := range []struct {
		name, old, good, body string
		sent                  int
		want                  auth.Secret // the refresh token to go on with
		refused               bool
	}{
		{name: "the first", good: "first", body: kept, sent: 1, want: "first"},
		{name: "the newest", old: "second", good: "second", body: kept, sent: 1, want: "second"},
		{name: "a new one came", old: "second", good: "second", body: rotated, sent: 1, want: "new"},
		{name: "a human authorized anew", old: "second", good: "first", body: kept, sent: 2, want: "first"},
		{name: "withdrawn", old: "second", good: "none", sent: 2, refused: true},
		{name: "withdrawn before the first refresh", old: "first", good: "none", sent: 1, refused: true},
	} {
		g := &granting{good: tt.good, body: tt.body}
		c := auth.Session{
			URL: "https://api.example.com/authorizations", Body: map[string]auth.Secret{"refresh_token": "first"}, Refresh: "refresh_token",
			RefusedBy: []int{404}, Transport: g,
		}
		tok, err := c.Exchange(t.Context(), auth.Token{Refresh: auth.Secret(tt.old)})
		if tok.Refresh != tt.want || errors.Is(err, auth.ErrGrant) != tt.refused || err == nil == tt.refused || len(g.sent) != tt.sent {
			t.Errorf("%s: refresh token as wanted %v, %v, %d requests, want %d", tt.name, tok.Refresh == tt.want, err, len(g.sent), tt.sent)
		}
		if c.Body["refresh_token"] != "first" {
			t.Errorf("%s: the configuration was changed", tt.name)
		}
	}
	err := auth.Session{URL: "https://api.example.com", Body: map[string]auth.Secret{"a": "b"}, Refresh: "refresh_token"}.Validate()
	if err == nil || !strings.Contains(err.Error(), `Refresh is "refresh_token", which is no member of Body`) {
		t.Errorf("a Refresh that is nowhere: %v", err)
	}
}
