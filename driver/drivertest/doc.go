// Package drivertest proves that a driver keeps what the interfaces of package driver promise, also with a partner that
// behaves badly. A driver's author needs a simulated partner (package partnersim) and one test:
//
//	func TestConformance(t *testing.T) {
//		drivertest.Run(t, drivertest.Harness{
//			Register: acme.Register,
//			Partner: func(c drivertest.Conditions) (drivertest.Partner, error) {
//				s, err := acmetest.NewServer(acmetest.Config{Orders: 250, Faults: c.Faults, Latency: c.Latency, Jitter: c.Jitter, Seed: c.Seed})
//				if err != nil {
//					return drivertest.Partner{}, err
//				}
//				return drivertest.Partner{Server: s.Server, Integration: s.Integration("a")}, nil
//			},
//			TokenPath: "/oauth2/token",
//			Transactions: 250,
//		})
//	}
//
// Every check is a subtest and runs in a testing/synctest bubble with a partner, a registry and a driver of its own: an hour of
// throttling takes no time, and a goroutine that is left is seen. Checks of a capability that the driver does not have are
// skipped by its name. The partner should hold three pages or more of what it lists, and few enough that the whole can be listed
// some dozens of times.
//
// # The checks
//
//	info          Info is whole, the same every time, and sends nothing; so does making a driver.
//	check         Check makes an authenticated call; wrong credentials are an Auth error after one try.
//	paging        A list gives every item once, valid and with its raw form; its last page says so; a loop that is left fetches nothing more.
//	resume        Another process, started at any page's cursor, reads the rest. A cursor of something else is refused.
//	change        What is there all the time is listed while other records come and go, or the list says that it is incomplete.
//	loops         A page that comes again and again, or two in turns, end the list, and do not look like all.
//	items         Rows in another order, and rows that come twice, lose nothing and end nothing.
//	types         A mistyped field costs one item at most, and no panic; a page without its list is an error, in JSON and XML.
//	since         UpdatedSince restricts what Info says it restricts, and nothing else.
//	byid          What is known is returned once, what is not is left out.
//	throttling    429 with and without Retry-After; storms of them; one that does not end; a wait that the caller will not make.
//	token         A token revoked in the middle costs one refresh. A refusal that does not end ends the call, not the token quota.
//	bodies        Cut, truncated, empty and slow bodies, HTML with status 200: nothing is lost in silence, and nothing is endless.
//	outage        5xx bursts, connections reset, answers lost or never sent.
//	cancellation  A context that ends during any of the calls ends the list at once with its cause.
//	origins       Neither a redirect nor a next link leads to another server.
//	size          A body without end is given up.
//	leaks         Whatever happens, response bodies are closed and no goroutine is left.
//	secrets       No credential, token, or text of an error's body is in any log line or error.
//	queue         A queue is read page by page and forgets what was acknowledged, and only that; no destructive read is repeated; Parse is pure
//	              and takes no message for what it is not.
//	push          A write is made once; throttled it is made again, refused it is not; one whose answer was lost is not repeated blindly.
//	webhooks      What a delivery tells is read by a pure function, which takes anything without a panic and repeats none of it in an error.
//	quota         The partner's own count of its limits is never exceeded, by many goroutines over more than a window.
//
// Leaks, secrets and the partner's count are looked at after every other check as well. Where nothing disturbs, the driver sends nothing that
// the simulated partner notes as undocumented, and counts nothing in driver.Drift. With -short the longest checks are shorter.
package drivertest
