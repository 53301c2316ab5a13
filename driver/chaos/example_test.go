package chaos_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/integrationkit/integrationkit/driver/chaos"
)

// partner answers every call.
type partner struct{}

func (partner) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")),
		ContentLength: 2, Request: req}, nil
}

// Faults are given on the command line of a host's staging. The same seed and requests meet the same faults.
func Example() {
	var rules chaos.Rules
	flags := flag.NewFlagSet("host", flag.ContinueOnError)
	flags.Var(&rules, "chaos", "faults to inject")
	err := flags.Parse([]string{"-chaos", "429:20%;retry=date:7s,lost:10%;at=POST /orders,latency;delay=1ms"})
	if err != nil {
		fmt.Println(err)
		return
	}
	monkey, err := chaos.New(chaos.Config{Rules: rules, Seed: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	// with a driver: driver.Options{Transport: monkey.Wrap(nil)}
	client := &http.Client{Transport: monkey.Wrap(partner{})}
	line := ""
	for range 10 {
		resp, err := client.Post("https://api.acme.example/orders", "text/plain", strings.NewReader("a boat"))
		switch {
		case errors.Is(err, chaos.ErrInjected):
			line += "lost "
		case err != nil:
			fmt.Println(err)
		default:
			line += fmt.Sprint(resp.StatusCode, " ")
			resp.Body.Close()
		}
	}
	fmt.Println(strings.TrimSpace(line))
	fmt.Println(monkey.Report())
	// Output:
	// 429 429 200 200 200 429 lost 429 200 200
	// 10 calls, 0 deliveries, 10 struck: 429 4, latency 10, lost 1
}

// A receiver of webhooks gets some twice, late and again, as from a partner.
func ExampleInjector_Handler() {
	rules, err := chaos.Parse("duplicate:50%")
	if err != nil {
		fmt.Println(err)
		return
	}
	monkey, err := chaos.New(chaos.Config{Rules: rules, Seed: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	received := make(chan string, 100)
	receiver := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "cannot read", http.StatusBadRequest)
			return
		}
		received <- string(body)
		w.WriteHeader(http.StatusAccepted)
	})
	h := monkey.Handler(receiver)
	for i := range 6 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/webhooks/acme",
			strings.NewReader(fmt.Sprint("event", i))))
	}
	close(received)
	for event := range received {
		fmt.Print(event, " ")
	}
	fmt.Println()
	// Output:
	// event0 event0 event1 event2 event2 event3 event4 event5
}

// What is wrong with rules is said all at once.
func ExampleParse() {
	_, err := chaos.Parse("429;retry=soon,flood:10%")
	fmt.Println(err)
	// Output:
	// chaos: rule "429;retry=soon": retry is "soon", want a duration, date: and a duration, garbage or none
	// chaos: rule "flood:10%": unknown kind "flood"; known are a status from 400 to 599 and latency, timeout, refused, reset, 429, html, lost, slow, cut, truncated, skew, duplicate, reorder, redeliver
}
