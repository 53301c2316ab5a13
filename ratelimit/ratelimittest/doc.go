// Package ratelimittest proves that a limiter keeps to a partner's limits.
//
// [Model] runs a limiter in virtual time: an hour of traffic from thousands of callers takes seconds. It knows when each
// request was sent and when it was answered, takes it that the request arrived at whichever moment in between is worst,
// and finds the worst window of every tier. It works on the kit's limiter, on whatever else limits calls, and on a
// whole stack of http.RoundTrippers; from a test of yours:
//
//	m := ratelimittest.Model{
//		Tiers:   tiers, // as the partner counts
//		Latency: ratelimittest.Uniform(50*time.Millisecond, 400*time.Millisecond),
//		Loads:   []ratelimittest.Load{{Callers: 40}},
//		For:     time.Hour,
//	}
//	rep := m.Run(t, func(t *testing.T) ratelimittest.Do { return ratelimittest.Of(newLimiter(t)) })
//	if err := rep.Err(); err != nil {
//		t.Error(err) // the seed, and the smallest window that can hold too many
//	}
//	t.Log(rep) // use of each tier, 429s, fairness, waits
//
// A run is decided by its seed: the same Model has the same Report. Another seed is another run; to look for trouble,
// try many.
//
// [Ledger] counts what arrives as a strict partner would, for tests in real time or with a partner of one's own.
//
// [Quota] is the suite that every backend of a limiter passes, and [Joiner] that of those which take from several quotas at once.
package ratelimittest
