// Package guesty is the driver for Guesty's Open API v1: listings, reservations and photos.
//
//	reg := driver.NewRegistry(driver.Options{Integrations: mine, Tokens: store})
//	if err := guesty.Register(reg); err != nil { ... }
//	d, err := reg.Open(ctx, "acct-17")
//
// An integration needs the credentials client_id and client_secret of an OAuth application of the customer's; [Config] is
// the typed form of one. The driver implements driver.ResourceLister, ResourceGetter, TransactionLister, TransactionGetter and
// MediaLister.
//
// # Reservations
//
// Guesty has two families of reservation endpoints, and this driver speaks both; the integration's setting
// "reservations" chooses (see [Family]). The default is [V3], because the classic family was deprecated on 2026-07-30
// and is announced to work until about the end of 2026 only. Until then [Classic] knows two things that v3 does not: it
// filters by time of update, and it sends amounts, guests and notes with every row.
//
// # Limits
//
// 15 requests a second, 120 a minute, 5000 an hour and 15 at once, shared by all integrations of an account, and 5
// tokens in 24 hours for each client id, which is why a host should give its registry a token store. README.md tells what is
// documented, what was only seen, and what to do when something fails.
//
// # Normalization
//
// Version v1 of the adapter is a set of pure functions from an item to a record. It takes the odd shapes that clients of
// this API have met (section "Odd shapes" of README.md). A field of a form that nobody has documented is left unobserved and
// reported in the log by its name; an item without an id, or a reservation whose dates cannot be read, is rejected
// alone. The fields integrations and privateDescription, which can hold other systems' credentials and door codes, are dropped from
// what is kept.
package guesty
