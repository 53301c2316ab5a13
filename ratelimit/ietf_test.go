package ratelimit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

func TestIETFHeaders(t *testing.T) {
	minute := func(remaining int64, reset time.Duration) []ratelimit.Observation {
		return []ratelimit.Observation{seen(time.Minute, 100, remaining, reset)}
	}
	const named = `RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400`
	for _, c := range []struct {
		name string
		h    []string
		want []ratelimit.Observation
	}{
		{"draft 10, 4.2: several policies", []string{named, `RateLimit: "burst";r=50;t=30,"daily";r=500`},
			append(minute(50, 30*time.Second), seen(24*time.Hour, 1000, 500, 0))},
		{"in several lines", []string{`RateLimit-Policy: "burst";q=100;w=60`, `RateLimit-Policy: "daily";q=1000;w=86400`, `RateLimit: "daily";r=500`},
			[]ratelimit.Observation{seen(24*time.Hour, 1000, 500, 0)}},
		{"nothing left, no reset", []string{named, `RateLimit: "burst";r=0`}, minute(0, 0)},
		{"partition key and unknown parameters", []string{
			`RateLimit-Policy: "burst";q=100;qu="requests";w=60;pk=:dHJpYWwxMjEzMjM=:;x;y=?0;z=1.5;d=@1659578233;c="a \"quoted\" word"`,
			`RateLimit: "burst";r=50;t=30;pk=:dHJpYWwxMjEzMjM=:`,
		}, minute(50, 30*time.Second)},
		{"names as tokens, spaces", []string{`RateLimit-Policy:  burst; q=100;  w=60 ,  daily;q=5;w=86400 `, `RateLimit: burst;r=50`}, minute(50, 0)},
		{"name with escapes", []string{`RateLimit-Policy: "a\"b\\";q=100;w=60`, `RateLimit: "a\"b\\";r=50`}, minute(50, 0)},
		{"reset beyond the window", []string{named, `RateLimit: "burst";r=50;t=61`}, minute(50, 0)},
		{"not requests", []string{`RateLimit-Policy: "burst";q=100;w=60;qu="content-bytes"`, `RateLimit: "burst";r=50`}, nil},
		{"a policy without window", []string{`RateLimit-Policy: "burst";q=100`, `RateLimit: "burst";r=50`}, nil},
		{"another policy", []string{named, `RateLimit: "hourly";r=50`}, nil},
		{"no policy", []string{`RateLimit: "burst";r=50`}, nil},
		{"no remaining", []string{named, `RateLimit: "burst";t=30`}, nil},
		{"negative remaining", []string{named, `RateLimit: "burst";r=-1`}, nil},
		{"quota not said", []string{`RateLimit-Policy: "burst";w=60`, `RateLimit: "burst";r=50`}, []ratelimit.Observation{seen(time.Minute, -1, 50, 0)}},

		{"draft 07", []string{`RateLimit-Policy: 100;w=60;comment="fixed window", 5000;w=3600`, `RateLimit: limit=100, remaining=50, reset=5`},
			minute(50, 5*time.Second)},
		{"draft 07, another limit", []string{`RateLimit-Policy: 100;w=60`, `RateLimit: limit=10, remaining=5, reset=5`}, nil},
		{"draft 07, two windows with the limit", []string{`RateLimit-Policy: 100;w=60, 100;w=3600`, `RateLimit: limit=100, remaining=5`}, nil},
		{"draft 07, no limit", []string{`RateLimit-Policy: 100;w=60`, `RateLimit: remaining=5;x=1, reset=5, more`}, nil},
		{"draft 07, not a number", []string{`RateLimit-Policy: 100;w=60`, `RateLimit: limit=100, remaining="5"`}, minute(-1, 0)},

		{"draft 06, window in the policy", []string{`RateLimit-Policy: 100;w=60`, `RateLimit-Limit: 100`, `RateLimit-Remaining: 50`, `RateLimit-Reset: 5`},
			minute(50, 5*time.Second)},
		{"draft 03, window in the limit", []string{`RateLimit-Limit: 100, 100;w=60;burst=1000, 1000;w=3600`, `RateLimit-Remaining: 50`, `RateLimit-Reset: 5`},
			minute(50, 5*time.Second)},
		{"draft 00, one item with its window", []string{`RateLimit-Limit: 100;w=60`, `RateLimit-Remaining: 50`}, minute(50, 0)},
		{"a window from nowhere", []string{`RateLimit-Limit: 100`, `RateLimit-Remaining: 50`}, nil},
		{"no limit", []string{`RateLimit-Policy: 100;w=60`, `RateLimit-Remaining: 50`}, nil},
		{"a limit with a name", []string{`RateLimit-Policy: 100;w=60`, `RateLimit-Limit: "x"`, `RateLimit-Remaining: 50`}, nil},
		{"a limit that is no field", []string{`RateLimit-Policy: 100;w=60`, `RateLimit-Limit: 100,`, `RateLimit-Remaining: 50`}, nil},
		{"not theirs", []string{`X-RateLimit-Limit: 100`}, nil},
	} {
		t.Run(c.name, func(t *testing.T) { checkObserved(t, ratelimit.IETFHeaders, header(c.h...), c.want...) })
	}
	checkObserved(t, ratelimit.IETFHeaders, nil)
}

// What breaks RFC 9651's syntax anywhere is ignored as a whole.
func TestIETFHeadersAreReadStrictly(t *testing.T) {
	for _, bad := range []string{
		`"burst`, `"burst";q=100;w=`, `"burst";q=100;w=60,`, `"burst";q=100;w=60,,`, `"burst";q=100;W=60`, `"burst";q=100;w=60 x`,
		`"burst";q=100;w=60;`, `"burst" ;q=100;w=60`, `"burst";q = 100`, `"bu\rst";q=100;w=60`, `"burst` + "\x01" + `";q=100;w=60`,
		`"bürst";q=100;w=60`, `"burst";q=100;w=60;p=:a:`, `"burst";q=100;w=60;p=:a`, `"burst";q=100;w=60;p=?2`, `"burst";q=100;w=60;p=@1.5`,
		`"burst";q=100;w=60;p=1234567890123456`, `"burst";q=100;w=60;p=1.`, `"burst";q=100;w=60;p=1.2345`, `"burst";q=100;w=60;p=1234567890123.1`,
		`"burst";q=100;w=60;p=-`, `("burst");q=100;w=60`, `"burst";q=100;w=60, ?`, `"burst";q=100;w=60;p=%"x"`, `"burst\`,
	} {
		checkObserved(t, ratelimit.IETFHeaders, header(`RateLimit: "burst";r=50`, "RateLimit-Policy: "+bad))
		checkObserved(t, ratelimit.IETFHeaders, header(`RateLimit-Policy: "burst";q=100;w=60`, "RateLimit: "+strings.ReplaceAll(bad, "q=", "r=")))
	}
	many := make([]string, 30)
	for i := range many {
		many[i] = `"burst";q=100;w=60`
	}
	h := header(`RateLimit-Policy: `+strings.Join(many, ","), `RateLimit: `+strings.ReplaceAll(strings.Join(many, ","), "q=", "r="))
	if got := len(ratelimit.IETFHeaders(h, answered, nil)); got != 8 {
		t.Errorf("%d observations of 30 items, want 8", got)
	}
	limit := header(`RateLimit-Policy: `+strings.Join(many, ","), `RateLimit-Limit: `+strings.Repeat("100;w=60, ", 29)+"100;w=60")
	checkObserved(t, ratelimit.IETFHeaders, limit, seen(time.Minute, 100, -1, 0))
}
