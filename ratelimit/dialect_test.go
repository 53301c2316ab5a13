package ratelimit_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// header makes a header from lines such as "X-RateLimit-Limit: 60".
func header(lines ...string) http.Header {
	h := make(http.Header)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}

func must(t testing.TB, d ratelimit.Dialect, err error) ratelimit.Dialect {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// answered is when the answers of the tests were read; Date is the same second.
var answered = time.Date(2013, time.July, 1, 17, 0, 53, 0, time.UTC)

const date = "Date: Mon, 01 Jul 2013 17:00:53 GMT"

func checkObserved(t *testing.T, d ratelimit.Dialect, h http.Header, want ...ratelimit.Observation) {
	t.Helper()
	had := ratelimit.Observation{Per: 42}
	got := d(h, answered, []ratelimit.Observation{had})
	if len(got) == 0 || got[0] != had {
		t.Fatalf("%v: what was observed before is gone: %v", h, got)
	}
	got = got[1:]
	if len(got) != len(want) {
		t.Fatalf("%v: observed %v, want %v", h, got, want)
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.Per != w.Per || g.Limit != w.Limit || g.Remaining != w.Remaining || !g.Reset.Equal(w.Reset) {
			t.Errorf("%v: observed %+v, want %+v", h, g, w)
		}
	}
}

func seen(per time.Duration, limit, remaining int64, reset time.Duration) ratelimit.Observation {
	o := ratelimit.Observation{Per: per, Limit: limit, Remaining: remaining}
	if reset != 0 {
		o.Reset = answered.Add(reset)
	}
	return o
}

func TestDialectsOfPartners(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits []ratelimit.LimitHeaders
		h      http.Header
		want   []ratelimit.Observation
	}{
		// docs.github.com, "Rate limits for the REST API": reset in epoch seconds, UTC.
		{"GitHub", []ratelimit.LimitHeaders{{
			Per: time.Hour, Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining",
			Reset: "X-RateLimit-Reset", ResetAs: ratelimit.ResetUnix,
		}}, header(date, "X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4987", "X-RateLimit-Used: 13", "X-RateLimit-Reset: 1372700873"),
			[]ratelimit.Observation{seen(time.Hour, 5000, 4987, 2820*time.Second)}},
		// shopify.dev, "API limits", REST Admin API: a bucket of 40 that leaks 2 a second.
		{"Shopify", []ratelimit.LimitHeaders{{Per: time.Second, UsedOfLimit: "X-Shopify-Shop-Api-Call-Limit"}},
			header("X-Shopify-Shop-Api-Call-Limit: 32/40"), []ratelimit.Observation{seen(time.Second, 40, 8, 0)}},
		// developers.hubspot.com, "API usage guidelines": ten seconds, and a day.
		{"HubSpot", []ratelimit.LimitHeaders{
			{Per: 10 * time.Second, Limit: "X-HubSpot-RateLimit-Max", Remaining: "X-HubSpot-RateLimit-Remaining"},
			{Per: 24 * time.Hour, Limit: "X-HubSpot-RateLimit-Daily", Remaining: "X-HubSpot-RateLimit-Daily-Remaining"},
		}, header("X-HubSpot-RateLimit-Daily: 250000", "X-HubSpot-RateLimit-Daily-Remaining: 249897",
			"X-HubSpot-RateLimit-Interval-Milliseconds: 10000", "X-HubSpot-RateLimit-Max: 100", "X-HubSpot-RateLimit-Remaining: 99"),
			[]ratelimit.Observation{seen(10*time.Second, 100, 99, 0), seen(24*time.Hour, 250000, 249897, 0)}},
		// platform.openai.com, "Rate limits": requests; tokens have a limiter of their own.
		{"OpenAI", []ratelimit.LimitHeaders{{
			Per: time.Minute, Limit: "x-ratelimit-limit-requests", Remaining: "x-ratelimit-remaining-requests",
			Reset: "x-ratelimit-reset-requests", ResetAs: ratelimit.ResetDuration,
		}}, header("x-ratelimit-limit-requests: 60", "x-ratelimit-limit-tokens: 150000", "x-ratelimit-remaining-requests: 59",
			"x-ratelimit-remaining-tokens: 149984", "x-ratelimit-reset-requests: 1s", "x-ratelimit-reset-tokens: 6m0s"),
			[]ratelimit.Observation{seen(time.Minute, 60, 59, time.Second)}},
		// api.slack.com, "Rate limits": nothing but Retry-After, which is no matter of dialect.
		{"Slack", []ratelimit.LimitHeaders{{
			Per: time.Minute, Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining",
		}}, header("Retry-After: 30"), nil},
		// discord.com/developers, "Rate limits".
		{"Discord", []ratelimit.LimitHeaders{{
			Per: 5 * time.Second, Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining",
			Reset: "X-RateLimit-Reset-After", ResetAs: ratelimit.ResetSeconds,
		}}, header("X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1470173023", "X-RateLimit-Reset-After: 1.125"),
			[]ratelimit.Observation{seen(5*time.Second, 5, 0, 1125*time.Millisecond)}},
		// docs.anthropic.com, "Rate limits": RFC 3339.
		{"Anthropic", []ratelimit.LimitHeaders{{
			Per: time.Minute, Limit: "anthropic-ratelimit-requests-limit", Remaining: "anthropic-ratelimit-requests-remaining",
			Reset: "anthropic-ratelimit-requests-reset", ResetAs: ratelimit.ResetTime,
		}}, header(date, "anthropic-ratelimit-requests-limit: 50", "anthropic-ratelimit-requests-remaining: 49",
			"anthropic-ratelimit-requests-reset: 2013-07-01T17:01:00Z"), []ratelimit.Observation{seen(time.Minute, 50, 49, 7*time.Second)}},
		{"used of a limit", []ratelimit.LimitHeaders{{Per: time.Minute, Limit: "X-Quota", Used: "X-Quota-Used"}},
			header("X-Quota: 100", "X-Quota-Used: 120"), []ratelimit.Observation{seen(time.Minute, 100, 0, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := ratelimit.NewDialect(c.limits...)
			checkObserved(t, must(t, d, err), c.h, c.want...)
			checkObserved(t, d, nil)
			checkObserved(t, d, header("Content-Type: text/plain"))
		})
	}
}

func TestResetFormats(t *testing.T) {
	const skewed = "Date: Mon, 01 Jul 2013 15:00:53 GMT" // two hours behind us
	for _, c := range []struct {
		as    ratelimit.ResetFormat
		reset string
		date  string
		want  time.Duration
	}{
		{ratelimit.ResetSeconds, "41", "", 41 * time.Second},
		{ratelimit.ResetSeconds, "0.75", "", 750 * time.Millisecond},
		{ratelimit.ResetSeconds, "0.0000000001", "", 1},
		{ratelimit.ResetSeconds, "1.0000000000", "", time.Second},
		{ratelimit.ResetSeconds, "3601", "", 0}, // longer than the window
		{ratelimit.ResetSeconds, "0", "", 0},
		{ratelimit.ResetSeconds, "-1", "", 0},
		{ratelimit.ResetSeconds, "1.", "", 0},
		{ratelimit.ResetSeconds, "1e3", "", 0},
		{ratelimit.ResetSeconds, "999999999999999", "", 0},
		{ratelimit.ResetMillis, "750", "", 750 * time.Millisecond},
		{ratelimit.ResetUnix, "1372698083", date, 30 * time.Second},
		{ratelimit.ResetUnix, "1372698083", "", 30 * time.Second},
		{ratelimit.ResetUnix, "1372698083.5", date, 30500 * time.Millisecond},
		{ratelimit.ResetUnix, "1372690883", skewed, 30 * time.Second},
		{ratelimit.ResetUnix, "1372690883", "Date: yesterday", 0}, // and by our clock it has passed
		{ratelimit.ResetUnix, "1372698083000", date, 0},           // milliseconds
		{ratelimit.ResetUnixMilli, "1372698083250", date, 30250 * time.Millisecond},
		{ratelimit.ResetUnixMilli, "1372698083", date, 0}, // seconds
		{ratelimit.ResetTime, "Mon, 01 Jul 2013 17:01:23 GMT", date, 30 * time.Second},
		{ratelimit.ResetTime, "Mon, 01 Jul 2013 15:01:23 GMT", skewed, 30 * time.Second},
		{ratelimit.ResetTime, "2013-07-01T19:01:23.5+02:00", date, 30500 * time.Millisecond},
		{ratelimit.ResetTime, "2013-07-01T19:01:23+0200", date, 30 * time.Second},
		{ratelimit.ResetTime, "2013-07-01 19:01:23", date, 0},
		{ratelimit.ResetDuration, "6m0s", "", 6 * time.Minute},
		{ratelimit.ResetDuration, "20ms", "", 20 * time.Millisecond},
		{ratelimit.ResetDuration, "-1s", "", 0},
		{ratelimit.ResetDuration, "9", "", 0},
		{ratelimit.ResetDuration, strings.Repeat("1ms", 50), "", 0}, // too long to be meant
	} {
		d, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Hour, Remaining: "left", Reset: "reset", ResetAs: c.as})
		h := header("left: 7", "reset: "+c.reset)
		if c.date != "" {
			h = header("left: 7", "reset: "+c.reset, c.date)
		}
		checkObserved(t, must(t, d, err), h, seen(time.Hour, -1, 7, c.want))
	}
}

func TestValuesOfAnotherFormAreAbsent(t *testing.T) {
	plain, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Minute, Limit: "L", Remaining: "R"})
	plain = must(t, plain, err)
	pair, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Minute, UsedOfLimit: "P"})
	pair = must(t, pair, err)
	for _, v := range []string{"", "-1", "+1", "1.5", "1,000", "0x10", "unlimited", "1234567890123456", "٣"} {
		checkObserved(t, plain, header("R: "+v))
		checkObserved(t, plain, header("L: 60", "R: "+v), seen(time.Minute, 60, -1, 0))
	}
	for _, v := range []string{"", "/", "40", "/40", "40/", "a/40", "-1/40", "1/40/2", "1 / 40"} {
		checkObserved(t, pair, header("P: "+v))
	}
}

func TestPairedWindows(t *testing.T) {
	// developer.riotgames.com, "Rate limiting".
	d, err := ratelimit.PairedWindows("X-App-Rate-Limit", "X-App-Rate-Limit-Count")
	d = must(t, d, err)
	const limits = "X-App-Rate-Limit: 100:10,1000:60"
	checkObserved(t, d, header(limits, "X-App-Rate-Limit-Count: 1:10, 5:60"),
		seen(10*time.Second, 100, 99, 0), seen(time.Minute, 1000, 995, 0))
	checkObserved(t, d, header(limits, "X-App-Rate-Limit-Count: 200:10"),
		seen(10*time.Second, 100, 0, 0), seen(time.Minute, 1000, -1, 0))
	for _, count := range []string{"", "1", "1:10,", "1:10;5:60", "1:0", "a:10,5:60"} {
		checkObserved(t, d, header(limits, "X-App-Rate-Limit-Count: "+count), seen(10*time.Second, 100, -1, 0), seen(time.Minute, 1000, -1, 0))
	}
	for _, limit := range []string{"", "100", "100:0", "100:10,", "100:10,x", "100:999999999999", strings.Repeat("1:1,", 8) + "1:1"} {
		checkObserved(t, d, header("X-App-Rate-Limit: "+limit, "X-App-Rate-Limit-Count: 1:10"))
	}
	only, err := ratelimit.PairedWindows("x-rate-limit", "")
	checkObserved(t, must(t, only, err), header("X-Rate-Limit: 5:1"), seen(time.Second, 5, -1, 0))
}

func TestDialectsNameEverythingThatIsWrong(t *testing.T) {
	_, err := ratelimit.NewDialect(
		ratelimit.LimitHeaders{Per: -1, UsedOfLimit: "a", Limit: "b"},
		ratelimit.LimitHeaders{Per: time.Second, Used: "u", Remaining: "r", ResetAs: 9},
		ratelimit.LimitHeaders{Per: time.Second, Reset: "not a name", ResetAs: ratelimit.ResetUnix},
	)
	checkNames(t, err, "limit 0: Per is -1ns", "limit 0: UsedOfLimit goes with no other", "limit 1: Used needs Limit",
		"limit 1: ResetAs is 9", "limit 1: Reset and ResetAs", "limit 2: Per is that of limit 1", "limit 2: none of", `limit 2: "not a name"`)
	_, err = ratelimit.NewDialect()
	checkNames(t, err, "without limits")
	_, err = ratelimit.PairedWindows("", "a b")
	checkNames(t, err, `"" is no`, `"a b" is no`)
}

func checkNames(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error does not say %q:\n%v", part, err)
		}
	}
}

func TestDialectsAllocateNothing(t *testing.T) {
	github, err := ratelimit.NewDialect(ratelimit.LimitHeaders{
		Per: time.Hour, Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset", ResetAs: ratelimit.ResetUnix,
	})
	github = must(t, github, err)
	h := header("X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 4987", "X-RateLimit-Reset: 1372700873",
		`RateLimit: "default";r=50;t=30`, `RateLimit-Policy: "default";q=100;w=60`)
	buf := make([]ratelimit.Observation, 0, 8)
	for name, d := range map[string]ratelimit.Dialect{"NewDialect": github, "IETFHeaders": ratelimit.IETFHeaders} {
		if n := testing.AllocsPerRun(100, func() { d(h, answered, buf) }); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// A bucket that others have emptied stays empty until it has been refilled, not for the length of its short window.
func TestWhatOthersTookFromABucketIsRefilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shopify, err := ratelimit.NewDialect(ratelimit.LimitHeaders{Per: time.Second, UsedOfLimit: "X-Shopify-Shop-Api-Call-Limit"})
		l := newLimiter(t, ratelimit.Options{Dialect: must(t, shopify, err), MaxWait: -1},
			ratelimit.Tier{Kind: ratelimit.TokenBucket, Requests: 2, Per: time.Second, Burst: 40})
		answer := func(h http.Header) bool {
			p, err := l.Acquire(t.Context(), ratelimit.Call{})
			if err == nil {
				p.Answered(http.StatusOK, h)
				p.Release()
			}
			return err == nil
		}
		burst := func() (n int) {
			for answer(nil) {
				n++
			}
			return n
		}
		if !answer(header("X-Shopify-Shop-Api-Call-Limit: 40/40")) {
			t.Fatal("nothing was spent, and a call was refused")
		}
		time.Sleep(2 * time.Second)
		if n := burst(); n < 1 || n > 4 {
			t.Errorf("%d admitted 2 s after the bucket was full, want 1 to 4", n)
		}
		time.Sleep(18 * time.Second)
		if n := burst(); n < 36 || n > 40 {
			t.Errorf("%d admitted 20 s after, want 36 to 40", n)
		}
	})
}
