package guestytest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
)

// A simulated account in memory, sixty times as fast as the real one.
func ExampleNewServer() {
	account, err := guestytest.NewServer(guestytest.Config{Listings: 2000, ReservationsPerListing: 3,
		PhotosPerListing: 5, Scale: 60})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer account.Close()

	// A driver gets account.Integration("one"), account.Transport() and account.Limits(). By hand:
	client := &http.Client{Transport: account.Transport()}
	resp, err := client.PostForm("https://"+guestytest.Host+"/oauth2/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {guestytest.ClientID},
		"client_secret": {guestytest.ClientSecret},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(resp.Status, account.Limits()[1].Requests, "requests per", account.Limits()[1].Per)

	fmt.Printf("%+v\n", account.Account())
	fmt.Printf("%+v\n", account.Change(0.05, 1, time.Date(2026, 11, 5, 0, 0, 0, 0, time.UTC)))
	fmt.Println("violations:", account.Report().Violations)
	// Output:
	// 200 OK 120 requests per 1s
	// {Listings:2000 Reservations:6000 Photos:10000}
	// {Listings:{Added:33 Updated:33 Deleted:33} Reservations:{Added:100 Updated:100 Deleted:100} Photos:{Added:165 Updated:33 Deleted:165}}
	// violations: 0
}
