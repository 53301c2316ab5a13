package airbnb_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/webhook"
)

// ask sends a check to the handler and returns the decision's body.
func ask(t *testing.T, h http.Handler, r *http.Request) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Header().Get("Content-Type"))
	}
	return w.Body.String()
}

func TestChecks(t *testing.T) {
	var stay airbnb.CheckedStay
	var booking airbnb.CheckedBooking
	h, err := airbnb.NewChecks(airbnb.ChecksConfig{
		Unsigned: true,
		Available: func(_ context.Context, s airbnb.CheckedStay) (bool, error) {
			stay = s
			return s.ListingID != "9",
				nil
		},
		Reserve: func(_ context.Context, b airbnb.CheckedBooking) (bool, error) {
			booking = b
			switch b.ListingID {
			case "8":
				return true, errors.New("the database is away")
			case "7":
				panic("canary")
			}
			return b.ListingID != "9", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile("testdata/check.json")
	if err != nil {
		t.Fatal(err)
	}
	const get = "/checks?action=check_availability&start_date=2026-10-02&nights=2&listing_id="
	body := func(listing string) string { return strings.ReplaceAll(string(sample), "21000417", listing) }
	for _, tt := range []struct{ name, method, target, body, want string }{
		{"available", "GET", get + "21000417", "", `{"available":true}`},
		{"not available", "GET", get + "9", "", `{"available":false,"failure_code":null}`},
		{"the probe", "GET", get + "0", "", `{"available":true}`},
		{"the probe without more", "GET", "/checks?action=check_availability&listing_id=0", "", `{"available":true}`},
		{"another action", "GET", "/checks?action=x", "", `{"available":false,"failure_code":null}`},
		{"no listing", "GET", get + "x", "", `{"available":false,"failure_code":null}`},
		{"a booking", "POST", "/checks", body("21000417"), `{"succeed":true}`},
		{"an alteration", "PUT", "/checks/HMEXAMPLE4", body("21000417"), `{"succeed":true}`},
		{"refused", "POST", "/checks", body("9"), `{"failure_code":null,"succeed":false}`},
		{"an error", "POST", "/checks", body("8"), `{"failure_code":null,"succeed":false}`},
		{"a panic", "POST", "/checks", body("7"), `{"failure_code":null,"succeed":false}`},
		{"not JSON", "POST", "/checks", "x", `{"failure_code":null,"succeed":false}`},
		{"too large", "POST", "/checks", strings.Repeat(" ", 65<<10), `{"failure_code":null,"succeed":false}`},
		{"another method", "DELETE", "/checks/HMEXAMPLE4", "", `{"failure_code":null,"succeed":false}`},
	} {
		if got := ask(t, h, httptest.NewRequest(tt.method, tt.target, strings.NewReader(tt.body))); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		if tt.name == "an alteration" && (booking.Code != "HMEXAMPLE4" || !booking.Altered ||
			booking.GuestID != "810025" || booking.BasePrice != 190 ||
			booking.Party.Adults != 2 || booking.Nights != 2 || booking.End.String() != "2026-10-04") {
			t.Errorf("asked about %v %+v", booking, booking.Party)
		}
	}
	if stay.ListingID != "9" || stay.Start.String() != "2026-10-02" || stay.End.String() != "2026-10-04" {
		t.Errorf("asked about %+v", stay)
	}
}

// A host that does not decide in time has said no, and is told to stop.
func TestChecksPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := false
		h, err := airbnb.NewChecks(airbnb.ChecksConfig{
			Unsigned: true, Available: func(ctx context.Context, _ airbnb.CheckedStay) (bool, error) {
				<-ctx.Done()
				stopped = true
				return true, nil
			},
			Reserve: func(context.Context, airbnb.CheckedBooking) (bool, error) { return true, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		got := ask(t, h, httptest.NewRequest("GET",
			"/checks?action=check_availability&start_date=2026-10-02&nights=2&listing_id=1", nil))
		synctest.Wait()
		if got != `{"available":false,"failure_code":null}` || time.Since(start) != 3*time.Second || !stopped {
			t.Errorf("%s after %v, stopped %v", got, time.Since(start), stopped)
		}
	})
}

func TestChecksSigned(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	armor := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	v, err := webhook.NewVerifier(airbnb.Webhooks(), webhook.Secret{Value: armor("PUBLIC KEY", public)})
	if err != nil {
		t.Fatal(err)
	}
	const yes, no = `{"succeed":true}`, `{"failure_code":null,"succeed":false}`
	for _, unsigned := range []bool{false, true} {
		h, err := airbnb.NewChecks(airbnb.ChecksConfig{
			Verifier: v, Unsigned: unsigned,
			Available: func(context.Context, airbnb.CheckedStay) (bool, error) { return true, nil },
			Reserve:   func(context.Context, airbnb.CheckedBooking) (bool, error) { return true, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		request := func() *http.Request {
			r := httptest.NewRequest("POST", "/checks",
				strings.NewReader(`{"listing_id": 1, "start_date": "2026-10-02", "nights": 1}`))
			r.Header.Set("Content-Type", "application/json")
			return r
		}
		signed, forged := request(), request()
		private := armor("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
		for _, r := range []*http.Request{signed, forged} {
			if err := webhook.SignRequest(airbnb.Webhooks().Scheme, r, private, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		forged.Host = "elsewhere.example.com"
		want := no
		if unsigned {
			want = yes
		}
		for name, x := range map[string]struct {
			r    *http.Request
			want string
		}{"signed": {signed, yes}, "forged": {forged, no}, "unsigned": {request(), want}} {
			if got := ask(t, h, x.r); got != x.want {
				t.Errorf("unsigned allowed %v, %s: %s, want %s", unsigned, name, got, x.want)
			}
		}
	}
}

func TestChecksConfig(t *testing.T) {
	_, err := airbnb.NewChecks(airbnb.ChecksConfig{Patience: -1})
	for _, want := range []string{"Available is nil", "Reserve is nil", "no Verifier", "Patience"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
