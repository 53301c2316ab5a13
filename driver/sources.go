package driver

import (
	"context"
	"fmt"

	"github.com/integrationkit/integrationkit/auth"
)

// Sources returns the token sources that the integration's driver uses: none with an API key, one with most others.
// They are the registry's, not to be closed. A host shows their [auth.Source.State], hands them what a human's
// authorization gave ([auth.Source.Replace]), and keeps idle refresh tokens alive from its scheduler:
//
//	for in, err := range integrations.Integrations(ctx, driver.Filter{}) {
//		sources, err := reg.Sources(ctx, in.ID)
//		for _, s := range sources {
//			err = errors.Join(err, s.KeepAlive(ctx))
//		}
//	}
func (r *Registry) Sources(ctx context.Context, integrationID string) ([]*auth.Source, error) {
	for {
		if _, err := r.Open(ctx, integrationID); err != nil {
			return nil, err
		}
		if list, ok := r.sourcesOf(integrationID); ok {
			return list, nil
		}
		if ctx.Err() != nil { // dropped or replaced meanwhile, again and again
			return nil, fmt.Errorf("driver: integration %q: %w", integrationID, context.Cause(ctx))
		}
	}
}

// sourcesOf returns false when the driver that was opened is not there any more.
func (r *Registry) sourcesOf(integrationID string) ([]*auth.Source, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.drivers[integrationID]
	if e == nil {
		return nil, false
	}
	o := e.Value.(*opened)
	select {
	case <-o.done:
	default: // another that is being made
		return nil, false
	}
	var list []*auth.Source
	for _, s := range o.sources {
		list = append(list, s.source)
	}
	return list, true
}
