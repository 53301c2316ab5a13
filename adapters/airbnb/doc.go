// Package airbnb is the driver for Airbnb's partner API (version 2): listings, reservations, photos and calendars.
//
// EXPERIMENTAL. The partner's reference needs a login and was not read. What is here comes from public client code,
// fixtures and simulators of 2017 to 2022; README.md says which fact comes with what certainty. Contract-test it
// against your own account before you rely on it.
//
//	reg := driver.NewRegistry(driver.Options{Integrations: mine, Tokens: store})
//	if err := airbnb.Register(reg); err != nil { ... }
//	d, err := reg.Open(ctx, "host-17")
//
// An integration is one host. [Config] is the typed form of one; the refresh token in it comes from the host's
// authorization in the browser, for which [Authorization] is there. The driver implements driver.ResourceLister,
// ResourceGetter, TransactionLister, TransactionGetter, MediaLister, CalendarLister, CalendarPusher, StatusPusher (it
// accepts and declines requests) and WebhookSource.
//
// # Reservations
//
// There is no filter by time of update. Reservations are listed by windows of their stays, from [Config.History] back
// to two years ahead, and a reservation that left these windows is not gone. Webhooks are hints: they shorten the
// delay, and the record is read again. A canceled reservation stays, as canceled.
//
// Neither listings nor the reservations of a window come in an order that is established. Their pages overlap by a
// row, so that a list of rows that keep their order loses none in silence; should an update move a row, it can be
// missed until the next run.
//
// # Limits
//
// One public client has a table of limits, of about 2019: by address, by endpoint, by host. Throttling is any of 405,
// 429 and 503, and no answer was seen to say when to come back.
//
// # Calls that Airbnb makes
//
// While a guest books, Airbnb asks the partner's software whether the stay can be had. [NewChecks] is the handler for
// that.
//
// # Without access to the API
//
// [FetchFeed] reads a listing's exported calendar (iCalendar), which every host has: days and confirmation codes, no
// names and no prices.
package airbnb
