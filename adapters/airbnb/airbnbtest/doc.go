// Package airbnbtest is a simulated host account at Airbnb's partner API, written from what public clients, fixtures
// and simulators show of it, not from the driver. The partner's reference is private: nothing here was read in it.
//
//	s, err := airbnbtest.NewServer(airbnbtest.Config{Listings: 20, ReservationsPerListing: 10})
//	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
//	d, err := reg.OpenIntegration(ctx, s.Integration("a"))
//
// It answers version 2: the token endpoint, users, listings, photos, reservations, calendars and calendar operations.
// It is as unkind as the partner: throttling is 405, 429 or 503 in turn and without a Retry-After, an unknown refresh
// token is a 404, a refresh may come without a refresh token, the machine-readable code of an error is error or
// error_type, lists come in the older envelope or the newer one, with rows flat or nested, and a record in seven has
// one of the odd shapes of the fixtures. A parameter that no client was seen to send is ignored and noted in the
// report.
package airbnbtest
