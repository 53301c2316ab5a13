package cloudbedstest_test

import (
	"fmt"
	"time"

	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
)

// A simulated group of properties in memory, ten times as fast as the real one. A driver gets
// group.Integration("one"), group.Transport() and group.Limits().
func ExampleNewServer() {
	group, err := cloudbedstest.NewServer(cloudbedstest.Config{Properties: 3, ReservationsPerProperty: 200,
		PhotosPerProperty: 5, Scale: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer group.Close()
	fmt.Printf("%+v\n", group.Account())
	fmt.Printf("%+v\n", group.Change(0.1, 1, time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)))
	limit := group.Limits()[0]
	fmt.Println(limit.Requests, "requests per", limit.Per)
	fmt.Println("suspended:", group.Suspended(), "violations:", group.Report().Violations)
	// Output:
	// {Properties:3 Reservations:600 Deleted:0 Photos:15}
	// {Added:20 Updated:20 Deleted:20}
	// 5 requests per 100ms
	// suspended: false violations: 0
}
