// Package bookingcomtest is a simulated Booking.com, seen by one provider's machine account. It is written from
// Booking.com's published pages and what public clients observed, not from the driver.
//
//	s, err := bookingcomtest.NewServer(bookingcomtest.Config{Properties: 3, ReservationsPerProperty: 200})
//	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
//	d, err := reg.OpenIntegration(ctx, s.Integration("all"))
//
// It answers the token exchange (and legacy Basic), the queues of new and of modified and cancelled reservations in OTA
// XML with their acknowledgement, Reservation Recovery, the destructive B.XML read, the Property, Rooms and Photo APIs,
// and B.XML availability. [Notifier] sends the notifications of the Connectivity Notification Service. All paths are
// answered on any host.
//
// It is as unkind as the partner is said to be: an unacknowledged message is sent again by every GET; one that a change
// replaced cannot be acknowledged any more (400, "wrong type"); one that waited for half an hour leaves the queue, to
// be found by recovery or by id only; errors come with status 200, the RUID comes as a comment behind the document. A
// client that makes two reservation calls at once has a violation in the report; one that reads a queue less than five
// seconds after an acknowledgement is noted as unexpected. A record in seven has an odd shape. What the partner does
// not say is marked unverified in this package's source.
package bookingcomtest
