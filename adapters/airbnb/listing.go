package airbnb

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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
	day         func(listing string, currency driver.Opt[string]) wire.Decoder[driver.Day]
}

// v1 is the newest version, and the only one.
const v1 = "v1"

var adapters = map[string]adapter{v1: {
	listing: wire.Decoder[driver.Resource]{
		Kind: driver.KindResource, ID: []string{"id_str", "id"}, Private: private, Loose: true, Read: listing,
	},
	reservation: wire.Decoder[driver.Transaction]{
		Kind: driver.KindTransaction, ID: []string{"confirmation_code"}, Loose: true, Read: reservation,
	},
	photo: func(of string) wire.Decoder[driver.Media] {
		return wire.Decoder[driver.Media]{
			Kind: driver.KindMedia, ID: []string{"id"}, Loose: true,
			Read: func(o wire.Object) (driver.Media, error) { return photo(o, of), nil },
		}
	},
	day: func(of string, currency driver.Opt[string]) wire.Decoder[driver.Day] {
		return wire.Decoder[driver.Day]{
			Kind: driver.KindDay, Loose: true,
			Read: func(o wire.Object) (driver.Day, error) { return day(o, of, currency) },
		}
	},
}}

// private are the fields that are taken out of what is kept: the Wi-Fi's password, and the manual that guests are
// sent, in which hosts write door codes.
var private = []string{"wifi_network", "wifi_password", "house_manual"}

// listing is version 1 for listings. They bear no time of change. Descriptions, check-in times and prices beyond the
// nightly one are calls of their own (listing_descriptions, booking_settings, pricing_settings), which would be three
// for each listing.
func listing(o wire.Object) (driver.Resource, error) {
	currency := o.Currency("listing_currency")
	r := driver.Resource{
		Record:       o.Record(v1),
		Name:         o.Text("name"),
		InternalName: o.Text("listing_nickname"),
		Listed:       o.Flag("has_availability"),
		Type:         o.Word("property_type_category"),
		Structure:    o.Word("room_type_category"),
		Capacity:     o.Count("person_capacity"),
		Bedrooms:     o.Amount("bedrooms"),
		Beds:         o.Amount("beds"),
		Bathrooms:    o.Amount("bathrooms"),
		Address:      address(o),
		CheckInFrom:  hour(o, "check_in_time"), // legacy, as those below
		CheckOutBy:   hour(o, "check_out_time"),
		Currency:     currency,
		BasePrice:    o.Money("listing_price", currency),
		CleaningFee:  o.Money("listing_cleaning_fee", currency),
		Deposit:      o.Money("listing_security_deposit", currency),
		MinStay:      o.Count("min_nights_input_value"),
		MaxStay:      o.Count("max_nights_input_value"),
		Amenities:    amenities(o),
	}
	switch on, ok := r.Listed.Get(); {
	case ok && on:
		r.Status = driver.Some(driver.ResourceActive)
	case ok:
		r.Status = driver.Some(driver.ResourceInactive)
	}
	return r, nil
}

// amenities reads the older list, or else the keys of the newer object, of those that are there.
func amenities(o wire.Object) driver.Opt[[]string] {
	if o.Has("amenity_categories") {
		return o.Texts("amenity_categories")
	}
	byKey, ok := o.Map("amenities").Get()
	if !ok {
		return driver.Opt[[]string]{}
	}
	names := []string{}
	for _, name := range slices.Sorted(maps.Keys(byKey)) {
		if byKey[name].Flag("is_present").Or(true) {
			names = append(names, strings.ToLower(name))
		}
	}
	return driver.Some(names)
}

// address reads what there is of an address; none of it observed is no address.
func address(o wire.Object) driver.Opt[driver.Address] {
	seen := false
	text := func(name string) string {
		seen = seen || o.Has(name)
		return o.Word(name).Or("")
	}
	street := text("street")
	if apt := text("apt"); apt != "" {
		street = strings.TrimSpace(street + " " + apt)
	}
	a := driver.Address{
		Street: street, City: text("city"), Region: text("state"), PostalCode: text("zipcode"),
		Country: text("country_code"),
		Lat:     o.Degrees("lat", 90), Lng: o.Degrees("lng", 180),
	}
	if !seen && a.Lat == nil && a.Lng == nil {
		return driver.Opt[driver.Address]{}
	}
	return driver.Some(a)
}

// hour reads an hour of the day, a number or a text. 24 and more are after midnight; FLEXIBLE and NOT_SELECTED are
// none.
func hour(o wire.Object, field string) driver.Opt[string] {
	switch text, _ := wire.Scalar(o.Raw(field)); text {
	case "FLEXIBLE", "NOT_SELECTED", "":
		if o.Has(field) {
			return driver.Null[string]()
		}
		return driver.Opt[string]{}
	}
	h, ok := o.Count(field).Get()
	if !ok {
		return driver.Opt[string]{}
	}
	if h > 30 {
		o.Odd(field, driver.ChangeType, "not an hour")
		return driver.Opt[string]{}
	}
	return driver.Some(fmt.Sprintf("%02d:00", h%24))
}

// photo is version 1 for photos.
func photo(o wire.Object, listing string) driver.Media {
	m := driver.Media{
		Record:     o.Record(v1),
		ResourceID: listing,
		URL:        o.URL("large_url"), // the one field that a client was seen to read
		Caption:    o.Text("caption"),
		Position:   o.Count("sort_order"),
	}
	return m
}
