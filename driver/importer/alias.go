package importer

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// aliasesOf returns the other ids of the thing that a document is about.
func aliasesOf(doc json.RawMessage) []string {
	var v struct {
		Aliases []string `json:"aliases"`
	}
	if json.Unmarshal(doc, &v) != nil {
		return nil
	}
	return v.Aliases
}

// named returns the ids under which the records of observations may be stored as well, and are not observed themselves.
func named(byID map[string][]observation) []string {
	var ids []string
	for id, obs := range byID {
		for _, o := range obs {
			for _, a := range o.aliases {
				if a != id && byID[a] == nil && storable(a) && !slices.Contains(ids, a) {
					ids = append(ids, a)
				}
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// takeOver looks for what is stored of the record id under the aliases that obs bring, which are new to what is stored
// of id: what a partner merged or renamed. It returns what is stored under these ids and lives, with the newest first,
// and whether one of them was erased, which goes for the record under every id.
//
// A record is not taken over when it was shown since, by itself: in the same batch (shown), in the same listing
// (generation), or by a later request. An alias may be the id of something that still is there, after a split say. Nor
// is it by an observation that is older than the aliases that are stored of id: these say otherwise.
func takeOver(
	id string, obs []observation, stored map[string]*Stored, shown []string, generation int64,
) (from []*Stored, isErased bool) {
	var known []string
	var since Stamp
	if s := stored[id]; s != nil {
		if known = aliasesOf(s.Document); known != nil {
			since = s.stampOf("aliases")
		}
	}
	for _, o := range obs {
		late := o.stamp.Compare(since) < 0
		for _, a := range o.aliases {
			s := stored[a]
			if a == id || s == nil || slices.Contains(from, s) {
				continue
			}
			if s.Erased {
				return nil, true
			}
			itself := generation != 0 && s.Generation == generation || s.LastFetched.After(o.sent) ||
				slices.Contains(shown, a)
			if s.DeletedAt.IsZero() && !late && !itself && !slices.Contains(known, a) {
				from = append(from, s)
			}
		}
	}
	slices.SortFunc(from, func(a, b *Stored) int { return cmp.Or(b.Stamp.Compare(a.Stamp), cmp.Compare(a.ID, b.ID)) })
	return from, false
}

// content is the fields of the thing that s is stored of, without what is about the id it is stored under.
func (s *Stored) content() ([]field, error) {
	fields, err := splitFields(s.Document)
	return slices.DeleteFunc(fields, func(f field) bool { return f.name == "id" || f.name == "aliases" }), err
}

// renamed is what a record begins with that goes on under the id.
func (s *Stored) renamed(id string) (*Stored, error) {
	fields, err := s.content()
	if err != nil {
		return nil, err
	}
	r := *s
	r.ID = id
	r.Document, err = withField(fields, "id", id)
	return &r, err
}

// absorb adds to s, which old became by what, what was known of the thing under other ids: each field has the value of
// its newest observation, whatever the id was.
func (s *Stored) absorb(
	from []*Stored, old *Stored, what outcome, now time.Time,
) (Stored, outcome, []string, error) {
	cur := *s
	fields, err := splitFields(cur.Document)
	for _, f := range from {
		var more []field
		if err == nil {
			more, err = f.content()
		}
		if err != nil {
			return cur, what, nil, err
		}
		fields, cur.Stamp, cur.Older = overlay(fields, cur.Stamp, cur.Older, layer{more, f.Stamp, f.Older})
		if f.UpdatedAt.After(cur.UpdatedAt) {
			cur.UpdatedAt = f.UpdatedAt
		}
		if f.FirstFetched.Before(cur.FirstFetched) {
			cur.FirstFetched = f.FirstFetched
		}
		if f.LastFetched.After(cur.LastFetched) {
			cur.LastFetched = f.LastFetched
		}
	}
	cur.Document = joinFields(fields)
	cur.Hash, cur.Parent = hashOf(cur.Document), parentOf(fields)
	before, err := splitFields(old.Document)
	if err != nil {
		return cur, what, nil, err
	}
	names := differing(before, fields)
	if (what == unchanged || what == stale) && len(names) > 0 {
		what = updated
		cur.Version++
		cur.ChangedAt = now
	}
	return cur, what, names, nil
}

// merged marks s as gone because it goes on under the id: all that is kept under the old one is that it did, for what
// is known of the thing is to be erased in one place.
func (s *Stored) merged(id string, obs []observation, now time.Time) error {
	aliases := aliasesOf(s.Document)
	if !slices.Contains(aliases, id) {
		aliases = append(aliases, id)
	}
	fields, err := splitFields(s.Document)
	if err != nil {
		return err
	}
	fields = slices.DeleteFunc(fields, func(f field) bool { return f.name != "id" && f.name != "resource_id" })
	if s.Document, err = withField(fields, "aliases", aliases); err != nil {
		return err
	}
	s.Hash, s.Raw, s.RawHash, s.Older = hashOf(s.Document), json.RawMessage{}, "", nil
	s.DeletedAt = obs[0].sent
	for _, o := range obs {
		if o.sent.Before(s.DeletedAt) {
			s.DeletedAt = o.sent
		}
		if o.stamp.Compare(s.Stamp) > 0 {
			s.Stamp = o.stamp
		}
	}
	s.ChangedAt = now
	s.Version++
	return nil
}

// withField returns the document of fields, which are sorted, with the value for the name.
func withField(fields []field, name string, value any) (json.RawMessage, error) {
	b, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	fields = slices.Clone(fields)
	at, ok := slices.BinarySearchFunc(fields, name, func(f field, name string) int { return cmp.Compare(f.name, name) })
	if ok {
		fields[at].value = b
	} else {
		fields = slices.Insert(fields, at, field{name, b})
	}
	return joinFields(fields), nil
}

// adopt gives the media of resources that go on under another id to that.
func (r *run) adopt(ctx context.Context, tx Tx, c Collection, changes []Change) error {
	if c.Kind != driver.KindResource {
		return nil
	}
	into := map[string]string{}
	for _, ch := range changes {
		if ch.Change == Merged {
			into[ch.ID] = ch.into
		}
	}
	if len(into) == 0 {
		return nil
	}
	c.Kind = driver.KindMedia
	media, err := tx.List(ctx, c, Filter{Live: true, Parents: slices.Sorted(maps.Keys(into))})
	if err != nil || len(media) == 0 {
		return err
	}
	now := wall(time.Now())
	moved := make([]Change, 0, len(media))
	for i := range media {
		m := &media[i]
		fields, err := splitFields(m.Document)
		if err != nil {
			return err
		}
		m.Parent = into[m.Parent]
		if m.Document, err = withField(fields, "resource_id", m.Parent); err != nil {
			return err
		}
		m.Hash, m.ChangedAt = hashOf(m.Document), now
		m.Version++
		moved = append(moved, Change{
			Event:    Event{Collection: c, ID: m.ID, Version: m.Version, Change: Updated, At: now, Run: r.result.Run},
			Document: m.Document, Fields: []string{"resource_id"}, Earliest: m.LastFetched,
		})
	}
	if err := tx.PutRecords(ctx, media); err != nil {
		return err
	}
	return r.changed(ctx, tx, c, moved)
}
