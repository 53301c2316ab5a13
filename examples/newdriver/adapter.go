package newdriver

import (
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// The adapters: pure functions from the partner's items to the kit's records. An item that is not as the partner documents it is counted as drift,
// and read as far as it can be; one without an id is rejected alone.

var berthStates = map[string]driver.ResourceStatus{"open": driver.ResourceActive, "closed": driver.ResourceInactive}

var berth = wire.Decoder[driver.Resource]{
	Kind: driver.KindResource, ID: []string{"id"}, Private: []string{"gateCode"},
	Read: func(o wire.Object) (driver.Resource, error) {
		r := driver.Resource{
			Record:    o.Record("v1"),
			Name:      o.Text("title"),
			Status:    wire.Enum(o, "state", berthStates, driver.ResourceInactive),
			Capacity:  o.Count("people"),
			BasePrice: o.Money("price", driver.Some("EUR")),
			CoverURL:  o.URL("picture"),
			TimeZone:  o.Zone("zone"),
		}
		r.UpdatedAt = o.Instant("changed").Or(time.Time{})
		return r, driver.Validate(r)
	},
}

var bookingStates = map[string]driver.TransactionStatus{
	"booked": driver.StatusConfirmed, "held": driver.StatusPending, "cancelled": driver.StatusCanceled,
}

var booking = wire.Decoder[driver.Transaction]{
	Kind: driver.KindTransaction, ID: []string{"id"},
	Read: func(o wire.Object) (driver.Transaction, error) {
		currency := o.Currency("currency")
		t := driver.Transaction{
			Record:     o.Record("v1"),
			ResourceID: o.Ref("berth"),
			Status:     wire.Enum(o, "state", bookingStates, driver.StatusOther),
			StatusText: o.Text("state"),
			Start:      o.Date("from"),
			End:        o.Date("to"),
			Currency:   currency,
			Total:      o.Money("total", currency),
		}
		if skipper, ok := o.Object("skipper").Get(); ok {
			t.Customer = driver.Some(driver.Customer{Name: skipper.Text("name").Or(""), Email: skipper.Text("mail").Or("")})
		}
		t.UpdatedAt = o.Instant("changed").Or(time.Time{})
		return t, driver.Validate(t)
	},
}
