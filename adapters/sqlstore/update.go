package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/integrationkit/integrationkit/driver/importer"
)

// PutRecords implements importer.Tx.
func (t *storeTx) PutRecords(ctx context.Context, records []importer.Stored) error {
	for i := range records {
		if err := t.put(ctx, &records[i]); err != nil {
			return t.s.failed(ctx, of("put records", records[i].Collection), err)
		}
	}
	return nil
}

func (t *storeTx) put(ctx context.Context, r *importer.Stored) error {
	var e encoder
	older := ""
	if len(r.Older) > 0 {
		older = e.json(r.Older)
	}
	updated, first, last := e.time(r.UpdatedAt), e.time(r.FirstFetched), e.time(r.LastFetched)
	changed, deleted := e.time(r.ChangedAt), e.time(r.DeletedAt)
	if e.err != nil {
		return e.err
	}
	kind := string(r.Kind)
	_, err := t.exec(ctx, qPutRecord, r.Integration, kind, r.ID, r.Parent, r.Hash, r.RawHash, r.Version, r.Generation,
		r.Stamp.Updated, r.Stamp.Sent, older, updated, first, last, changed, deleted, e.flag(r.Erased), r.AdapterVersion,
		string(r.Document))
	switch {
	case err != nil || r.Raw == nil:
	case len(r.Raw) == 0:
		_, err = t.exec(ctx, qDropRaw, r.Integration, kind, r.ID)
	default:
		_, err = t.exec(ctx, qPutRaw, r.Integration, kind, r.ID, []byte(r.Raw))
	}
	return err
}

// TouchRecords implements importer.Tx.
func (t *storeTx) TouchRecords(ctx context.Context, records []importer.Stored) error {
	for i := range records {
		r := &records[i]
		var e encoder
		older := ""
		if len(r.Older) > 0 {
			older = e.json(r.Older)
		}
		updated, first, last := e.time(r.UpdatedAt), e.time(r.FirstFetched), e.time(r.LastFetched)
		err := e.err
		if err == nil {
			_, err = t.exec(ctx, qTouch, r.Generation, r.Stamp.Updated, r.Stamp.Sent, older, updated, first, last,
				r.AdapterVersion, r.Integration, string(r.Kind), r.ID)
		}
		if err != nil {
			return t.s.failed(ctx, of("touch records", r.Collection), err)
		}
	}
	return nil
}

// PutRejections implements importer.Tx.
func (t *storeTx) PutRejections(ctx context.Context, rejections []importer.Rejection) error {
	for i := range rejections {
		r := &rejections[i]
		var e encoder
		first, last := e.time(r.First), e.time(r.Last)
		raw, err := t.s.sealRaw(r)
		if err == nil {
			err = e.err
		}
		if err == nil {
			_, err = t.exec(ctx, qPutRejection, r.Integration, string(r.Kind), r.Key, r.ID, r.Reason, raw, first, last, r.Count)
		}
		if err != nil {
			return t.s.failed(ctx, of("put rejections", r.Collection), err)
		}
	}
	return nil
}

// DeleteRejections implements importer.Tx.
func (t *storeTx) DeleteRejections(ctx context.Context, c importer.Collection, keys []string) error {
	if len(keys) > 1 { // nearly always there is none at all
		var one int
		if any, err := t.one(ctx, qAnyRejection, []any{&one}, c.Integration, string(c.Kind)); err != nil || !any {
			return t.s.failed(ctx, of("delete rejections", c), err)
		}
	}
	for _, key := range keys {
		if _, err := t.exec(ctx, qDropRejection, c.Integration, string(c.Kind), key); err != nil {
			return t.s.failed(ctx, of("delete rejections", c), err)
		}
	}
	return nil
}

// AppendEvents implements importer.Tx.
func (t *storeTx) AppendEvents(ctx context.Context, events []importer.Event) error {
	for i := range events {
		v := &events[i]
		var e encoder
		at, err := e.time(v.At), e.err
		if err == nil {
			_, err = t.exec(ctx, qAppendEvent, v.Integration, string(v.Kind), v.ID, v.Version, string(v.Change), at, v.Run)
		}
		if err != nil {
			return t.s.failed(ctx, of("append events", v.Collection), err)
		}
	}
	return nil
}

// Checkpoint implements importer.Tx.
func (t *storeTx) Checkpoint(ctx context.Context, c importer.Collection) (importer.Checkpoint, error) {
	var state string
	found, err := t.one(ctx, qCheckpoint, []any{&state}, c.Integration, string(c.Kind))
	cp := importer.Checkpoint{}
	if err == nil && found {
		if err = json.Unmarshal([]byte(state), &cp); err != nil {
			err = fmt.Errorf("it was written by another version: %w", err)
		}
	}
	cp.Collection = c
	return cp, t.s.failed(ctx, of("read the checkpoint", c), err)
}

// PutCheckpoint implements importer.Tx.
func (t *storeTx) PutCheckpoint(ctx context.Context, cp importer.Checkpoint) error {
	var e encoder
	state, err := e.json(cp), e.err
	if err == nil {
		_, err = t.exec(ctx, qPutCheckpoint, cp.Integration, string(cp.Kind), state)
	}
	return t.s.failed(ctx, of("put the checkpoint", cp.Collection), err)
}
