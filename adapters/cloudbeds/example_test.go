package cloudbeds_test

import (
	"context"
	"fmt"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/driver"
)

// The properties of a group, here of a simulated one.
func ExampleRegister() {
	s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 2, ReservationsPerProperty: 3})
	if err != nil {
		panic(err)
	}
	defer s.Close()
	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
	if err := cloudbeds.Register(reg); err != nil {
		panic(err)
	}
	ctx := context.Background()
	defer reg.Close(ctx)
	d, err := reg.OpenIntegration(ctx, s.Integration("group-1"))
	if err != nil {
		panic(err)
	}
	for page, err := range d.(driver.ResourceLister).Resources(ctx, driver.Query{}) {
		if err != nil {
			panic(err) // a *retry.Error: what happened, and when to come back
		}
		for _, r := range page.Items {
			fmt.Println(r.ID, r.Name.Or("?"), r.Currency.Or("?"))
		}
	}
	// Output:
	// 190001 Sample Sampleton 0 USD
	// 190002 Sample Sampleport 1 EUR
}

// What is wrong with an integration is found out before anything is sent.
func ExampleConfigOf() {
	c := cloudbeds.Config{Version: "v1.1", Property: "first"}
	_, err := cloudbeds.ConfigOf(c.Integration("hotel-17"))
	fmt.Println(err)
	// Output:
	// cloudbeds: integration hotel-17: credential api_key is missing, and so are client_id and client_secret
	// setting property is not an id of digits
	// setting api_version is "v1.1", want "v1.3" or "v1.2"
}
