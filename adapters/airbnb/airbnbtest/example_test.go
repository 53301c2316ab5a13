package airbnbtest_test

import (
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
)

// A simulated account in memory, sixty times as fast as the real one. A driver gets account.Integration("one"),
// account.Transport() and account.Tiers().
func ExampleNewServer() {
	account, err := airbnbtest.NewServer(airbnbtest.Config{Listings: 300, ReservationsPerListing: 2,
		PhotosPerListing: 5, Scale: 60})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer account.Close()
	fmt.Printf("%+v\n", account.Account())
	fmt.Printf("%+v\n", account.Change(0.1, 1, time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)))
	fmt.Printf("%+v\n", account.Account()) // a canceled reservation stays
	user := account.Tiers()["airbnb/user"][0]
	fmt.Println(user.Requests, "requests of a host per", user.Per)
	fmt.Println("violations:", account.Report().Violations)
	// Output:
	// {Listings:300 Reservations:600 Photos:1500}
	// {Listings:{Added:10 Updated:10 Deleted:10} Reservations:{Added:20 Updated:20 Deleted:20}}
	// {Listings:300 Reservations:620 Photos:1500}
	// 2000 requests of a host per 1m0s
	// violations: 0
}
