package guesty

import (
	"math"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// adapter is one version of the normalization: pure functions from an item as it came to a record. An item without an
// id is refused; fields of a form that cannot be understood are left out of the record. Errors and oddities hold no
// value.
type adapter struct {
	listing     wire.Decoder[driver.Resource]
	reservation wire.Decoder[driver.Transaction]
	photo       func(listing string) wire.Decoder[driver.Media]
	day         func(listing string) wire.Decoder[driver.Day]           // of the full calendar
	blocks      func(listing, currency string) wire.Decoder[driver.Day] // of the minified one
}

// v1 is the newest version, and the only one.
const v1 = "v1"

var adapters = map[string]adapter{v1: {
	listing: wire.Decoder[driver.Resource]{Kind: driver.KindResource, ID: []string{"_id", "id"}, Private: private,
		Read: listing},
	reservation: wire.Decoder[driver.Transaction]{Kind: driver.KindTransaction, ID: reservationID, Private: private,
		Read: reservation},
	photo: func(of string) wire.Decoder[driver.Media] {
		return wire.Decoder[driver.Media]{Kind: driver.KindMedia, ID: []string{"_id", "id"}, Private: private,
			Read: func(o wire.Object) (driver.Media, error) {
				return photo(o, of), nil
			}}
	},
	day: func(of string) wire.Decoder[driver.Day] {
		return wire.Decoder[driver.Day]{Kind: driver.KindDay, ID: []string{"date"}, Private: private,
			Read: func(o wire.Object) (driver.Day, error) {
				return fullDay(o, of)
			}}
	},
	blocks: func(of, currency string) wire.Decoder[driver.Day] {
		return wire.Decoder[driver.Day]{Kind: driver.KindDay, ID: []string{"date"}, Private: private,
			Read: func(o wire.Object) (driver.Day, error) {
				return blockedDay(o, of, currency)
			}}
	},
}}

// private are the fields that are taken out of what is kept: integrations can embed the account's credentials with the
// sales channels, privateDescription is for the owner's staff (door codes, Wi-Fi passwords), and keyCode opens the door
// for a guest: at the top of a reservation, or in v3's notes (both seen).
var private = []string{"integrations", "privateDescription", "keyCode"}

const squareFoot = 0.09290304 // square metres, exactly

// listing is version 1 for listings.
func listing(o wire.Object) (driver.Resource, error) {
	r := driver.Resource{
		Record: record(o, "lastUpdatedAt"),
		// The public name may be absent; the account's own name stands in for it.
		Name:         o.First(o.Text, "title", "nickname"),
		InternalName: o.Text("nickname"),
		Listed:       o.Flag("isListed"),
		Type:         o.Word("propertyType"),
		Structure:    o.Word("type"),
		Capacity:     o.Count("accommodates"),
		Bedrooms:     o.Amount("bedrooms"),
		Beds:         o.Amount("beds"),
		Bathrooms:    o.Amount("bathrooms"),
		AreaSqM:      o.Amount("areaSquareFeet"),
		Address:      address(o),
		TimeZone:     o.Zone("timezone"),
		CheckInFrom:  o.Clock("defaultCheckInTime"),
		CheckOutBy:   o.Clock("defaultCheckOutTime"),
		Amenities:    o.Texts("amenities"),
		Tags:         o.Texts("tags"),
		Custom:       custom(o, "customFields"),
	}
	if a, ok := r.AreaSqM.Get(); ok {
		r.AreaSqM = driver.Some(math.Round(a*squareFoot*100) / 100)
	}

	// active, pms.active and isListed contradict each other. "Can be sold" is active, and pms.active where active did
	// not come, as Guesty's documentation says; isListed is whether guests see it.
	pms, _ := o.Object("pms").Get()
	active := o.Flag("active")
	if !active.Observed() {
		active = pms.Flag("active")
	}
	switch on, ok := active.Get(); {
	case ok && on:
		r.Status = driver.Some(driver.ResourceActive)
	case ok:
		r.Status = driver.Some(driver.ResourceInactive)
	case active.IsNull():
		r.Status = driver.Null[driver.ResourceStatus]()
	}

	if d := o.Object("publicDescription"); d.IsNull() {
		r.Description = driver.Null[string]()
	} else if d, ok := d.Get(); ok {
		r.Description = d.Text("summary")
	}
	if p := o.Object("picture"); p.IsNull() {
		r.CoverURL = driver.Null[string]()
	} else if p, ok := p.Get(); ok {
		if p.Len() == 0 {
			r.CoverURL = driver.Null[string]()
		} else {
			r.CoverURL = p.URL("original", "large", "regular", "thumbnail")
		}
	}
	if t := o.Object("terms"); t.IsNull() {
		r.MinStay, r.MaxStay = driver.Null[int](), driver.Null[int]()
	} else if t, ok := t.Get(); ok {
		r.MinStay, r.MaxStay = t.Count("minNights"), t.Count("maxNights")
	}
	if p := o.Object("prices"); p.IsNull() {
		r.Currency = driver.Null[string]()
		r.BasePrice, r.CleaningFee, r.Deposit = driver.Null[driver.Money](), driver.Null[driver.Money](), driver.Null[driver.Money]()
	} else if p, ok := p.Get(); ok {
		r.Currency = p.Currency("currency")
		r.BasePrice = p.Money("basePrice", r.Currency)
		r.CleaningFee = p.Money("cleaningFee", r.Currency)
		r.Deposit = p.Money("securityDepositFee", r.Currency)
	}
	return r, nil
}

// record is what all records begin with.
func record(o wire.Object, updated string) driver.Record {
	r := o.Record(v1)
	r.CreatedAt = o.Instant("createdAt")
	r.UpdatedAt, _ = o.Instant(updated).Get()
	return r
}

// address reads an address of which any part may be missing; an empty one is null.
func address(o wire.Object) driver.Opt[driver.Address] {
	sub := o.Object("address")
	a, ok := sub.Get()
	switch {
	case sub.IsNull(), ok && a.Len() == 0:
		return driver.Null[driver.Address]()
	case !ok:
		return driver.Opt[driver.Address]{}
	}
	text := func(names ...string) string { return a.First(a.Text, names...).Or("") }
	return driver.Some(driver.Address{
		Full:       text("full"),
		Street:     text("street"),
		City:       text("city"),
		Region:     text("state"),
		PostalCode: text("zipcode", "zipCode"), // the second is how guests' addresses spell it
		Country:    text("country"),
		Lat:        a.Degrees("lat", 90),
		Lng:        a.Degrees("lng", 180),
	})
}

// photo is version 1 for the photos of a listing.
func photo(o wire.Object, of string) driver.Media {
	o.Require("original")
	return driver.Media{
		Record:       record(o, "updatedAt"),
		ResourceID:   of,
		URL:          o.URL("original", "large", "regular"),
		ThumbnailURL: o.URL("thumbnail"),
		Caption:      o.Text("caption"),
		Position:     o.Count("index"),
		Source:       o.Word("source"),
	}
}
