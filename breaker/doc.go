// Package breaker stops calls to a partner that keeps failing.
//
// A [Breaker] holds a circuit for each key: an integration, an account, a host. A closed circuit lets calls pass and counts
// how they end. When too many of them in the last [Config.Window] were the partner's fault, it opens and refuses calls at
// once, until the time that the partner asked for or [Config.OpenFor]. Then it is half-open: [Config.Probes] calls are let
// through to see whether the partner is back, which closes it, or not, which opens it again.
//
// # What counts
//
// The breaker reads the [retry.Verdict] that the other layers read. Only a fault of class Transient counts against the
// partner: no connection, a timeout of the attempt, a 5xx. A good answer counts in its favour. All else (429 and other refusals
// the partner is entitled to, refused credentials, a caller that gave up, calls that this process did not send) counts neither
// way. While half-open, any answer that is no fault shows that the partner is back; a probe that ends without an answer
// frees its place for another.
//
// Calls count when they end, so that calls that hang longer than the window open the circuit too.
//
// # With HTTP
//
// [Breaker.Wrap] makes it a layer around an [http.RoundTripper]. It belongs innermost, inside retries, credentials and rate
// limits, so that time spent waiting for those is not taken for the partner's.
//
// A refusal is a [*retry.Error] of class Unavailable that wraps [ErrOpen], was never sent and says in At when to come back.
// [Breaker.Ready] says the same before any work is done.
//
// The counting and the three states are those of [github.com/sony/gobreaker/v2]; around them this package adds keys, verdicts,
// open times taken from answers, probes that expire, changes told without locks held, and an operator's hand.
package breaker
