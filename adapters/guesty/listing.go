package guesty

import (
	"encoding/json"
	"math"
	"net/url"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
)

// adapter is one version of the normalization: pure functions from an item as it came to a record. An item without an
// id is refused; fields of a form that nobody documented are left out of the record and listed in odd. Errors and oddities
// hold no value.
type adapter struct {
	listing     func(raw json.RawMessage, odd *[]oddity) (driver.Resource, error)
	reservation func(raw json.RawMessage, odd *[]oddity) (driver.Transaction, error)
	photo       func(raw json.RawMessage, listing string, odd *[]oddity) (driver.Media, error)
}

// v1 is the newest version, and the only one.
const v1 = "v1"

var adapters = map[string]adapter{v1: {normalizeListing, normalizeReservation, normalizePhoto}}

const squareFoot = 0.09290304 // square metres, exactly

// normalizeListing is version 1 for listings.
func normalizeListing(raw json.RawMessage, odd *[]oddity) (driver.Resource, error) {
	o, err := open(raw, odd)
	if err != nil {
		return driver.Resource{}, err
	}
	id, err := o.id("_id", "id")
	if err != nil {
		return driver.Resource{}, err
	}
	updated, _ := o.instant("lastUpdatedAt").Get()
	r := driver.Resource{
		Record: driver.Record{ID: id, UpdatedAt: updated, CreatedAt: o.instant("createdAt"), Raw: public(raw), AdapterVersion: v1},
		// The public name may be absent; the account's own name stands in for it.
		Name:         o.first(o.text, "title", "nickname"),
		InternalName: o.text("nickname"),
		Listed:       o.flag("isListed"),
		Type:         o.word("propertyType"),
		Structure:    o.word("type"),
		Capacity:     count(o, "accommodates"),
		Bedrooms:     amount(o, "bedrooms"),
		Beds:         amount(o, "beds"),
		Bathrooms:    amount(o, "bathrooms"),
		AreaSqM:      amount(o, "areaSquareFeet"),
		Address:      address(o),
		TimeZone:     o.zone("timezone"),
		CheckInFrom:  o.clock("defaultCheckInTime"),
		CheckOutBy:   o.clock("defaultCheckOutTime"),
		Amenities:    o.texts("amenities"),
		Tags:         o.texts("tags"),
		Custom:       o.custom("customFields"),
	}
	if a, ok := r.AreaSqM.Get(); ok {
		r.AreaSqM = driver.Some(math.Round(a*squareFoot*100) / 100)
	}

	// active, pms.active and isListed contradict each other. "Can be sold" is active, and pms.active where active did not
	// come, as Guesty's documentation says; isListed is whether guests see it.
	pms, _ := o.object("pms").Get()
	active := o.flag("active")
	if !active.Observed() {
		active = pms.flag("active")
	}
	switch on, ok := active.Get(); {
	case ok && on:
		r.Status = driver.Some(driver.ResourceActive)
	case ok:
		r.Status = driver.Some(driver.ResourceInactive)
	case active.IsNull():
		r.Status = driver.Null[driver.ResourceStatus]()
	}

	if d := o.object("publicDescription"); d.IsNull() {
		r.Description = driver.Null[string]()
	} else if d, ok := d.Get(); ok {
		r.Description = d.text("summary")
	}
	if p := o.object("picture"); p.IsNull() {
		r.CoverURL = driver.Null[string]()
	} else if p, ok := p.Get(); ok {
		if len(p.fields) == 0 {
			r.CoverURL = driver.Null[string]()
		} else {
			r.CoverURL = link(p, "original", "large", "regular", "thumbnail")
		}
	}
	if t := o.object("terms"); t.IsNull() {
		r.MinStay, r.MaxStay = driver.Null[int](), driver.Null[int]()
	} else if t, ok := t.Get(); ok {
		r.MinStay, r.MaxStay = count(t, "minNights"), count(t, "maxNights")
	}
	if p := o.object("prices"); p.IsNull() {
		r.Currency = driver.Null[string]()
		r.BasePrice, r.CleaningFee, r.Deposit = driver.Null[driver.Money](), driver.Null[driver.Money](), driver.Null[driver.Money]()
	} else if p, ok := p.Get(); ok {
		r.Currency = p.currency("currency")
		r.BasePrice = p.money("basePrice", r.Currency)
		r.CleaningFee = p.money("cleaningFee", r.Currency)
		r.Deposit = p.money("securityDepositFee", r.Currency)
	}
	return r, nil
}

// count is an integer that is not negative.
func count(o object, field string) driver.Opt[int] {
	n := o.integer(field)
	if v, ok := n.Get(); ok && v < 0 {
		o.strange(field, "negative")
		return driver.Opt[int]{}
	}
	return n
}

// amount is a number that is not negative.
func amount(o object, field string) driver.Opt[float64] {
	n := o.number(field)
	if v, ok := n.Get(); ok && (v < 0 || v > 1e9) {
		o.strange(field, "out of range")
		return driver.Opt[float64]{}
	}
	return n
}

// address reads an address of which any part may be missing; an empty one is null.
func address(o object) driver.Opt[driver.Address] {
	sub := o.object("address")
	a, ok := sub.Get()
	switch {
	case sub.IsNull(), ok && len(a.fields) == 0:
		return driver.Null[driver.Address]()
	case !ok:
		return driver.Opt[driver.Address]{}
	}
	text := func(names ...string) string { return a.first(a.text, names...).Or("") }
	return driver.Some(driver.Address{
		Full:       text("full"),
		Street:     text("street"),
		City:       text("city"),
		Region:     text("state"),
		PostalCode: text("zipcode", "zipCode"), // the second is how guests' addresses spell it
		Country:    text("country"),
		Lat:        degrees(a, "lat", 90),
		Lng:        degrees(a, "lng", 180),
	})
}

func degrees(o object, field string, most float64) *float64 {
	v, ok := o.number(field).Get()
	if !ok {
		return nil
	}
	if math.Abs(v) > most {
		o.strange(field, "out of range")
		return nil
	}
	return &v
}

// link reads the first URL that is there. A protocol-relative one (//host/…) is https.
func link(o object, fields ...string) driver.Opt[string] {
	var found driver.Opt[string]
	for _, f := range fields {
		u := parse(o, f, "a URL", func(s string) (string, error) {
			if strings.HasPrefix(s, "//") {
				s = "https:" + s
			}
			u, err := url.Parse(s)
			if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(s) > maxURL {
				return "", errForm
			}
			return s, nil
		})
		if _, ok := u.Get(); ok {
			return u
		}
		if !found.Observed() {
			found = u
		}
	}
	return found
}

const maxURL = 8192

// normalizePhoto is version 1 for the photos of a listing.
func normalizePhoto(raw json.RawMessage, listing string, odd *[]oddity) (driver.Media, error) {
	o, err := open(raw, odd)
	if err != nil {
		return driver.Media{}, err
	}
	id, err := o.id("_id", "id")
	if err != nil {
		return driver.Media{}, err
	}
	updated, _ := o.instant("updatedAt").Get()
	return driver.Media{
		Record:       driver.Record{ID: id, UpdatedAt: updated, CreatedAt: o.instant("createdAt"), Raw: public(raw), AdapterVersion: v1},
		ResourceID:   listing,
		URL:          link(o, "original", "large", "regular"),
		ThumbnailURL: link(o, "thumbnail"),
		Caption:      o.text("caption"),
		Position:     count(o, "index"),
		Source:       o.word("source"),
	}, nil
}
