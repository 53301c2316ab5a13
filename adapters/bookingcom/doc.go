// Package bookingcom connects to Booking.com's Connectivity APIs as a provider's machine account: the queues of
// reservations in OTA XML (or the destructive B.XML read), the properties, room types and photos of the JSON APIs, and
// availability and rates by B.XML.
//
//	bookingcom.Register(reg)
//	d, err := reg.OpenIntegration(ctx, bookingcom.Config{
//		ClientID: id, ClientSecret: secret, Account: "7004411",
//	}.Integration("host-17"))
//
// An integration is one property, or several ([Config].Properties), and all share the machine account and with it the
// queue. Reservations are read by importer.FollowQueue, with any of the integrations, and go to the one whose Account
// the message names; properties, rooms and photos by importer.Run, for each. What the Connectivity Notification Service
// pushes ([Notices]) is never a reservation.
//
// What Booking.com publishes is documented at developers.booking.com/connectivity; what public clients are seen to do,
// and what is a guess, is marked so where it is used. README.md has the quirks.
package bookingcom
