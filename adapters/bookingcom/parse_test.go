package bookingcom

import (
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

// How a cancellation is marked is not established: what is seen is understood, and what says nothing is marked for a
// look.
func TestStatuses(t *testing.T) {
	const nights = `<RoomStays><RoomStay><RoomRates><RoomRate EffectiveDate="2026-05-08"/></RoomRates></RoomStay></RoomStays>`
	const id = `<ResGlobalInfo><HotelReservationIDs><HotelReservationID ResID_Value="7"/></HotelReservationIDs></ResGlobalInfo>`
	for body, want := range map[string]struct {
		status  driver.TransactionStatus
		recheck bool
		odd     int
	}{
		`<HotelReservation>` + id + `</HotelReservation>`: {driver.StatusConfirmed, false, 0},
		`<HotelResModify>` + nights + id +
			`</HotelResModify>`: {driver.StatusConfirmed, false, 0},
		`<HotelResModify ResStatus="Modify">` + nights + id +
			`</HotelResModify>`: {driver.StatusConfirmed, false, 0},
		`<HotelResModify ResStatus="CANCELLED">` + nights + id + `</HotelResModify>`: {driver.StatusCanceled,
			false, 0},
		`<HotelResModify ResStatus="Cancel">` + id + `</HotelResModify>`: {driver.StatusCanceled,
			false, 0},
		`<HotelResModify ResStatus="No-show">` + id + `</HotelResModify>`: {driver.StatusNoShow,
			false, 0},
		`<HotelResModify ResStatus="Waitlisted">` + id + `</HotelResModify>`: {driver.StatusOther,
			false, 1},
		`<HotelResModify>` + id + `</HotelResModify>`:                    {"", true, 1},
		`<reservation><id>7</id><status>Modified</status></reservation>`: {driver.StatusConfirmed, false, 0},
		`<reservation><id>7</id><status>canceled</status></reservation>`: {driver.StatusCanceled,
			false, 0},
		`<reservation><id>7</id><status>overbooked</status></reservation>`: {driver.StatusOther,
			false, 1},
		`<reservation><id>7</id></reservation>`:                                               {"", false, 1},
		`<reservation><id>7</id><status/><currencycode>???</currencycode></reservation>`:      {"", false, 2},
		`<reservation><id>7</id><status>new</status><totalprice>x</totalprice></reservation>`: {driver.StatusConfirmed, false, 1},
	} {
		tx, odd, err := parse([]byte(body), "")
		_, recheck := tx.Custom.Or(nil)[customRecheck]
		if err != nil || tx.Status.Or("") != want.status || recheck != want.recheck || len(odd) != want.odd {
			t.Errorf("%s: status %q, recheck %v, %d odd, %v", body, tx.Status.Or(""), recheck, len(odd), err)
		}
	}
}

// What cannot be a reservation is an error that holds nothing of it.
func TestParseErrors(t *testing.T) {
	const canary = "canary"
	for _, body := range []string{
		``, canary, `<canary/>`, `<HotelReservation/>`, `<reservation><id/></reservation>`, `<a><canary></a>`,
		`<a/><canary/>`, `<a/>canary`, `<a>&canary;</a>`,
		`<!DOCTYPE canary><a/>`, `<a`, `<?xml version="1.0" encoding="canary"?><a/>`, "<a>\x00</a>",
		strings.Repeat("<a>", 70),
		`<HotelResModify><RoomStays><RoomStay><RoomRates><RoomRate EffectiveDate="canary"/></RoomRates></RoomStay></RoomStays><ResGlobalInfo><HotelReservationIDs><HotelReservationID ResID_Value="7"/></HotelReservationIDs></ResGlobalInfo></HotelResModify>`,
		`<reservation><id>7</id><room><arrival_date>2026-05-09</arrival_date><departure_date>2026-05-08</departure_date></room></reservation>`,
		`<reservation><id>7</id><room><arrival_date>2026-05-09</arrival_date><departure_date>canary</departure_date></room></reservation>`,
		`<reservation><id>` + strings.Repeat("7", 300) + `</id></reservation>`,
	} {
		if _, _, err := parse([]byte(body), ""); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%.60s: got %v", body, err)
		}
	}
	if _, _, err := parse([]byte(`<reservation><id>7</id></reservation>`), "v9"); err == nil {
		t.Error("an unknown version is accepted")
	}
}

// Cards are taken out wherever they stand; what only looks like a number stays.
func TestScrub(t *testing.T) {
	for in, want := range map[string]string{
		`<reservation><customer><cc_number>4111 1111 1111 1111</cc_number><cc_cvc>737</cc_cvc><cc_type>Visa</cc_type></customer></reservation>`:                                                          `<reservation><customer><cc_number></cc_number><cc_cvc></cc_cvc><cc_type></cc_type></customer></reservation>`,
		`<reservation><remarks>card 4111-1111-1111-1111 or 4120087731000</remarks></reservation>`:                                                                                                        `<reservation><remarks>card [card] or 4120087731000</remarks></reservation>`,
		`<HotelReservation><PaymentCard CardCode="VI" CardNumber='4111111111111111' SeriesCode = "737" EffectiveDate="2026-04-02"><CardHolderName>A B</CardHolderName></PaymentCard></HotelReservation>`: `<HotelReservation><PaymentCard CardCode="VI" CardNumber="" SeriesCode = "" EffectiveDate="2026-04-02"><CardHolderName></CardHolderName></PaymentCard></HotelReservation>`,
	} {
		n, err := parseXML([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(scrub([]byte(in), n)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
