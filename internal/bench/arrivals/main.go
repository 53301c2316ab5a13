// Command arrivals draws what a partner sees of several limiters that are all set to 60 requests per minute, under the
// same demand and the same latencies, in virtual time:
//
//	go run ./internal/bench/arrivals -o docs/arrivals.svg
//
// Each curve is the number of requests that arrived at the partner in the minute before. The picture is the same on
// every run.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "", "the `file` to write; without it, a table goes to standard output")
	flag.Parse()
	runs, err := runAll()
	if err == nil && *out != "" {
		err = os.WriteFile(*out, draw(runs), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "arrivals:", err)
		os.Exit(1)
	}
	for _, r := range runs {
		fmt.Printf("%-40s worst minute %3d, %4d arrived\n", r.name+", "+r.note, r.worst, len(r.arrivals))
	}
}
