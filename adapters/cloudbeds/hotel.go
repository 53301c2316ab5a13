package cloudbeds

import (
	"crypto/sha256"
	"encoding/hex"
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
	hotel       func(raw json.RawMessage, odd *[]oddity) (driver.Resource, error)
	reservation func(raw json.RawMessage, odd *[]oddity) (driver.Transaction, error)
	photo       func(raw json.RawMessage, property string, odd *[]oddity) (driver.Media, error)
}

// v1 is the newest version, and the only one.
const v1 = "v1"

var adapters = map[string]adapter{v1: {normalizeHotel, normalizeReservation, normalizePhoto}}

// normalizeHotel is version 1 for the rows of getHotels and for getHotelDetails. The time zone is the former's, address and policy are
// the latter's; what one does not send stays unobserved.
func normalizeHotel(raw json.RawMessage, odd *[]oddity) (driver.Resource, error) {
	o, err := open(raw, odd)
	if err != nil {
		return driver.Resource{}, err
	}
	id, err := o.id("propertyID")
	if err != nil {
		return driver.Resource{}, err
	}
	r := driver.Resource{
		Record:      driver.Record{ID: id, Raw: public(raw), AdapterVersion: v1},
		Name:        o.text("propertyName"),
		Type:        o.word("propertyType"),
		Description: o.text("propertyDescription"),
		TimeZone:    o.zone("propertyTimezone"),
		Currency:    currencyOf(o),
		Address:     address(o),
		CoverURL:    cover(o),
	}
	if o.has("propertyAmenities") {
		r.Amenities = o.texts("propertyAmenities")
	}
	if p, ok := o.object("propertyPolicy").Get(); ok {
		r.CheckInFrom, r.CheckOutBy = p.clock("propertyCheckInTime"), p.clock("propertyCheckOutTime")
	}
	return r, nil
}

// currencyOf reads propertyCurrency: an array of objects as documented, an object as seen, the code alone in
// getReservationsWithRateDetails.
func currencyOf(o object) driver.Opt[string] {
	const field = "propertyCurrency"
	switch kind(o.fields[field]) {
	case 0:
		return driver.Opt[string]{}
	case '"', 'n':
		return o.currency(field)
	}
	all, ok := o.objects(field).Get()
	switch {
	case !ok:
		return driver.Opt[string]{}
	case len(all) == 0:
		return driver.Null[string]()
	}
	return all[0].currency("currencyCode")
}

// address reads an address of which any part may be missing or empty; an empty one is null. Coordinates are texts.
func address(o object) driver.Opt[driver.Address] {
	sub := o.object("propertyAddress")
	a, ok := sub.Get()
	switch {
	case sub.IsNull(), ok && len(a.fields) == 0:
		return driver.Null[driver.Address]()
	case !ok:
		return driver.Opt[driver.Address]{}
	}
	text := func(name string) string { return a.word(name).Or("") }
	return driver.Some(driver.Address{
		Street:     strings.TrimSpace(text("propertyAddress1") + " " + text("propertyAddress2")),
		City:       text("propertyCity"),
		Region:     text("propertyState"),
		PostalCode: text("propertyZip"),
		Country:    text("propertyCountry"),
		Lat:        degrees(a, "propertyLatitude", 90),
		Lng:        degrees(a, "propertyLongitude", 180),
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

// cover reads propertyImage: a URL in getHotels, an array of {thumb, image} in getHotelDetails.
func cover(o object) driver.Opt[string] {
	const field = "propertyImage"
	switch kind(o.fields[field]) {
	case 0:
		return driver.Opt[string]{}
	case '"', 'n':
		return link(o, field)
	}
	all, ok := o.objects(field).Get()
	switch {
	case !ok:
		return driver.Opt[string]{}
	case len(all) == 0:
		return driver.Null[string]()
	}
	return link(all[0], "image")
}

const maxURL = 8192

// link reads a URL. A protocol-relative one (//host/…) is https.
func link(o object, field string) driver.Opt[string] {
	return parse(o, field, "a URL", func(s string) (string, error) {
		if strings.HasPrefix(s, "//") {
			s = "https:" + s
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || len(s) > maxURL {
			return "", errForm
		}
		return s, nil
	})
}

// photos are the {thumb, image} of a property, its own first. An image given as a URL alone becomes one.
func photos(raw json.RawMessage) []json.RawMessage {
	o, err := open(raw, new([]oddity))
	if err != nil {
		return nil
	}
	var all []json.RawMessage
	for _, field := range []string{"propertyImage", "propertyAdditionalPhotos"} {
		l := o.list(field)
		if kind(o.fields[field]) == '"' {
			l = []json.RawMessage{o.fields[field]}
		}
		for _, p := range l {
			if s, ok := scalar(p); ok && kind(p) == '"' {
				if s == "" {
					continue
				}
				p = json.RawMessage(`{"image":` + string(compact(p)) + `}`)
			}
			all = append(all, p)
		}
	}
	return all
}

// normalizePhoto is version 1 for photos. The id is made from the URL, so a photo whose URL changes is another one.
func normalizePhoto(raw json.RawMessage, property string, odd *[]oddity) (driver.Media, error) {
	o, err := open(raw, odd)
	if err != nil {
		return driver.Media{}, err
	}
	image, ok := link(o, "image").Get()
	if !ok {
		return driver.Media{}, errNoImage
	}
	sum := sha256.Sum256([]byte(property + "\x00" + image))
	return driver.Media{
		Record:       driver.Record{ID: hex.EncodeToString(sum[:12]), Raw: public(raw), AdapterVersion: v1},
		ResourceID:   property,
		URL:          driver.Some(image),
		ThumbnailURL: link(o, "thumb"),
	}, nil
}
