package driver_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// A host reaches the token sources of an integration's driver, which are those that the driver uses.
func TestSources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plain := driver.Definition{
			Info: driver.Info{Partner: "plain", AdapterVersions: []string{"v1"}},
			New:  func(driver.Env) (driver.Driver, error) { return &acme{}, nil },
		}
		h := host{"one": integration("one"), "key": {ID: "key", Partner: "plain"}}
		r := registry(t, driver.Options{Integrations: h}, driver.Definition{Info: acmeInfo, New: newAcme}, plain)
		list, err := r.Sources(t.Context(), "one")
		if err != nil || len(list) != 1 || list[0] != open(t, r, h["one"]).source {
			t.Fatalf("got %v, %v, want the driver's own source", list, err)
		}
		if err := list[0].Replace(t.Context(), auth.Token{Access: "new"}); err != nil {
			t.Fatal(err)
		}
		if tok, _, err := open(t, r, h["one"]).source.Token(t.Context()); err != nil || tok.Access != "new" {
			t.Errorf("the driver does not use what was replaced: %v", err)
		}
		if list, err := r.Sources(t.Context(), "key"); err != nil || len(list) != 0 {
			t.Errorf("a driver without tokens: %v, %v", list, err)
		}
		if _, err := r.Sources(t.Context(), "nobody"); !errors.Is(err, driver.ErrNotFound) {
			t.Errorf("an integration that is not there: %v", err)
		}
	})
}
