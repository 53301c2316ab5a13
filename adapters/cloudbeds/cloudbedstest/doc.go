// Package cloudbedstest is a simulated group of properties at Cloudbeds, written from the vendor's documentation and
// what public clients observed, not from the driver. It answers the classic API of v1.2 and v1.3: getHotels,
// getHotelDetails, getRoomTypes, getRatePlans, patchRate, getRateJobs, getReservationsWithRateDetails, putReservation,
// postWebhook, getWebhooks and deleteWebhook, and it has the pages of OAuth: oauth and access_token, with refresh
// tokens that are good once and a grant that dies when one is used twice.
//
//	s, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 3, ReservationsPerProperty: 200})
//	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
//	d, err := reg.OpenIntegration(ctx, s.Integration("a"))
//
// It is as unkind as the partner: refusals come with status 200 and success:false, a filter that it does not know is
// ignored (and noted in the report), a time with T and Z is refused, an unknown path is a page of HTML, and a client
// that is too fast is not told so by a 429: the credential is suspended, and the report has a violation. A record in
// seven has one of the odd shapes of the real API.
package cloudbedstest
