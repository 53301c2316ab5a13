package cloudbedstest_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
)

// A webhook is registered, listed with its URL under one of two names, and removed in the way that the server was
// made to have.
func TestHooks(t *testing.T) {
	form := func(action string) url.Values {
		return url.Values{"object": {"reservation"}, "action": {action}, "endpointUrl": {"https://h/x"},
			"propertyID": {"190001"}}
	}
	for _, c := range []struct {
		removal     cloudbedstest.Removal
		method, how string
		form        url.Values
		left        int
	}{
		{cloudbedstest.Documented, "DELETE", "?subscriptionID=@", nil, 0},
		{cloudbedstest.ByEndpoint, "DELETE", "?subscriptionID=@", nil, 1}, // refused: it wants the URL
		{cloudbedstest.ByEndpoint, "POST", "", form("created"), 0},
		{cloudbedstest.Undead, "POST", "", form("created"), 1},
	} {
		s := server(t, cloudbedstest.Config{Properties: 1, Odd: 2, Removal: c.removal})
		_, first := write(t, s, "POST", "/api/v1.3/postWebhook", form("created"))
		_, again := write(t, s, "POST", "/api/v1.3/postWebhook", form("created"))
		var r struct {
			Data struct {
				ID string `json:"subscriptionID"`
			}
		}
		if err := json.Unmarshal([]byte(first), &r); err != nil || r.Data.ID == "" || first != again {
			t.Errorf("registered: %s, again %s, %v", first, again, err)
		}
		if got := s.Hooks("reservation/created"); !slices.Equal(got, []string{"https://h/x"}) {
			t.Errorf("sent to %v", got)
		}
		_, text := write(t, s, c.method, "/api/v1.3/deleteWebhook"+strings.Replace(c.how, "@", r.Data.ID, 1), c.form)
		if got := s.Hooks("reservation/created"); len(got) != c.left {
			t.Errorf("%v with %s: %s, %d left, want %d", c.removal, c.method, text, len(got), c.left)
		}
	}
	s := server(t, cloudbedstest.Config{Properties: 1, Odd: 2})
	for _, action := range []string{"created", "deleted"} {
		write(t, s, "POST", "/api/v1.3/postWebhook", form(action))
	}
	if _, text := call(t, s, "GET", "/api/v1.3/getWebhooks", cloudbedstest.APIKey); !strings.Contains(text,
		`{"endpoint":"https://h/x"}`) || !strings.Contains(text, `{"url":"https://h/x"}`) {
		t.Errorf("listed: %s", text)
	}
}

// The members of a body are spelt as they were seen for the event.
func TestEvents(t *testing.T) {
	s := server(t, cloudbedstest.Config{Properties: 1, ReservationsPerProperty: 2})
	at := time.Date(2026, 11, 1, 0, 0, 0, 500e6, time.UTC)
	for event, want := range map[string]string{
		"reservation/created":          `"reservationID":"7736451000037"`,
		"reservation/dates_changed":    `"reservationId":"7736451000037"`,
		"guest/assigned":               `"guestId":50400123,"guestId_str":"50400123","propertyId":190001`,
		"integration/appstate_changed": `"newState":"disabled","propertyID":190001`,
	} {
		if got := string(s.Event(event, 1, at)); !strings.Contains(got, want) ||
			!strings.Contains(got, `"timestamp":1793491200.5`) || !json.Valid([]byte(got)) {
			t.Errorf("%s: %s", event, got)
		}
	}
}

func TestRoomTypesAndProperties(t *testing.T) {
	s := server(t, cloudbedstest.Config{Properties: 3, Odd: -1})
	if _, text := call(t, s, "GET", "/api/v1.3/getRoomTypes?propertyIDs=190002",
		cloudbedstest.APIKey); strings.Count(text, `"roomTypeID"`) != 2 || !strings.Contains(text, `"total":2}`) {
		t.Errorf("room types: %s", text)
	}
	if d := s.ChangeProperties(1, 1, time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)); d.Added != 1 || d.Deleted != 1 ||
		s.Account().Properties != 3 {
		t.Errorf("%+v, %d properties", d, s.Account().Properties)
	}
	if got := slices.Collect(s.PropertyIDs()); len(got) != 3 || !slices.Contains(got, "190004") {
		t.Errorf("properties %v", got)
	}
}
