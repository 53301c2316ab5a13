package guesty_test

import (
	"context"
	"fmt"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// A host registers the driver and opens integrations by id; limits and tokens are shared by what shares them.
func ExampleRegister() {
	var mine driver.Integrations // the host's, over its database
	var store auth.Store         // keeps tokens: Guesty grants five a day

	reg := driver.NewRegistry(driver.Options{Integrations: mine, Tokens: store})
	if err := guesty.Register(reg); err != nil {
		panic(err)
	}
	sync := func(ctx context.Context) error {
		d, err := reg.Open(ctx, "acct-17")
		if err != nil {
			return err
		}
		for page, err := range d.(driver.ResourceLister).Resources(ctx, driver.Query{}) {
			if err != nil {
				return err // a *retry.Error: what happened, and when to come back
			}
			for _, r := range page.Items {
				fmt.Println(r.ID, r.Name.Or("?"))
			}
		}
		return nil
	}
	_ = sync
}

// What is wrong with an integration is found out before anything is sent.
func ExampleConfigOf() {
	c := guesty.Config{ClientID: "0oa1", BaseURL: "http://open-api.guesty.com", Reservations: "v2"}
	_, err := guesty.ConfigOf(c.Integration("acct-17"))
	fmt.Println(err)
	// Output:
	// guesty: integration acct-17: credential client_secret is missing
	// BaseURL is not https, nor http on a loopback address
	// setting reservations is "v2", want "v3" or "classic"
}
