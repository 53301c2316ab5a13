package airbnb_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// hosts gives a registry its one integration.
type hosts struct{ in driver.Integration }

func (h hosts) Integrations(context.Context, driver.Filter) iter.Seq2[driver.Integration, error] {
	return func(yield func(driver.Integration, error) bool) { yield(h.in, nil) }
}

func (h hosts) Integration(context.Context, string) (driver.Integration, error) { return h.in, nil }

// When a stored refresh token is refused, that is one request and a human's to mend: the configured one is not sent
// after it, which another process may just be using. The human's new consent goes to the integration's source.
func TestPromise4_ConsentedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(epoch))
		s, err := airbnbtest.NewServer(airbnbtest.Config{Epoch: epoch})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		reg := driver.NewRegistry(driver.Options{Transport: s.Transport(), Integrations: hosts{s.Integration("a")}})
		if err := airbnb.Register(reg); err != nil {
			t.Fatal(err)
		}
		defer reg.Close(context.Background())
		check := func() error {
			d, err := reg.Open(t.Context(), "a")
			if err == nil {
				err = d.Check(t.Context())
			}
			return err
		}
		replace := func(refresh auth.Secret) {
			sources, err := reg.Sources(t.Context(), "a")
			if err != nil || len(sources) != 1 {
				t.Fatalf("%d sources, %v", len(sources), err)
			}
			if err := sources[0].Replace(t.Context(), auth.Token{Refresh: refresh}); err != nil {
				t.Fatal(err)
			}
		}
		replace("ref-of-a-consent-that-was-withdrawn")
		for range 3 {
			if err := check(); !errors.Is(err, auth.ErrNeedsReauth) {
				t.Errorf("withdrawn: %v", err)
			}
		}
		if n := s.Report().TokenRequests; n != 1 {
			t.Errorf("%d token requests, want 1", n)
		}
		c, err := authorization(s.Transport()).Redeem(t.Context(), airbnbtest.Code)
		if err != nil {
			t.Fatal(err)
		}
		replace(c.RefreshToken)
		if err := check(); err != nil {
			t.Errorf("after the new consent: %v", err)
		}
	})
}
