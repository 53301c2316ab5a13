package retry_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

func TestBudget(t *testing.T) {
	if _, err := retry.NewBudget(retry.BudgetConfig{Capacity: -1, Cost: -1, Timeout: -1}); err == nil ||
		!strings.Contains(err.Error(), "Capacity") || !strings.Contains(err.Error(), "Cost") || !strings.Contains(err.Error(), "Timeout") {
		t.Errorf("got %v", err)
	}
	if _, err := retry.NewBudget(retry.BudgetConfig{Capacity: 9}); err == nil {
		t.Error("a budget that never allows a repetition is accepted")
	}
	b, err := retry.NewBudget(retry.BudgetConfig{Capacity: 20})
	if err != nil {
		t.Fatal(err)
	}
	call := func(wantAttempts, wantTokens int, steps ...move) {
		t.Helper()
		pa := &partner{steps: steps}
		_, _, _ = through(t, retry.Policy{Budget: b, BaseDelay: 1, MaxDelay: time.Microsecond}, pa, newRequest(t, t.Context(), "GET", ""))
		if len(pa.methods) != wantAttempts || b.Tokens() != wantTokens {
			t.Errorf("%d attempts, %d tokens left, want %d and %d", len(pa.methods), b.Tokens(), wantAttempts, wantTokens)
		}
	}
	call(1, 20, replies(200))                                                                // full stays full
	call(2, 20, replies(500), replies(200))                                                  // comes back
	call(2, 20, replies(429), replies(200))                                                  // no fault, no cost
	call(3, 0, breaks(os.ErrDeadlineExceeded), breaks(os.ErrDeadlineExceeded), replies(404)) // after a timeout twice as much
	call(1, 0, replies(500))                                                                 // spent
	for range 4 {
		call(1, b.Tokens()+1, replies(200))
	}
	call(1, 4, replies(500))
	call(1, 5, replies(200))
	call(2, 0, replies(500))
}
