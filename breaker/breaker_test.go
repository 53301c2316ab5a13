package breaker_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/retry"
)

var (
	ok        = retry.Verdict{Sent: retry.Answered}
	down      = retry.Verdict{Class: retry.Transient, Scope: retry.Partner, Fault: true}
	throttled = retry.Verdict{Class: retry.RateLimit, Sent: retry.Answered}
	notFound  = retry.Verdict{Class: retry.Client, Sent: retry.Answered}
	canceled  = retry.Verdict{Class: retry.Canceled}
	unsent    = retry.Verdict{Class: retry.Unavailable, Sent: retry.Never}
)

func mustNew(t testing.TB, c breaker.Config) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// do makes n calls that end with v.
func do(t *testing.T, b *breaker.Breaker, key string, n int, v retry.Verdict) {
	t.Helper()
	for i := range n {
		call, err := b.Allow(key)
		if err != nil {
			t.Fatalf("call %d of %d: %v", i+1, n, err)
		}
		call.Done(v)
	}
}

// refused checks that a call is refused and that everything says to come back after d.
func refused(t *testing.T, b *breaker.Breaker, key string, d time.Duration) {
	t.Helper()
	want := time.Now().Add(d)
	ready := b.Ready(key)
	_, err := b.Allow(key)
	e, _ := errors.AsType[*retry.Error](err)
	if e == nil || !errors.Is(err, breaker.ErrOpen) || e.Class != retry.Unavailable || e.Sent != retry.Never || e.Scope != retry.Integration || e.Fault {
		t.Fatalf("got %#v, want a refusal", err)
	}
	if !e.At.Equal(want) || !ready.Equal(want) {
		t.Errorf("come back after %v (Ready: %v), want %v", time.Until(e.At), time.Until(ready), d)
	}
}

func state(t *testing.T, b *breaker.Breaker, key string, want breaker.State) {
	t.Helper()
	if got, _ := b.State(key); got != want {
		t.Errorf("state is %v, want %v", got, want)
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := breaker.New(breaker.Config{FailureRatio: math.NaN(), MinCalls: -1, Window: -1, OpenFor: time.Hour, MaxOpen: time.Minute, Probes: -1, ProbeTimeout: 1, MaxKeys: -1})
	for _, field := range []string{"FailureRatio", "MinCalls", "Window", "MaxOpen", "Probes", "ProbeTimeout", "MaxKeys"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
	mustNew(t, breaker.Config{OpenFor: time.Hour}) // MaxOpen follows
}

func TestVerdictsThatCount(t *testing.T) {
	with := func(v retry.Verdict, f func(*retry.Verdict)) retry.Verdict { f(&v); return v }
	for _, tt := range []struct {
		name     string
		v        retry.Verdict
		closed   breaker.State // after 10 of them
		halfOpen breaker.State // after one as a probe
	}{
		{"ok", ok, breaker.Closed, breaker.Closed},
		{"transient fault", down, breaker.Open, breaker.Open},
		{"answered fault", with(down, func(v *retry.Verdict) { v.Sent = retry.Answered }), breaker.Open, breaker.Open},
		{"transient, no fault, no answer", retry.Verdict{Class: retry.Transient}, breaker.Closed, breaker.HalfOpen},
		{"rate limit", throttled, breaker.Closed, breaker.Closed},
		{"client error", notFound, breaker.Closed, breaker.Closed},
		{"auth", retry.Verdict{Class: retry.Auth, Sent: retry.Answered}, breaker.Closed, breaker.Closed},
		{"data fault", retry.Verdict{Class: retry.Data, Sent: retry.Answered, Fault: true}, breaker.Closed, breaker.Closed},
		{"canceled", canceled, breaker.Closed, breaker.HalfOpen},
		{"never sent", unsent, breaker.Closed, breaker.HalfOpen},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, breaker.Config{})
			do(t, b, "", 10, tt.v)
			if got, _ := b.State(""); got != tt.closed {
				t.Errorf("%s: closed circuit becomes %v, want %v", tt.name, got, tt.closed)
			}
			b = mustNew(t, breaker.Config{})
			do(t, b, "", 10, down)
			time.Sleep(30 * time.Second)
			do(t, b, "", 1, tt.v)
			if got, _ := b.State(""); got != tt.halfOpen {
				t.Errorf("%s: half-open circuit becomes %v, want %v", tt.name, got, tt.halfOpen)
			}
			if tt.halfOpen == breaker.HalfOpen && !b.Ready("").IsZero() {
				t.Errorf("%s: the probe's place is not free", tt.name)
			}
		})
	}
}

func TestRatioAndWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{})
		do(t, b, "", 9, down)
		state(t, b, "", breaker.Closed) // fewer than MinCalls
		do(t, b, "", 10, canceled)
		state(t, b, "", breaker.Closed) // which do not count as calls
		time.Sleep(61 * time.Second)
		do(t, b, "", 1, down)
		state(t, b, "", breaker.Closed) // the nine have left the window
		do(t, b, "", 10, ok)
		do(t, b, "", 8, down)
		state(t, b, "", breaker.Closed) // 9 of 19
		do(t, b, "", 1, down)
		state(t, b, "", breaker.Open) // 10 of 20
		state(t, b, "other", breaker.Closed)
	})
	b := mustNew(t, breaker.Config{FailureRatio: 0.07, MinCalls: 100})
	do(t, b, "", 93, ok)
	do(t, b, "", 7, down)
	state(t, b, "", breaker.Open) // 0.07·100 is more than 7 in floating point
}

func TestCallsThatHangLongerThanTheWindowCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{Window: 10 * time.Second})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				call, err := b.Allow("")
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
				call.Done(down)
			})
		}
		wg.Wait()
		state(t, b, "", breaker.Open)
	})
}

func TestOpenUntil(t *testing.T) {
	for _, tt := range []struct{ asked, want time.Duration }{
		{0, 30 * time.Second},
		{-time.Hour, 30 * time.Second},
		{5 * time.Second, 5 * time.Second},
		{2 * time.Minute, 2 * time.Minute},
		{24 * time.Hour, 15 * time.Minute},
		{math.MaxInt64, 15 * time.Minute},
		{1, time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := mustNew(t, breaker.Config{})
			v := down
			if tt.asked != 0 {
				v.At = time.Now().Add(tt.asked).Round(0)
			}
			do(t, b, "", 10, v)
			refused(t, b, "", tt.want)
			if s, until := b.State(""); s != breaker.Open || !until.Equal(time.Now().Add(tt.want)) {
				t.Errorf("asked for %v: state %v until %v", tt.asked, s, until)
			}
			time.Sleep(tt.want - 1)
			refused(t, b, "", 1)
			time.Sleep(time.Nanosecond)
			state(t, b, "", breaker.HalfOpen)
			if !b.Ready("").IsZero() {
				t.Error("not ready")
			}
			do(t, b, "", 1, ok)
			state(t, b, "", breaker.Closed)
			do(t, b, "", 9, down) // it starts afresh
			state(t, b, "", breaker.Closed)
		})
	}
}

func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{Probes: 3})
		do(t, b, "", 10, down)
		time.Sleep(30 * time.Second)
		var calls [3]*breaker.Call
		for i := range calls {
			call, err := b.Allow("")
			if err != nil {
				t.Fatal(err)
			}
			calls[i] = &call
		}
		refused(t, b, "", time.Second)
		calls[0].Done(ok)
		refused(t, b, "", time.Second) // two out, one has succeeded
		calls[1].Done(canceled)
		calls[1].Done(down) // counts no more
		do(t, b, "", 1, ok)
		state(t, b, "", breaker.HalfOpen)
		calls[2].Done(ok)
		state(t, b, "", breaker.Closed)

		do(t, b, "", 10, down)
		time.Sleep(30 * time.Second)
		do(t, b, "", 2, ok)
		do(t, b, "", 1, down)
		refused(t, b, "", 30*time.Second)
	})
}

func TestHungProbeIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{ProbeTimeout: 10 * time.Second})
		do(t, b, "", 10, down)
		time.Sleep(30 * time.Second)
		hung, err := b.Allow("")
		if err != nil {
			t.Fatal(err)
		}
		refused(t, b, "", time.Second)
		time.Sleep(9*time.Second + 500*time.Millisecond)
		refused(t, b, "", 500*time.Millisecond)
		time.Sleep(500 * time.Millisecond)
		if !b.Ready("").IsZero() {
			t.Error("not ready")
		}
		second, err := b.Allow("")
		if err != nil {
			t.Fatal(err)
		}
		refused(t, b, "", time.Second)
		hung.Done(down)
		state(t, b, "", breaker.HalfOpen)
		refused(t, b, "", time.Second) // it has freed no place either
		second.Done(ok)
		state(t, b, "", breaker.Closed)
	})
}

func TestLateResultsAreIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{})
		late, err := b.Allow("")
		if err != nil {
			t.Fatal(err)
		}
		do(t, b, "", 10, down)
		time.Sleep(30 * time.Second)
		probe, err := b.Allow("")
		if err != nil {
			t.Fatal(err)
		}
		late.Done(ok)
		state(t, b, "", breaker.HalfOpen)
		probe.Done(ok)
		state(t, b, "", breaker.Closed)
	})
}

func TestDoneTwice(t *testing.T) {
	b := mustNew(t, breaker.Config{})
	for range 9 {
		call, err := b.Allow("")
		if err != nil {
			t.Fatal(err)
		}
		call.Done(down)
		call.Done(down)
	}
	state(t, b, "", breaker.Closed)
	var zero breaker.Call
	zero.Done(down) // must not panic
}

func TestForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mustNew(t, breaker.Config{})
		force := func(s breaker.State) {
			t.Helper()
			if err := b.Force("k", s); err != nil {
				t.Fatal(err)
			}
			state(t, b, "k", s)
		}
		force(breaker.ForcedOpen)
		refused(t, b, "k", 30*time.Second)
		time.Sleep(time.Hour)
		refused(t, b, "k", 30*time.Second)
		force(breaker.ForcedClosed)
		do(t, b, "k", 100, down)
		state(t, b, "k", breaker.ForcedClosed)
		force(breaker.Closed)
		do(t, b, "k", 9, down)
		force(breaker.Closed) // starts afresh: the nine are forgotten
		do(t, b, "k", 1, down)
		state(t, b, "k", breaker.Closed)
		do(t, b, "k", 9, down)
		state(t, b, "k", breaker.Open)
		force(breaker.Closed)
		do(t, b, "k", 1, ok)
		for _, s := range []breaker.State{breaker.Open, breaker.HalfOpen, 99} {
			if err := b.Force("k", s); err == nil {
				t.Errorf("forced to be %v", s)
			}
		}
		if err := b.Force("unknown", breaker.Closed); err != nil {
			t.Error(err)
		}
		state(t, b, "unknown", breaker.Closed)
	})
}

func TestOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breaker.Breaker
		var got []breaker.Change
		depth := 0
		b = mustNew(t, breaker.Config{Name: "acme", OnChange: func(ch breaker.Change) {
			if depth++; depth > 1 {
				t.Error("told of a change before the one before was dealt with")
			}
			got = append(got, ch)
			// None of these may deadlock.
			b.State(ch.Key)
			b.Ready(ch.Key)
			if ch.From == breaker.HalfOpen && ch.To == breaker.Closed {
				if err := b.Force(ch.Key, breaker.ForcedOpen); err != nil {
					t.Error(err)
				}
			}
			depth--
		}})
		begin := time.Now()
		do(t, b, "k", 5, ok)
		do(t, b, "k", 5, down)
		time.Sleep(30 * time.Second)
		do(t, b, "k", 1, down)
		time.Sleep(30 * time.Second)
		do(t, b, "k", 1, ok)
		want := []breaker.Change{
			{From: breaker.Closed, To: breaker.Open, Until: begin.Add(30 * time.Second), Calls: 10, Faults: 5},
			{From: breaker.Open, To: breaker.HalfOpen},
			{From: breaker.HalfOpen, To: breaker.Open, Until: begin.Add(60 * time.Second), Calls: 1, Faults: 1},
			{From: breaker.Open, To: breaker.HalfOpen},
			{From: breaker.HalfOpen, To: breaker.Closed, Calls: 1},
			{From: breaker.Closed, To: breaker.ForcedOpen},
		}
		for i := range want {
			want[i].Name, want[i].Key = "acme", "k"
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestOnChangeThatPanics(t *testing.T) {
	told := 0
	b := mustNew(t, breaker.Config{OnChange: func(breaker.Change) {
		if told++; told == 1 {
			panic("host")
		}
	}})
	func() {
		defer func() {
			if r := recover(); r != "host" {
				t.Errorf("recovered %v", r)
			}
		}()
		_ = b.Force("", breaker.ForcedOpen)
	}()
	if err := b.Force("", breaker.ForcedClosed); err != nil || told != 2 {
		t.Errorf("told %d changes, %v, want 2", told, err)
	}
	do(t, b, "", 1, ok)
}

// Many goroutines, and the changes of each key form a chain.
func TestConcurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		last := map[string]breaker.State{}
		n := 0
		b := mustNew(t, breaker.Config{MinCalls: 3, OpenFor: time.Second, Probes: 2, MaxKeys: 50, OnChange: func(ch breaker.Change) {
			mu.Lock()
			defer mu.Unlock()
			if n++; last[ch.Key] != ch.From {
				t.Errorf("%s: from %v after %v", ch.Key, ch.From, last[ch.Key])
			}
			last[ch.Key] = ch.To
		}})
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := range 200 {
					key := fmt.Sprint((g + i) % 5)
					if call, err := b.Allow(key); err == nil {
						time.Sleep(time.Duration(g) * time.Millisecond)
						call.Done([]retry.Verdict{ok, down, canceled, down}[(g+i/7)%4])
					} else if at := retry.At(err); !at.After(time.Now()) {
						t.Errorf("refused until %v", at)
					}
					time.Sleep(70 * time.Millisecond)
				}
			})
		}
		wg.Wait()
		if n < 10 {
			t.Errorf("%d changes only", n)
		}
	})
}
