// Package driver is what a partner's driver is written against, and what a host uses to run it.
//
// # For a driver's author
//
// A driver is endpoints and types; the kit is the plumbing. It holds a [Client], which makes calls and reads answers, and implements
// [Driver] and those of the optional interfaces that its partner can serve:
//
//   - [ResourceLister], [TransactionLister], [MediaLister] list records, page by page
//   - [ResourceGetter], [TransactionGetter] read records by id
//   - [QueueSource] drains a queue that the partner forgets once it is acknowledged
//   - [WebhookSource], [WebhookRegistrar] read what the partner sends by itself, and have it sent
//   - [StatusPusher] writes a transaction's status
//
// Nothing has to be stubbed: what a driver does not have it cannot do, and [Capabilities] tells. A driver normalizes: it turns the partner's
// items into the records below by pure functions, item by item, so that a bad one is rejected alone: package wire reads them tolerantly, field by
// field, and counts what the partner changed ([Drift]); [Each] is under it. An envelope says with a tag which fields must come, see [Send]. A driver
// keeps no state that cannot be lost. The examples have a whole one.
//
// # For a host
//
// A host implements [Integrations] over its own database, registers the drivers it wants with a [Registry], and opens them:
//
//	reg := driver.NewRegistry(driver.Options{Integrations: mine, Tokens: store, Limits: store})
//	err := guesty.Register(reg)
//	d, err := reg.Open(ctx, "integration-17")
//
// The registry keeps what instances share in one process. A limiter belongs to a partner and a limit's name, and within it each
// key (an account, a property) has its own count. A driver whose partner keeps several limits declares for which operations each is, and charges its
// calls to all of them at once ([Env.Limits]); the host replaces the tiers of each by name ([Options].Tiers). A circuit belongs to an integration. A token belongs to its key. A driver is kept
// while its integration does not change, and made anew when it does. A partner as a whole is called down on faults that two or more
// integrations see, never on those of one.
//
// A job asks [Client.Ready] before work starts, or calls with retry.WithMaxWait; both say when to come back instead of keeping the
// worker. Errors are *retry.Error: retry.ClassOf, retry.At and errors.Is read them.
//
// # The way of one call
//
// [Client.Do] sends a call through these layers, the first outermost. Every attempt goes through all below retry.
//
//	retry      repeats what is safe and worth while; a wait that does not fit the caller returns at once
//	observe    span of the attempt; reads the answer whole, so that one that breaks off is judged and repeated too
//	peek       gate of the partner, circuit, quota out of reach: refused here, before anything is spent
//	auth       credentials for declared origins; a refused token is refreshed once and the request sent again
//	limiter    waits for every tier, or refuses; learns from the answer
//	circuit    sees only time spent at the partner; its refusal gives the permit back
//	timeout    of the attempt, from when it is sent
//	transport  the base
//
// Redirects are followed for GET and HEAD, within the origin of the base URL. An absolute URL (a next link) must be within it too. An answer's
// body is bounded, decompressed, by [ClientConfig.MaxBody]. [Get], [Post] and [Send] decode JSON and XML; see Send for what they put right.
//
// Why a call was slow is in [Response], in the error, in the log line and in the span: the requests made, and the time spent on
// each tier of the limiter, on backing off, on a token and at the partner. docs/telemetry.md has all names. No URL, header, body or credential is in
// any of them, nor in an error's text.
//
// # The model
//
// Records have domain-neutral names; the meaning in lodging is given. Each has an id, the partner's times of creation and update, the item as it came
// (Raw) and the version of the normalization. Every other field is an [Opt], and three things are told apart:
//
//	missing   not observed: a listing of other fields, an older API. It never erases what is known.
//	null      observed to be empty. It erases.
//	a value   which may be zero or "": driver.Some(0) is not null
//
// In JSON missing is left out and null is null. [Validate] names what is wrong with a record.
//
// A [Resource] is what can be booked or sold: in lodging a listing, property or unit.
//
//	name, internal_name, description    for the public; the account's own; long text
//	status, listed                      active or inactive; shown to guests
//	type, structure, parent_id          "Loft"; single, parent or sub-unit; the multi-unit parent
//	capacity, bedrooms, beds, bathrooms people; counts, which may be fractional
//	area_sqm, address, time_zone        square metres; with coordinates; IANA name
//	check_in_from, check_out_by         local times of day, "15:00"
//	currency, base_price                ISO 4217; of one night
//	cleaning_fee, deposit               amounts
//	min_stay, max_stay                  nights
//	amenities, tags, cover_url, custom  the partner's words; picture; custom fields by the partner's id
//
// A [Transaction] is an agreement on a resource: in lodging a reservation.
//
//	resource_id, unit_id                what is booked; the unit assigned
//	code, status, status_text           what the customer is told; one of the Status constants; the partner's word
//	channel, source                     where it was sold: a code; free text
//	start, end, nights                  first night and day of departure, local to the property
//	start_at, end_at                    the instants, UTC
//	arrival_time, departure_time        planned, local, "18:30"
//	party, customer, customer_id        how many come; who booked (personal data); their id, also alone
//	currency, fare, fees, taxes         accommodation alone; cleaning and the like
//	subtotal, total                     before taxes; what the customer pays
//	commission, payout                  what the channel keeps; what the account receives
//	paid, balance, fully_paid           so far; what is due
//	lines, stays                        of the bill; one for each room, if there are several
//	confirmed_at, canceled_at           UTC
//	notes, custom                       text; custom fields
//
// A [Media] is a picture of a resource.
//
//	resource_id, url, thumbnail_url     where it belongs and where it is
//	caption, position, source           text; from 0; the partner's word for where it comes from
//
// A [Day] is one night of a resource, or of a unit or rate plan of it, in a calendar.
//
//	resource_id, unit_id, rate_plan_id  what it is about; see Day.Key
//	date, status, status_text           the night; for sale or why not; the partner's word
//	available, closed, price            how many are for sale; whether at all; of the night
//	min_stay, max_stay                  nights of a stay that arrives on the day
//	closed_to_arrival, closed_to_departure
//
// Amounts are [Money]: integers in the currency's minor unit, read from decimal text by [ParseMoney]. Nights are [Date], days without a
// time zone; instants are time.Time in UTC. Records, messages and customers print as their ids, so that none gets into a log by accident.
package driver
