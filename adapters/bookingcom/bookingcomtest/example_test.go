package bookingcomtest_test

import (
	"context"
	"fmt"

	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/driver"
)

// A simulated machine account in memory: what is not acknowledged is delivered again.
func ExampleNewServer() {
	s, err := bookingcomtest.NewServer(bookingcomtest.Config{Properties: 2, ReservationsPerProperty: 3, Odd: -1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	ctx := context.Background()
	reg := driver.NewRegistry(driver.Options{Transport: s.Transport()})
	defer reg.Close(ctx)
	if err := bookingcom.Register(reg); err != nil {
		fmt.Println(err)
		return
	}
	d, err := reg.OpenIntegration(ctx, s.Integration("all"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		n := 0
		for page, err := range d.(driver.QueueSource).Receive(ctx) {
			if err != nil {
				fmt.Println(err)
				return
			}
			n += len(page.Items)
		}
		fmt.Println(n, "messages")
	}
	fmt.Println("violations:", s.Report().Violations)
	// Output:
	// 6 messages
	// 6 messages
	// violations: 0
}
