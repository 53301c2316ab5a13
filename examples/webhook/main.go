// Command webhook is a receiver to try with curl: it verifies deliveries as Guesty signs them, keeps each once in a file, and
// acknowledges it only then.
//
//	go run ./examples/webhook                                              # listens, and says what it did
//	go run ./examples/webhook sign '{"event":"listing.updated"}' | sh      # in another shell: a signed delivery, by curl
//
// Send the same delivery again and it is acknowledged and not kept again; change a byte of it, or wait for more than five minutes, and
// it is refused. The secret is the example's own, or that in WEBHOOK_SECRET.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

const (
	address       = "127.0.0.1:8787"
	path          = "/hooks/guesty/account-7"
	file          = "events.jsonl"
	exampleSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

const usage = `webhook receives deliveries at http://` + address + path + ` and keeps them in ` + file + `.

usage: go run ./examples/webhook               receive, until Ctrl-C
       go run ./examples/webhook sign BODY     print the curl command of a signed delivery
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	secret := os.Getenv("WEBHOOK_SECRET")
	if secret == "" {
		secret = exampleSecret
	}
	var err error
	switch args := os.Args[1:]; {
	case len(args) == 0:
		err = receive(ctx, secret, file, os.Stdout)
	case len(args) == 2 && args[0] == "sign":
		err = sign(os.Stdout, secret, args[1], time.Now())
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "webhook:", err)
		os.Exit(1)
	}
}

// receive serves until ctx ends.
func receive(ctx context.Context, secret, name string, out io.Writer) error {
	kept, err := open(name)
	if err != nil {
		return err
	}
	defer kept.f.Close()
	mux, err := routes(secret, kept, out)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second}
	fmt.Fprintf(out, "receiving at http://%s%s, keeping events in %s\n", address, path, name)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(end) // deliveries under way are finished
	})
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-stopped
}

// routes is the host's mux, with the receiver in it.
func routes(secret string, sink webhook.Sink, out io.Writer) (http.Handler, error) {
	guesty, err := webhook.NewVerifier(webhook.Guesty(), webhook.Secret{Value: secret})
	if err != nil {
		return nil, err
	}
	h, err := webhook.NewHandler(webhook.Config{
		Resolve:  webhook.Paths(map[string]webhook.Endpoint{path: {Verifier: guesty, Integration: "account-7"}}),
		Sink:     sink,
		OnResult: func(_ context.Context, r webhook.Result) { fmt.Fprintln(out, r.Status, r.Outcome, r.Key) },
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/hooks/", h)
	return mux, nil
}

// journal keeps events in a file, one a line, each key once. A service would use a table with a unique key.
type journal struct {
	turn chan struct{} // held by the one who writes, and guards the fields below
	f    *os.File
	end  int64 // of the last whole line
	keys map[string]bool
}

// entry is a line.
type entry struct {
	Key      string    `json:"key"`
	Kind     string    `json:"kind"`
	Received time.Time `json:"received"`
	Body     []byte    `json:"body"`
}

// open reads which events are kept. A line that was cut off when the process was killed is cut away: it was not acknowledged.
func open(name string) (*journal, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{turn: make(chan struct{}, 1), f: f, keys: map[string]bool{}}
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		var e entry
		if err == nil {
			err = json.Unmarshal(line, &e)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("%s: after %d bytes: %w", name, j.end, err)
		}
		j.end += int64(len(line))
		j.keys[e.Key] = true
	}
	if err := f.Truncate(j.end); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// Accept implements webhook.Sink.
func (j *journal) Accept(ctx context.Context, e webhook.Event) error {
	line, err := json.Marshal(entry{Key: e.Key, Kind: e.Kind, Received: e.ReceivedAt, Body: e.Body})
	if err != nil {
		return err
	}
	select {
	case j.turn <- struct{}{}:
		defer func() { <-j.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if j.keys[e.Key] {
		return nil
	}
	line = append(line, '\n')
	if _, err := j.f.WriteAt(line, j.end); err != nil {
		return err // what was written of it is written over, or cut away by open
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.end += int64(len(line))
	j.keys[e.Key] = true
	return nil
}

// sign prints what makes curl deliver body as the partner would.
func sign(out io.Writer, secret, body string, now time.Time) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if err := webhook.SignRequest(webhook.Guesty().Scheme, r, secret, now); err != nil {
		return err
	}
	fmt.Fprintf(out, "curl -i")
	for name, values := range r.Header {
		fmt.Fprintf(out, " -H %s", quote(name+": "+values[0]))
	}
	fmt.Fprintf(out, " --data-binary %s %s\n", quote(body), r.URL)
	return nil
}

// quote quotes for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
