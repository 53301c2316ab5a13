package bookingcomtest

import (
	"fmt"
	"strconv"
	"strings"
)

// message writes one reservation as OTA XML; mu is held.
func (s *Server) message(b *strings.Builder, i int, element string) {
	st := s.stay(i)
	p := site(st.property)
	shape, odd := s.odd(i, 6)
	amount := func(n int64) string {
		name := "AmountBeforeTax"
		if st.after {
			name = "AmountAfterTax"
		}
		return fmt.Sprintf(`<Total %s="%d" CurrencyCode="%s" DecimalPlaces="%d"/>`, name, n, p.currency, p.places)
	}
	status := ""
	// How a cancellation is marked is unverified: some client code looks for ResStatus. An odd one is not marked at
	// all.
	if st.cancelled && !(odd && shape == 0) {
		status = ` ResStatus="Cancelled"`
	}
	fmt.Fprintf(b, "<%s%s><RoomStays>", element, status)
	for n, r := range st.rooms {
		fmt.Fprintf(b, `<RoomStay IndexNumber="%d"><RoomTypes><RoomType RoomTypeCode="%s"><RoomDescription Name="Room type %d"><Text>A room.</Text><MaxChildren>1</MaxChildren></RoomDescription>`+
			`<Amenities><Amenity>Terrace</Amenity></Amenities></RoomType></RoomTypes>`, 300+7*n, UnitID(st.property,
			r.unit), r.unit+1)
		fmt.Fprintf(b, `<RatePlans><RatePlan><Commission><CommissionPayableAmount Amount="%d" DecimalPlaces="2" CurrencyCode="EUR"/></Commission></RatePlan></RatePlans>`, 15*st.nights)
		if !st.cancelled {
			b.WriteString("<RoomRates>")
			nights := make([]int, st.nights)
			for n := range nights {
				nights[n] = n
				if odd && shape == 1 { // in any order
					nights[n] = st.nights - 1 - n
				}
			}
			for _, n := range nights {
				rate := RateID(st.property)
				if odd && shape == 2 { // a rate plan with the option for virtual cards
					rate += "VCC"
				}
				fmt.Fprintf(b, `<RoomRate EffectiveDate="%s" RatePlanCode="%s"><Rates><Rate>%s</Rate></Rates></RoomRate>`, day(st.from.AddDate(0, 0, n)), rate, amount(r.price))
			}
			b.WriteString("<TPA_Extensions><BookingCondition>Free cancellation until 3 days before arrival.</BookingCondition></TPA_Extensions></RoomRates>")
		}
		if !(odd && shape == 3) { // may be absent
			fmt.Fprintf(b, `<GuestCounts><GuestCount AgeQualifyingCode="10" Count="%d"/>`, r.adults)
			if r.children > 0 {
				fmt.Fprintf(b, `<GuestCount AgeQualifyingCode="8" Age="6" Count="%d"/>`, r.children)
			}
			b.WriteString("</GuestCounts>")
		}
		total := r.price * int64(st.nights)
		if st.cancelled {
			total = 0
		}
		fmt.Fprintf(b, `<Occupancy>3</Occupancy>%s<BasicPropertyInfo HotelCode="%s"/><ResGuestRPHs><ResGuestRPH RPH="%d"/></ResGuestRPHs></RoomStay>`,
			amount(total), PropertyID(st.property), n+1)
	}
	b.WriteString("</RoomStays>")
	first, last, email := guest(i)
	if !(odd && shape == 4) { // a guest who is pointed at and not there
		fmt.Fprintf(b, `<ResGuests><ResGuest ResGuestRPH="1"><Profiles><ProfileInfo><Profile><Customer><PersonName><Surname>%s %s</Surname></PersonName></Customer></Profile></ProfileInfo></Profiles></ResGuest></ResGuests>`,
			first, last)
	}
	b.WriteString("<ResGlobalInfo>")
	if i%3 == 0 {
		fmt.Fprintf(b, `<Guarantee><GuaranteesAccepted><GuaranteeAccepted><PaymentCard CardCode="VI" CardNumber="%s" SeriesCode="%s" ExpireDate="0429"><CardHolderName>%s</CardHolderName></PaymentCard></GuaranteeAccepted></GuaranteesAccepted></Guarantee>`,
			CardNumber, CardCode, CardHolder)
	}
	if odd && shape == 5 { // elements and attributes of optional features
		b.WriteString(`<BusinessModel Kind="net"><Detail>unknown</Detail></BusinessModel>`)
	}
	fmt.Fprintf(b, `%s<HotelReservationIDs><HotelReservationID ResID_Value="%s" ResID_Date="%s"/></HotelReservationIDs>`,
		amount(st.total()), ReservationID(i), st.booked.Format("2006-01-02T15:04:05"))
	fmt.Fprintf(b, `<Profiles><ProfileInfo><Profile><Customer><PersonName><GivenName>%s</GivenName><Surname>%s</Surname></PersonName><Telephone PhoneNumber="+40 700 000 000"/><Email>%s</Email>`+
		`<Address><AddressLine>Str. Exemplu 4</AddressLine><CityName>%s</CityName><CountryName Code="%s"/><CompanyName/></Address></Customer></Profile></ProfileInfo></Profiles>`,
		first, last, email, p.city, p.country)
	fmt.Fprintf(b, `<TotalCommissions><CommissionPayableAmount Amount="%04d" DecimalPlaces="2" CurrencyCode="EUR"/></TotalCommissions></ResGlobalInfo></%s>`,
		15*st.nights*len(st.rooms), element)
}

// decimal writes minor units as B.XML does: with as many decimals as it takes.
func decimal(n int64, places int) string {
	text := strconv.FormatInt(n, 10)
	for len(text) <= places {
		text = "0" + text
	}
	if places > 0 {
		text = strings.TrimRight(strings.TrimRight(text[:len(text)-places]+"."+text[len(text)-places:], "0"), ".")
	}
	return text
}
