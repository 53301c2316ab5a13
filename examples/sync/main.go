// Command sync imports everything from a partner into a SQLite database and shows it. It needs nothing but Go: without flags the
// partner is a simulated one in the same process.
//
//	go run ./examples/sync --help
//
// It is also an example to read: partner.go makes a registry and a driver, sync.go runs the import, metrics.go shows how a
// host counts what the kit reports through OpenTelemetry. The other files are for the eyes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Exit codes.
const (
	exitDone     = 0
	exitFailed   = 1 // or not complete
	exitUsage    = 2
	exitStopped  = 130 // by Ctrl-C
	envClient    = "GUESTY_CLIENT_ID"
	envSecret    = "GUESTY_CLIENT_SECRET"
	envKey       = "INTEGRATIONKIT_KEY"
	integrations = "guesty-1" // the one integration of this host
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A Ctrl-C a second later ends the process at once.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// run is the program.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stdout)
	switch {
	case errors.Is(err, errHelp):
		return exitDone
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	code, err := sync(ctx, o, env, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "sync:", err)
	}
	return code
}
