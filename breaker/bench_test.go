package breaker_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/sony/gobreaker/v2"

	"github.com/integrationkit/integrationkit/breaker"
)

func BenchmarkGobreakerExecute(b *testing.B) {
	cb := gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{Interval: 60e9, BucketPeriod: 6e9})
	f := func() (struct{}, error) { return struct{}{}, nil }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cb.Execute(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGobreakerTwoStep(b *testing.B) {
	cb := gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{Interval: 60e9, BucketPeriod: 6e9})
	b.ReportAllocs()
	for b.Loop() {
		done, err := cb.Allow()
		if err != nil {
			b.Fatal(err)
		}
		done(nil)
	}
}

func BenchmarkAllow(b *testing.B) {
	cb := mustNew(b, breaker.Config{})
	b.ReportAllocs()
	for b.Loop() {
		call, err := cb.Allow("account-7")
		if err != nil {
			b.Fatal(err)
		}
		call.Done(ok)
	}
}

func BenchmarkAllowParallel(b *testing.B) {
	cb := mustNew(b, breaker.Config{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if call, err := cb.Allow("account-7"); err == nil {
				call.Done(ok)
			}
		}
	})
}

func BenchmarkRefusal(b *testing.B) {
	cb := mustNew(b, breaker.Config{})
	if err := cb.Force("", breaker.ForcedOpen); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cb.Allow(""); err == nil {
			b.Fatal("allowed")
		}
	}
}

func BenchmarkNewKeys(b *testing.B) {
	cb := mustNew(b, breaker.Config{MaxKeys: 1000})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		if call, err := cb.Allow(fmt.Sprint(i)); err == nil {
			call.Done(ok)
		}
	}
}

func BenchmarkWrap(b *testing.B) {
	resp := answer(200)
	rt := mustNew(b, breaker.Config{}).Wrap(roundTripper(func(*http.Request) (*http.Response, error) { return resp, nil }))
	req := request(b, "acme.example")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rt.RoundTrip(req); err != nil {
			b.Fatal(err)
		}
	}
}
