// Package webhook receives what partners send of their own accord: it finds out whether a delivery is theirs, sees to
// it that each is kept before it is acknowledged, and that one which comes twice is handed over once.
//
// # Receiving
//
// A [Handler] is a [net/http.Handler] for the mux you have. Each request goes the same way:
//
//  1. The body is read as it came, byte by byte, no more than [Config.MaxBody] of it, and within the partner's
//     patience. One that is compressed with gzip is uncompressed, no further than that either; what is signed is the
//     uncompressed body.
//  2. The [Resolver] says whose endpoint it is: partner, integration, secrets.
//  3. The [Verifier] says whether it is the partner's. No code of a driver or host runs before that, but for the
//     resolver.
//  4. The delivery is claimed by its id ([Dedupe]). One that was kept before is acknowledged at once; one that is
//     just being handed over is answered 503, so that it comes again: partners take whatever is no success for a
//     reason to repeat.
//  5. The [Sink] stores it: a row, a job. It has what is left of the partner's patience.
//  6. It is acknowledged, 202 as a rule. If the sink fails, the answer is 503, the claim is released, and the partner
//     sends again.
//
// A process that is killed between 5 and 6 has kept an event that the partner will send again, once the lease of the
// claim, about twice the patience, is over. That is why a sink stores an event under its [Event.Key], which is the
// same again, as a unique key: then every acknowledged event has one effect, whatever happens when. See [Outcome] for
// all that can become of a request.
//
// # Schemes
//
// How a partner proves itself is data: [HMAC] for most, [Standard] for Standard Webhooks and Svix, [SignatureHeader],
// [FormHMAC], [Digest], [Token], [JWT], [Issued], [Basic], [URLSecret], [Unsigned]; [Custom] for all else. A
// [Partner] adds what else there is to know: tolerance, where the delivery's id is, how long the partner waits, what
// it wants to be answered, its handshake. [Guesty], [Airbnb], [BookingCom], [Cloudbeds], [Stripe], [GitHub],
// [Shopify], [Slack] and [Twilio] are ready.
//
// [NewVerifier] makes a [Verifier] of a partner and the secrets, which can be used alone. It keeps apart what
// differs: nothing to verify ([ErrMissing]), unreadable ([ErrMalformed]), wrong ([ErrSignature]), and right but
// replayed late or made by a clock that is wrong ([ErrTimestamp], which looks at both sides of now). All comparisons
// take constant time.
//
// A body is only as good as its proof. [Event.Trust] says which it was: [Signed]; [Authenticated], where a credential
// came along; or [Hint], where a partner signs nothing. A hint says that something may have happened: fetch the
// record with your own credentials, and believe that.
//
// # Afterwards
//
// What the sink stored is worked off by a [Router] in a worker: it has an event translated into the kit's words
// ([ResourceChanged] and so on), hints confirmed, late ones dropped ([Order]), and gives each to the route of its
// kind, or to the default. What fails for good goes to [Failures], and comes back by integration and time with
// [Replay].
//
// # Having it sent
//
// A [Subscriber] has a partner send, by a driver's [Registrar]: it makes URL and secret, stores them ([Registrations])
// before the partner is told, compares what is registered with what should be ([Subscriber.Reconcile], once a day), and
// changes secrets without losing what is under way ([Subscriber.Rotate]). [Subscriber.Endpoint] is what the Handler's
// Resolver returns.
//
// Without one, several secrets may be given to a Verifier, each with a lifetime: the new one first, the old one after
// it. Tell the partner, and watch [Verifier.Uses], or [Result.OldSecret], until the old one is used no more.
//
// # Tests
//
// [Sign] and [SignRequest] make requests that the partner could have made, with every scheme.
package webhook
