package retry_test

import (
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

func TestValidateDelays(t *testing.T) {
	for _, p := range []retry.Policy{{MaxDelay: time.Millisecond}, {BaseDelay: time.Minute, MaxDelay: time.Second}} {
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "MaxDelay") {
			t.Errorf("%+v: got %v", p, err)
		}
	}
	for _, p := range []retry.Policy{
		{}, {MaxAttempts: 1, BaseDelay: time.Hour, MaxWait: -1, IdempotencyHeader: "Idempotency_Key-2"}, {MaxDelay: time.Second},
	} {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestDelay(t *testing.T) {
	for _, tt := range []struct {
		policy retry.Policy
		want   []time.Duration
	}{
		{retry.Policy{}, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 20 * time.Second, 20 * time.Second}},
		{retry.Policy{BaseDelay: time.Minute}, []time.Duration{time.Minute, time.Minute}},
		{retry.Policy{BaseDelay: time.Minute, MaxDelay: time.Second}, []time.Duration{time.Second, time.Second}},
		{retry.Policy{BaseDelay: math.MaxInt64 / 2, MaxDelay: math.MaxInt64}, []time.Duration{math.MaxInt64 / 2, math.MaxInt64 - 1, math.MaxInt64}},
		{retry.Policy{BaseDelay: -1, MaxDelay: -1}, []time.Duration{500 * time.Millisecond, time.Second}},
	} {
		var got []time.Duration
		for n := range tt.want {
			got = append(got, tt.policy.Delay(n+1))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: got %v, want %v", tt.policy, got, tt.want)
		}
		if got := tt.policy.Delay(math.MaxInt); got != max(tt.policy.Delay(100), 0) {
			t.Errorf("%+v: the delay after very many is %v", tt.policy, got)
		}
		if got := tt.policy.Delay(0); got != tt.want[0] {
			t.Errorf("%+v: the delay after none is %v", tt.policy, got)
		}
	}
}

// What cannot be used is taken as if it were not there.
func TestUnusablePolicyDoesNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &scripted{script: []any{500, 200}}
		policy := retry.Policy{MaxAttempts: -5, BaseDelay: math.MaxInt64, MaxDelay: math.MaxInt64, MaxWait: -1, IdempotencyHeader: "bad name"}
		ctx := retry.WithIdempotencyKey(t.Context(), "k")
		resp, err := policy.Wrap(p).RoundTrip(request(t, "POST", nil).WithContext(ctx))
		intact(t, p, resp, err, 500, 1)
		if len(p.heard[0].Header) != 0 {
			t.Errorf("sent %v", p.heard[0].Header)
		}
	})
}

func newBudget(t testing.TB, c retry.BudgetConfig) *retry.Budget {
	t.Helper()
	b, err := retry.NewBudget(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNewBudget(t *testing.T) {
	for _, c := range []retry.BudgetConfig{{Capacity: 9}, {Capacity: 20, Cost: 21}, {Timeout: 501}} {
		if b, err := retry.NewBudget(c); err == nil || b != nil {
			t.Errorf("%+v: got %v, %v", c, b, err)
		}
	}
	if got := newBudget(t, retry.BudgetConfig{}).Tokens(); got != 500 {
		t.Errorf("a full budget has %d tokens, want 500", got)
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "timeout" }
func (timeoutError) Timeout() bool { return true }

func TestBudgetOfCalls(t *testing.T) {
	for _, tt := range []struct {
		name     string
		script   []any
		attempts int
		want     []int // tokens after each call
	}{
		{"success gives one, up to full", []any{200}, 1, []int{20, 20}},
		{"a repetition that succeeds costs nothing", []any{500, 500, 200}, 3, []int{20}},
		{"failure costs", []any{500, 500, 404}, 3, []int{10}},
		{"a timeout costs more", []any{timeoutError{}, 404}, 2, []int{10}},
		{"being throttled is no fault", []any{429, 429, 429, 429}, 4, []int{20}},
		{"exhausted, the answer in hand is returned", []any{500}, 4, []int{5, 0, 0}},
		{"a success after that", []any{500, 500, 500, 500, 500, 500, 404, 200}, 4, []int{5, 0, 0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(t, retry.BudgetConfig{Capacity: 20})
				p := &scripted{script: tt.script}
				rt := retry.Policy{Budget: b}.Wrap(p)
				for i, want := range tt.want {
					resp, err := rt.RoundTrip(request(t, "GET", nil))
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					if i == 0 && len(p.times) != tt.attempts {
						t.Errorf("%d attempts, want %d", len(p.times), tt.attempts)
					}
					if got := b.Tokens(); got != want {
						t.Errorf("%d tokens after call %d, want %d", got, i+1, want)
					}
				}
				if p.open() != 0 {
					t.Errorf("%d bodies open", p.open())
				}
			})
		})
	}
}

// An outage is not multiplied: with the budget used up, a call is one attempt.
func TestBudgetBoundsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(t, retry.BudgetConfig{Capacity: 50})
		p := &scripted{script: []any{io.EOF}}
		rt := retry.Policy{Budget: b}.Wrap(p)
		for range 100 {
			if _, err := rt.RoundTrip(request(t, "GET", nil)); !errors.Is(err, io.EOF) { //nolint:bodyclose // none
				t.Fatal(err)
			}
		}
		if got, want := len(p.times), 110; got != want {
			t.Errorf("%d attempts for 100 calls, want %d", got, want)
		}
	})
}

func TestWrapNilIsTheDefaultTransport(t *testing.T) {
	before := http.DefaultTransport
	defer func() { http.DefaultTransport = before }()
	p := &scripted{script: []any{204}}
	http.DefaultTransport = p
	for _, rt := range []http.RoundTripper{retry.Policy{}.Wrap(nil), retry.AttemptTimeout(time.Minute).Wrap(nil), retry.AttemptTimeout(0).Wrap(nil)} {
		resp, err := rt.RoundTrip(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if len(p.times) != 3 {
		t.Errorf("%d calls, want 3", len(p.times))
	}
}
