package bookingcom_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
)

// A list of missed reservations that stays full, or does not say which they are, is no whole one.
func TestMissedReservationsThatCannotBeHad(t *testing.T) {
	row := func(id int) string {
		return fmt.Sprintf(`{"reservation_id":"%d","hotel_id":"7004411"}`, 4_120_000_000+id)
	}
	var full []string
	for i := range 50 {
		full = append(full, row(i))
	}
	for name, tt := range map[string]struct {
		rows       []string
		incomplete bool
	}{
		"none": {nil, false}, "some": {full[:3], false}, "full": {full, true},
		"without a number": {[]string{row(1), `{"hotel_id":"7004411"}`}, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := server(t, bookingcomtest.Config{Properties: 1, Recovery: true})
			in := bookingcomtest.Legacy(s.Hotel("h1", 0))
			in.Settings = map[string]string{"recovery": "on"}
			d := tampered(t, s, in, func(r *http.Request, _ string) string {
				if strings.Contains(r.URL.Path, "missed") {
					return `{"errors":[],"data":[` + strings.Join(tt.rows, ",") + `]}`
				}
				return `<` + strings.TrimPrefix(r.URL.Path, "/hotels/ota/") + `RQ/>` // acknowledged meanwhile
			})
			incomplete := ""
			for page, err := range d.Recover(t.Context(), time.Now()) {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				incomplete = page.Incomplete
			}
			if (incomplete != "") != tt.incomplete {
				t.Errorf("%s: incomplete %q", name, incomplete)
			}
		})
	}
}

// Nobody says in which zone last_change is read: what changed since is asked for in the westernmost, too.
func TestChangesOfAllZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(t, bookingcomtest.Config{Properties: 1})
		since := time.Now().Add(-3 * time.Hour)
		asked := 0
		d := tampered(t, s, bookingcomtest.Legacy(s.Hotel("h1", 0)), func(r *http.Request, body string) string {
			at, err := time.Parse(time.DateTime, r.URL.Query().Get("last_change"))
			if err != nil || at.After(since.Add(-14*time.Hour)) {
				t.Errorf("changes since %v are asked for as since %v, %v", since, at, err)
			}
			asked++
			return body
		})
		for _, err := range d.Recover(t.Context(), since) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if asked < 2 {
			t.Errorf("%d queues were asked", asked)
		}
	})
}
