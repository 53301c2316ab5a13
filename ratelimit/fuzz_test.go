package ratelimit_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
	"github.com/integrationkit/integrationkit/retry"
)

// Whatever a partner's headers hold, no more is admitted than the tiers say, and a sane answer later lets calls go on.
func FuzzPerWindowHeaders(f *testing.F) {
	for _, s := range []string{"", "0", "15", "-1", "1e9", " 7", "99999999999999999999", "999999999999999", "a,b", "１"} {
		f.Add(s, "3")
		f.Add("120", s)
	}
	f.Fuzz(func(t *testing.T, limit, remaining string) {
		synctest.Test(t, func(t *testing.T) {
			tiers := ratelimit.Tiers{{Requests: 5, Per: time.Second}, {Requests: 400, Per: time.Minute}, {Kind: ratelimit.TokenBucket, Requests: 1000, Per: time.Hour, Burst: 50}}
			h := http.Header{}
			for _, w := range []string{"Second", "Minute", "Hour", "Day"} {
				h.Set("X-RateLimit-Limit-"+w, limit)
				h.Set("X-RateLimit-Remaining-"+w, remaining)
			}
			for _, o := range ratelimit.PerWindowHeaders(h, time.Now(), nil) {
				if o.Limit < -1 || o.Remaining < -1 || o.Limit == -1 && o.Remaining == -1 {
					t.Errorf("observed %+v", o)
				}
			}
			ledger := ratelimittest.NewLedger(tiers)
			l := newLimiter(t, ratelimit.Options{Dialect: ratelimit.PerWindowHeaders}, tiers...)
			ctx := retry.WithMaxWait(t.Context(), time.Minute)
			for range 30 {
				p, err := l.Acquire(ctx, ratelimit.Call{})
				if err != nil {
					if c := retry.ClassOf(err); c != retry.RateLimit || retry.At(err).IsZero() {
						t.Fatal(err)
					}
					time.Sleep(time.Until(retry.At(err)))
					continue
				}
				ledger.Arrive(time.Now(), 1)
				ledger.Leave()
				p.Answered(200, h)
				p.Release()
			}
			if err := ledger.Check(); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Hour)
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err != nil {
				t.Fatal(err)
			}
			p.Release()
		})
	})
}

// oneState is a store that holds the same whatever is saved.
type oneState []byte

func (s oneState) LoadLimit(context.Context, string) ([]byte, error) { return s, nil }
func (s oneState) SaveLimit(context.Context, string, []byte) error   { return nil }

// Whatever the store holds, it makes no room beyond the tiers, and what it holds back ends.
func FuzzState(f *testing.F) {
	store := &memState{}
	tiers := ratelimit.Tiers{
		{Requests: 5, Per: time.Second}, {Requests: 400, Per: time.Hour}, {Kind: ratelimit.Fixed, Requests: 10, Per: time.Hour},
		{Kind: ratelimit.TokenBucket, Requests: 60, Per: time.Hour, Burst: 6},
	}
	l, err := ratelimit.New(tiers, ratelimit.Options{Name: "acme", State: store})
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		p, err := l.Acquire(context.Background(), ratelimit.Call{})
		if err != nil {
			f.Fatal(err)
		}
		p.Answered(200, nil)
		p.Release()
	}
	f.Add(store.m["acme/"])
	if err := l.Close(context.Background()); err != nil {
		f.Fatal(err)
	}
	f.Add(store.m["acme/"])
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			ledger := ratelimittest.NewLedger(tiers)
			l := newLimiter(t, ratelimit.Options{Name: "acme", State: oneState(data)}, tiers...)
			start := time.Now()
			ctx := retry.WithMaxWait(t.Context(), 0)
			for range 100 {
				p, err := l.Acquire(ctx, ratelimit.Call{})
				if err != nil {
					at := retry.At(err)
					if retry.ClassOf(err) != retry.RateLimit || !at.After(time.Now()) {
						t.Fatal(err)
					}
					if at.Sub(start) > 30*365*24*time.Hour {
						t.Fatalf("held back until %v", at)
					}
					time.Sleep(time.Until(at))
					continue
				}
				ledger.Arrive(time.Now(), 1)
				ledger.Leave()
				p.Answered(200, nil)
				p.Release()
			}
			if err := ledger.Check(); err != nil {
				t.Error(err)
			}
			if got := ledger.Report()[0].Worst; got == 0 {
				t.Error("nothing was ever admitted")
			}
		})
	})
}

// Any sequence of calls, with any fate and any time between send, arrival and answer, keeps within every tier.
func FuzzCounts(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, uint8(3), uint16(300), uint8(0))
	f.Add([]byte("a sequence of calls that is long enough to fill the windows more than once, and then some"), uint8(2), uint16(1000), uint8(1))
	f.Add([]byte("a sequence of calls that is long enough to fill the windows more than once, and then some"), uint8(9), uint16(257), uint8(2))
	f.Fuzz(func(t *testing.T, ops []byte, small uint8, large uint16, kind uint8) {
		synctest.Test(t, func(t *testing.T) {
			k := ratelimit.Kind(kind % 3)
			tiers := ratelimit.Tiers{
				{Name: "small", Kind: k, Requests: int64(small) + 1, Per: time.Second},
				{Name: "large", Kind: k, Requests: int64(large) + 1, Per: 7 * time.Second},
			}
			ledger := ratelimittest.NewLedger(tiers)
			q, err := ratelimit.NewMemory(tiers)
			if err != nil {
				t.Fatal(err)
			}
			type flight struct {
				g       ratelimit.Grant
				arrived bool
			}
			var out []flight
			settle := func(i int, how ratelimit.Settlement) {
				how.Now = time.Now()
				if err := q.Settle(t.Context(), "", out[i].g, how); err != nil {
					t.Fatal(err)
				}
			}
			for n, op := range ops {
				for range 1 + int(op>>6)*int(large>>8+1) {
					cost := int64(1)
					if most := min(int64(small)+1, 3); op&32 != 0 {
						cost = most
					}
					g, err := q.Take(t.Context(), "", cost, 0, time.Now())
					if err != nil {
						t.Fatal(err)
					}
					if !g.OK {
						if !g.At.IsZero() && !g.At.After(time.Now()) {
							t.Fatalf("refused until %v ago", time.Since(g.At))
						}
						break
					}
					out = append(out, flight{g: g})
				}
				time.Sleep(time.Duration(op) * time.Duration(n+1) * 100 * time.Microsecond)
				for i := range out {
					if !out[i].arrived && (int(op)+i)%3 != 0 {
						out[i].arrived = true
						ledger.Arrive(time.Now(), out[i].g.Cost)
						ledger.Leave()
					}
				}
				time.Sleep(time.Duration(op&15) * time.Millisecond)
				rest := out[:0]
				for i := range out {
					switch {
					case out[i].arrived && op&1 == 0:
						settle(i, ratelimit.Settlement{Arrived: time.Now(), Release: true})
					case out[i].arrived && op&2 == 0: // lost, and charged later than it arrived
						settle(i, ratelimit.Settlement{Arrived: time.Now().Add(300 * time.Millisecond), Release: true})
					case !out[i].arrived && op&4 == 0: // never sent
						settle(i, ratelimit.Settlement{Release: true})
					default:
						rest = append(rest, out[i])
					}
				}
				out = rest
			}
			if err := ledger.Check(); err != nil {
				t.Error(err)
			}
		})
	})
}
