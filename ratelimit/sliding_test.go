package ratelimit

import "testing"

// A log that is given more than fits keeps every cost, and never sooner than it came.
func TestLogMerges(t *testing.T) {
	var l slidingLog
	const n = 5000
	for i := range int64(n) {
		l.add(i, 1)
	}
	if len(l.buf) > 2*exactLimit {
		t.Errorf("the log grew to %d", len(l.buf))
	}
	if at, missing := l.freed(n, 10); at != n-1+10 || missing != 0 {
		t.Errorf("all is free at %d, %d missing", at, missing)
	}
	if freed := l.expire(n/2, 10); freed != 0 {
		t.Errorf("%d of the merged charges left too soon", freed)
	}
	if freed := l.expire(2*n, 10); freed != n {
		t.Errorf("%d left in the end, want %d", freed, n)
	}
}

// Each charge stays in the ring for a window, and for at most a sub-window more.
func TestRingIsNeverUnder(t *testing.T) {
	const per, sub = 6400, 6400 / 64
	for late := int64(0); late < sub; late += 7 {
		for _, at := range []int64{0, 1, 50, 99, 100, 6399, 6400, 12345} {
			var r slidingRing
			r.expire(at+late, sub) // the clock may be ahead of what is charged
			r.add(at, 1, sub)
			var now int64
			for now = at + late; r.expire(now, sub) == 0; now++ {
			}
			if stay := now - at; stay < per || stay > per+sub {
				t.Fatalf("charged at %d, it stayed for %d, want %d to %d", at, stay, per, per+sub)
			}
		}
	}
}
