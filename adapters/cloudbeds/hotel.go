package cloudbeds

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// adapter is one version of the normalization: pure functions from an item as it came to a record. An item without an
// id is refused; fields of a form that cannot be understood are left out of the record. Errors and oddities hold no
// value.
type adapter struct {
	hotel       wire.Decoder[driver.Resource]
	roomType    wire.Decoder[driver.Resource]
	reservation wire.Decoder[driver.Transaction]
	rate        wire.Decoder[rateRow]
	day         func(r rateRow, property string, currency driver.Opt[string]) wire.Decoder[driver.Day]
	photo       func(property string) wire.Decoder[driver.Media]
}

// v1 is the newest version, and the only one.
const v1 = "v1"

// Cloudbeds is known to send most numbers as texts, ids as either, "" for nothing and arrays as objects: the decoders
// are loose.
var adapters = map[string]adapter{v1: {
	hotel: wire.Decoder[driver.Resource]{Kind: driver.KindResource, ID: []string{"propertyID"},
		Private: private, Loose: true, Read: hotel},
	reservation: wire.Decoder[driver.Transaction]{Kind: driver.KindTransaction, ID: []string{"reservationID"},
		Private: private, Loose: true, Read: reservation},
	roomType: wire.Decoder[driver.Resource]{Kind: driver.KindResource, ID: []string{"roomTypeID"},
		Private: private, Loose: true, Read: roomType},
	rate: wire.Decoder[rateRow]{Kind: driver.KindDay, ID: []string{"rateID"}, Private: private, Loose: true,
		Read: rate},
	day: func(r rateRow, property string, currency driver.Opt[string]) wire.Decoder[driver.Day] {
		return wire.Decoder[driver.Day]{Kind: driver.KindDay, Private: private, Loose: true,
			Read: func(o wire.Object) (driver.Day, error) {
				return day(o, r, property, currency)
			}}
	},
	photo: func(property string) wire.Decoder[driver.Media] {
		return wire.Decoder[driver.Media]{Kind: driver.KindMedia, Private: private, Loose: true,
			Read: func(o wire.Object) (driver.Media, error) {
				return photo(o, property)
			}}
	},
}}

// private are the fields that are taken out of what is kept: cards, which Cloudbeds says not to store, and guests'
// papers.
var private = []string{
	"cardsOnFile", "guestBirthdate", "guestBirthDate", "guestDocumentType", "guestDocumentNumber",
	"guestDocumentIssueDate",
	"guestDocumentIssuingCountry", "guestDocumentExpirationDate",
}

// hotel is version 1 for the rows of getHotels and for getHotelDetails. The time zone is the former's, address and
// policy are the latter's; what one does not send stays unobserved.
func hotel(o wire.Object) (driver.Resource, error) {
	r := driver.Resource{
		Record:      o.Record(v1),
		Name:        o.Text("propertyName"),
		Type:        o.Word("propertyType"),
		Description: o.Text("propertyDescription"),
		TimeZone:    o.Zone("propertyTimezone"),
		Currency:    currencyOf(o),
		Address:     address(o),
		CoverURL:    cover(o),
	}
	if o.Has("propertyAmenities") {
		r.Amenities = o.Texts("propertyAmenities")
	}
	if p, ok := o.Object("propertyPolicy").Get(); ok {
		r.CheckInFrom, r.CheckOutBy = p.Clock("propertyCheckInTime"), p.Clock("propertyCheckOutTime")
	}
	return r, nil
}

// currencyOf reads propertyCurrency: an array of objects as documented, an object as seen, the code alone in
// getReservationsWithRateDetails.
func currencyOf(o wire.Object) driver.Opt[string] {
	const field = "propertyCurrency"
	switch o.Type(field) {
	case 0:
		return driver.Opt[string]{}
	case '"', 'n':
		return o.Currency(field)
	}
	all, ok := o.Objects(field).Get()
	switch {
	case !ok:
		return driver.Opt[string]{}
	case len(all) == 0:
		return driver.Null[string]()
	}
	return all[0].Currency("currencyCode")
}

// address reads an address of which any part may be missing or empty; an empty one is null. Coordinates are texts.
func address(o wire.Object) driver.Opt[driver.Address] {
	sub := o.Object("propertyAddress")
	a, ok := sub.Get()
	switch {
	case sub.IsNull(), ok && a.Len() == 0:
		return driver.Null[driver.Address]()
	case !ok:
		return driver.Opt[driver.Address]{}
	}
	text := func(name string) string { return a.Word(name).Or("") }
	return driver.Some(driver.Address{
		Street:     strings.TrimSpace(text("propertyAddress1") + " " + text("propertyAddress2")),
		City:       text("propertyCity"),
		Region:     text("propertyState"),
		PostalCode: text("propertyZip"),
		Country:    text("propertyCountry"),
		Lat:        a.Degrees("propertyLatitude", 90),
		Lng:        a.Degrees("propertyLongitude", 180),
	})
}

// cover reads propertyImage: a URL in getHotels, an array of {thumb, image} in getHotelDetails.
func cover(o wire.Object) driver.Opt[string] {
	const field = "propertyImage"
	switch o.Type(field) {
	case 0:
		return driver.Opt[string]{}
	case '"', 'n':
		return o.URL(field)
	}
	all, ok := o.Objects(field).Get()
	switch {
	case !ok:
		return driver.Opt[string]{}
	case len(all) == 0:
		return driver.Null[string]()
	}
	return all[0].URL("image")
}

// photos are the {thumb, image} of a property, its own first. An image given as a URL alone becomes one.
func photos(raw json.RawMessage) []json.RawMessage {
	o := wire.Fields(raw)
	var all []json.RawMessage
	for _, field := range []string{"propertyImage", "propertyAdditionalPhotos"} {
		l := []json.RawMessage{o.Raw(field)} // one that is neither image nor list is rejected, not missed
		switch o.Type(field) {
		case 0, 'n', '[', '{':
			l = o.Elements(field)
		}
		for _, p := range l {
			if s, ok := wire.Scalar(p); ok && wire.TypeOf(p) == '"' {
				if s == "" {
					continue
				}
				p = json.RawMessage(`{"image":` + string(wire.Compact(p)) + `}`)
			}
			all = append(all, p)
		}
	}
	return all
}

// photo is version 1 for photos. The id is made from the URL, so a photo whose URL changes is another one.
func photo(o wire.Object, property string) (driver.Media, error) {
	image, ok := o.URL("image").Get()
	if !ok {
		return driver.Media{}, errNoImage
	}
	sum := sha256.Sum256([]byte(property + "\x00" + image))
	m := driver.Media{Record: o.Record(v1), ResourceID: property, URL: driver.Some(image), ThumbnailURL: o.URL("thumb")}
	m.ID = hex.EncodeToString(sum[:12])
	return m, nil
}
