package ratelimittest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/ratelimit/ratelimittest"
)

// Limiters that are wrong on purpose, each in the way of a kind in wide use. Each is for N requests per W.

// polling waits until allow says 0, for as long as it says.
func polling(allow func(now time.Time) time.Duration) ratelimittest.Do {
	var mu sync.Mutex
	return func(ctx context.Context, _ ratelimit.Call, send func() (ratelimittest.Answer, error)) error {
		for {
			mu.Lock()
			wait := allow(time.Now())
			mu.Unlock()
			if wait <= 0 {
				_, _ = send()
				return nil
			}
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// fixedWindow forgets all at the end of each window of the clock.
func fixedWindow(n int, w time.Duration) ratelimittest.Do {
	var window int64
	var count int
	return polling(func(now time.Time) time.Duration {
		if i := now.UnixNano() / int64(w); i != window {
			window, count = i, 0
		}
		if count == n {
			return w - time.Duration(now.UnixNano()%int64(w))
		}
		count++
		return 0
	})
}

// slidingCounter takes it that the requests of the last window of the clock were spread evenly.
func slidingCounter(n int, w time.Duration) ratelimittest.Do {
	var window int64
	var last, count int
	return polling(func(now time.Time) time.Duration {
		switch i := now.UnixNano() / int64(w); i {
		case window:
		case window + 1:
			window, last, count = i, count, 0
		default:
			window, last, count = i, 0, 0
		}
		rest := 1 - float64(now.UnixNano()%int64(w))/float64(w)
		if float64(last)*rest+float64(count)+1 > float64(n) {
			return w / time.Duration(n)
		}
		count++
		return 0
	})
}

// chargedAtSend is an exact log of the window, of when requests were sent.
func chargedAtSend(n int, w time.Duration) ratelimittest.Do {
	var log []time.Time
	return polling(func(now time.Time) time.Duration {
		for len(log) > 0 && now.Sub(log[0]) >= w {
			log = log[1:]
		}
		if len(log) == n {
			return w - now.Sub(log[0])
		}
		log = append(log, now)
		return 0
	})
}

// xtime is a bucket of golang.org/x/time/rate.
func xtime(n int, w time.Duration, burst int) ratelimittest.Do {
	l := rate.NewLimiter(rate.Limit(float64(n)/w.Seconds()), burst)
	return func(ctx context.Context, _ ratelimit.Call, send func() (ratelimittest.Answer, error)) error {
		if err := l.Wait(ctx); err != nil {
			return err
		}
		_, _ = send()
		return nil
	}
}

// oneByOne is right, and slow: the next request is sent W/N after the last one's answer.
func oneByOne(n int, w time.Duration) ratelimittest.Do {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context, _ ratelimit.Call, send func() (ratelimittest.Answer, error)) error {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		_, _ = send()
		time.Sleep(w/time.Duration(n) + 1)
		<-turn
		return nil
	}
}

// kit is the kit's limiter for the tiers.
func kit(t *testing.T, o ratelimit.Options, tiers ...ratelimit.Tier) ratelimittest.Do {
	t.Helper()
	l, err := ratelimit.New(tiers, o)
	if err != nil {
		t.Fatal(err)
	}
	return ratelimittest.Of(l)
}
