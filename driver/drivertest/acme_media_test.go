package drivertest

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/pagination"
)

// Media lists the 25 pictures of any thing, 20 to a page.
func (a *acme) Media(ctx context.Context, resourceID string) pagination.Pages[driver.Media] {
	return pagination.Offset(ctx, pagination.Start{Stream: "acme/media/1"}, acmePage, nil, func(ctx context.Context, off, _ int) (pagination.Batch[driver.Media], error) {
		env, err := a.get(ctx, "media", "/media", url.Values{"offset": {strconv.Itoa(off)}})
		if err != nil {
			return pagination.Batch[driver.Media]{}, err
		}
		b := driver.Each(env.Items, func(raw json.RawMessage) (driver.Media, error) {
			r, err := acmeRecord(raw)
			return driver.Media{Record: r, ResourceID: resourceID}, err
		})
		if b.Total = env.Total; len(b.Items) > 0 {
			b.Fingerprint = b.Items[0].ID
		}
		if a.flaw == "media of nothing" {
			for i := range b.Items {
				b.Items[i].ResourceID = ""
			}
		}
		return b, nil
	})
}

var _ driver.MediaLister = (*acme)(nil)

const acmeMedia = 25

// careless is what an Info must not be.
func careless(i driver.Info) driver.Info {
	i.Title, i.Incremental, i.Credentials = "", []driver.Kind{"weather"}, []string{"client_id"}
	i.Limits = []driver.Limit{{Name: "api"}}
	return i
}
