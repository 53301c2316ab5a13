// Package guesty is the driver for Guesty's Open API v1: listings, reservations, photos, calendars and webhooks.
//
//	reg := driver.NewRegistry(driver.Options{Integrations: mine, Tokens: store})
//	if err := guesty.Register(reg); err != nil { ... }
//	d, err := reg.Open(ctx, "acct-17")
//
// An integration needs the credentials client_id and client_secret of an OAuth application of the customer's;
// [Config] is the typed form of one. The driver implements driver.ResourceLister, ResourceGetter, TransactionLister,
// TransactionGetter, MediaLister, CalendarLister, CalendarPusher, StatusPusher, WebhookSource and WebhookRegistrar.
//
// # Reservations
//
// Guesty has two families of reservation endpoints, and this driver speaks both; the integration's setting
// "reservations" chooses (see [Family]). The default is [V3], because the classic family is removed on 2027-03-01
// (documented). Until then [Classic] knows two things that v3 does not: it filters by time of update, and it
// sends amounts, guests and notes with every row. An integration may change from one to the other: what v3 leaves out
// stays as it is stored.
//
// # Calendars and writes
//
// There are two calendars, too (see [Calendar]). A write is a state, not an increment, and may be made again; Guesty
// answers 200 also when nothing changed, so what was written is looked at before an effect is called confirmed.
//
// # Webhooks
//
// Guesty signs through Svix. With v3, which has no filter by time of update, webhooks are what keeps reservations
// fresh between full runs:
//
//	sub, err := webhook.NewSubscriber(webhook.SubscriberConfig{Store: store})
//	_, err = sub.Reconcile(ctx, d, webhook.Want{Key: "acct-17", Base: "https://hooks.example.com/guesty/acct-17", Partner: d.Webhooks()})
//	router := &webhook.Router{Translate: d.Notices, Confirm: driver.Confirm(d), …}
//
// # Limits
//
// 15 requests a second, 120 a minute, 5000 an hour and 15 at once, shared by all integrations of an account, and 5
// tokens in 24 hours for each client id, which is why a host should give its registry a token store. README.md tells
// what is documented, what was only seen, and what to do when something fails.
//
// # Normalization
//
// Version v1 of the adapter is a set of pure functions from an item to a record. It takes the odd shapes that clients
// of this API have met (section "Odd shapes" of README.md). A field that is not as documented is counted as drift
// (package wire), and left unobserved if it cannot be understood; an item without an id, or a reservation whose dates
// cannot be read, is rejected alone. The fields integrations, privateDescription and keyCode, which can hold other
// systems' credentials and door codes, are dropped from what is kept.
package guesty
