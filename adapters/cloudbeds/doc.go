// Package cloudbeds is the driver for the classic API of Cloudbeds, v1.3 or v1.2: properties, reservations and photos.
//
//	reg := driver.NewRegistry(driver.Options{Integrations: mine})
//	if err := cloudbeds.Register(reg); err != nil { ... }
//	d, err := reg.Open(ctx, "hotel-17")
//
// An integration needs the credential api_key, or those of an OAuth application: client_id and client_secret; [Config]
// is the typed form of one. The driver lists and reads properties, reservations and photos; reads and writes the
// calendar; writes a reservation's status; and receives and registers webhooks.
//
// # OAuth
//
// A human grants access once, through [Config.CodeFlow]; from then on the integration's token source refreshes, in one
// process for all that share the registry's store of tokens, because the partner takes each refresh token once.
// Integrations of one grant have the same Account.
//
// # Properties and reservations
//
// A resource is a property. A transaction is a reservation, with its rooms as stays; its UnitID is the room. A key of a
// group reaches all properties of the group, and the setting "property" restricts an integration to one of them.
//
// Reservations come from getReservationsWithRateDetails, which has times in UTC, a currency and deletions, and filters
// by time of update. The partner warns that some changes do not move that time: a host should list everything once a
// day. A deleted reservation is a canceled one.
//
// # Lists that change while they are read
//
// There is no cursor, and a page number leaves no room for an overlap of less than a page. Reservations are asked for
// with the newest change first: what changes or comes meanwhile moves the others to pages that are still read, and
// the front is read again at the end ([pagination.Newest]). Properties and room types come in an order that nobody
// has documented, so behind each page the one before is read again, which doubles the calls of lists of more than 20;
// where it holds others than before, the list is incomplete ([pagination.Number]).
//
// # The limit
//
// 5 requests a second for each property or group account. It has to be right on this side: the partner does not answer
// 429, it sends a warning by e-mail and suspends the credential. Technology partners have 10, a limit of its own:
// [Config] TechnologyPartner.
//
// # Refusals
//
// Logical failures come with status 200 and success:false. The driver tells them by that, and takes from the message
// only what is known: a missing scope or an application that the property removed is of class Auth, everything else of
// class Client. No refusal and no answer without data is ever an empty page.
//
// # Writes
//
// The partner takes no idempotency key. [Driver.PushStatus] reads before it writes and reads back when an answer was
// lost; [Driver.PushCalendar] writes states, which may be written again, and names the partner's jobs, whose outcome
// [Driver.PushedCalendar] asks for.
//
// # Webhooks
//
// Nothing is signed: the URL is the secret, and what comes is a hint that is confirmed by reading the reservation. See
// README.md for what registering them is like.
//
// # Normalization
//
// Version v1 of the adapter is a set of pure functions from an item to a record. It takes the odd shapes that README.md
// lists. A field of a form that nobody has documented is left unobserved and counted as drift (package wire); an item
// without an id, or a reservation whose dates cannot be read, is rejected alone. Cards and guests' papers are dropped
// from what is kept.
package cloudbeds
