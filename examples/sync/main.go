// Command sync imports everything from several partners into a SQLite database, side by side, and shows it. It needs nothing
// but Go: without flags the partners are simulated ones in the same process.
//
//	go run ./examples/sync --help
//
// It is also an example to read: partners.go is the table of partners, sync.go makes a registry and runs the imports, metrics.go
// shows how a host counts what the kit reports through OpenTelemetry. The other files are for the eyes.
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
	exitDone    = 0
	exitFailed  = 1 // or not complete, for one partner or more
	exitUsage   = 2
	exitStopped = 130 // by Ctrl-C
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
