package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
	"github.com/integrationkit/integrationkit/retry"
)

// jain is Jain's fairness index: 1 when all have the same, 1/n when one has everything.
func jain(x []float64) float64 {
	var sum, squares float64
	for _, v := range x {
		sum += v
		squares += v * v
	}
	return sum * sum / (float64(len(x)) * squares)
}

// Tenants that share a quota get it by their weights, however many callers each has and whatever their calls cost.
func TestTenantsShareAQuotaFairly(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 20, Per: time.Second})
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		start := time.Now()
		const tenants = 20
		var mu sync.Mutex
		spent, share := make([]float64, tenants), make([]float64, tenants)
		var wg sync.WaitGroup
		for i := range tenants {
			c := ratelimit.Call{Tenant: fmt.Sprint(i), Weight: 1 + i%3, Cost: int64(1 + i%4)}
			for range 2 + 3*i {
				wg.Go(func() {
					for {
						p, err := l.Acquire(ctx, c)
						if err != nil {
							return
						}
						p.Answered(200, nil)
						p.Release()
						mu.Lock()
						if time.Since(start) >= time.Second { // before, nobody had to wait
							spent[i] += float64(c.Cost)
						}
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		total := 0.0
		for i := range spent {
			total += spent[i]
			share[i] = spent[i] / float64(1+i%3)
		}
		if total < 0.95*20*59 {
			t.Errorf("%v was spent, want 95 %% of %d", total, 20*59)
		}
		if got := jain(share); got < 0.99 {
			t.Errorf("Jain's index is %.3f, want 0.99: %v by weight", got, share)
		}
	})
}

// Whoever comes back with one call at a time gets its turns beside one with a thousand, and does not starve it either.
func TestALongLineDelaysNoOtherTenant(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Second})
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		var wg sync.WaitGroup
		var mu sync.Mutex
		big := 0
		for range 200 {
			wg.Go(func() {
				if p, err := l.Acquire(ctx, ratelimit.Call{Tenant: "big"}); err == nil {
					p.Answered(200, nil)
					p.Release()
					mu.Lock()
					big++
					mu.Unlock()
				}
			})
		}
		time.Sleep(5 * time.Second)
		small := 0
		for ctx.Err() == nil {
			start := time.Now()
			p, err := l.Acquire(ctx, ratelimit.Call{Tenant: "small"})
			if err != nil {
				break
			}
			if waited := time.Since(start); waited > 3*time.Second {
				t.Errorf("call %d waited for %v, want 3 s at most", small, waited)
			}
			p.Answered(200, nil)
			p.Release()
			small++
		}
		wg.Wait()
		if small < 25 || big < 25 {
			t.Errorf("small had %d turns and big %d, want 25 each", small, big)
		}
	})
}

// The estimate that a refusal rests on knows of turns.
func TestALongLineOfOthersIsNoReasonToRefuse(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		l := open(ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Second})
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		send(t, l, ratelimit.Call{}, 0)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if p, err := l.Acquire(retry.WithMaxWait(ctx, time.Hour), ratelimit.Call{Tenant: "big"}); err == nil {
					p.Answered(200, nil)
					p.Release()
				}
			})
		}
		time.Sleep(time.Millisecond)
		if at := l.Ready(ctx, ratelimit.Call{Tenant: "small"}); time.Until(at) > 5*time.Second {
			t.Errorf("ready in %v, want 5 s at most", time.Until(at))
		}
		p, err := l.Acquire(retry.WithMaxWait(ctx, 5*time.Second), ratelimit.Call{Tenant: "small"})
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		p.Release()
		cancel()
		wg.Wait()
	})
}

func TestMaxWaiting(t *testing.T) {
	inBoth(t, func(t *testing.T, open opener) {
		var mu sync.Mutex
		var told []ratelimit.Wait
		l := open(ratelimit.Options{MaxWaiting: 3, OnWait: func(_ context.Context, w ratelimit.Wait) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, w)
		}}, ratelimit.Tier{Requests: 1, Per: time.Minute})
		send(t, l, ratelimit.Call{}, 0)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var wg sync.WaitGroup
		errs := make(chan error, 3)
		for i := range 3 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				_, err := l.Acquire(ctx, ratelimit.Call{Tenant: fmt.Sprint(i)})
				errs <- err
			})
		}
		time.Sleep(time.Second)
		check := func(err error) {
			t.Helper()
			if !errors.Is(err, ratelimit.ErrTooManyWaiting) || retry.ClassOf(err) != retry.RateLimit || !retry.At(err).After(time.Now()) {
				t.Errorf("got %v (%v, at %v), want a refusal for too many", err, retry.ClassOf(err), retry.At(err))
			}
		}
		_, err := l.Acquire(ctx, ratelimit.Call{})
		check(err)
		mu.Lock()
		if len(told) != 1 || !told[0].Refused || told[0].Tier != "queue" {
			t.Errorf("OnWait was told %+v, want one refusal for the queue", told)
		}
		mu.Unlock()
		// A person takes the place of who came last.
		wg.Go(func() { _, _ = l.Acquire(ctx, ratelimit.Call{Priority: ratelimit.Interactive}) })
		check(<-errs)
		if u, err := l.Usage(ctx, ""); err != nil || u.Waiting != 3 {
			t.Errorf("%d are waiting (%v), want 3", u.Waiting, err)
		}
		cancel()
		wg.Wait()
	})
}

func TestWeightIsChecked(t *testing.T) {
	l := newLimiter(t, ratelimit.Options{}, ratelimit.Tier{Requests: 1, Per: time.Minute})
	for _, w := range []int{-1, 1_000_001} {
		if _, err := l.Acquire(t.Context(), ratelimit.Call{Weight: w}); retry.ClassOf(err) != retry.Client {
			t.Errorf("weight %d: %v, want a refusal", w, err)
		}
	}
	_, err := ratelimit.New(ratelimit.Tiers{{Requests: 1, Per: time.Second}}, ratelimit.Options{MaxWaiting: -1})
	checkNames(t, err, "MaxWaiting is -1")
}
