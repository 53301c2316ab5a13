package drivertest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/drivertest"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// register stands for the driver package's Register.
func register(*driver.Registry) error { return nil }

// The whole of a driver's conformance test: a simulated partner, and what is known of it.
func Example() {
	// newServer is the simulated partner, usually in a package of its own beside the driver: acme/acmetest.
	newServer := func(c drivertest.Conditions) (*partnersim.Server, error) {
		tokens := &partnersim.Tokens{Path: "/oauth2/token", Clients: map[string]string{"id": "a-secret-of-ours"}, Lifetime: time.Hour}
		return partnersim.New(partnersim.Config{
			Name: "acme", Tokens: tokens, Tiers: ratelimit.Tiers{{Requests: 120, Per: time.Minute}},
			Faults: c.Faults, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if _, ok := tokens.Client(r); !ok {
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				fmt.Fprint(w, `{"orders":[]}`)
			}),
		})
	}
	conformance := func(t *testing.T) {
		drivertest.Run(t, drivertest.Harness{
			Register: register,
			Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
				s, err := newServer(c)
				return drivertest.Partner{Server: s, Integration: driver.Integration{
					ID: "a", Partner: "acme",
					Credentials: map[string]auth.Secret{"client_id": "id", "client_secret": "a-secret-of-ours"},
				}}, err
			},
			TokenPath:    "/oauth2/token",
			Transactions: 250,
			Canaries:     []string{"@guests.example.com"},
			NextLink: func(body []byte, url string) ([]byte, bool) {
				var env map[string]any
				if json.Unmarshal(body, &env) != nil || env["next"] == nil {
					return body, false
				}
				env["next"] = url
				b, err := json.Marshal(env)
				return b, err == nil
			},
		})
	}
	_ = conformance // func TestConformance(t *testing.T)
}
