// Package ratelimit keeps calls within a partner's limits, as the partner counts them.
//
// Around an http.Client that exists, it is one line:
//
//	lim, err := ratelimit.New(ratelimit.Tiers{
//		{Requests: 15, Per: time.Second}, {Requests: 120, Per: time.Minute}, {Requests: 5000, Per: time.Hour}, {Concurrent: 15},
//	}, ratelimit.Options{Name: "guesty", Dialect: ratelimit.PerWindowHeaders})
//	hc.Transport = lim.Wrap(hc.Transport)
//
// Every tier admits a call or none spends anything. A [Limiter] counts for each [Call.Key] on its own; use one key for each
// account, property or credential whose quota is its own, by [WithCall]. A call that cannot be admitted waits in line, by priority,
// by turns and then in order; one that would wait for longer than its context, retry.WithMaxWait or [Options.MaxWait] allow is refused at
// once with a [*retry.Error] of class RateLimit that says in At when to come back.
//
// # Which kind of tier
//
// What a partner means by "120 per minute" is one of three things, and only the strictest is safe when it does not say:
//
//   - [Sliding], the default: never more than 120 in any minute, wherever it starts. A partner that counts in fixed windows, in
//     sliding ones or by a bucket is content with it.
//   - [Fixed]: 120 in each minute of the clock, so that 240 can arrive around a full minute. Only for a partner that says so, and only
//     as good as the two clocks agree.
//   - [TokenBucket]: refilled evenly up to a burst. A bucket whose burst is the limit lets twice the limit through in its worst
//     minute. For partners that describe a bucket.
//
// A tier with Concurrent limits the requests in flight: admitted, and not yet released.
//
// # Two phases, and their price
//
// A partner counts a request when it arrives, some time between our sending it and its answer. So a [Permit] holds room in every tier, without end, from
// when it is admitted; the window of its charge starts at [Permit.Answered], the last moment at which it can have arrived, or later when
// no answer came ([Permit.Lost]); and [Permit.Release] without either refunds all of it, exactly. That is how no window at the partner is ever
// exceeded whatever the latency. The price: a tier of N per W yields N·W/(W+L) when calls take L: 99.7 % of 120 per minute at 200 ms, 83 % of 15 per second.
//
// A limit up to 256 is counted exactly. A larger one is counted in 64 sub-windows, each charged until its end has left the window: never
// too much is admitted, and at most 1/64 too little. As long as less than a sixteenth of it is spent, two halves of a window do: what is
// spent then counts for up to half a window longer.
//
// A key that was used takes about 0.25 kB with one tier and 0.4 kB with three. A tier that is counted exactly adds 0.3 kB, in which there is room for
// 8 requests, and 16 bytes for each further one in its window; a larger tier of which more than a sixteenth is spent adds 0.5 kB. Keys whose
// windows are empty are forgotten.
//
// # What the partner says
//
// A 429 with a time to come back parks its key, for everyone who shares the limiter ([Limiter.Park]). A [Dialect] reads the partner's own
// counts from an answer's headers: when others spend from the same quota, or the limit was cut, that is taken into account. Reports only ever
// take room away that our own count would give, and give it back; they never admit more than the tiers say. Whether a report has counted what is in
// flight, nobody knows: it is taken as counted while nobody else is seen to spend, and as still to come while somebody is. While others spend and
// less than an eighth is left, calls go one by one, evenly until the window's end, so that each answer tells before the next goes. Answers that overtook
// each other are recognised by when their requests were sent.
//
// A dialect is data that a driver declares. Which one a partner speaks:
//
//   - RateLimit and RateLimit-Policy, or RateLimit-Limit with a window in it: [IETFHeaders].
//   - X-RateLimit-Limit-Minute and its like: [PerWindowHeaders].
//   - X-RateLimit-Limit, -Remaining, -Reset under whatever names, "32/40" in one header, several limits each in headers of its
//     own, with resets in seconds, milliseconds, Unix times, dates or durations: [NewDialect].
//   - "100:10,1000:60": [PairedWindows].
//   - Nothing but Retry-After: none is needed.
//
// What a partner writes that makes no sense is taken as absent.
//
// # When the partner tells nothing
//
// Some partners refuse what is too much and say neither how much that is nor when to come back, or keep a stricter limit than they document. With
// [Options.Adaptive] a key's pace is learnt from the refusals: doubled until the first, then cut by a share of what was really
// spent, once for all refusals of a burst, and raised again step by step while there are none. It is a share of the tiers' own limits, so that one generous tier is enough:
//
//	ratelimit.New(ratelimit.Tiers{{Requests: 1000, Per: time.Minute}}, ratelimit.Options{Adaptive: &ratelimit.Adaptive{Start: 0.1}})
//
// [Usage] shows it; State, or the Quota, keeps it. [Options.Smooth] spreads calls evenly over a window, for partners that throttle bursts within it.
//
// # Who waits
//
// Callers of a key are admitted by [Priority]; those of one priority in turn by [Call.Tenant], in proportion to [Call.Weight] and by what their
// calls cost; those of one tenant as they came. So an integration that has a thousand calls waiting delays another's only call by one, and
// nobody waits for ever behind the same priority. Whoever makes one call after the other is not in line while one of them is under way: where a window
// opens in bursts shorter than that, it gets one call of each, and its share with [Options.Smooth]. A lower priority waits while a higher one has anything in line. Only the caller whose turn
// it is wakes up when a window opens. [Options.Reserve] keeps a share of every tier for Interactive calls, exactly. [Options.MaxWaiting] bounds the line; what is too much is refused with [ErrTooManyWaiting].
//
// # Several limits of different kinds
//
// A partner may limit the application, each account, an endpoint and a credential, each in its own way. A [Set] charges one call to all the limiters
// whose [Rule] is for it: all admit it, or none spends anything. A rule goes by operation or by method and path, has a key and a cost of its own, and can
// stand back in favour of another. Rules that can never be for a call are an error when the Set is made.
//
//	set, err := ratelimit.NewSet(
//		ratelimit.Rule{Name: "application", Limiter: perApp, Key: func(ratelimit.Call) string { return "" }, Scope: retry.Partner},
//		ratelimit.Rule{Name: "account", Limiter: perAccount},
//		ratelimit.Rule{Name: "messages", Limiter: messages, Ops: []string{"POST /messages"}},
//	)
//	hc.Transport = set.Wrap(hc.Transport)
//
// A call waits in one line at a time, where it is held back longest. A limiter's room is kept for nobody who waits elsewhere, but for a moment: when
// two limits open in turns, whoever needs both would never go. Which key a 429 parks, the headers, the verdict's Scope and Rule.Scope tell.
//
// # Restarts
//
// What was spent before a restart still counts at the partner. With [Options.State] it is restored. [Limiter.Close] saves all of it. A process
// that is killed cannot; so, before anything is sent on it, the store holds a lease: how much may be spent until the next save. Whoever
// finds a lease that was not closed takes it as spent, and sits out one window of every tier of up to a minute, of which nothing is
// written down while calls are made. The cost: one small write when a key is first used, then one for every 1/128 to 1/64 of the smallest limit
// above a minute (for 5,000 per hour, one write in 39 to 78 calls; for 5 per day, one for each); and after a kill a minute, and up to
// 1/64 of the limit, once. A store that fails while there is no lease left refuses calls with class Unavailable.
//
// [Options.ColdStart] says what a key starts with of which the store knows nothing.
//
// # Backends
//
// Counting is behind the interface [Quota]; without one a limiter counts in memory, which is right for one process. The suite
// ratelimittest.Quota is what a backend must pass. One that is also a [Joiner] takes from several quotas of a Set in one step.
package ratelimit
