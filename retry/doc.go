// Package retry decides what a failed call means, and repeats it when that is safe and worth while.
//
// [Policy.Wrap] puts both around an [http.RoundTripper]:
//
//	hc := &http.Client{Transport: retry.Policy{}.Wrap(nil)}
//
// # The verdict
//
// One [Verdict] says what an attempt's end means: its [Class], what else would meet the same fate ([Scope]), when to
// come back (At), what is known of a write's effect ([Sent]), and whether the attempt itself was at fault. [Judge] computes
// it once for each attempt, and every layer around the call reads the same one: the limiter parks on it, the breaker
// counts it, the token source refreshes on it, the queue reschedules by it. It comes from the partner's [Classifier]s, in
// order, and in the end from [Default], which knows HTTP and nothing else.
//
// # What is repeated
//
// A Transient failure, and a RateLimit that the partner answered, are repeated after the time the partner asked for,
// else after a random time up to [Policy.Delay] ("full jitter"). They are repeated only when
//
//   - that is safe: the method is idempotent (RFC 9110 section 9.2.2), or [WithIdempotent] says so, or the write has a
//     key ([WithIdempotencyKey]) and the partner takes keys, or nothing was done yet ([Never]);
//   - the body can be had again ([http.Request.GetBody]);
//   - the wait fits: it is no longer than [Policy.MaxWait] or [WithMaxWait] and ends before the context's deadline;
//   - attempts and [Budget] are left.
//
// Otherwise the call returns at once with the answer it has, so that a worker is not held in a wait that a queue can
// keep better: [At] and [ClassOf] read what to do from any error of the kit. Refusals of the kit itself (an open circuit,
// a limiter whose wait would not fit) are never repeated.
//
// The loop is that of hashicorp/go-retryablehttp, with this package's decisions in place of its defaults.
//
// # Order
//
// Put retry outermost, then credentials, the limiter, the breaker, and [AttemptTimeout] innermost, so that each
// attempt is authorized and admitted anew and waiting is not counted as the partner's slowness.
package retry
