package airbnb

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/integrationkit/integrationkit/driver/wire"
)

// The roots that lists and single records stand under.
var roots = []struct{ plural, singular string }{{"listings", "listing"}, {"reservations", "reservation"},
	{"listing_photos", "listing_photo"}}

// page is a list, from either envelope: the older with metadata {record_count, listing_count}, the newer with paging
// {total_count}. Rows may be nested, each under the singular of the root, and one record may stand in the place of a
// list (all seen in fixtures). An answer without a root is an error, never an empty page.
type page struct {
	rows  []json.RawMessage
	total int // 0: not said
}

var errNoRows = errors.New("neither listings nor reservations nor listing_photos")

// UnmarshalJSON reads an envelope. Errors hold no piece of it.
func (p *page) UnmarshalJSON(body []byte) error {
	*p = page{}
	env := wire.Fields(body)
	for _, r := range roots {
		plural, singular := r.plural, r.singular
		switch env.Type(plural) {
		case '[':
			var rows []json.RawMessage
			if json.Unmarshal(env.Raw(plural), &rows) != nil {
				return errNoRows
			}
			p.rows = make([]json.RawMessage, len(rows))
			for i, raw := range rows {
				p.rows[i] = unwrap(raw, singular)
			}
			p.count(env)
			return nil
		case '{':
			p.rows = []json.RawMessage{unwrap(env.Raw(plural), singular)}
			return nil
		}
		if env.Type(singular) == '{' {
			p.rows = []json.RawMessage{env.Raw(singular)}
			return nil
		}
	}
	return errNoRows
}

// count reads how many rows there are in all. Of the two counts of the older envelope, which may differ, the
// listings' is taken.
func (p *page) count(env wire.Object) {
	for field, name := range map[string]string{"paging": "total_count", "metadata": "listing_count"} {
		sub := wire.Fields(env.Raw(field))
		text, _ := wire.Scalar(sub.Raw(name))
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			p.total = n
		}
	}
}

// unwrap returns what a row holds under the singular of the root, or the row.
func unwrap(raw json.RawMessage, singular string) json.RawMessage {
	if o := wire.Fields(raw); o.Type(singular) == '{' {
		return o.Raw(singular)
	}
	return raw
}

// one is the answer for one record, under a singular root.
type one struct{ raw json.RawMessage }

var errNoRecord = errors.New("no listing, reservation or calendar")

// UnmarshalJSON refuses what holds no record.
func (r *one) UnmarshalJSON(body []byte) error {
	env := wire.Fields(body)
	for _, root := range []string{"listing", "reservation", "calendar"} {
		if env.Type(root) == '{' {
			r.raw = bytes.Clone(env.Raw(root))
			return nil
		}
	}
	return errNoRecord
}

// user is the answer to users/me.
type user struct {
	User json.RawMessage `json:"user" wire:"required"`
}

func (u user) id() string { return wire.ID(u.User, "id_str", "id") }
