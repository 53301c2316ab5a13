package importer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// Stamp orders the observations of one record: by when the partner says the record changed, then by when the
// request that brought it was sent. Both are in nanoseconds since 1970. In JSON it is an array of the two.
type Stamp struct{ Updated, Sent int64 }

// NewStamp returns the stamp of an observation. An updatedAt that is zero, before 1970 or more than a day ahead of
// sentAt is not believed: the observation then counts as updated when it was sent for. That makes the order of
// stamps a total one, which "compare updatedAt where both have it, else sentAt" is not.
func NewStamp(updatedAt, sentAt time.Time) Stamp {
	s := Stamp{Updated: sentAt.UnixNano(), Sent: sentAt.UnixNano()}
	if believed(updatedAt, sentAt) {
		s.Updated = updatedAt.UnixNano()
	}
	return s
}

// believed reports whether a partner's time of update can be used to order observations.
func believed(updatedAt, sentAt time.Time) bool {
	return updatedAt.Unix() > 0 && !updatedAt.After(sentAt.Add(ahead))
}

// ahead is how far in the future a clock may be and still be believed.
const ahead = 24 * time.Hour

// Compare returns -1, 0 or +1 as s is older than, the same as or newer than t.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.Updated, t.Updated), cmp.Compare(s.Sent, t.Sent))
}

// MarshalJSON implements json.Marshaler.
func (s Stamp) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{s.Updated, s.Sent}) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Stamp) UnmarshalJSON(b []byte) error {
	var a [2]int64
	if err := json.Unmarshal(b, &a); err != nil {
		return err
	}
	s.Updated, s.Sent = a[0], a[1]
	return nil
}

// observation is a record as one answer of the partner showed it.
type observation struct {
	id        string
	aliases   []string
	fields    []field
	doc       []byte // the fields, joined
	raw       json.RawMessage
	rawHash   string
	stamp     Stamp
	updatedAt time.Time // zero when it is not believed
	sent      time.Time
	adapter   string
}

// observe makes an observation of a *driver.Resource, *driver.Transaction or *driver.Media.
func observe(rec any, sent time.Time) (observation, error) {
	base := recordOf(rec)
	var b []byte
	var err error
	// By value: what it can address, encoding/json copies field by field to ask whether it is zero.
	switch r := rec.(type) {
	case *driver.Resource:
		b, err = json.Marshal(*r)
	case *driver.Transaction:
		b, err = json.Marshal(*r)
	case *driver.Media:
		b, err = json.Marshal(*r)
	}
	if err != nil {
		return observation{}, fmt.Errorf("cannot be encoded as JSON: %T", err) // its text may hold a value
	}
	return newObservation(base, b, sent)
}

func newObservation(base *driver.Record, doc []byte, sent time.Time) (observation, error) {
	fields, err := splitFields(doc)
	if err != nil {
		return observation{}, err
	}
	fields = slices.DeleteFunc(fields, func(f field) bool { return f.name == "updated_at" })
	slices.SortFunc(fields, func(a, b field) int { return cmp.Compare(a.name, b.name) })
	o := observation{
		id: base.ID, aliases: slices.Clone(base.Aliases), fields: fields, doc: joinFields(fields), raw: base.Raw,
		adapter: base.AdapterVersion, stamp: NewStamp(base.UpdatedAt, sent), sent: wall(sent),
	}
	if believed(base.UpdatedAt, sent) {
		o.updatedAt = wall(base.UpdatedAt)
	}
	if len(base.Raw) > 0 {
		o.rawHash = hashOf(base.Raw)
	}
	return o, nil
}

// recordOf returns the part that all kinds of records share, nil for nil and for anything else.
func recordOf(rec any) *driver.Record {
	switch r := rec.(type) {
	case *driver.Resource:
		if r != nil {
			return &r.Record
		}
	case *driver.Transaction:
		if r != nil {
			return &r.Record
		}
	case *driver.Media:
		if r != nil {
			return &r.Record
		}
	}
	return nil
}

// wall strips what a store does not keep of a time: the monotonic reading and the zone.
func wall(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.Unix(0, t.UnixNano()).UTC()
}

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// outcome is what observations did to a record.
type outcome uint8

const (
	unchanged outcome = iota
	stale             // older than what is stored, and nothing in it was new
	added
	updated
	restored
	erased // the record was erased: nothing is kept of the observation
)

// merge applies observations of one record to what is stored of it (nil: nothing) and returns what is to be stored,
// what that means, and the top-level fields that differ. It is the one place where it is decided who wins:
//
//   - Each top-level field of the document has the value of its newest observation by [Stamp]; of two observations
//     with the same stamp, that of the greater encoded value. A field that an observation does not have is not touched
//     by it; null is a value.
//   - Raw, hash of raw and adapter version are those of the newest observation.
//   - A deleted record is restored by an observation that was sent for at or after the time as of which it was deleted.
//
// All of it is independent of the order in which observations arrive, of repetitions, and of how they are grouped; only
// Version and ChangedAt count what happened on the way.
func merge(old *Stored, obs []observation, now time.Time) (Stored, outcome, []string, error) {
	if old != nil && old.Erased {
		return *old, erased, nil, nil
	}
	var (
		cur    Stored
		fields []field // of cur, when changed is set
		dirty  bool
		newer  bool // some observation is at least as new as what was known
	)
	if old != nil {
		cur = *old
	}
	exists := old != nil
	for _, o := range obs {
		if !exists {
			exists, newer, dirty = true, true, true
			fields = o.fields
			cur.ID, cur.Document, cur.Stamp = o.id, o.doc, o.stamp
			cur.Raw, cur.RawHash, cur.AdapterVersion = o.raw, o.rawHash, o.adapter
			cur.UpdatedAt, cur.FirstFetched, cur.LastFetched = o.updatedAt, o.sent, o.sent
			continue
		}
		order := o.stamp.Compare(cur.Stamp)
		newer = newer || order >= 0
		if order > 0 ||
			order == 0 && cmp.Or(cmp.Compare(o.rawHash, cur.RawHash), cmp.Compare(o.adapter, cur.AdapterVersion)) > 0 {
			if o.rawHash != cur.RawHash {
				cur.Raw, cur.RawHash = o.raw, o.rawHash
				if cur.Raw == nil {
					cur.Raw = json.RawMessage{} // nil would keep the older item
				}
			}
			cur.AdapterVersion = o.adapter
		}
		if order >= 0 && len(cur.Older) == 0 && !dirty && bytes.Equal(o.doc, cur.Document) {
			cur.Stamp = o.stamp
		} else {
			if !dirty {
				var err error
				if fields, err = splitFields(cur.Document); err != nil {
					return Stored{}, unchanged, nil, fmt.Errorf("stored document of %q: %w", cur.ID, err)
				}
				dirty = true
			}
			fields, cur.Stamp, cur.Older = overlay(fields, cur.Stamp, cur.Older, layer{o.fields, o.stamp, nil})
		}
		if o.updatedAt.After(cur.UpdatedAt) {
			cur.UpdatedAt = o.updatedAt
		}
		if o.sent.Before(cur.FirstFetched) {
			cur.FirstFetched = o.sent
		}
		if o.sent.After(cur.LastFetched) {
			cur.LastFetched = o.sent
		}
		if !cur.DeletedAt.IsZero() && !o.sent.Before(cur.DeletedAt) {
			cur.DeletedAt = time.Time{}
		}
	}
	if dirty {
		cur.Document = joinFields(fields)
	}
	if old != nil && old.DeletedAt.Equal(cur.DeletedAt) && bytes.Equal(old.Document, cur.Document) {
		if !newer {
			return cur, stale, nil, nil
		}
		return cur, unchanged, nil, nil
	}
	if dirty {
		cur.Hash, cur.Parent = hashOf(cur.Document), parentOf(fields)
	}
	cur.Version++
	cur.ChangedAt = now
	if old == nil {
		return cur, added, nil, nil
	}
	what := updated
	if !old.DeletedAt.IsZero() && cur.DeletedAt.IsZero() {
		what = restored
	}
	before, err := splitFields(old.Document)
	if err != nil {
		return Stored{}, unchanged, nil, fmt.Errorf("stored document of %q: %w", cur.ID, err)
	}
	return cur, what, differing(before, fields), nil
}

// layer is fields, sorted by name, and when they were observed: at stamp, but for those in older.
type layer struct {
	fields []field
	stamp  Stamp
	older  map[string]Stamp
}

func (l layer) stampOf(name string) Stamp {
	if s, ok := l.older[name]; ok {
		return s
	}
	return l.stamp
}

func (s *Stored) stampOf(name string) Stamp { return layer{nil, s.Stamp, s.Older}.stampOf(name) }

// overlay lays o over fields, which are sorted by name too.
func overlay(fields []field, stamp Stamp, older map[string]Stamp, o layer) ([]field, Stamp, map[string]Stamp) {
	newest := stamp
	if o.stamp.Compare(newest) > 0 {
		newest = o.stamp
	}
	out := make([]field, 0, max(len(fields), len(o.fields)))
	var now map[string]Stamp
	put := func(f field, s Stamp) {
		out = append(out, f)
		if s != newest {
			if now == nil {
				now = make(map[string]Stamp, len(older)+1)
			}
			now[f.name] = s
		}
	}
	i, j := 0, 0
	for i < len(fields) || j < len(o.fields) {
		if i == len(fields) || j < len(o.fields) && o.fields[j].name < fields[i].name {
			put(o.fields[j], o.stampOf(o.fields[j].name))
			j++
			continue
		}
		s := layer{nil, stamp, older}.stampOf(fields[i].name)
		if j == len(o.fields) || fields[i].name < o.fields[j].name {
			put(fields[i], s)
			i++
			continue
		}
		at := o.stampOf(o.fields[j].name)
		if c := at.Compare(s); c > 0 || c == 0 && bytes.Compare(o.fields[j].value, fields[i].value) > 0 {
			put(o.fields[j], at)
		} else {
			put(fields[i], s)
		}
		i++
		j++
	}
	return out, newest, now
}

// differing names the fields that are not the same in a and b, both sorted.
func differing(a, b []field) []string {
	var names []string
	known := make(map[string][]byte, len(a))
	for _, f := range a {
		known[f.name] = f.value
	}
	for _, f := range b {
		if v, ok := known[f.name]; !ok || !bytes.Equal(v, f.value) {
			names = append(names, f.name)
		}
		delete(known, f.name)
	}
	return append(names, slices.Sorted(maps.Keys(known))...)
}

// parentOf returns the id of the resource that the record belongs to, "" if none.
func parentOf(fields []field) string {
	i, ok := slices.BinarySearchFunc(fields, "resource_id",
		func(f field, name string) int { return cmp.Compare(f.name, name) })
	if !ok {
		return ""
	}
	var id *string
	if json.Unmarshal(fields[i].value, &id) != nil || id == nil {
		return ""
	}
	return *id
}
