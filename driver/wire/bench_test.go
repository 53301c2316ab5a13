package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

var berth = []byte(`{"_id":"66f0c1a2b3d4e5f607182930","title":"Harbour loft with balcony","nickname":"HARBOUR-2B","accommodates":4,"bathrooms":1.5,"active":true,` +
	`"timezone":"Europe/Madrid","defaultCheckInTime":"15:00","address":{"city":"Port Sample","country":"Exampleland","lat":41.0012,"lng":2.0034},` +
	`"prices":{"currency":"EUR","basePrice":140,"cleaningFee":55.5},"amenities":["Wireless Internet","Kitchen","Washer"],"lastUpdatedAt":"2026-10-28T17:40:03.511Z"}`)

// BenchmarkDecoder compares reading an item field by field with decoding it into a struct that knows its types, which
// loses the item to the first that is another.
func BenchmarkDecoder(b *testing.B) {
	d := wire.Decoder[driver.Resource]{Kind: driver.KindResource, ID: []string{"_id"},
		Private: []string{"integrations"}, Read: func(o wire.Object) (driver.Resource, error) {
			r := driver.Resource{
				Record: o.Record("v1"), Name: o.Text("title"), InternalName: o.Text("nickname"),
				Capacity: o.Count("accommodates"), Bathrooms: o.Amount("bathrooms"),
				Listed: o.Flag("active"), TimeZone: o.Zone("timezone"), CheckInFrom: o.Clock("defaultCheckInTime"),
				Amenities: o.Texts("amenities"),
			}
			r.UpdatedAt, _ = o.Instant("lastUpdatedAt").Get()
			if a, ok := o.Object("address").Get(); ok {
				r.Address = driver.Some(driver.Address{City: a.Text("city").Or(""), Country: a.Text("country").Or(""),
					Lat: a.Degrees("lat", 90), Lng: a.Degrees("lng", 180)})
			}
			if p, ok := o.Object("prices").Get(); ok {
				r.Currency = p.Currency("currency")
				r.BasePrice, r.CleaningFee = p.Money("basePrice", r.Currency), p.Money("cleaningFee", r.Currency)
			}
			return r, nil
		}}
	b.Run("wire", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, odd, err := d.One(berth); err != nil || len(odd) > 0 {
				b.Fatal(odd, err)
			}
		}
	})
	b.Run("struct", func(b *testing.B) {
		type item struct {
			ID, Title, Nickname, Timezone, DefaultCheckInTime, LastUpdatedAt string
			Accommodates                                                     int
			Bathrooms                                                        float64
			Active                                                           bool
			Address                                                          struct {
				City, Country string
				Lat, Lng      float64
			}
			Prices struct {
				Currency               string
				BasePrice, CleaningFee json.Number
			}
			Amenities []string
		}
		b.ReportAllocs()
		for b.Loop() {
			var it item
			if err := json.Unmarshal(berth, &it); err != nil {
				b.Fatal(err)
			}
		}
	})
}
