package bench

import (
	"context"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// BenchmarkThreeTiers is the price of three limits on one call: the kit's whole cycle (acquire, answered, release) against a Wait
// on each of three rate.Limiters. Limits never bind.
func BenchmarkThreeTiers(b *testing.B) {
	b.Run("kit", func(b *testing.B) {
		lim := newLimiter(b)
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			cycle(ctx, b, lim)
		}
	})
	b.Run("xtime", func(b *testing.B) {
		tiers := newRates()
		ctx := b.Context()
		b.ReportAllocs()
		for b.Loop() {
			wait3(ctx, b, tiers)
		}
	})
	b.Run("kit-parallel", func(b *testing.B) {
		lim := newLimiter(b)
		ctx := b.Context()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				cycle(ctx, b, lim)
			}
		})
	})
	b.Run("xtime-parallel", func(b *testing.B) {
		tiers := newRates()
		ctx := b.Context()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				wait3(ctx, b, tiers)
			}
		})
	})
}

func cycle(ctx context.Context, b *testing.B, lim *ratelimit.Limiter) {
	p, err := lim.Acquire(ctx, ratelimit.Call{Key: "account"})
	if err != nil {
		b.Error(err)
		return
	}
	p.Answered(200, nil)
	p.Release()
}

func wait3(ctx context.Context, b *testing.B, tiers [3]*rate.Limiter) {
	for _, t := range tiers {
		if err := t.Wait(ctx); err != nil {
			b.Error(err)
			return
		}
	}
}

func newLimiter(tb testing.TB) *ratelimit.Limiter {
	tb.Helper()
	lim, err := ratelimit.New(ratelimit.Tiers{
		{Requests: many, Per: time.Second}, {Requests: many, Per: time.Minute}, {Requests: many, Per: time.Hour},
	}, ratelimit.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return lim
}

func newRates() (tiers [3]*rate.Limiter) {
	for i, per := range []time.Duration{time.Second, time.Minute, time.Hour} {
		tiers[i] = rate.NewLimiter(rate.Limit(float64(many)/per.Seconds()), many)
	}
	return tiers
}
