package guestytest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// Kinds of records, for ids and dice.
const (
	kindAccount = iota + 1
	kindListing
	kindReservation
	kindPhoto
	kindGuest
	kindItem
	kindField
	kindChannel
	kindUser
	kindDay
	kindHook
)

// Fields of the dice of a listing.
const (
	lUpdated = iota
	lPlace
	lWord
	lNoun
	lType
	lAccommodates
	lBathrooms
	lPrice
	lActive
	lListed
	lMinNights
	lAmenity
)

type place struct {
	city, state, zip, country, zone string
	offset                          int // hours from UTC; zones without summer time
	currency                        string
	lat, lng                        float64
}

var places = []place{
	{"Dubai", "", "00000", "United Arab Emirates", "Asia/Dubai", 4, "AED", 25.2048, 55.2708},
	{"Phoenix", "Arizona", "85001", "United States", "America/Phoenix", -7, "USD", 33.4484, -112.074},
	{"Kyoto", "Kyoto", "600-8001", "Japan", "Asia/Tokyo", 9, "USD", 35.0116, 135.7681},
	{"Reykjavík", "", "101", "Iceland", "Atlantic/Reykjavik", 0, "EUR", 64.1466, -21.9426},
	{"Cape Town", "Western Cape", "8001", "South Africa", "Africa/Johannesburg", 2, "ZAR", -33.9249, 18.4241},
	{"Bogotá", "", "110111", "Colombia", "America/Bogota", -5, "USD", 4.711, -74.0721},
}

var (
	words = []string{"Bright", "Calm", "Harbour", "Garden", "Old Town", "Seaside", "Sunny", "Tiny \"secret\"",
		"Wide"}
	nouns     = []string{"apartment", "cabin", "loft", "studio", "villa"}
	types     = []string{"Apartment", "Cabin", "Loft", "Condominium", "Villa"}
	amenities = []string{"Wireless Internet", "Kitchen", "Washer", "Air conditioning", "Free parking on premises",
		"Pool"}
)

// createdBase is when the first record was created; each later one a second after.
var createdBase = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// updated is when a record that nothing changed was changed last: between its creation and the epoch of the account.
func (s *Server) updated(d partnersim.Dice, index int) time.Time {
	created := createdBase.Add(time.Duration(index) * time.Second)
	span := s.cfg.Epoch.Sub(created)
	return created.Add(time.Duration(d.Float(0) * float64(span))).Truncate(time.Millisecond)
}

func (s *Server) listingDice(i int) partnersim.Dice {
	return partnersim.Roll(s.cfg.Seed, kindListing, i)
}

func (s *Server) listingID(i int) string { return partnersim.HexID(s.cfg.Seed, kindListing, i) }

// odd returns which of n odd shapes the record has, 0 for most that have none. [Config.Odd] says how many are odd.
func (s *Server) odd(index, n int) int {
	if s.cfg.Odd < 0 || index%s.cfg.Odd != s.cfg.Odd-1 {
		return 0
	}
	return 1 + (index/s.cfg.Odd)%n
}

// The odd shapes of a listing, from sections 6.3 and 14 of what is known of the API.
const (
	oddSparse        = iota + 1 // no title, null address, null numbers, custom fields as an object
	oddFields                   // custom fields are an empty array
	oddAddressEmpty             // {}
	oddAddressFull              // only full
	oddBathrooms                // 1.5 where others have 1
	oddNoUpdate                 // lastUpdatedAt is not returned
	oddFlags                    // active and pms.active disagree
	oddSecrets                  // integrations with somebody else's credentials
	oddListingShapes = oddSecrets
)

// listingFacts are what filters look at.
type listingFacts struct {
	active, pmsActive, listed bool
	place                     place
}

func (s *Server) listingFacts(i int) listingFacts {
	d := s.listingDice(i)
	f := listingFacts{active: d.Int(lActive, 10) != 0, place: partnersim.Pick(d, lPlace, places)}
	f.pmsActive = f.active
	f.listed = f.active && d.Int(lListed, 10) != 0
	switch s.odd(i, oddListingShapes) {
	case oddFlags:
		f.pmsActive = !f.active
	case oddSparse:
		f.active, f.listed, f.pmsActive = false, false, true
	}
	return f
}

// listingTitle is the public name.
func (s *Server) listingTitle(i int) string {
	d := s.listingDice(i)
	title := partnersim.Pick(d, lWord, words) + " " + partnersim.Pick(d, lNoun, nouns) + " " + strconv.Itoa(i)
	if n := s.listings.Revision(i).Number; n > 0 {
		title += ", edition " + strconv.Itoa(n+1)
	}
	return title
}

func nickname(i int) string { return "UNIT-" + strconv.Itoa(i) }

// defaultListing is the limited set of fields that comes without the fields parameter. That there is one is
// documented, which it is is not.
var defaultListing = project("_id accountId title nickname type isListed active pms propertyType accommodates " +
	"address picture timezone")

// listingCreated is when the listing was created: the added ones one second after the other from the epoch on.
func (s *Server) listingCreated(i int) time.Time {
	if i >= s.cfg.Listings {
		return s.cfg.Epoch.Add(time.Duration(i-s.cfg.Listings) * time.Second)
	}
	return createdBase.Add(time.Duration(i) * time.Second)
}

// writeListing writes the listing with the index.
func (s *Server) writeListing(w *writer, i int, p *projection) {
	d := s.listingDice(i)
	f := s.listingFacts(i)
	rev := s.listings.Revision(i)
	odd := s.odd(i, oddListingShapes)
	created := s.listingCreated(i)
	updated := s.updated(d, i)
	if rev.Number > 0 {
		updated = rev.At
	}

	w.open('{')
	w.str(nil, "_id", s.listingID(i))
	w.str(nil, "accountId", s.account)
	w.time(p, "createdAt", created)
	w.time(p, "importedAt", created)
	if odd != oddNoUpdate {
		w.time(p, "lastUpdatedAt", updated)
	}
	kind := "SINGLE"
	if odd == oddSparse {
		kind = "MTL"
	} else {
		w.str(p, "title", s.listingTitle(i))
	}
	w.str(p, "type", kind)
	w.str(p, "nickname", nickname(i))
	w.bool(p, "isListed", f.listed)
	w.bool(p, "active", f.active)
	w.object(p, "pms", func(p *projection) { w.bool(p, "active", f.pmsActive) })
	if odd == oddSparse {
		for _, name := range []string{"accommodates", "bedrooms", "bathrooms", "address"} {
			w.raw(p, name, "null")
		}
		w.raw(p, "picture", "{}")
		w.raw(p, "pictures", "[]")
		w.raw(p, "amenities", "[]")
		w.object(p, "prices", func(p *projection) {
			w.str(p, "currency", f.place.currency)
			w.int(p, "basePrice", rev.Number)
		})
		w.raw(p, "customFields", "{}")
		w.close('}')
		return
	}
	guests := 1 + d.Int(lAccommodates, 8)
	w.str(p, "propertyType", partnersim.Pick(d, lType, types))
	w.str(p, "roomType", "Entire home/apt")
	w.int(p, "accommodates", guests)
	w.int(p, "bedrooms", (guests+1)/2)
	if bath := 1 + d.Int(lBathrooms, 3); odd == oddBathrooms {
		w.float(p, "bathrooms", float64(bath)+0.5)
	} else {
		w.int(p, "bathrooms", bath)
	}
	w.int(p, "beds", (guests+1)/2+1)
	w.int(p, "areaSquareFeet", 300+40*guests)
	full := fmt.Sprintf("%d Example Street, %s, %s, %s", 1+i%200, f.place.city, f.place.zip, f.place.country)
	switch odd {
	case oddAddressEmpty:
		w.raw(p, "address", "{}")
	case oddAddressFull:
		w.object(p, "address", func(p *projection) { w.str(p, "full", full) })
	default:
		w.object(p, "address", func(p *projection) {
			w.str(p, "full", full)
			w.str(p, "street", strconv.Itoa(1+i%200)+" Example Street")
			w.str(p, "city", f.place.city)
			w.str(p, "state", f.place.state)
			w.str(p, "zipcode", f.place.zip)
			w.str(p, "country", f.place.country)
			w.float(p, "lat", f.place.lat)
			w.float(p, "lng", f.place.lng)
		})
	}
	w.str(p, "timezone", f.place.zone)
	w.str(p, "defaultCheckInTime", "15:00")
	w.str(p, "defaultCheckOutTime", "11:00")
	if s.cfg.PhotosPerListing == 0 {
		w.raw(p, "picture", "{}")
	} else {
		w.object(p, "picture", func(p *projection) {
			original := s.photoURL(i, 0)
			w.str(p, "thumbnail", thumbnail(original))
			w.str(p, "original", original)
			w.str(p, "caption", caption(0, 0))
		})
	}
	w.array(p, "pictures", func(p *projection) {
		for n := range s.cfg.PhotosPerListing {
			w.open('{')
			w.str(p, "_id", s.photoID(i, n))
			original := s.photoURL(i, n)
			w.str(p, "original", original)
			w.str(p, "thumbnail", thumbnail(original))
			w.raw(p, "caption", "null")
			w.close('}')
		}
	})
	w.strings(p, "amenities", amenities[:1+d.Int(lAmenity, len(amenities))]...)
	w.object(p, "terms", func(p *projection) {
		w.int(p, "minNights", 1+d.Int(lMinNights, 5))
		w.int(p, "maxNights", 60)
		w.str(p, "cancellation", "moderate")
	})
	base := 5000 + 100*d.Int(lPrice, 300) + 100*rev.Number
	w.object(p, "prices", func(p *projection) {
		w.str(p, "currency", f.place.currency)
		w.money(p, "basePrice", base)
		w.money(p, "weekendBasePrice", base*118/100)
		w.money(p, "cleaningFee", cleaning(guests))
		w.money(p, "securityDepositFee", 20000)
		w.money(p, "extraPersonFee", 1500)
		w.int(p, "guestsIncludedInRegularFee", min(guests, 2))
		w.raw(p, "weeklyPriceFactor", "0.9")
		w.raw(p, "monthlyPriceFactor", "0.75")
	})
	w.strings(p, "tags", "sample", nouns[i%len(nouns)])
	w.array(p, "customFields", func(p *projection) {
		if odd != oddFields {
			w.open('{')
			w.str(p, "fieldId", partnersim.HexID(s.cfg.Seed, kindField, 1))
			w.str(p, "value", "door "+strconv.Itoa(i%40))
			w.close('}')
		}
	})
	w.object(p, "publicDescription", func(p *projection) {
		w.str(p, "summary", "A place in "+f.place.city+".\nQuiet, with \"everything\" you need.")
		w.str(p, "space", "Two levels.")
		w.str(p, "access", "Key box.")
	})
	if odd == oddSecrets {
		w.array(p, "integrations", func(*projection) {
			w.open('{')
			w.str(nil, "_id", partnersim.HexID(s.cfg.Seed, kindChannel, i))
			w.str(nil, "platform", "airbnb2")
			w.object(nil, "airbnb2", func(*projection) { w.str(nil, "accessToken", SecretInListing) })
			w.close('}')
		})
	}
	w.int(p, "__v", rev.Number)
	w.close('}')
}

// cleaning is the cleaning fee of a place for so many guests, in hundredths.
func cleaning(guests int) int { return 2550 + 500*guests }

func (s *Server) photoID(listing, n int) string {
	return partnersim.HexID(s.cfg.Seed, kindPhoto, listing*s.cfg.PhotosPerListing+n)
}

func (s *Server) photoURL(listing, n int) string {
	return "https://images.example.com/" + s.photoID(listing, n) + ".jpg"
}

func thumbnail(original string) string {
	return "https://images.example.com/h_200" + original[len("https://images.example.com"):]
}

var rooms = []string{"Living room", "Kitchen", "Bedroom", "Bathroom", "Balcony", "Entrance"}

func caption(n, edition int) string {
	c := rooms[n%len(rooms)]
	if edition > 0 {
		c += ", edition " + strconv.Itoa(edition+1)
	}
	return c
}

// writePhotos writes the photos of the listing as the property photos endpoint has them: a bare array whose order is
// not that of index.
func (s *Server) writePhotos(w *writer, i int) {
	rev := s.listings.Revision(i)
	edits := rev.Number
	if i >= s.cfg.Listings {
		edits-- // the first revision is its coming to be
	}
	created := s.listingCreated(i)
	n := s.cfg.PhotosPerListing
	w.open('[')
	for k := range n {
		at := k
		if s.odd(i, 2) != 0 {
			at = n - 1 - k
		}
		edition, updated := 0, created
		if edits > 0 && at == 0 { // an update of a listing changes its first photo
			edition, updated = edits, rev.At
		}
		original := s.photoURL(i, at)
		w.open('{')
		w.str(nil, "_id", s.photoID(i, at))
		w.str(nil, "source", "upload")
		w.str(nil, "original", original)
		w.str(nil, "thumbnail", thumbnail(original))
		if s.odd(i, 2) == 2 && at > 0 {
			w.raw(nil, "caption", "null")
		} else {
			w.str(nil, "caption", caption(at, edition))
		}
		w.int(nil, "index", at)
		w.time(nil, "createdAt", created)
		w.time(nil, "updatedAt", updated)
		w.close('}')
	}
	w.close(']')
}
