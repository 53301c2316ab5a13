package bookingcom_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/webhook"
)

// muxTransport reaches a handler in memory.
type muxTransport struct{ http.Handler }

func (m muxTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = io.NopCloser(http.NoBody)
	}
	m.ServeHTTP(w, r)
	return w.Result(), nil
}

// The Connectivity Notification Service fetches its token, is believed, and each notification counts once; who has no
// token, or a wrong secret, is not.
func TestNotifications(t *testing.T) {
	key := webhook.Secret{ID: "k", Value: "0123456789abcdef0123456789abcdef"}
	tokens, err := webhook.NewTokenEndpoint(webhook.TokenEndpointConfig{
		Clients: map[string][]webhook.Secret{"booking": {{Value: "secret-of-the-portal"}}}, Key: key, Member: "jwt",
	})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := with(t, nil, nil)
	verifier, err := webhook.NewVerifier(d.Webhooks(), key)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	hooks, err := webhook.NewHandler(webhook.Config{
		Resolve: webhook.Paths(map[string]webhook.Endpoint{"/events": {Verifier: verifier}}), Dedupe: &webhook.Memory{},
		Sink: webhook.SinkFunc(func(_ context.Context, e webhook.Event) error {
			notices, err := bookingcom.Notices(e)
			for _, n := range notices {
				got = append(got, n.Kind+" "+n.Record+" "+e.Account+" "+e.Delivery)
			}
			return err
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/token", tokens)
	mux.Handle("/events", hooks)
	client := &http.Client{Transport: muxTransport{mux}}
	n := &bookingcomtest.Notifier{
		Client: client, AuthURL: "https://host.example/token", URL: "https://host.example/events", ID: "booking",
		Secret: "secret-of-the-portal",
	}
	for _, v := range []bookingcomtest.Notification{
		{UUID: "u1", Type: "PBB_CONFIG_UPDATE_STATUS", Payload: map[string]any{"propertyId": 7004411,
			"activationStatus": "SUCCESSFUL"}},
		{UUID: "u1", Type: "PBB_CONFIG_UPDATE_STATUS", Payload: map[string]any{"propertyId": 7004411,
			"activationStatus": "SUCCESSFUL"}},
		{UUID: "u2", Type: "VCC_BALANCE", Payload: map[string]any{"propertyId": 7004412}},
	} {
		if status, err := n.Send(t.Context(), v); err != nil || status/100 != 2 {
			t.Errorf("%s: %d, %v", v.UUID, status, err)
		}
	}
	if want := []string{"resource.changed 7004411 7004411 u1", "VCC_BALANCE  7004412 u2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	wrong := &bookingcomtest.Notifier{Client: client, AuthURL: n.AuthURL, URL: n.URL, ID: "booking", Secret: "another"}
	if _, err := wrong.Send(t.Context(), bookingcomtest.Notification{UUID: "u3", Type: "X"}); err == nil {
		t.Error("a wrong secret got a token")
	}
	basic := &bookingcomtest.Notifier{Client: client, URL: n.URL, ID: "booking", Secret: "secret-of-the-portal",
		Basic: true}
	if status, err := basic.Send(t.Context(), bookingcomtest.Notification{UUID: "u4", Type: "X"}); err != nil ||
		status/100 == 2 || len(got) != 2 {
		t.Errorf("without a token: %d, %v", status, err)
	}
}
