package ratelimit_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// allDialects are one of each kind, all reading the same few headers.
func allDialects(t testing.TB) map[string]ratelimit.Dialect {
	t.Helper()
	riot, err := ratelimit.PairedWindows("Limit", "Used")
	all := map[string]ratelimit.Dialect{
		"PerWindowHeaders": ratelimit.PerWindowHeaders, "IETFHeaders": ratelimit.IETFHeaders, "PairedWindows": must(t, riot, err),
	}
	for as := ratelimit.ResetSeconds; as <= ratelimit.ResetDuration; as++ {
		d, err := ratelimit.NewDialect(
			ratelimit.LimitHeaders{Per: time.Minute, Limit: "Limit", Used: "Used", Reset: "Reset", ResetAs: as},
			ratelimit.LimitHeaders{Per: time.Hour, UsedOfLimit: "Used", Reset: "Reset", ResetAs: as},
			ratelimit.LimitHeaders{Per: time.Second, Limit: "Limit", Remaining: "Used", Reset: "Reset", ResetAs: as})
		all["NewDialect "+string('0'+rune(as))] = must(t, d, err)
	}
	return all
}

// Whatever the headers say: a dialect does not panic, what it observes makes sense, and a limiter that believes it admits no
// more than its tiers, and comes to itself within a window.
func FuzzDialects(f *testing.F) {
	f.Add("100", "50", "30", "", `"a";r=1`, `"a";q=1;w=60`)
	f.Add("100:10,1000:60", "1:10,5:60", "1372700873.5", "Mon, 01 Jul 2013 17:00:53 GMT", "limit=100, remaining=0, reset=5", "100;w=60")
	f.Add("40", "32/40", "2013-07-01T17:01:00Z", "x", `"\"";r=0;t=9;pk=:YQ==:`, `"\"";q=3;w=1;a=?1;b=@1;c=1.5`)
	f.Add("100, 100;w=60", "0", "6m0s", "", "", "")
	dialects := allDialects(f)
	f.Fuzz(func(t *testing.T, limit, used, reset, date, report, policy string) {
		h := http.Header{
			"Limit": {limit}, "Used": {used}, "Reset": {reset}, "Date": {date}, "Ratelimit": {report}, "Ratelimit-Policy": {policy},
			"Ratelimit-Limit": {limit}, "Ratelimit-Remaining": {used}, "Ratelimit-Reset": {reset},
			"X-Ratelimit-Limit-Minute": {limit}, "X-Ratelimit-Remaining-Minute": {used},
		}
		three := http.Header{"Ratelimit-Limit": {limit}, "Ratelimit-Remaining": {used}, "Ratelimit-Reset": {reset}, "Ratelimit-Policy": {policy}}
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			for name, d := range dialects {
				for _, o := range append(d(h, now, nil), d(three, now, nil)...) {
					if o.Per <= 0 || o.Limit < -1 || o.Remaining < -1 || o.Limit < 0 && o.Remaining < 0 ||
						!o.Reset.IsZero() && (!o.Reset.After(now) || o.Reset.After(now.Add(o.Per))) {
						t.Fatalf("%s observed %+v at %v", name, o, now)
					}
				}
				l := newLimiter(t, ratelimit.Options{Dialect: d, MaxWait: -1},
					ratelimit.Tier{Requests: 3, Per: time.Second}, ratelimit.Tier{Requests: 5, Per: time.Minute})
				admitted := func() (n int) {
					for range 8 {
						p, err := l.Acquire(context.Background(), ratelimit.Call{})
						if err != nil {
							return n
						}
						n++
						p.Answered(http.StatusOK, h)
						p.Release()
					}
					return n
				}
				if n := admitted(); n < 1 || n > 3 {
					t.Fatalf("%s: %d of 8 calls at once were admitted, want 1 to 3", name, n)
				}
				time.Sleep(time.Minute)
				if n := admitted(); n < 1 || n > 3 {
					t.Fatalf("%s: %d of 8 calls a minute later were admitted, want 1 to 3", name, n)
				}
			}
		})
	})
}
