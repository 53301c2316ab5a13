package ratelimit_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

var guesty = []ratelimit.Tier{
	{Requests: 15, Per: time.Second}, {Requests: 120, Per: time.Minute}, {Requests: 5000, Per: time.Hour}, {Concurrent: 15},
}

const roomy = 1 << 40

func cycle(b *testing.B, l *ratelimit.Limiter, key string) {
	p, err := l.Acquire(context.Background(), ratelimit.Call{Key: key})
	if err != nil {
		b.Error(err)
	}
	p.Answered(200, nil)
	p.Release()
}

func BenchmarkCycle(b *testing.B) {
	for _, kind := range []ratelimit.Kind{ratelimit.Sliding, ratelimit.Fixed, ratelimit.TokenBucket} {
		b.Run(kind.String(), func(b *testing.B) {
			l := newLimiter(b, ratelimit.Options{}, ratelimit.Tier{Kind: kind, Requests: roomy, Per: time.Second},
				ratelimit.Tier{Kind: kind, Requests: roomy, Per: time.Minute}, ratelimit.Tier{Kind: kind, Requests: roomy, Per: time.Hour})
			b.ReportAllocs()
			for b.Loop() {
				cycle(b, l, "account")
			}
		})
	}
	b.Run("10000 keys", func(b *testing.B) {
		l := newLimiter(b, ratelimit.Options{}, ratelimit.Tier{Requests: roomy, Per: time.Second}, ratelimit.Tier{Requests: roomy, Per: time.Hour})
		keys := make([]string, 10_000)
		for i := range keys {
			keys[i] = fmt.Sprintf("account-%d", i)
			cycle(b, l, keys[i])
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			cycle(b, l, keys[i%len(keys)])
			i++
		}
	})
	b.Run("state", func(b *testing.B) {
		l := newLimiter(b, ratelimit.Options{Name: "acme", State: oneState(nil)}, ratelimit.Tier{Requests: roomy, Per: time.Hour})
		b.ReportAllocs()
		for b.Loop() {
			cycle(b, l, "account")
		}
	})
}

func BenchmarkRefusal(b *testing.B) {
	l := newLimiter(b, ratelimit.Options{MaxWait: -1}, ratelimit.Tier{Requests: 300, Per: time.Hour}, ratelimit.Tier{Concurrent: 1000})
	for range 300 {
		cycle(b, l, "account")
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Acquire(context.Background(), ratelimit.Call{Key: "account"}); err == nil {
			b.Fatal("admitted")
		}
	}
}

func BenchmarkDialect(b *testing.B) {
	h := http.Header{"Content-Type": {"application/json"}}
	obs := make([]ratelimit.Observation, 0, 8)
	for _, w := range []string{"absent", "present"} {
		if w == "present" {
			for _, w := range []string{"Second", "Minute", "Hour"} {
				h.Set("X-RateLimit-Limit-"+w, "120")
				h.Set("X-RateLimit-Remaining-"+w, "119")
			}
		}
		b.Run(w, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				obs = ratelimit.PerWindowHeaders(h, time.Time{}, obs[:0])
			}
		})
	}
}

func BenchmarkWrap(b *testing.B) {
	l := newLimiter(b, ratelimit.Options{Dialect: ratelimit.PerWindowHeaders}, ratelimit.Tier{Requests: roomy, Per: time.Second}, ratelimit.Tier{Requests: roomy, Per: time.Hour})
	resp := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1}
	body := io.NopCloser(strings.NewReader(""))
	rt := l.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
		resp.Body = body
		return resp, nil
	}))
	req := get(context.Background(), "k")
	b.ReportAllocs()
	for b.Loop() {
		resp, err := rt.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

// The package comment states what a key takes.
func TestMemoryOfAKey(t *testing.T) {
	l := newLimiter(t, ratelimit.Options{}, guesty...)
	const n = 10_000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("account-%d", i)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for _, k := range keys {
		p, err := l.Acquire(t.Context(), ratelimit.Call{Key: k})
		if err != nil {
			t.Fatal(err)
		}
		p.Answered(200, nil)
		p.Release()
	}
	per := (int64(heap()) - int64(before)) / n
	t.Logf("%d bytes a key", per)
	if per > 1100 {
		t.Errorf("a key takes %d bytes, the package comment says less than 1 kB: 0.45 and two exact tiers", per)
	}
	runtime.KeepAlive(l)
}

func TestCycleDoesNotAllocate(t *testing.T) {
	l := newLimiter(t, ratelimit.Options{Dialect: ratelimit.PerWindowHeaders}, ratelimit.Tier{Requests: roomy, Per: time.Second}, ratelimit.Tier{Requests: roomy, Per: time.Hour}, ratelimit.Tier{Concurrent: 4})
	h := http.Header{"X-Ratelimit-Remaining-Second": {strconv.Itoa(roomy - 5000)}}
	if n := testing.AllocsPerRun(1000, func() {
		p, err := l.Acquire(context.Background(), ratelimit.Call{})
		if err != nil {
			t.Fatal(err)
		}
		p.Answered(200, h)
		p.Release()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
