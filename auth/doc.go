// Package auth puts credentials on requests, for the declared origins only, and keeps OAuth tokens fresh.
//
// A [Credential] is a layer around an [http.RoundTripper]: [APIKey] (in a header or the query), [Basic], [Signer],
// which signs each attempt, [Rotating], which changes any of them while it is used, and [Source], which obtains
// tokens through an [Exchanger]: [ClientCredentials]; [RefreshToken] after a human authorized through a [CodeFlow];
// or [Session], for logins and token exchanges that are not OAuth's. Its place is inside the retries, so that each
// attempt gets the token of its own moment, and outside the rate limiter, so that a replay has a permit of its own:
//
//	hc.Transport = retry.Policy{}.Wrap(src.Wrap(lim.Wrap(cb.Wrap(base))))
//
// # Origins
//
// A credential travels to the origins that were declared for it, over https (http for loopback addresses). Any other
// request is refused with [ErrOrigin] before it is sent. Since the check is in the RoundTripper, each hop of a
// redirect and each "next" link passes it.
//
// # The token source
//
// A [Source] hands out one token, kept in a [Store] under a key, to any number of goroutines and processes.
//
// It refreshes in the background when a fifth of the token's life is left, at most an hour ([SourceConfig] Early),
// and lets callers wait for the refresh only in the last minute (Late). A token without a stated expiry is used until
// it is refused. While a refresh fails, a token that still lives is used on.
//
// A refresh is a transaction that one Source at a time is in, among all that share the store: take the lock; read the
// record again, since another process may have done the work; look whether the partner's [Budget] of token requests
// allows one more; count the request in the record before it is sent, so that no crash loses count of it; send it,
// with a deadline of its own, whoever asked; store the token by compare-and-set; and only then use it. The versions
// of the record fence off a process that slept through the end of its lock.
//
// A caller waits no longer than its context or [retry.WithMaxWait] allow, and then gets a [*retry.Error] that says in
// At when to come back. What it waited for goes on.
//
// # A human's authorization
//
// A [CodeFlow] is a pair of handlers that the host mounts: Start sends the browser to the partner, Callback trades the
// code that comes back for a token, which the host gives to [Source.Replace]. What ties the two together is sealed in
// a cookie of that browser, so that nobody can finish what another began. From then on the Source, with the same
// [RefreshToken] client, keeps the grant alive, and says [NeedsReauth] when it died.
//
// # While nobody calls
//
// Some partners let a refresh token die that is not used for a while. [SourceConfig] RefreshLifetime says how long,
// and a host that calls [Source.KeepAlive] for each integration, daily from its scheduler, loses none of them to a
// quiet season. [Source.State] shows, in any process that shares the store, how a token stands: when it is refreshed
// next, why it is not, and what a human must do.
//
// # Credentials that are replaced
//
// [Rotating] is a credential whose values change while it is used, because the partner announces others by webhook or
// a human enters them: [Rotating.Rotate] tests them, switches to them in one write to the store, verifies them, and
// goes back if they are refused after all. It works for keys, passwords and OAuth client secrets alike, in any number
// of processes that share a store; a host that keeps drivers takes the values for them from [Rotating.Values].
//
// # When it goes wrong
//
//   - The token endpoint is down or throttles: it is left alone for as long as it asks, 24 hours at most, else for
//     growing, jittered pauses that grow faster the less of the budget is left. The pause is in the record, so a
//     restart does not shorten it.
//   - The grant is dead ([ErrGrant]): the record says why, one process tells [SourceConfig] OnEvent once, and calls
//     fail at once with [ErrNeedsReauth], until the record is replaced ([Source.Replace]) or a Source with other
//     credentials comes.
//   - The store does not take a token: the token is kept in memory, not used, and stored as soon as it can be; no
//     other is asked for. Only if the process ends before that is it lost; [Source.Close] tries once more and says
//     so. Where refresh tokens rotate, the next refresh then finds a dead grant and reports it, once.
//   - A refused token (401, or what a classifier judges [retry.Auth] with scope Credential) is replaced once and the
//     request replayed, if its body can be had again. If the partner refuses a fresh token too, a permission is
//     missing: further refusals of that token do not ask for another one until the token has been refused three
//     times without a success between and a pause is over, and never for the last token request of a budget. A
//     refused token is no reason to hold back other calls.
//
// # What is stored
//
// [NewMemoryStore] forgets with the process; adapters/sqlstore keeps. Whatever implements [Store] is tested by package
// auth/authtest. [Keys] seals what is stored, bound to its place, under keys that can be replaced.
//
// A [Secret] does not print, whatever the verb or the encoder; errors, events and states hold none.
package auth
