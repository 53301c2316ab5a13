package webhooktest

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// recorder is a test whose failure is what is wanted.
type recorder struct {
	testing.TB
	failed atomic.Bool
}

func (r *recorder) Error(...any)          { r.failed.Store(true) }
func (r *recorder) Errorf(string, ...any) { r.failed.Store(true) }
func (r *recorder) Fatalf(string, ...any) { r.failed.Store(true); runtime.Goexit() }
func (r *recorder) Fatal(...any)          { r.failed.Store(true); runtime.Goexit() }

// broken is a store that is wrong in one way.
type broken struct {
	webhook.Memory
	claim   func(d *broken, key string, lease time.Duration) (string, webhook.State, error)
	done    func(d *broken, key, token string, keep time.Duration) error
	release func(d *broken, key, token string) error
}

func (d *broken) Claim(ctx context.Context, key string, lease time.Duration) (string, webhook.State, error) {
	if d.claim != nil {
		return d.claim(d, key, lease)
	}
	return d.Memory.Claim(ctx, key, lease)
}

func (d *broken) Done(ctx context.Context, key, token string, keep time.Duration) error {
	if d.done != nil {
		return d.done(d, key, token, keep)
	}
	return d.Memory.Done(ctx, key, token, keep)
}

func (d *broken) Release(ctx context.Context, key, token string) error {
	if d.release != nil {
		return d.release(d, key, token)
	}
	return d.Memory.Release(ctx, key, token)
}

func TestDedupe_FindsWhatIsBroken(t *testing.T) {
	ctx := context.Background()
	for _, tc := range []struct {
		name  string
		store *broken
		part  string // that finds it
	}{
		{"everybody gets the claim", &broken{claim: func(*broken, string, time.Duration) (string, webhook.State, error) {
			return "t", webhook.Claimed, nil
		}}, "Concurrent"},
		{"one token for all", &broken{claim: func(d *broken, key string, lease time.Duration) (string, webhook.State, error) {
			token, state, err := d.Memory.Claim(ctx, key, lease)
			if token != "" {
				token = "t"
			}
			return token, state, err
		}}, "Lifecycle"},
		{"done is forgotten", &broken{done: func(*broken, string, string, time.Duration) error { return nil }}, "Lifecycle"},
		{"done is not fenced", &broken{done: func(d *broken, key, token string, keep time.Duration) error {
			_ = d.Memory.Done(ctx, key, token, keep)
			return nil
		}}, "Fencing"},
		{"release is not fenced", &broken{release: func(*broken, string, string) error { return nil }}, "Fencing"},
		{"keys in small letters", &broken{claim: func(d *broken, key string, lease time.Duration) (string, webhook.State, error) {
			return d.Memory.Claim(ctx, strings.ToLower(key), lease)
		}}, "Keys"},
		{"leases do not end", &broken{claim: func(d *broken, key string, _ time.Duration) (string, webhook.State, error) {
			return d.Memory.Claim(ctx, key, 100*time.Hour)
		}}, "Expiry"},
		{"nothing is ever forgotten", &broken{done: func(d *broken, key, token string, _ time.Duration) error {
			return d.Memory.Done(ctx, key, token, 1000*time.Hour)
		}}, "Expiry"},
		{"late is refused", &broken{done: func(d *broken, key, token string, keep time.Duration) error {
			if _, state, err := d.Memory.Claim(ctx, key, time.Minute); err == nil && state == webhook.Claimed {
				return webhook.ErrClaimLost
			}
			return d.Memory.Done(ctx, key, token, keep)
		}}, "Expiry"},
	} {
		for _, p := range parts {
			if p.name != tc.part {
				continue
			}
			rec := &recorder{}
			synctest.Test(t, func(t *testing.T) {
				rec.TB = t
				ended := make(chan bool)
				go func() {
					defer close(ended)
					p.run(rec, Harness{New: func(testing.TB) webhook.Dedupe { return tc.store }, Advance: time.Sleep})
				}()
				<-ended
			})
			if !rec.failed.Load() {
				t.Errorf("%s: %s does not find it", tc.name, p.name)
			}
		}
	}
	// And a good one passes every part.
	for _, p := range parts {
		synctest.Test(t, func(t *testing.T) {
			p.run(t, Harness{New: func(testing.TB) webhook.Dedupe { return &webhook.Memory{} }, Advance: time.Sleep})
		})
	}
}
