package bookingcomtest

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

const (
	firstProperty    = 7_004_411
	firstReservation = 4_120_000_000
	firstRate        = 31_200_001
)

// PropertyID returns the id of the property with the index.
func PropertyID(i int) string { return strconv.Itoa(firstProperty + i) }

// UnitID returns the id of a property's room type: the property's id and two digits.
func UnitID(property, unit int) string { return fmt.Sprintf("%s%02d", PropertyID(property), unit+1) }

// RateID returns the id of the property's rate plan.
func RateID(property int) string { return strconv.Itoa(firstRate + 100*property) }

// PropertyIDs lists the ids of the properties, in order.
func (s *Server) PropertyIDs() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range s.cfg.Properties {
			if !yield(PropertyID(i)) {
				return
			}
		}
	}
}

// index returns the index of a property id.
func (s *Server) index(id string) (int, bool) {
	n, err := strconv.Atoi(id)
	n -= firstProperty
	return n, err == nil && n >= 0 && n < s.cfg.Properties
}

// place is where a property is, with a currency of two, none or three decimal places.
type place struct {
	country, city, currency string
	places                  int
}

var sites = []place{{"RO", "Cluj-Napoca", "EUR", 2}, {"JP", "Sampletown", "JPY", 0}, {"KW", "Sample City", "KWD", 3}}

func site(property int) place { return sites[property%len(sites)] }

// content routes the Property, Rooms and Photo APIs: /{api}/properties/{id}/…
func (s *Server) content(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	api, rest := parts[0], strings.Join(parts[3:], "/")
	i, ok := s.index(parts[2])
	if !ok { // documented for reservations: 403 without a grant for the property
		s.envelope(w, http.StatusForbidden, nil, "497", "Access denied for hotel")
		return
	}
	switch what := r.Method + " " + api + " " + rest; what {
	case "GET property-api ":
		s.Params(r)
		s.envelope(w, http.StatusOK, s.property(i), "", "")
	case "GET rooms-api units":
		s.Params(r, "debug_info")
		units := []any{}
		for n := range s.cfg.UnitsPerProperty {
			units = append(units, s.unit(i, n))
		}
		s.envelope(w, http.StatusOK, units, "", "")
	case "GET photo-api photos":
		s.Params(r)
		photos := []any{}
		for n := range s.cfg.PhotosPerProperty {
			photos = append(photos, s.photo(i, n))
		}
		s.envelope(w, http.StatusOK, map[string]any{"photos": photos}, "", "")
	default:
		s.Note("%s: no such call, or not simulated", what)
		s.envelope(w, http.StatusNotFound, nil, "450", "Not found")
	}
}

// decode reads JSON into a map.
func object(text string) map[string]any {
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err) // a constant
	}
	return m
}

func (s *Server) property(i int) map[string]any {
	d := partnersim.Roll(s.cfg.Seed, 1, i)
	p := site(i)
	v := map[string]any{
		"property_id": firstProperty + i, "property_name": fmt.Sprintf("Example House %d", i),
		"legal_entity_id": 88001122, "target": "test",
		"status": partnersim.Pick(d, 1, []string{"open", "open", "closed"}), "stars": partnersim.Pick(d, 2,
			[]string{"0", "3.5", "5"}),
		"room_count": s.cfg.UnitsPerProperty, "floor_count": 2, "property_category": 20, "primary_language": "en-gb",
		"languages_spoken": []string{"en-gb", "ro"}, "provider_property_id": fmt.Sprintf("H-%06d", i),
		"currency_code": p.currency,
		"check_in":      map[string]any{"from": "15:00", "until": "22:30"}, "check_out": map[string]any{"from": "07:00",
			"until": "11:00"},
		"physical_address": map[string]any{
			"address_line": fmt.Sprintf("Str. Exemplu %d", i), "city_name": p.city, "country_code": p.country,
			"postal_code": "400001", "display_address": true,
		},
		"position": map[string]any{"latitude": 46.77, "longitude": 23.59},
	}
	if shape, ok := s.odd(i, 5); ok {
		switch shape {
		case 0: // all day; the other category; a number for a text
			v["check_in"], v["booking_property_category"], v["stars"] = map[string]any{"from": "00:00",
				"until": "00:00"}, 220, 4
		case 1: // hour 24, which the text allows and the pattern does not
			v["check_out"] = map[string]any{"from": "07:00", "until": "24:00"}
		case 2:
			v["physical_address"], v["position"] = nil, nil
		case 3:
			v["property_id"], v["floor_count"], v["provider_property_id"] = PropertyID(i), "2", ""
		case 4:
			v["position"], v["languages_spoken"] = map[string]any{"latitude": "46.77", "longitude": "23.59"}, "en-gb"
		}
	}
	return v
}

func (s *Server) unit(property, n int) map[string]any {
	d := partnersim.Roll(s.cfg.Seed, 2, property*100+n)
	id, _ := strconv.ParseInt(UnitID(property, n), 10, 64) // digits
	guests := 1 + d.Int(1, 4)
	v := map[string]any{
		// the enum's values are unverified
		"unit_id": id, "unit_name_id": 90 + n, "number_of_units": 1 + d.Int(2, 3), "smoking_policy": "NON_SMOKING",
		"size":                     map[string]any{"value": 20 + d.Int(3, 30), "unit": "SQM"},
		"partner_reference_name":   fmt.Sprintf("room-type-%d", n+1),
		"floor_numbers_located_on": []int{0},
		"occupancy_details": map[string]any{"max_guests": guests, "max_adults": guests, "max_children": 0,
			"max_infants": 0, "max_infants_on_top": 0},
		"configuration": object(`{"unit_type_id":11,"rooms":[{"type":"GUEST_ROOM","bed_configurations":[
			{"is_default_configuration":true,"beds":[{"bed_type_id":3,"bed_count":2}]},{"is_default_configuration":false,"beds":[{"bed_type_id":1,"bed_count":1}]}]}]}`),
	}
	if shape, ok := s.odd(property*s.cfg.UnitsPerProperty+n, 3); ok {
		switch shape {
		case 0:
			v["configuration"] = object(`{"unit_type_id":9,"rooms":[]}`)
			delete(v, "size")
		case 1:
			v["unit_id"], v["number_of_units"], v["partner_reference_name"] = UnitID(property, n), "2", nil
		case 2:
			v["occupancy_details"], v["floor_numbers_located_on"] = nil, nil
		}
	}
	return v
}

func (s *Server) photo(property, n int) map[string]any {
	id := fmt.Sprintf("30%d%03d", firstProperty+property, n)
	u := "https://photos.example.net/" + id + ".jpg"
	v := map[string]any{
		"photo_id": id, "url": u, "tag_ids": []int{3},
		"in_property_gallery": map[string]any{"property_id": firstProperty + property, "url": u},
		"in_room_galleries":   []any{}, "name": fmt.Sprintf("Picture %d", n), "height": 1536, "width": 2048,
		"quality": "high", "sample": false,
	}
	if shape, ok := s.odd(n, 2); ok {
		if shape == 0 { // older pages: tags, which are texts
			delete(v, "tag_ids")
			v["tags"], v["name"] = []string{"Terrace"}, nil
		} else {
			v["in_property_gallery"], v["quality"] = nil, 80
		}
	}
	return v
}
