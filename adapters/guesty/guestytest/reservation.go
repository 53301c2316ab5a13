package guestytest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// Fields of the dice of a reservation.
const (
	rUpdated = iota
	rListing
	rStatus
	rStart
	rNights
	rGuests
	rPrice
	rChannel
	rName
	rPlanned
	rCancel // and the next ones, by revision
)

var (
	statuses = []string{
		"confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "canceled",
		"canceled",
		"reserved", "inquiry", "declined", "expired", "closed", "awaiting_payment", "checked_out",
	}
	channels = []struct{ platform, source, code string }{
		{"airbnb2", "Airbnb", "HM"}, {"bookingCom", "Booking.com", ""}, {"manual", "manual", "GY-"},
		{"manual", "Manual", "GY-"}, {"homeaway2", "VRBO", "HA-"},
	}
	firstNames = []string{"Ada", "Bo", "Chloé", "Dmitri", "Élise", "Farid", "Grace", "Hana"}
	lastNames  = []string{"Example", "Sample", "O'Specimen", "Muster-Mann"}
)

// stay is one reservation, generated.
type stay struct {
	index, listing  int
	listingFacts    listingFacts
	status          string
	created         time.Time
	updated         time.Time
	changed         partnersim.Revision
	start, end      time.Time // dates
	checkIn         time.Time
	checkOut        time.Time
	nights, guests  int
	nightly         int // hundredths
	platform        string
	source, code    string
	first, last     string
	planned         bool
	odd             int
	canceledAtKnown bool
}

// The odd shapes of a reservation.
const (
	oddGuest             = iota + 1 // only the guest's full name
	oddNoMoney                      // money has a currency and nothing else
	oddTwin                         // id next to _id; in v3, reservationId in place of it
	oddReservationShapes = oddTwin
)

func (s *Server) reservationID(i int) string { return partnersim.HexID(s.cfg.Seed, kindReservation, i) }

// listingOf returns the index of the listing that the reservation is of.
func (s *Server) listingOf(i int) int {
	if base := s.cfg.Listings * s.cfg.ReservationsPerListing; i < base {
		return i / s.cfg.ReservationsPerListing
	}
	return partnersim.Roll(s.cfg.Seed, kindReservation, i).Int(rListing, s.cfg.Listings)
}

// changedAt is lastUpdatedAt of the reservation with the index, without the rest of it.
func (s *Server) changedAt(i int) time.Time {
	if rev := s.reservations.Revision(i); rev.Number > 0 {
		return rev.At
	}
	return s.updated(partnersim.Roll(s.cfg.Seed, kindReservation, i), i)
}

func (s *Server) stay(i int) stay {
	d := partnersim.Roll(s.cfg.Seed, kindReservation, i)
	r := stay{index: i, listing: s.listingOf(i), created: createdBase.Add(time.Duration(i) * time.Second),
		odd: s.odd(i, oddReservationShapes)}
	r.listingFacts = s.listingFacts(r.listing)
	r.changed = s.reservations.Revision(i)
	r.updated = s.changedAt(i)
	base := s.cfg.Listings * s.cfg.ReservationsPerListing
	// The first stays of one listing follow each other without overlap, one in three weeks, half of them before the
	// epoch.
	slot := i % max(s.cfg.ReservationsPerListing, 1)
	if i >= base {
		slot = s.cfg.ReservationsPerListing + (i-base)%12
		r.created = s.cfg.Epoch.Add(time.Duration(i-base) * time.Second)
	}
	day := s.cfg.Epoch.Truncate(24*time.Hour).AddDate(0, 0, -21*(s.cfg.ReservationsPerListing/2))
	r.nights = 1 + d.Int(rNights, 14)
	r.start = day.AddDate(0, 0, 21*slot+d.Int(rStart, 6))
	r.end = r.start.AddDate(0, 0, r.nights)
	offset := time.Duration(r.listingFacts.place.offset) * time.Hour
	r.checkIn = r.start.Add(15*time.Hour - offset)
	r.checkOut = r.end.Add(11*time.Hour - offset)
	r.status = partnersim.Pick(d, rStatus, statuses)
	edits := r.changed.Number
	if i >= base {
		edits--
	}
	if edits > 0 && d.Int(rCancel+edits, 3) == 0 {
		r.status = "canceled"
	}
	s.mu.Lock()
	if written := s.statuses[i]; written != "" {
		r.status = written
	}
	s.mu.Unlock()
	r.canceledAtKnown = r.status == "canceled"
	r.guests = 1 + (d.Int(rGuests, 6)+max(edits, 0))%6
	r.nightly = 4500 + 50*d.Int(rPrice, 700)
	c := partnersim.Pick(d, rChannel, channels)
	r.platform, r.source = c.platform, c.source
	r.code = c.code + strings.ToUpper(strconv.FormatInt(int64(i)+1_000_000_000, 36))
	if c.code == "" {
		r.code = strconv.Itoa(4_000_000_000 + i)
	}
	r.first, r.last = partnersim.Pick(d, rName, firstNames), lastNames[i%len(lastNames)]
	r.planned = d.Int(rPlanned, 3) == 0
	return r
}

func date(t time.Time) string { return t.Format("2006-01-02") }

// defaultReservation is the small set of fields that comes without the fields parameter: without status, as is known;
// the rest is unverified.
var defaultReservation = project("_id accountId confirmationCode checkIn checkOut listingId guestId " +
	"integration._id integration.platform guest._id guest.fullName listing._id listing.title")

// writeReservation writes the reservation as the classic family has it.
func (s *Server) writeReservation(w *writer, r stay, p *projection) {
	id := s.reservationID(r.index)
	fare := r.nightly * r.nights
	clean := cleaning(r.guests)
	sub := fare + clean
	tax := sub / 10
	fee := sub * 3 / 100
	paid := 0
	if r.status == "confirmed" || r.status == "checked_out" {
		paid = sub + tax - fee
	}
	currency := r.listingFacts.place.currency

	w.open('{')
	w.str(nil, "_id", id)
	if r.odd == oddTwin {
		w.str(nil, "id", id)
	}
	w.str(nil, "accountId", s.account)
	w.str(p, "listingId", s.listingID(r.listing))
	guestID := partnersim.HexID(s.cfg.Seed, kindGuest, r.index)
	w.str(p, "guestId", guestID)
	w.str(p, "confirmationCode", r.code)
	w.str(p, "status", r.status)
	w.str(p, "source", r.source)
	w.object(p, "integration", func(p *projection) {
		if r.platform != "manual" {
			w.str(p, "_id", partnersim.HexID(s.cfg.Seed, kindChannel, 1))
		}
		w.str(p, "platform", r.platform)
		w.object(p, "limitations", func(p *projection) { w.strings(p, "availableStatuses") })
	})
	w.time(p, "checkIn", r.checkIn)
	w.time(p, "checkOut", r.checkOut)
	w.str(p, "checkInDateLocalized", date(r.start))
	w.str(p, "checkOutDateLocalized", date(r.end))
	if r.planned {
		w.str(p, "plannedArrival", "18:30")
	}
	w.raw(p, "plannedDeparture", "null")
	w.int(p, "nightsCount", r.nights)
	w.int(p, "guestsCount", r.guests)
	w.object(p, "numberOfGuests", func(p *projection) {
		w.int(p, "numberOfAdults", (r.guests+1)/2)
		w.int(p, "numberOfChildren", r.guests/2)
		w.int(p, "numberOfInfants", 0)
	})
	w.object(p, "guest", func(p *projection) {
		w.str(p, "fullName", r.first+" "+r.last)
		if r.odd != oddGuest {
			w.str(p, "_id", guestID)
			w.str(p, "firstName", r.first)
			w.str(p, "lastName", r.last)
			w.str(p, "email", fmt.Sprintf("guest%d@guests.example.com", r.index))
			w.str(p, "phone", "+15550"+strconv.Itoa(100+r.index%900))
			w.str(p, "picture", "//images.example.com/guests/"+guestID+".jpg")
		}
	})
	w.object(p, "listing", func(p *projection) {
		w.str(p, "_id", s.listingID(r.listing))
		if _, ok := p.of("title"); ok {
			w.str(p, "title", s.listingTitle(r.listing))
		}
		w.str(p, "nickname", nickname(r.listing))
		w.str(p, "timezone", r.listingFacts.place.zone)
		w.str(p, "defaultCheckInTime", "15:00")
		w.str(p, "defaultCheckOutTime", "11:00")
	})
	w.object(p, "money", func(p *projection) {
		w.str(p, "currency", currency)
		if r.odd == oddNoMoney {
			return
		}
		w.money(p, "fareAccommodation", fare)
		w.money(p, "fareCleaning", clean)
		w.money(p, "subTotalPrice", sub)
		w.money(p, "totalTaxes", tax)
		w.money(p, "hostServiceFee", fee)
		w.money(p, "hostPayout", sub+tax-fee)
		w.money(p, "totalPaid", paid)
		w.money(p, "balanceDue", sub+tax-fee-paid)
		w.bool(p, "isFullyPaid", paid > 0)
		w.array(p, "invoiceItems", func(p *projection) {
			for n, item := range []struct {
				title, kind, normal string
				amount              int
			}{{"Accommodation fare", "ACCOMMODATION_FARE", "AF", fare}, {"Cleaning fee", "CLEANING_FEE", "CF",
				clean}, {"Local tax", "TAX", "LT", tax}} {
				w.open('{')
				w.str(p, "_id", partnersim.HexID(s.cfg.Seed, kindItem+uint64(16*n), r.index))
				w.str(p, "title", item.title)
				w.money(p, "amount", item.amount)
				w.str(p, "currency", currency)
				w.str(p, "type", item.kind)
				w.str(p, "normalType", item.normal)
				w.bool(p, "isTax", n == 2)
				w.bool(p, "isLocked", n < 2)
				w.close('}')
			}
		})
		w.raw(p, "payments", "[]")
	})
	w.raw(p, "customFields", "[]")
	w.time(p, "createdAt", r.created)
	if r.status == "confirmed" || r.status == "checked_out" {
		w.time(p, "confirmedAt", r.created.Add(time.Second))
	}
	if r.canceledAtKnown {
		w.time(p, "canceledAt", r.updated)
	}
	w.time(p, "importedAt", r.created.Add(900*time.Millisecond))
	w.time(p, "lastUpdatedAt", r.updated)
	w.int(p, "__v", r.changed.Number)
	w.close('}')
}

// writeV3 writes the reservation as the v3 family has it: sparse, without money, and without the time of its last
// update.
func (s *Server) writeV3(w *writer, r stay) {
	w.open('{')
	if r.odd == oddTwin {
		w.str(nil, "reservationId", s.reservationID(r.index))
	} else {
		w.str(nil, "_id", s.reservationID(r.index))
	}
	w.str(nil, "status", r.status)
	w.str(nil, "confirmationCode", r.code)
	w.str(nil, "platform", r.platform)
	w.str(nil, "bookerId", partnersim.HexID(s.cfg.Seed, kindGuest, r.index))
	if r.canceledAtKnown {
		w.str(nil, "canceledBy", "guest")
	}
	w.array(nil, "stay", func(*projection) {
		w.open('{')
		w.str(nil, "checkInDateLocalized", date(r.start))
		w.str(nil, "checkOutDateLocalized", date(r.end))
		w.int(nil, "guestsCount", r.guests)
		w.object(nil, "numberOfGuests", func(*projection) {
			w.int(nil, "numberOfAdults", (r.guests+1)/2)
			w.int(nil, "numberOfChildren", r.guests/2)
		})
		w.str(nil, "unitTypeId", s.listingID(r.listing))
		if r.odd == oddGuest {
			w.raw(nil, "unitId", "null")
		} else {
			w.str(nil, "unitId", s.listingID(r.listing))
		}
		if r.planned {
			w.str(nil, "eta", "18:30")
		}
		w.close('}')
	})
	w.object(nil, "guestStay", func(*projection) { w.str(nil, "status", "not_set") })
	if r.odd != oddNoMoney {
		w.object(nil, "notes", func(*projection) {
			for _, n := range []string{"other", "cleaning", "guest", "specialRequests", "keyCode"} {
				w.str(nil, n, "")
			}
		})
	}
	w.time(nil, "createdAt", r.created)
	w.close('}')
}
