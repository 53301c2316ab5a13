package importer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
	"github.com/integrationkit/integrationkit/retry"
)

// maxFailures bounds KindResult.Failures.
const maxFailures = 20

// gallery is the media of one resource, as listed.
type gallery struct {
	resource string
	batch    batch
	listed   map[string]bool
	pages    int
	whole    bool // what is not listed is gone
	sent     time.Time
	missing  bool // the partner does not know the resource
	failed   error
}

// media lists the media of the live resources, in groups, each of which is committed at once.
func (k *kindRun) media(ctx context.Context) error {
	resources := Collection{k.c.Integration, driver.KindResource}
	filter := Filter{Live: true, ChangedSince: k.pass.Since}
	if n, err := k.Store.Count(ctx, resources, filter); err != nil {
		return err
	} else {
		k.total = n
	}
	for {
		f := filter
		f.After, f.Limit = k.pass.After, mediaGroup
		group, err := k.Store.List(ctx, resources, f)
		if err != nil {
			return err
		}
		if len(group) == 0 {
			return k.commit(ctx, func(_ context.Context, _ Tx, _ *Checkpoint, p *Pass) (Counts, []Change, error) {
				p.Sweeping = true
				return Counts{}, nil, nil
			})
		}
		galleries, stopped := k.galleries(ctx, group)
		if err := allFailed(galleries); err != nil {
			return err
		}
		if len(galleries) > 0 {
			if err := k.commitGalleries(ctx, resources, galleries); err != nil {
				return err
			}
		}
		if stopped != nil {
			return stopped
		}
	}
}

// galleries reads the media of the resources, several at a time. It returns those up to the first that failed in a
// way that ends the run, and that failure.
func (k *kindRun) galleries(ctx context.Context, group []Stored) ([]*gallery, error) {
	all := make([]*gallery, len(group))
	var next atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range min(k.Parallel, len(group)) {
		wg.Go(func() {
			for !stop.Load() && ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(group) {
					return
				}
				all[i] = k.gallery(ctx, group[i].ID)
				if all[i].failed != nil && ends(all[i].failed) {
					stop.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for i, g := range all {
		if g == nil {
			return all[:i], context.Cause(ctx)
		}
		if g.failed != nil && ends(g.failed) {
			return all[:i], fmt.Errorf("media of resource %s: %w", g.resource, g.failed)
		}
	}
	return all, nil
}

// ends reports whether a failure to read one resource's media ends the run: whatever is not about that request or
// its answer.
func ends(err error) bool {
	class := retry.ClassOf(err)
	return class != retry.Client && class != retry.Data
}

// allFailed returns an error when a whole group of galleries could not be read: that is nothing about single
// resources. The group is then left to the next run.
func allFailed(galleries []*gallery) error {
	if len(galleries) < mediaGroup {
		return nil
	}
	for _, g := range galleries {
		if g.failed == nil {
			return nil
		}
	}
	return fmt.Errorf("the media of %d resources in a row could not be read: %w", len(galleries), galleries[0].failed)
}

// gallery reads the media of one resource.
func (k *kindRun) gallery(ctx context.Context, resource string) *gallery {
	g := &gallery{resource: resource, listed: map[string]bool{}, whole: true}
	asked := time.Now()
	last := false
	lister := k.Driver.(driver.MediaLister)
	for page, err := range guarded(func() pagination.Pages[driver.Media] { return lister.Media(ctx, resource) }) {
		if err != nil {
			if re, ok := errors.AsType[*retry.Error](err); errors.Is(err, driver.ErrNotFound) ||
				ok && (re.Status == http.StatusNotFound || re.Status == http.StatusGone) {
				return &gallery{resource: resource, missing: true}
			}
			g.failed = err
			return g
		}
		page.Sent = sentAt(page.Sent, asked)
		if g.sent.IsZero() {
			g.sent = wall(page.Sent)
		}
		for i := range page.Items {
			m := &page.Items[i]
			g.listed[m.ID] = true
			if m.ResourceID == "" {
				m.ResourceID = resource
			}
			k.prepare(ctx, &g.batch, k.c, m, page.Sent)
		}
		g.batch.reject(k.c, page.Rejected, page.Sent)
		for _, r := range page.Rejected {
			g.listed[r.ID] = true
		}
		g.whole = g.whole && page.Incomplete == ""
		g.pages++
		last = page.Last()
		asked = time.Now()
		if last {
			break
		}
	}
	if err := context.Cause(ctx); err != nil && !last {
		g.failed = err
	}
	g.whole = g.whole && last && g.batch.nameless == 0
	return g
}

// commitGalleries writes a group and deletes the media that their resources do not list any more.
func (k *kindRun) commitGalleries(ctx context.Context, resources Collection, galleries []*gallery) error {
	ids := make([]string, len(galleries))
	for i, g := range galleries {
		ids[i] = g.resource
	}
	kept := 0
	err := k.commit(ctx, func(ctx context.Context, tx Tx, _ *Checkpoint, p *Pass) (Counts, []Change, error) {
		now := wall(time.Now())
		kept = 0
		parents, err := tx.Records(ctx, resources, ids)
		if err != nil {
			return Counts{}, nil, err
		}
		live := make(map[string]bool, len(parents))
		for i := range parents {
			live[parents[i].ID] = parents[i].DeletedAt.IsZero() && !parents[i].Erased
		}
		var all batch
		pages, missing := 0, 0
		for _, g := range galleries {
			pages += g.pages
			if g.missing {
				missing++
			}
			switch {
			case g.failed != nil:
				p.Incomplete = "the media of some resources could not be read"
			case !g.whole && !g.missing && p.Incomplete == "":
				p.Incomplete = "the media of some resources were not listed whole"
			}
			if live[g.resource] && g.failed == nil {
				all.join(&g.batch)
			}
		}
		if missing > 1 && missing == len(galleries) && p.Incomplete == "" {
			p.Incomplete = "the partner does not know the resources whose media were asked for"
		}
		done, changes, err := write(ctx, tx, k.c, &all, p.Generation, k.run.result.Run, now)
		done.Pages = pages
		if err != nil {
			return done, changes, err
		}
		known, err := tx.List(ctx, k.c, Filter{Live: true, Parents: ids})
		if err != nil {
			return done, changes, err
		}
		byResource := make(map[string]*gallery, len(galleries))
		for _, g := range galleries {
			byResource[g.resource] = g
		}
		var gone []Stored
		for i := range known {
			g := byResource[known[i].Parent]
			if g.whole && g.failed == nil && !g.listed[known[i].ID] && known[i].LastFetched.Before(g.sent) {
				known[i].DeletedAt = g.sent
				gone = append(gone, known[i])
			}
		}
		if p.Guarded = p.Guarded || !k.mayDelete(p.Counts.Deleted+len(gone), p.Live, p.Counts.Items+done.Items); p.Guarded {
			kept, gone = len(gone), nil
		}
		removed, more, err := remove(ctx, tx, k.c, gone, k.run.result.Run, now)
		done.add(removed)
		p.After = ids[len(ids)-1]
		return done, append(changes, more...), err
	})
	if err != nil {
		return err
	}
	if kept > 0 {
		k.result.Kept = "more media are gone than MaxDeleteFraction allows to delete at once"
	}
	for _, g := range galleries {
		if g.failed != nil {
			k.result.Failed++
			if len(k.result.Failures) < maxFailures {
				k.result.Failures = append(k.result.Failures, Failure{g.resource, g.failed})
			}
		}
	}
	return nil
}

// join adds o to b.
func (b *batch) join(o *batch) {
	b.observations = append(b.observations, o.observations...)
	b.seen = append(b.seen, o.seen...)
	b.rejections = append(b.rejections, o.rejections...)
	b.items += o.items
	b.skipped += o.skipped
	b.nameless += o.nameless
	if !o.sent.IsZero() {
		b.at(o.sent)
	}
}
