package bookingcom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// Resources implements driver.ResourceLister: a page for each property, with the property and its room types. There is
// no call that lists properties: they are those of [Config].Properties.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	s := pagination.Start{Stream: "bookingcom/properties/1", Cursor: q.Cursor, MaxPages: q.MaxPages}
	return pagination.Token(ctx, s, func(ctx context.Context, token string) (pagination.Batch[driver.Resource], error) {
		at := 0
		if token != "" {
			if at = slices.Index(d.config.Properties, token); at < 0 {
				return pagination.Batch[driver.Resource]{}, fmt.Errorf("%w: the property is none of the "+
					"integration's any more", pagination.ErrCursor)
			}
		}
		b, err := d.property(ctx, d.config.Properties[at])
		if err != nil {
			return pagination.Batch[driver.Resource]{}, err
		}
		if at+1 < len(d.config.Properties) {
			b.Next = d.config.Properties[at+1]
		}
		return b, nil
	})
}

// property reads a property and its room types.
func (d *Driver) property(ctx context.Context, id string) (pagination.Batch[driver.Resource], error) {
	data, err := d.read(ctx, "property.get", driver.Path("/property-api/properties/{}", id))
	if err != nil {
		return pagination.Batch[driver.Resource]{}, err
	}
	units, err := d.list(ctx, "rooms.list", driver.Path("/rooms-api/properties/{}/units", id))
	if err != nil {
		return pagination.Batch[driver.Resource]{}, err
	}
	b := propertyV1.Each(ctx, d.api, []json.RawMessage{data})
	if len(b.Items) == 1 && trimZeros(b.Items[0].ID) != id {
		return pagination.Batch[driver.Resource]{}, &retry.Error{
			Verdict: undecodable, Partner: Partner, Op: "property.get", Integration: d.integration,
			Err: errors.Join(driver.ErrUndecodable, errors.New("an answer about another property")),
		}
	}
	more := unitV1(id).Each(ctx, d.api, units)
	for _, u := range more.Items { // a server that answers for another property would do so for ever
		b.Fingerprint += u.ID + " "
	}
	b.Items = append(b.Items, more.Items...)
	b.Rejected = append(b.Rejected, more.Rejected...)
	return b, nil
}

// ResourcesByID implements driver.ResourceGetter by reading the properties that the ids are of: a room type's id begins
// with its property's (documented: usually). Where it does not, all properties are read.
func (d *Driver) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	wanted := map[string]bool{}
	read := map[string]bool{}
	for _, id := range ids {
		if id == "" {
			continue
		}
		wanted[id] = true
		switch {
		case slices.Contains(d.config.Properties, id):
			read[id] = true
		case len(id) > 2 && slices.Contains(d.config.Properties, id[:len(id)-2]):
			read[id[:len(id)-2]] = true
		default:
			for _, p := range d.config.Properties {
				read[p] = true
			}
		}
	}
	var properties []string
	for _, p := range d.config.Properties {
		if read[p] {
			properties = append(properties, p)
		}
	}
	return func(yield func(pagination.Page[driver.Resource], error) bool) {
		for i, p := range properties {
			page := pagination.Page[driver.Resource]{Total: -1, Sent: time.Now()}
			b, err := d.property(ctx, p)
			if err != nil && !errors.Is(err, driver.ErrNotFound) {
				page.Next = pagination.Beginning
				yield(page, err)
				return
			}
			page.Items = slices.DeleteFunc(b.Items, func(r driver.Resource) bool { return !wanted[r.ID] })
			page.Rejected = slices.DeleteFunc(b.Rejected, func(r pagination.Rejected) bool {
				return r.ID != "" &&
					!wanted[r.ID]
			})
			if i < len(properties)-1 {
				page.Next = pagination.Beginning
			}
			if !yield(page, nil) {
				return
			}
		}
	}
}

// Media implements driver.MediaLister: the photos of a property, in its order. A room type has none of its own: which
// rooms show a photo is in its Raw.
func (d *Driver) Media(ctx context.Context, resourceID string) pagination.Pages[driver.Media] {
	const op = "photos.list"
	return pagination.Token(ctx, pagination.Start{Stream: "bookingcom/photos/1"},
		func(ctx context.Context, _ string) (pagination.Batch[driver.Media], error) {
			if !slices.Contains(d.config.Properties, resourceID) {
				return pagination.Batch[driver.Media]{}, nil
			}
			data, err := d.read(ctx, op, driver.Path("/photo-api/properties/{}/photos", resourceID))
			if err != nil {
				return pagination.Batch[driver.Media]{}, err
			}
			var in struct {
				Photos []json.RawMessage `json:"photos"`
			}
			if err := json.Unmarshal(data, &in); err != nil || in.Photos == nil {
				return pagination.Batch[driver.Media]{}, &retry.Error{
					Verdict: undecodable, Partner: Partner, Op: op, Integration: d.integration,
					Err: errors.Join(driver.ErrUndecodable, errors.New("data holds no photos")),
				}
			}
			b := photoV1(resourceID).Each(ctx, d.api, in.Photos)
			for i := range b.Items {
				b.Items[i].Position = driver.Some(i)
			}
			return b, nil
		})
}

// propertyV1 is version 1 for properties.
var propertyV1 = wire.Decoder[driver.Resource]{
	Kind: driver.KindResource, ID: []string{"property_id"}, NumericID: true,
	Read: func(o wire.Object) (driver.Resource, error) {
		checkIn, _ := o.Object("check_in").Get()
		checkOut, _ := o.Object("check_out").Get()
		r := driver.Resource{
			Record:       o.Record(v1),
			ParentID:     driver.Null[string](),
			Name:         o.Word("property_name"),
			InternalName: o.Word("provider_property_id"),
			Structure:    driver.Some("property"),
			// codes: Booking.com's own, else OTA's
			Type:        o.First(loose(o), "booking_property_category", "property_category"),
			Currency:    o.Currency("currency_code"),
			CheckInFrom: clock(checkIn, "from"),
			CheckOutBy:  clock(checkOut, "until"),
			Address:     address(o),
		}
		// Which words there are beside open and closed is not documented.
		switch status := strings.ToLower(o.Word("status").Or("")); status {
		case "open":
			r.Status, r.Listed = driver.Some(driver.ResourceActive), driver.Some(true)
		case "closed":
			r.Status, r.Listed = driver.Some(driver.ResourceInactive), driver.Some(false)
		case "":
		default:
			o.Odd("status", driver.ChangeValue, "a value that is not known")
		}
		custom := map[string]string{}
		if s, ok := o.First(loose(o), "stars").Get(); ok && s != "" { // documented as a text
			custom["stars"] = s
		}
		if s, ok := o.Word("target").Get(); ok { // test, production
			custom["target"] = s
		}
		r.Custom = driver.Some(custom)
		return r, nil
	},
}

// loose reads a code that may be a number or a text.
func loose(o wire.Object) func(string) driver.Opt[string] {
	return func(field string) driver.Opt[string] {
		s, ok := wire.Scalar(o.Raw(field))
		switch {
		case ok && s != "":
			return driver.Some(s)
		case o.Has(field):
			return driver.Null[string]()
		}
		return driver.Opt[string]{}
	}
}

// clock reads a time of day. The documentation's text allows the hour 24, which is midnight.
func clock(o wire.Object, field string) driver.Opt[string] {
	if o.Word(field).Or("") == "24:00" {
		return driver.Some("00:00")
	}
	return o.Clock(field)
}

func address(o wire.Object) driver.Opt[driver.Address] {
	sub := o.Object("physical_address")
	a, ok := sub.Get()
	if !ok {
		if sub.IsNull() {
			return driver.Null[driver.Address]()
		}
		return driver.Opt[driver.Address]{}
	}
	v := driver.Address{
		Street: a.Word("address_line").Or(""), City: a.Word("city_name").Or(""),
		PostalCode: a.Word("postal_code").Or(""), Country: a.Word("country_code").Or(""),
	}
	if p, ok := o.Object("position").Get(); ok {
		v.Lat, v.Lng = p.Degrees("latitude", 90), p.Degrees("longitude", 180)
	}
	return driver.Some(v)
}

// unitV1 is version 1 for the room types of a property.
func unitV1(property string) wire.Decoder[driver.Resource] {
	return wire.Decoder[driver.Resource]{
		Kind: driver.KindResource, ID: []string{"unit_id"}, NumericID: true,
		Read: func(o wire.Object) (driver.Resource, error) {
			occupancy, _ := o.Object("occupancy_details").Get()
			r := driver.Resource{
				Record:       o.Record(v1),
				ParentID:     driver.Some(property),
				Name:         o.Word("partner_reference_name"),
				InternalName: o.Word("partner_reference_name"),
				Structure:    driver.Some("unit"),
				Status:       driver.Some(driver.ResourceActive), // documented: all active units are listed
				Capacity:     occupancy.Count("max_guests"),
			}
			if size, ok := o.Object("size").Get(); ok {
				if unit := size.Word("unit").Or("SQM"); unit == "SQM" {
					r.AreaSqM = size.Amount("value")
				} else {
					o.Odd("size.unit", driver.ChangeValue, "a unit that is not known")
				}
			}
			custom := map[string]string{}
			for _, f := range []string{"unit_name_id", "number_of_units", "smoking_policy"} {
				if s, ok := loose(o)(f).Get(); ok {
					custom[f] = s
				}
			}
			if c, ok := o.Object("configuration").Get(); ok {
				r.Type = loose(c)("unit_type_id")
				rooms(c, &r)
			}
			r.Custom = driver.Some(custom)
			return r, nil
		},
	}
}

// rooms counts bedrooms, and the beds of each room's default configuration.
func rooms(c wire.Object, r *driver.Resource) {
	all, ok := c.Objects("rooms").Get()
	if !ok || len(all) == 0 {
		return
	}
	bedrooms, beds := 0, 0
	for _, room := range all {
		switch room.Word("type").Or("") {
		case "BEDROOM_SUBROOM", "GUEST_ROOM":
			bedrooms++
		}
		configurations, _ := room.Objects("bed_configurations").Get()
		for i, b := range configurations {
			if b.Flag("is_default_configuration").Or(i == 0 && len(configurations) == 1) {
				list, _ := b.Objects("beds").Get()
				for _, bed := range list {
					beds += bed.Count("bed_count").Or(0)
				}
				break
			}
		}
	}
	r.Bedrooms, r.Beds = driver.Some(float64(bedrooms)), driver.Some(float64(beds))
}

var errNoURL = errors.New("the photo has no URL")

// photoV1 is version 1 for the photos of a property.
func photoV1(property string) wire.Decoder[driver.Media] {
	return wire.Decoder[driver.Media]{
		Kind: driver.KindMedia, ID: []string{"photo_id"},
		Read: func(o wire.Object) (driver.Media, error) {
			gallery, _ := o.Object("in_property_gallery").Get()
			u := o.URL("url")
			if _, ok := u.Get(); !ok {
				u = gallery.URL("url")
			}
			if _, ok := u.Get(); !ok {
				return driver.Media{}, errNoURL
			}
			return driver.Media{
				Record: o.Record(v1), ResourceID: property, URL: u, Caption: o.Text("name"),
				Source: driver.Some(Partner),
			}, nil
		},
	}
}
