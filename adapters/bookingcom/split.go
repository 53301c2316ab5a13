package bookingcom

import (
	"bytes"
	"regexp"
	"slices"

	"github.com/integrationkit/integrationkit/driver"
)

// piece is one reservation of a document: what is kept of it, and whether it could be read.
type piece struct {
	message driver.Message
	whole   bool // well-formed XML
}

// split takes a document of reservations apart at elements of the name. Where it is no XML as a whole, it is taken
// apart at the tags, so that one reservation that cannot be read does not hold up all others for ever. rest says that
// there is something behind the last one that was begun and not ended: the document was cut.
func split(doc []byte, path ...string) (pieces []piece, root *node, rest []byte) {
	root, err := parseXML(doc)
	if err == nil {
		for _, n := range root.all(path...) {
			pieces = append(pieces, pieceOf(doc[n.start:n.end], n))
		}
		return pieces, root, nil
	}
	name := path[len(path)-1]
	begins, ends := tags[name].begin.FindAllIndex(doc, -1), tags[name].end.FindAllIndex(doc, -1)
	for i, at := range begins {
		for len(ends) > 0 && ends[0][0] < at[0] {
			ends = ends[1:]
		}
		next := len(doc)
		if i+1 < len(begins) {
			next = begins[i+1][0]
		}
		to := next // its end is lost
		switch {
		case len(ends) > 0 && ends[0][0] < next:
			to = ends[0][1]
		case i+1 == len(begins):
			return pieces, nil, doc[at[0]:]
		}
		raw := doc[at[0]:to]
		n, err := parseXML(raw)
		if err == nil {
			pieces = append(pieces, pieceOf(raw, n))
		} else {
			pieces = append(pieces, brokenPiece(raw))
		}
	}
	return pieces, nil, nil
}

// tags find the start and end tags of the elements that are a reservation.
var tags = map[string]struct{ begin, end *regexp.Regexp }{
	otaNew: tagsOf(otaNew), otaModified: tagsOf(otaModified), bxmlReservation: tagsOf(bxmlReservation),
}

func tagsOf(name string) struct{ begin, end *regexp.Regexp } {
	const prefix = `(?:[A-Za-z_][\w.-]*:)?`
	return struct{ begin, end *regexp.Regexp }{
		regexp.MustCompile(`<` + prefix + name + `[\s>/]`), regexp.MustCompile(`</` + prefix + name + `\s*>`),
	}
}

func pieceOf(raw []byte, n *node) piece {
	m := driver.Message{ID: reservationID(n), Account: hotelOf(n), Body: scrub(raw, n)}
	if id := string(mask([]byte(m.ID))); id != m.ID { // no reservation's number
		m.ID = ""
	}
	return piece{m, true}
}

var (
	otaID    = regexp.MustCompile(`ResID_Value\s*=\s*["'](\d{1,20})["']`)
	otaHotel = regexp.MustCompile(`HotelCode\s*=\s*["'](\d{1,20})["']`)
	bxmlID   = regexp.MustCompile(`</hotel_name>\s*<id>\s*(\d{1,20})\s*</id>|</hotel_id>\s*<id>\s*(\d{1,20})\s*</id>`)
	bxmlHome = regexp.MustCompile(`<hotel_id>\s*(\d{1,20})\s*</hotel_id>`)
)

// brokenPiece is one that is not XML: what can be found in its text, so that it is acknowledged and kept.
func brokenPiece(raw []byte) piece {
	find := func(patterns ...*regexp.Regexp) string {
		for _, p := range patterns {
			if m := p.FindSubmatch(raw); m != nil {
				for _, group := range m[1:] {
					if len(group) > 0 {
						return string(group)
					}
				}
			}
		}
		return ""
	}
	return piece{driver.Message{ID: find(otaID, bxmlID), Account: trimZeros(find(otaHotel, bxmlHome)),
		Body: mask(raw)}, false}
}

// reservationID returns a reservation's number, "" if it has none.
func reservationID(n *node) string {
	if n.name == bxmlReservation {
		return n.child("id").value()
	}
	return n.child("ResGlobalInfo", "HotelReservationIDs", "HotelReservationID").attr("ResID_Value")
}

// hotelOf returns the property's id, "" if it is not there: in OTA it is in the rooms only.
func hotelOf(n *node) string {
	if n.name == bxmlReservation {
		return trimZeros(n.child("hotel_id").value())
	}
	for _, p := range n.all("RoomStays", "RoomStay", "BasicPropertyInfo") {
		if code := p.attr("HotelCode"); code != "" {
			return trimZeros(code)
		}
	}
	return ""
}

// trimZeros takes off the leading zeros that a sample's ids have.
func trimZeros(id string) string {
	for len(id) > 1 && id[0] == '0' {
		id = id[1:]
	}
	return id
}

// cardElements are what is emptied: OTA's and B.XML's.
var cardElements = []string{"CardHolderName", "cc_number", "cc_cvc", "cc_name", "cc_expiration_date",
	"dc_issue_number", "dc_start_date"}

// scrub returns a copy of a reservation without its payment card: the secure host is in scope of PCI DSS, and what
// keeps messages need not be.
func scrub(raw []byte, n *node) []byte {
	type cut struct {
		from, to int
		by       []byte
	}
	var cuts []cut
	base := n.start
	n.walk(func(e *node) {
		switch {
		case slices.Contains(cardElements, e.name):
			cuts = append(cuts, cut{e.opened - base, e.closing - base, nil})
		case e.name == "PaymentCard":
			cuts = append(cuts, cut{e.start - base, e.opened - base,
				mask(blankAttributes(raw[e.start-base : e.opened-base]))})
		}
	})
	slices.SortFunc(cuts, func(a, b cut) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, c := range cuts {
		if c.from < at { // within one that was cut
			continue
		}
		out = append(append(out, raw[at:c.from]...), c.by...)
		at = c.to
	}
	return mask(append(out, raw[at:]...))
}

// cardAttribute is what is emptied in a PaymentCard; what stays is its kind and a virtual card's dates and balance.
var cardAttribute = regexp.MustCompile(`((?:CardNumber|SeriesCode|ExpireDate|CardHolderName)\s*=\s*)("[^"<]*"|'[^'<]*')`)

func blankAttributes(tag []byte) []byte { return cardAttribute.ReplaceAll(tag, []byte(`$1""`)) }

var (
	// digitRun is where a card's number may be, also where it does not belong or in what could not be read.
	digitRun = regexp.MustCompile(`\d(?:[ -]?\d){12,}`)
	cardText = regexp.MustCompile(`(<(?:cc_\w+|dc_\w+|CardHolderName)>)[^<]*`)
)

// mask takes out what looks like a card wherever it stands: guests write numbers into remarks.
func mask(raw []byte) []byte {
	raw = cardText.ReplaceAll(blankAttributes(bytes.Clone(raw)), []byte("$1"))
	return digitRun.ReplaceAllFunc(raw, func(m []byte) []byte {
		if hasCard(m) {
			return []byte("[card]")
		}
		return m
	})
}

// hasCard reports whether 13 to 19 of the digits in a row begin as cards' numbers do, and have their check digit.
func hasCard(run []byte) bool {
	digits := bytes.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, run)
	for from := range digits {
		for n := 13; n <= 19 && from+n <= len(digits); n++ {
			if c := digits[from]; c >= '2' && c <= '6' && luhn(digits[from:from+n]) {
				return true
			}
		}
	}
	return false
}

// luhn reports whether digits have the check digit of a card's number (ISO/IEC 7812-1, annex B).
func luhn(text []byte) bool {
	sum, double := 0, false
	for _, c := range slices.Backward(text) {
		d := int(c - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}
