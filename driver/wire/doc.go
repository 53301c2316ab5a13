// Package wire reads partners' items as they come: tolerantly, and without missing that something changed.
//
// A partner's documentation says one thing, its answers another, and next month a third. A struct with JSON tags
// loses a whole page to one text in place of a number, and says nothing at all when a field goes away. A [Decoder]
// reads an item field by field instead:
//
//	var berths = wire.Decoder[driver.Resource]{
//		Kind: driver.KindResource, ID: []string{"id"}, Private: []string{"doorCode"},
//		Read: func(o wire.Object) (driver.Resource, error) {
//			return driver.Resource{
//				Record:    o.Record("v1"), // id, raw form without doorCode, version
//				Name:      o.Text("title"),
//				Bathrooms: o.Amount("bathrooms"),
//				BasePrice: o.Money("price", driver.Some("EUR")),
//				Status:    wire.Enum(o, "state", states, driver.ResourceInactive),
//			}, nil
//		},
//	}
//
//	type page struct {
//		Berths []json.RawMessage `json:"berths" wire:"required"` // another answer with status 200 is an error, not an empty list
//	}
//	…
//	p, err := driver.Get[page](ctx, api, "berths.list", "/berths", query)
//	if err != nil { return pagination.Batch[driver.Resource]{}, err }
//	return berths.Each(ctx, api, p.Berths), nil
//
// Each method of [Object] returns a [driver.Opt], which tells missing (not observed: never erases), null (observed to
// be empty) and a value apart, and takes what is meant although it is written otherwise: a text for a number, a
// number for a text, one object for an array, an empty text for a date. What cannot be understood is left missing. An
// item without an id, or for which Read returns an error, is rejected alone.
//
// # Drift
//
// Every field that is not as the method says is an oddity, whether it was understood or not: [driver.ChangeType]; so
// is a value that is not in an enum ([driver.ChangeValue]) and a field of [Object.Require] that did not come
// ([driver.ChangeMissing]). Oddities are counted by partner, kind and field in [driver.Drift], for a health page; in
// the metric integrationkit.decode.oddities, for an alert; and told in the log the first time. No value of an item is
// in any of them. A test makes them errors with Drift.OnOddity.
//
// What is documented in two forms is no drift: ask [Object.Type] and read what came. For a partner that mixes forms
// everywhere there is Decoder.Loose.
package wire
