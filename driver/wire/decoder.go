package wire

import (
	"context"
	"encoding/json"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// Decoder makes records of one kind of a partner's items: one version of the normalization. A Decoder is a value and
// safe for concurrent use.
type Decoder[T any] struct {
	// Kind names the items in drift: [driver.KindResource].
	Kind driver.Kind
	// ID are the names of the field with the id, of which the first that holds something is taken. An item without an
	// id is rejected. With no names the item has none, and Read gives the record one.
	ID []string
	// NumericID says that the id is documented as a number, which is then no oddity.
	NumericID bool
	// Private are the names of fields that are left out of what is kept, at whatever depth they stand: credentials,
	// papers.
	Private []string
	// Loose is for partners that are known to write numbers and booleans as texts and texts as numbers, nothing as
	// "", and arrays as objects keyed by id or as the one object in them: what a PHP program does. These forms are
	// then no oddities.
	Loose bool
	// Read makes the record. It is a pure function; its errors hold no values. Required.
	Read func(o Object) (T, error)
}

// One decodes one item and returns, beside the record, what was odd about it.
func (d Decoder[T]) One(raw json.RawMessage) (T, []driver.Oddity, error) {
	var zero T
	it := &item{kind: d.Kind, raw: raw, private: d.Private, loose: d.Loose}
	o, err := open(raw, it)
	if err != nil {
		return zero, []driver.Oddity{{Kind: d.Kind, Change: driver.ChangeType, Lost: true, Detail: err.Error()}}, err
	}
	if len(d.ID) > 0 {
		if it.id, err = o.idOf(d.ID, d.NumericID); err != nil {
			return zero, it.odd, err
		}
	}
	for i := range it.odd {
		it.odd[i].ID = it.id
	}
	v, err := d.Read(o)
	if err != nil {
		return zero, it.odd, err
	}
	return v, it.odd, nil
}

// Each decodes the items of a page one by one, as [driver.Each] does: one that cannot be read, or makes Read panic,
// is rejected alone, with its id and the beginning of its text, less what is private. Oddities are reported by c, see
// [driver.Client.Report]; a nil c reports none.
func (d Decoder[T]) Each(ctx context.Context, c *driver.Client, items []json.RawMessage) pagination.Batch[T] {
	var odd []driver.Oddity
	var failed []json.RawMessage
	b := driver.Each(items, func(raw json.RawMessage) (T, error) {
		done := false
		defer func() {
			if !done {
				failed = append(failed, raw)
			}
		}()
		v, found, err := d.One(raw)
		odd = append(odd, found...)
		done = err == nil
		return v, err
	})
	for i, raw := range failed {
		kept := Public(raw, d.Private...)
		b.Rejected[i].Raw = kept[:min(len(kept), pagination.MaxRaw)]
		b.Rejected[i].ID = ID(raw, d.ID...)
	}
	if c != nil {
		c.Report(ctx, odd...)
	}
	return b
}

// Pages decodes the items of pages, page by page as [Decoder.Each] does: behind [pagination.Offset], whose pages
// overlap, each item is decoded once.
func (d Decoder[T]) Pages(ctx context.Context, c *driver.Client,
	pages pagination.Pages[json.RawMessage]) pagination.Pages[T] {
	return pagination.Decode(pages, func(items []json.RawMessage) pagination.Batch[T] { return d.Each(ctx, c, items) })
}

// IDOf is an item's id, "" if it has none that can be read.
func (d Decoder[T]) IDOf(raw json.RawMessage) string { return ID(raw, d.ID...) }

// Fields opens an object for a look at it: what is odd about it is not reported. The Object of anything else has no
// fields.
func Fields(raw json.RawMessage) Object {
	o, err := open(raw, &item{loose: true})
	if err != nil {
		o.fields = nil
	}
	return o
}

// ID is an item's id under the first of the names that holds something, "" if it has none that can be read.
func ID(raw json.RawMessage, names ...string) string {
	o := Fields(raw)
	id := o.First(o.Word, names...).Or("")
	if len(id) > MaxID {
		return ""
	}
	return id
}
