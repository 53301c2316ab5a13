package importertest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Partner is the name of the partner whose driver [Driver] is.
const Partner = "acme"

// Integration returns an integration with the partner.
func Integration(id string) driver.Integration {
	return driver.Integration{ID: id, Partner: Partner}
}

// Driver lists an [Account]. It has no network and sends nothing. [Getter] is the same with reading by id.
type Driver struct {
	Account  *Account
	PageSize int // 0: 100
	// Before is called before each page with what is asked for ("resources", "transactions", "media r0000001",
	// "resources by id") and where: the key after which the page begins. Its error fails the page.
	Before func(ctx context.Context, op, after string) error
	// Total makes the partner say how many records there are; such a total does not count what was deleted.
	Total bool
	// NoFilter makes a partner that cannot filter by time of update.
	NoFilter bool
	// Epoch is part of the name of the streams: another one refuses the cursors of before.
	Epoch int

	calls atomic.Int64
}

// Getter is a [Driver] that can read by id.
type Getter struct{ *Driver }

var (
	_ driver.ResourceLister    = (*Driver)(nil)
	_ driver.TransactionLister = (*Driver)(nil)
	_ driver.MediaLister       = (*Driver)(nil)
	_ driver.ResourceGetter    = Getter{}
	_ driver.TransactionGetter = Getter{}
)

// Calls returns how many pages were asked for.
func (d *Driver) Calls() int64 { return d.calls.Load() }

// Info implements driver.Driver.
func (d *Driver) Info() driver.Info {
	info := driver.Info{
		Partner: Partner, Title: "Acme", AdapterVersions: []string{"v1"},
		Limits: []driver.Limit{
			{Name: "api", Tiers: ratelimit.Tiers{{Requests: 10, Per: time.Second}, {Requests: 100, Per: time.Minute}}},
			{Name: driver.TokenLimit, Tiers: ratelimit.Tiers{{Requests: 5, Per: 24 * time.Hour}}},
		},
	}
	if !d.NoFilter {
		info.Incremental = []driver.Kind{driver.KindResource, driver.KindTransaction}
	}
	return info
}

// Check implements driver.Driver.
func (d *Driver) Check(ctx context.Context) error { return context.Cause(ctx) }

// Resources implements driver.ResourceLister.
func (d *Driver) Resources(ctx context.Context, q driver.Query) pagination.Pages[driver.Resource] {
	return pages(ctx, d, driver.KindResource, "resources", q, d.Account.resource, func(r driver.Resource) driver.Record { return r.Record })
}

// Transactions implements driver.TransactionLister.
func (d *Driver) Transactions(ctx context.Context, q driver.Query) pagination.Pages[driver.Transaction] {
	return pages(ctx, d, driver.KindTransaction, "transactions", q, d.Account.transaction,
		func(t driver.Transaction) driver.Record { return t.Record })
}

// pages lists what the account has of a kind, by id.
func pages[T any](ctx context.Context, d *Driver, kind driver.Kind, op string, q driver.Query, get func(int) (T, mark),
	base func(T) driver.Record) pagination.Pages[T] {
	size := d.PageSize
	if size == 0 {
		size = 100
	}
	start := pagination.Start{Stream: fmt.Sprintf("acme/%s/%d", op, d.Epoch), Cursor: q.Cursor, MaxPages: q.MaxPages}
	return pagination.Token(ctx, start, func(ctx context.Context, after string) (pagination.Batch[T], error) {
		var b pagination.Batch[T]
		if err := d.call(ctx, op, after); err != nil {
			return b, err
		}
		n := d.Account.count(kind)
		i := 0
		if after != "" {
			i = index(kind, after, n) + 1
		}
		for rows := 0; i < n; i++ {
			item, m := get(i)
			if m.deleted || m.hidden || !d.NoFilter && base(item).UpdatedAt.Before(q.UpdatedSince) && !base(item).UpdatedAt.IsZero() {
				continue
			}
			if rows == size {
				b.Next = id(kind, i-1)
				break
			}
			rows++
			if m.poison == nil {
				b.Items = append(b.Items, item)
				continue
			}
			r := pagination.Rejected{ID: base(item).ID, Raw: base(item).Raw, Err: m.poison}
			if m.orphan {
				r.ID = ""
			}
			b.Rejected = append(b.Rejected, r)
		}
		if d.Total {
			b.Total = n
		}
		return b, nil
	})
}

// call counts a call and lets it fail.
func (d *Driver) call(ctx context.Context, op, after string) error {
	d.calls.Add(1)
	if d.Before == nil {
		return context.Cause(ctx)
	}
	return d.Before(ctx, op, after)
}

// Media implements driver.MediaLister, one page a resource.
func (d *Driver) Media(ctx context.Context, resource string) pagination.Pages[driver.Media] {
	return pagination.Token(ctx, pagination.From("acme/media/"+resource, ""), func(ctx context.Context, _ string) (pagination.Batch[driver.Media], error) {
		if err := d.call(ctx, "media "+resource, ""); err != nil {
			return pagination.Batch[driver.Media]{}, err
		}
		if i := index(driver.KindResource, resource, d.Account.Resources); i == d.Account.Resources || d.Account.get(resource).deleted {
			return pagination.Batch[driver.Media]{}, fmt.Errorf("acme: resource %s: %w", resource, driver.ErrNotFound)
		}
		var b pagination.Batch[driver.Media]
		for _, m := range d.Account.Media(resource) {
			if mark := d.Account.get(m.ID); mark.poison != nil {
				r := pagination.Rejected{ID: m.ID, Raw: m.Raw, Err: mark.poison}
				if mark.orphan {
					r.ID = ""
				}
				b.Rejected = append(b.Rejected, r)
				continue
			}
			b.Items = append(b.Items, m)
		}
		return b, nil
	})
}

// ResourcesByID implements driver.ResourceGetter.
func (g Getter) ResourcesByID(ctx context.Context, ids []string) pagination.Pages[driver.Resource] {
	return byID(ctx, g, driver.KindResource, "resources by id", ids, g.Account.resource, func(r driver.Resource) driver.Record { return r.Record })
}

// TransactionsByID implements driver.TransactionGetter.
func (g Getter) TransactionsByID(ctx context.Context, ids []string) pagination.Pages[driver.Transaction] {
	return byID(ctx, g, driver.KindTransaction, "transactions by id", ids, g.Account.transaction,
		func(t driver.Transaction) driver.Record { return t.Record })
}

func byID[T any](ctx context.Context, g Getter, kind driver.Kind, op string, ids []string, get func(int) (T, mark),
	base func(T) driver.Record) pagination.Pages[T] {
	return pagination.Token(ctx, pagination.From("acme/"+op, ""), func(ctx context.Context, _ string) (pagination.Batch[T], error) {
		var b pagination.Batch[T]
		if err := g.call(ctx, op, strings.Join(ids, ",")); err != nil {
			return b, err
		}
		n := g.Account.count(kind)
		for _, id := range ids {
			i := index(kind, id, n)
			if i == n {
				continue
			}
			item, m := get(i)
			switch {
			case m.deleted:
			case m.poison != nil && m.orphan:
				b.Rejected = append(b.Rejected, pagination.Rejected{Err: m.poison, Raw: base(item).Raw})
			case m.poison != nil:
				b.Rejected = append(b.Rejected, pagination.Rejected{ID: id, Err: m.poison, Raw: base(item).Raw})
			default:
				b.Items = append(b.Items, item)
			}
		}
		return b, nil
	})
}

// ErrKilled is what a [Kill] store returns once it is dead.
var ErrKilled = fmt.Errorf("importertest: killed")

// Kill is a store whose process dies at a transaction, for one goroutine at a time: that one is undone, or
// committed without its caller being told, and nothing more is done after it. (A goroutine cannot be killed; where
// ErrKilled comes the caller ends by itself.)
type Kill struct {
	importer.Store
	At    int  // the transaction, from 1
	After bool // it is committed

	n int
}

// Transactions returns how many transactions were begun.
func (k *Kill) Transactions() int { return k.n }

// Update implements importer.Store.
func (k *Kill) Update(ctx context.Context, f func(ctx context.Context, tx importer.Tx) error) error {
	if k.n++; k.At == 0 || k.n < k.At {
		return k.Store.Update(ctx, f)
	}
	if k.n > k.At {
		return ErrKilled
	}
	if !k.After {
		return k.Store.Update(ctx, func(ctx context.Context, tx importer.Tx) error {
			if err := f(ctx, tx); err != nil {
				return err
			}
			return ErrKilled
		})
	}
	if err := k.Store.Update(ctx, f); err != nil {
		return err
	}
	return ErrKilled
}

// Messages implements importer.QueueStore, where Store does.
func (k *Kill) Messages(
	ctx context.Context, queue string, state importer.MessageState, after int64, limit int,
) ([]importer.KeptMessage, error) {
	if k.At > 0 && k.n >= k.At {
		return nil, ErrKilled
	}
	return k.Store.(importer.QueueStore).Messages(ctx, queue, state, after, limit)
}
