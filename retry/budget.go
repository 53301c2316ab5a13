package retry

import (
	"errors"
	"fmt"
	"sync"
)

// Budget is a token bucket that bounds how much of the traffic may be repetitions, so that retries cannot
// multiply an outage: the scheme of the AWS SDKs. A repetition after a fault costs tokens, which come back when it
// succeeds; each first success adds one. It is safe for concurrent use. Use [NewBudget].
type Budget struct {
	c BudgetConfig

	mu     sync.Mutex // guards the fields below
	tokens int
}

// BudgetConfig configures a [Budget]; zero fields take the defaults.
type BudgetConfig struct {
	Capacity int // tokens when full, and at the start; 0 means 500
	Cost     int // of a repetition; 0 means 5
	Timeout  int // of a repetition after a timeout; 0 means 10
}

// NewBudget returns a full budget, or an error that names every unusable field.
func NewBudget(c BudgetConfig) (*Budget, error) {
	var errs []error
	for _, f := range []struct {
		name string
		v    *int
		def  int
	}{{"Capacity", &c.Capacity, 500}, {"Cost", &c.Cost, 5}, {"Timeout", &c.Timeout, 10}} {
		if *f.v < 0 {
			errs = append(errs, fmt.Errorf("retry: BudgetConfig.%s is negative", f.name))
		}
		if *f.v == 0 {
			*f.v = f.def
		}
	}
	if len(errs) == 0 && c.Capacity < max(c.Cost, c.Timeout) {
		errs = append(errs, fmt.Errorf("retry: BudgetConfig.Capacity %d is less than one repetition costs", c.Capacity))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Budget{c: c, tokens: c.Capacity}, nil
}

// Tokens returns how many tokens are left.
func (b *Budget) Tokens() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens
}

// take spends what a repetition costs; ok is false when there is not enough.
func (b *Budget) take(afterTimeout bool) (cost int, ok bool) {
	cost = b.c.Cost
	if afterTimeout {
		cost = b.c.Timeout
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens < cost {
		return 0, false
	}
	b.tokens -= cost
	return cost, true
}

func (b *Budget) give(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = min(b.tokens+n, b.c.Capacity)
}
