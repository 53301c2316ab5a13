// Package partnersim is the kit that simulated partners are made of: what a driver, an example or a benchmark runs
// against where the real partner cannot be had. It links neither testing nor a cassette library, so that programs can
// use it.
//
// # What it does
//
// The author of a simulated partner writes an http.Handler that answers as the partner's documentation says, from
// records that are made up on the spot. [New] puts around it what makes a partner hard to talk to:
//
//   - a ledger that counts every request exactly, when it arrives, by the server's clock, in every tier of every quota
//     ([Config.Tiers], [Quota]). A request that arrives when a tier is full is a violation and is answered 429 with a
//     Retry-After. It spends nothing, as at most partners. [Server.Report] tells of violations, the worst window and the
//     use of each tier.
//   - a token endpoint ([Tokens]) with lifetimes, revocation and a budget of its own.
//   - a network with latency before the arrival, at the partner, and after the answer; what a client has sent arrives also when it gave up.
//   - faults on demand ([Rule], [ParseFaults]), the same ones for the same seed.
//   - time that runs up to 60 times as fast: windows, latencies, lifetimes and Retry-After (which then has decimals) are
//     divided by [Config.Scale]. [Server.Limits] are the tiers that the driver must be given.
//
// It is reached in memory through [Server.Transport], also in a testing/synctest bubble, or over loopback after
// [Server.Start]; several partners by their hosts through a [Network].
//
// # Writing a simulated partner
//
// About a hundred lines, and the fields of its records; the example of this package is a whole one,
// examples/newdriver/newdrivertest another, with a driver and its tests. In order:
//
//  1. Read the partner's documentation, never the driver's code: a simulator that is written from the driver repeats its
//     mistakes. Mark in comments what is unverified.
//  2. Number the kinds of records. For the record with an index, [Roll] gives the [Dice] from which all its fields come, and
//     [HexID] an id that [HexIndex] turns back, so that nothing is held. [Population] knows which records exist when some
//     are added, changed and deleted.
//  3. Write the handler: route, check the credentials ([Tokens.Client], or an API key), page, write the envelope. Call
//     [Server.Params] and [Server.Note] for what a client should not have sent and the partner would swallow: a driver that
//     invents a parameter is found in [Report.Unexpected].
//  4. Give the tiers as documented, and who shares them: [Config.Key] for a partner that counts by property or by client,
//     [Config.Quotas] for one that limits single operations, [Config.Free] for calls that do not count.
//  5. Write the partner's error bodies ([Config.Refuse]) and headers ([Config.Header]), and its own ways to fail
//     ([Config.Answers]): a 200 that says success is false, an XML error in a 200, a 405 that means slow down.
//  6. Offer NewServer(Config), Integration(id) and Limits() as guestytest does, Change for what happens while a list is read, and expected
//     counts for tests: with these, package drivertest proves a driver.
//
// # How a request is counted
//
// A window is half-open: of two requests exactly one window apart the second no longer meets the first. Requests in
// flight are counted from their arrival until the answer is written, before its way back; a client that gives up
// frees its place at once. A fault rule that strikes before the arrival (reset, outage) leaves no trace in the
// ledger; any other, a 429 of the rule's own making included, is an arrival like all others, and never a violation by
// itself.
package partnersim
