package ratelimit

import (
	"testing"
	"time"
)

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

// ringSpec is a tier that a ring counts.
func ringSpec(per int64) *spec {
	p := newPlan(Tiers{{Requests: exactLimit + 1, Per: time.Duration(per)}}, time.Now())
	return &p.specs[0]
}

// Each charge stays in the ring for a window, and for at most a sub-window more; half a window more if it came before the ring was refined.
func TestRingIsNeverUnder(t *testing.T) {
	for _, per := range []int64{6400, 6401, 97} {
		s := ringSpec(per)
		for _, when := range []string{"fine", "coarse", "refined"} {
			most := 65 * s.fine
			if when != "fine" {
				most = 65*s.fine + s.half
			}
			for late := int64(0); late < s.fine; late += 1 + s.fine/13 {
				for _, at := range []int64{0, 1, 50, 99, 100, 6399, 6400, 12345} {
					var r slidingRing
					if when == "fine" {
						r.refine(s)
					}
					r.expire(s, at+late) // the clock may be ahead of what is charged
					r.add(s, at, 1)
					if when == "refined" {
						r.refine(s)
					}
					var now int64
					for now = at + late; r.expire(s, now) == 0; now++ {
					}
					if stay := now - at; stay < per || stay > most {
						t.Fatalf("window %d, %s: charged at %d, it stayed for %d, want %d to %d", per, when, at, stay, per, most)
					}
				}
			}
		}
	}
}

// A ring counts at least what the last window holds, whenever it is refined, and in whatever order charges come.
func FuzzRing(f *testing.F) {
	f.Add([]byte{10, 0, 200, 7, 255, 255, 3, 0, 0, 90}, uint8(4))
	f.Fuzz(func(t *testing.T, steps []byte, refined uint8) {
		const per = 640
		steps = steps[:min(len(steps), 200)]
		s := ringSpec(per)
		var r slidingRing
		var log []charge
		now, used := int64(0), int64(0)
		for i, b := range steps {
			now += int64(b) * 5
			used -= r.expire(s, now)
			if i == int(refined) {
				r.refine(s)
			}
			at, cost := now-int64(b%16), int64(b%3)+1
			r.add(s, at, cost)
			used += cost
			log = append(log, charge{at, cost})
			exact, loose := int64(0), int64(0)
			for _, c := range log {
				if c.at > now-per {
					exact += c.cost
				}
				if c.at > now-per-s.half-s.fine-16 {
					loose += c.cost
				}
			}
			sum := int64(0)
			r.each(s, func(_, cost int64) bool {
				sum += cost
				return true
			})
			if used < exact || used > loose || sum != used {
				t.Fatalf("step %d: the ring counts %d and holds %d, want %d to %d", i, used, sum, exact, loose)
			}
		}
		if used == 0 {
			return
		}
		at, missing := r.freed(s, used)
		if missing != 0 || at < now {
			t.Fatalf("all is free at %d, %d missing", at, missing)
		}
		if used -= r.expire(s, at); used != 0 {
			t.Fatalf("%d are left when all should be free", used)
		}
	})
}
