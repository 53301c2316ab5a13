package driver_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
	"github.com/integrationkit/integrationkit/webhook"
)

// inn is a driver whose partner has one reservation, or says something else.
type inn struct {
	driver.Driver
	reservation *driver.Transaction
	rejected    bool
	err         error
	check       error
	priority    ratelimit.Priority
	asked       int
}

func (d *inn) Info() driver.Info           { return driver.Info{Partner: "inn"} }
func (d *inn) Check(context.Context) error { return d.check }
func (d *inn) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	return func(yield func(pagination.Page[driver.Transaction], error) bool) {
		d.priority = ratelimit.CallFrom(ctx).Priority
		d.asked++
		p := pagination.Page[driver.Transaction]{Sent: time.Now()}
		switch {
		case d.err != nil:
		case d.rejected:
			p.Rejected = []pagination.Rejected{{ID: ids[0], Err: errors.New("start: no date")}}
		case d.reservation != nil:
			p.Items = []driver.Transaction{{}, *d.reservation} // a row that was not asked for, too
		}
		yield(p, d.err)
	}
}

func reservation(id string, updated time.Time) *driver.Transaction {
	return &driver.Transaction{Record: driver.Record{ID: id, UpdatedAt: updated}}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		refused := &retry.Error{Verdict: retry.Verdict{Class: retry.Auth}, Err: errors.New("revoked")}
		down := &retry.Error{Verdict: retry.Verdict{Class: retry.Transient}, Err: errors.New("down")}
		lost := fmt.Errorf("inn: reservations.get: %w", driver.ErrNotFound)
		notice := func(kind, record string, received time.Time, trust webhook.Trust) webhook.Notice {
			return webhook.Notice{
				Kind: kind, Record: record, Version: webhook.Version{At: now.Add(-time.Second)},
				Event: webhook.Event{Integration: "i-1", ReceivedAt: received, Trust: trust},
			}
		}
		const changed, deleted = webhook.TransactionChanged, webhook.TransactionDeleted
		fresh, old := now.Add(-time.Second), now.Add(-time.Hour)
		for _, tc := range []struct {
			name   string
			d      inn
			n      webhook.Notice
			record string // found; "-": none, and that is so; "": something else
			later  bool   // come back later
			want   error
		}{
			{"as it is now", inn{reservation: reservation("r", now)}, notice(changed, "r", fresh, webhook.Hint), "r", false, nil},
			{"by another id", inn{reservation: &driver.Transaction{Record: driver.Record{ID: "q", Aliases: []string{"r"}}}},
				notice(changed, "r", fresh, webhook.Hint), "q", false, nil},
			{"not there yet", inn{}, notice(changed, "r", fresh, webhook.Hint), "", true, nil},
			{"404 is not there yet", inn{err: lost}, notice(changed, "r", fresh, webhook.Hint), "", true, nil},
			{"gone", inn{err: lost}, notice(changed, "r", old, webhook.Hint), "-", false, nil},
			{"a replica that lags", inn{reservation: reservation("r", old)}, notice(changed, "r", fresh, webhook.Signed), "", true, nil},
			{"it never caught up", inn{reservation: reservation("r", old)}, notice(changed, "r", old, webhook.Signed), "r", false, nil},
			{"anybody dates a hint", inn{reservation: reservation("r", old)}, notice(changed, "r", fresh, webhook.Hint), "r", false, nil},
			{"deleted", inn{}, notice(deleted, "r", fresh, webhook.Hint), "-", false, nil},
			{"still there", inn{reservation: reservation("r", now)}, notice(deleted, "r", fresh, webhook.Signed), "", true, nil},
			{"it was not deleted", inn{reservation: reservation("r", now)}, notice(deleted, "r", old, webhook.Hint), "", false, webhook.ErrUnconfirmed},
			{"an event of the future is not waited for", inn{}, notice(changed, "r", now.Add(time.Hour), webhook.Hint), "-", false, nil},
			{"the partner is down", inn{err: down}, notice(changed, "r", fresh, webhook.Hint), "", false, down},
			{"unreadable", inn{rejected: true}, notice(changed, "r", fresh, webhook.Hint), "", false, errAny},
			{"revoked", inn{check: refused}, notice(webhook.AuthRevoked, "", fresh, webhook.Hint), "", false, nil},
			{"not revoked", inn{}, notice(webhook.AuthRevoked, "", fresh, webhook.Hint), "", false, webhook.ErrUnconfirmed},
			{"cannot be told", inn{check: down}, notice(webhook.AuthRevoked, "", fresh, webhook.Hint), "", false, down},
			{"about nothing", inn{err: down}, notice(changed, "", fresh, webhook.Hint), "", false, nil},
			{"no getter", inn{err: down}, notice(webhook.ResourceChanged, "l", fresh, webhook.Hint), "", false, nil},
			{"no word of ours", inn{err: down}, notice("night_audit/completed", "x", fresh, webhook.Hint), "", false, nil},
		} {
			got, err := driver.Confirm(&tc.d)(t.Context(), tc.n)
			if tc.later {
				if e := asError(t, err); e.Class != retry.Transient || e.Integration != "i-1" || !e.At.After(now) || e.At.After(now.Add(time.Minute)) {
					t.Errorf("%s: got %v at %v", tc.name, e, e.At)
				}
				continue
			}
			if (tc.want == nil) != (err == nil) || tc.want != nil && tc.want != errAny && !errors.Is(err, tc.want) {
				t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
			}
			c, fetched := got.(driver.Confirmed)
			found := ""
			if r, ok := c.Record.(*driver.Transaction); ok {
				found = r.ID
			} else if fetched {
				found = "-"
			}
			if found != tc.record || fetched && !c.Sent.Equal(now) {
				t.Errorf("%s: got %q, want %q; sent at %v", tc.name, found, tc.record, c.Sent)
			}
			if tc.d.asked > 0 && tc.d.priority != ratelimit.FollowUp {
				t.Errorf("%s: asked with priority %v", tc.name, tc.d.priority)
			}
		}
	})
}

var errAny = errors.New("any")

// Asked again, what was not there yet is there, or is gone when the minute is over.
func TestConfirm_ComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &inn{}
		n := webhook.Notice{Kind: webhook.TransactionChanged, Record: "r", Event: webhook.Event{ReceivedAt: time.Now()}}
		var err error
		var got any
		for {
			got, err = driver.Confirm(d)(t.Context(), n)
			at := retry.At(err)
			if at.IsZero() {
				break
			}
			time.Sleep(time.Until(at))
		}
		if c, ok := got.(driver.Confirmed); !ok || c.Record != nil || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if d.asked < 3 || d.asked > 12 {
			t.Errorf("asked %d times within a minute", d.asked)
		}
	})
}

// A webhook of a partner that signs nothing: what is believed is what the driver fetched.
func ExampleConfirm() {
	d := &inn{reservation: reservation("R-7", time.Time{})} // a driver from a Registry
	router := &webhook.Router{
		Translate: func(e webhook.Event) ([]webhook.Notice, error) { // the driver's Notices
			id := strings.TrimPrefix(string(e.Body), "changed ")
			return []webhook.Notice{{Kind: webhook.TransactionChanged, Record: id, Thin: true}}, nil
		},
		Confirm: driver.Confirm(d),
		Routes: map[string]webhook.Route{
			"transaction.*": func(_ context.Context, n webhook.Notice) error {
				c := n.Confirmed.(driver.Confirmed)
				fmt.Println(n.Kind, "fetched:", c.Record) // importer.Apply(ctx, cfg, c.Sent, c.Record)
				return nil
			},
		},
		Default: func(context.Context, webhook.Notice) error { return nil },
	}
	e := webhook.Event{Key: "inn/i-1/1", Partner: "inn", Integration: "i-1", Trust: webhook.Hint, Body: []byte("changed R-7")}
	fmt.Println(router.Handle(context.Background(), e))
	// Output:
	// transaction.changed fetched: record "R-7"
	// <nil>
}
