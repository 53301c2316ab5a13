package sketch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// A quota shared by processes: each method is one script on the store, with the store's clock.
type redisQuota struct {
	tiers ratelimit.Tiers
	eval  func(ctx context.Context, script, key string, args ...any) ([]int64, error)
}

var _ ratelimit.Quota = redisQuota{}

func (q redisQuota) Tiers() ratelimit.Tiers { return q.tiers }

func (q redisQuota) Take(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	r, err := q.eval(ctx, "take", key, cost, ahead)
	if err != nil {
		return ratelimit.Grant{}, err
	}
	return ratelimit.Grant{OK: r[0] == 1, At: time.UnixMicro(r[1]), Slot: uint32(r[2]), Gen: uint32(r[3]), Cost: cost}, nil
}

func (q redisQuota) Ask(ctx context.Context, key string, cost, ahead int64, now time.Time) (ratelimit.Grant, error) {
	r, err := q.eval(ctx, "ask", key, cost, ahead)
	if err != nil {
		return ratelimit.Grant{}, err
	}
	return ratelimit.Grant{OK: r[0] == 1, At: time.UnixMicro(r[1])}, nil
}

func (q redisQuota) Settle(ctx context.Context, key string, g ratelimit.Grant, s ratelimit.Settlement) error {
	_, err := q.eval(ctx, "settle", key, g.Slot, g.Gen, s.Arrived.UnixMicro(), s.Release)
	return err
}

func (q redisQuota) Observe(ctx context.Context, key string, sentAt, now time.Time, obs []ratelimit.Observation) error {
	_, err := q.eval(ctx, "observe", key, sentAt.UnixMicro(), obs)
	return err
}

func (q redisQuota) Park(ctx context.Context, key string, until time.Time) error {
	_, err := q.eval(ctx, "park", key, until.UnixMicro())
	return err
}

func (q redisQuota) Usage(ctx context.Context, key string, now time.Time) (ratelimit.Usage, error) {
	r, err := q.eval(ctx, "usage", key)
	return ratelimit.Usage{InFlight: int64(len(r))}, err
}

// A queue's worker: what a River worker's Work method does with the verdict. JobSnooze and JobCancel are River's.
func work(ctx context.Context, reg *driver.Registry, integrationID string) error {
	ctx = retry.WithMaxWait(ctx, 5*time.Second) // a longer wait gives the worker back to the queue
	d, err := reg.Open(ctx, integrationID)
	if err != nil {
		return err
	}
	err = d.Check(ctx)
	switch at := retry.At(err); {
	case err == nil:
		return nil
	case !at.IsZero():
		return jobSnooze(time.Until(at)) // no attempt is used up
	case retry.ClassOf(err) == retry.Client, errors.Is(err, auth.ErrNeedsReauth):
		return jobCancel(err)
	default:
		return err // the queue's own retry
	}
}

func jobSnooze(d time.Duration) error { return errors.New("snooze for " + d.String()) }
func jobCancel(err error) error       { return err }

// A webhook's endpoint: bounded raw bytes, verified before they are parsed, handed over before they are acknowledged.
func endpoint(verify func(h http.Header, body []byte, now time.Time) error, handOver func(ctx context.Context, body []byte) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		switch {
		case err != nil:
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case verify(r.Header, body, time.Now()) != nil:
			w.WriteHeader(http.StatusUnauthorized)
		case handOver(r.Context(), body) != nil:
			w.WriteHeader(http.StatusServiceUnavailable) // the partner sends it again
		default:
			w.WriteHeader(http.StatusAccepted)
		}
	})
}

var (
	_ = work
	_ = endpoint
	_ = successFalse
)
