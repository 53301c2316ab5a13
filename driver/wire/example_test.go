package wire_test

import (
	"fmt"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// An item is read field by field: what was meant is taken, what cannot be understood is left out, and both are told of.
func ExampleDecoder() {
	berths := wire.Decoder[driver.Resource]{
		Kind: driver.KindResource, ID: []string{"id"}, Private: []string{"doorCode"},
		Read: func(o wire.Object) (driver.Resource, error) {
			o.Require("title")
			price, _ := o.Object("price").Get()
			return driver.Resource{
				Record:    o.Record("v1"),
				Name:      o.Text("title"),
				Capacity:  o.Count("people"),
				BasePrice: price.Money("amount", price.Currency("currency")),
				Status: wire.Enum(o, "state", map[string]driver.ResourceStatus{"open": driver.ResourceActive},
					driver.ResourceInactive),
				CoverURL: o.URL("picture"),
			}, nil
		},
	}
	r, odd, err := berths.One([]byte(`{
		"id": 17, "people": "4", "price": {"amount": 12.5, "currency": "eur"}, "state": "dry dock", "picture": {"url": "?"}, "doorCode": "1234"
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.ID, r.Name.Observed(), r.Capacity.Or(0), r.BasePrice.Or(driver.Money{}), r.Status.Or(""))
	fmt.Println(string(r.Raw))
	for _, o := range odd {
		fmt.Printf("%s: %s (%s, lost: %t)\n", o.Field, o.Detail, o.Change, o.Lost)
	}
	// Output:
	// 17 false 4 12.50 EUR inactive
	// {"id":17,"people":"4","price":{"amount":12.5,"currency":"eur"},"state":"dry dock","picture":{"url":"?"}}
	// id: a number in place of a text (type, lost: false)
	// title: missing (missing, lost: false)
	// people: a text in place of a whole number (type, lost: false)
	// state: a value that is not known (value, lost: false)
	// picture: not a text (type, lost: true)
}
