package bookingcom

import (
	"errors"
	"fmt"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
)

// The elements of a message of each kind.
const (
	otaNew          = "HotelReservation"
	otaModified     = "HotelResModify"
	bxmlReservation = "reservation"
)

const v1 = "v1"

// adapter is one version of the normalization of reservations.
type adapter func(body []byte, n *node, r *reader) (driver.Transaction, error)

var adapters = map[string]adapter{v1: normalize}

// normalize is version 1.
func normalize(body []byte, n *node, r *reader) (driver.Transaction, error) {
	switch n.name {
	case otaNew, otaModified:
		return normalizeOTA(body, n, r)
	case bxmlReservation:
		return normalizeBXML(body, n, r)
	}
	return driver.Transaction{}, errors.New("not a reservation of a kind that is known")
}

var errNoID = errors.New("the reservation has no id")

// normalizeOTA reads a HotelReservation or HotelResModify. It has no time of update: which message is newer is told by
// when it was asked for.
func normalizeOTA(body []byte, n *node, r *reader) (driver.Transaction, error) {
	global := n.child("ResGlobalInfo")
	r.id = reservationID(n)
	if r.id == "" || len(r.id) > 200 {
		return driver.Transaction{}, errNoID
	}
	t := driver.Transaction{
		Record:     driver.Record{ID: r.id, Raw: rawXML(body), AdapterVersion: v1},
		Code:       driver.Some(r.id),
		Channel:    driver.Some("booking.com"),
		ResourceID: r.ref(hotelOf(n), "BasicPropertyInfo@HotelCode"),
		Custom:     driver.Some(customOTA(n, global)),
	}
	total := global.child("Total")
	t.Currency = r.currency(total.attr("CurrencyCode"), "Total@CurrencyCode")
	// Exactly one of the two is there, depending on the property's tax setting (documented). What is before taxes is
	// not what the customer pays.
	t.Total = r.minor(total, "AmountAfterTax", "Total")
	t.Subtotal = r.minor(total, "AmountBeforeTax", "Total")
	t.Commission = r.minor(global.child("TotalCommissions", "CommissionPayableAmount"), "Amount", "TotalCommissions")
	t.Customer = customerOTA(global.child("Profiles", "ProfileInfo", "Profile", "Customer"))
	t.Notes = notesOTA(n, global)
	whole, err := roomsOTA(n, r, &t)
	if err != nil {
		return driver.Transaction{}, err
	}
	servicesOTA(n, r, &t)
	statusOTA(n, r, &t, whole)
	return t, nil
}

// statusOTA says what became of the reservation. How a HotelResModify says that it is a cancellation was not
// established from public text [unverified]: some clients look for ResStatus. One that says nothing and has no nights
// is none that could be slept in; its status is left as it was, and it is marked for somebody to look.
func statusOTA(n *node, r *reader, t *driver.Transaction, nights bool) {
	status, said := n.lookup("ResStatus")
	low := strings.ToLower(status)
	switch {
	case strings.HasPrefix(low, "cancel"):
		t.Status = driver.Some(driver.StatusCanceled)
	case strings.HasPrefix(low, "no") && strings.Contains(low, "show"):
		t.Status = driver.Some(driver.StatusNoShow)
	case said && status != "" && low != "book" && low != "commit" && low != "modify" && low != "new" &&
		low != "modified" && low != "reserved":
		r.note("ResStatus", driver.ChangeValue, false, "a status that is not known")
		t.Status = driver.Some(driver.StatusOther)
	case n.name == otaNew || nights:
		t.Status = driver.Some(driver.StatusConfirmed)
	default:
		r.note("ResStatus", driver.ChangeMissing, false, "neither a status nor nights: perhaps a cancellation")
		custom := t.Custom.Or(nil)
		custom[customRecheck] = "neither a status nor nights"
		t.Custom = driver.Some(custom)
	}
	switch {
	case status != "":
		t.StatusText = driver.Some(status)
	case n.name == otaNew:
		t.StatusText = driver.Some("new")
	default:
		t.StatusText = driver.Some("modified")
	}
}

// roomsOTA reads the rooms, and reports whether they have nights. There is no TimeSpan: the stay is from the first
// night to the day after the last (documented).
func roomsOTA(n *node, r *reader, t *driver.Transaction) (whole bool, err error) {
	rooms := n.all("RoomStays", "RoomStay")
	stays := make([]driver.Stay, 0, len(rooms))
	var lines []driver.Line
	var all span
	var party driver.Party
	counted := false
	for _, room := range rooms {
		var days span
		title := room.child("RoomTypes", "RoomType", "RoomDescription").attr("Name")
		for _, rate := range room.all("RoomRates", "RoomRate") {
			d, ok := r.date(rate.attr("EffectiveDate"), "RoomRate@EffectiveDate").Get()
			if !ok {
				return false, errors.New("a night without its date")
			}
			days.add(d)
			all.add(d)
			price := rate.child("Rates", "Rate", "Total")
			amount := r.minor(price, "AmountAfterTax", "RoomRate.Total")
			if !amount.Observed() {
				amount = r.minor(price, "AmountBeforeTax", "RoomRate.Total")
			}
			if m, ok := amount.Get(); ok {
				lines = append(lines, driver.Line{
					ID: room.attr("IndexNumber") + "/" + d.String(), Title: title,
					Type: "night/" + rate.attr("RatePlanCode"), Amount: m,
				})
			}
		}
		s := driver.Stay{
			ResourceID: trimZeros(room.child("BasicPropertyInfo").attr("HotelCode")),
			UnitID:     room.child("RoomTypes", "RoomType").attr("RoomTypeCode"),
			Start:      days.first, End: days.end(),
		}
		if guests := room.all("GuestCounts", "GuestCount"); len(guests) > 0 {
			s.Party = partyOTA(guests, r)
			counted = true
			party.Total += s.Party.Total
			party.Adults += s.Party.Adults
			party.Children += s.Party.Children
		}
		stays = append(stays, s)
	}
	if counted {
		t.Party = driver.Some(party)
	}
	if !all.empty() {
		t.Start, t.End = driver.Some(all.first), driver.Some(all.end())
	}
	switch {
	case len(stays) > 1:
		t.Stays = driver.Some(stays)
	case len(stays) == 1:
		t.Stays = driver.Some([]driver.Stay{})
		t.UnitID = r.ref(stays[0].UnitID, "RoomType@RoomTypeCode")
	}
	if len(lines) > 0 {
		t.Lines = driver.Some(lines)
	}
	return !all.empty(), nights(t)
}

// partyOTA counts guests: 10 is an adult, 8 a child; without a code only their number is known (all documented).
func partyOTA(guests []*node, r *reader) driver.Party {
	var p driver.Party
	for _, g := range guests {
		n := r.count(g.attr("Count"), "GuestCount@Count").Or(0)
		p.Total += n
		switch code := g.attr("AgeQualifyingCode"); code {
		case "10":
			p.Adults += n
		case "8":
			p.Children += n
		case "":
		default:
			r.note("GuestCount@AgeQualifyingCode", driver.ChangeValue, false, "a code that is not known")
		}
	}
	return p
}

// servicesOTA reads what is paid for beside the rooms: plain decimals, without DecimalPlaces (documented). Whether
// totals include them is not known [unverified].
func servicesOTA(n *node, r *reader, t *driver.Transaction) {
	lines := t.Lines.Or(nil)
	before := len(lines)
	for _, s := range n.all("Services", "Service") {
		fee := s.child("ServiceDetails", "Fees", "Fee")
		if m, ok := r.decimal(fee.attr("Amount"), t.Currency.Or(""), "Service.Fee@Amount").Get(); ok {
			lines = append(lines, driver.Line{ID: "service/" + s.attr("ServiceRPH"),
				Type: "service/" + s.attr("ServiceInventoryCode"), Amount: m})
		}
	}
	if len(lines) > before {
		t.Lines = driver.Some(lines)
	}
}

// customerOTA reads the booker. The guests of the rooms are others, and may be pointed at without being there: they are
// in Raw.
func customerOTA(n *node) driver.Opt[driver.Customer] {
	if n == nil {
		return driver.Opt[driver.Customer]{}
	}
	c := driver.Customer{
		FirstName: n.child("PersonName", "GivenName").value(), LastName: n.child("PersonName", "Surname").value(),
		Email: n.child("Email").value(), Phone: n.child("Telephone").attr("PhoneNumber"),
	}
	c.Name = strings.TrimSpace(c.FirstName + " " + c.LastName)
	if c == (driver.Customer{}) {
		return driver.Opt[driver.Customer]{}
	}
	return driver.Some(c)
}

// notesOTA joins Booking.com's remarks, the guests' and their requests.
func notesOTA(n, global *node) driver.Opt[string] {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	for _, c := range global.all("Comments", "Comment", "Text") {
		add(c.value())
	}
	for _, room := range n.all("RoomStays", "RoomStay") {
		for _, c := range room.all("Comments", "Comment", "Text") {
			add(c.value())
		}
		for _, q := range room.all("SpecialRequests", "SpecialRequest") {
			text := q.child("Text").value()
			if name := q.attr("Name"); name != "" && text != "" {
				text = name + ": " + text
			}
			add(text)
		}
	}
	return word(strings.Join(parts, "\n"))
}

// The custom fields of a transaction.
const (
	customBookedAt  = "booked_at"     // the time of booking as it came, which has no time zone
	customGenius    = "genius"        // "true": the booker is a member
	customCardFrom  = "vcc_from"      // the first day a virtual card may be charged
	customCardUntil = "vcc_until"     // and the last
	customCardMoney = "vcc_balance"   // what is on it
	customFee       = "cancel_fee"    // of a canceled reservation
	customRecheck   = "needs_recheck" // why somebody should look at it
	customVirtual   = "virtual_card"  // "true": the rate plan is for virtual cards
	vccSuffix       = "VCC"           // of a rate plan's code, when that option is on (documented)
	geniusFlag      = "booker_is_genius"
)

func customOTA(n, global *node) map[string]string {
	custom := map[string]string{}
	set := func(name, v string) {
		if v != "" {
			custom[name] = v
		}
	}
	set(customBookedAt, global.child("HotelReservationIDs", "HotelReservationID").attr("ResID_Date"))
	for _, f := range n.all("TPA_Extensions", "flags", "flag") {
		if f.attr("name") == geniusFlag {
			custom[customGenius] = "true"
		}
	}
	for _, rate := range n.all("RoomStays", "RoomStay", "RoomRates", "RoomRate") {
		if strings.HasSuffix(rate.attr("RatePlanCode"), vccSuffix) {
			custom[customVirtual] = "true"
		}
	}
	card := global.child("Guarantee", "GuaranteesAccepted", "GuaranteeAccepted", "PaymentCard")
	if card.attr("EffectiveDate") != "" { // virtual cards only (documented)
		set(customCardFrom, card.attr("EffectiveDate"))
		set(customCardUntil, card.attr("VCCExpirationDate"))
		if m, ok := (&reader{}).minor(card, "CurrentBalance", "").Get(); ok {
			set(customCardMoney, fmt.Sprint(m))
		}
	}
	return custom
}
