// Package integrationkit is the root of a kit for keeping a backend's own data in step with partner APIs that throttle,
// time out, rotate credentials, change their answers without notice and deliver a webhook twice.
//
// The root package holds nothing. Each package below answers one question, and the first six can be
// used alone, around an [net/http.Client] or a mux that exists already:
//
//   - [github.com/integrationkit/integrationkit/retry]: what does this failure mean, and may it be tried again?
//   - [github.com/integrationkit/integrationkit/ratelimit]: may this call go out now, as the partner counts?
//   - [github.com/integrationkit/integrationkit/breaker]: is the partner worth calling at all?
//   - [github.com/integrationkit/integrationkit/auth]: which credentials go with it, and are they fresh?
//   - [github.com/integrationkit/integrationkit/pagination]: what comes next, and where to go on after a crash?
//   - [github.com/integrationkit/integrationkit/webhook]: is this delivery the partner's, and is it kept, once?
//   - [github.com/integrationkit/integrationkit/driver]: what is a driver, what is a record, and how is a call made?
//   - [github.com/integrationkit/integrationkit/driver/importer]: how do a partner's records get into a database, each once?
//   - [github.com/integrationkit/integrationkit/driver/partnersim]: how is a partner simulated?
//   - [github.com/integrationkit/integrationkit/driver/chaos]: what happens when a partner fails on purpose?
//   - [github.com/integrationkit/integrationkit/driver/drivertest]: how does a driver prove itself?
//
// What knows an outside system by its name is below adapters: the partners' drivers, and the stores.
//
// # Several packages around one client
//
// Every policy has one method, Wrap, which puts it around a [net/http.RoundTripper]. The order matters; outermost first
// it is retry, auth, limiter, breaker:
//
//	hc.Transport = retry.Policy{}.Wrap(src.Wrap(lim.Wrap(cb.Wrap(hc.Transport))))
//
// so that each attempt is authorized and admitted anew, and waiting is never counted as the partner's slowness.
package integrationkit
