// Package guestytest is a simulated Guesty account: what the driver of package guesty is run against, and whatever
// else talks to the Open API v1, where no real account can be had. [NewServer] makes one of any size; its records are
// made up from the seed when they are asked for and never held. The embedded [partnersim.Server] reaches it and
// reports: in memory through Transport, on loopback after Start.
//
// It is written from what is known of the partner's API, not from the driver: its own pages (docs, openapi-2025-02,
// ref-2026-05, changelogs) and what public client code records. Comments say unverified where neither is firm.
// Simulated are
//
//   - POST /oauth2/token: client credentials over a form; tokens of 24 hours, 5 requests per 24 hours and client;
//   - GET /v1/accounts/me;
//   - GET /v1/listings and /v1/listings/{id}: skip, limit, sort, fields, ids, nids, q, city, active, pmsActive, listed;
//   - GET /v1/reservations (classic, with filters), /v1/reservations/{id}, /v1/reservations-v3/search, /v1/reservations-v3?reservationIds[]=;
//   - GET /v1/properties-api/property-photos/property-photos/{listingId};
//   - GET /v1/availability-pricing/api/calendar/listings/{id} and …/minified/{id}, PUT of the former: what is booked stays so, whatever is written;
//   - PUT /v1/reservations-v3/{id}/status;
//   - GET, POST /v1/webhooks, GET, PUT, DELETE /v1/webhooks/{id}, and GET /v1/webhooks-v2/secret, 404 for the first three seconds; [Server.Deliveries] are
//     signed as Svix signs;
//   - 15 requests a second, 120 a minute, 5000 an hour, 15 in flight, with X-RateLimit-… headers and Retry-After.
//
// # What it is hard to get right against
//
// An expired or unknown token is answered 403, as documented ([Config.Expired401]: 401, as also seen). Fields come
// only when asked for: reservations have no status without it. Pages in any order but _id shift with each change.
// Some pages have no count. Each [Config.Odd]-th record has one of the odd shapes of the real API: custom fields as
// an object or an empty array, an address that is null, empty or only a line, half bathrooms, no title, no time of
// update, flags that contradict each other, other people's credentials ([SecretInListing]), v3 rows under
// reservationId. Photos do not come in their order. What only some answers suffer (a byte-order mark, raw control
// characters, an empty or HTML body with 200) are rules of fault: "bom:0.1,control:0.1,empty:0.01,html:0.01".
//
// What a client should not send (an unknown parameter or field, a limit above 100, a filter that does not exist) is in
// Report().Unexpected.
//
// # Change
//
// [Server.Change] adds, updates and deletes a part of the account, the same one for the same seed and round;
// [Server.Account] is what an import must end with.
package guestytest
