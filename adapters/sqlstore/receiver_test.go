package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

const receiverSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// host is a service's own tables, in the same file: events that were kept, and what they caused. effects has no unique
// key, so that doing a thing twice shows.
const host = `CREATE TABLE IF NOT EXISTS inbox (key TEXT PRIMARY KEY, body TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS effects (key TEXT NOT NULL, body TEXT NOT NULL);`

func hostDB(ctx context.Context, path string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(ctx, host)
	return db, err
}

// childReceive receives webhooks, keeps them, and works them off, until it is killed.
func childReceive(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	db, err := hostDB(ctx, args[0])
	if err != nil {
		return err
	}
	v, err := webhook.NewVerifier(webhook.Guesty(), webhook.Secret{Value: receiverSecret})
	if err != nil {
		return err
	}
	h, err := webhook.NewHandler(webhook.Config{
		Resolve: webhook.Paths(map[string]webhook.Endpoint{"/hook": {Verifier: v, Integration: "h"}}),
		Dedupe:  s.Deliveries(),
		// Patience is short so that the lease of a claim whose process was killed ends within the test.
		Patience: 200 * time.Millisecond,
		Sink: webhook.SinkFunc(func(ctx context.Context, e webhook.Event) error {
			_, err := db.ExecContext(ctx, "INSERT INTO inbox (key, body) VALUES (?, ?) ON CONFLICT DO NOTHING", e.Key, string(e.Body))
			return err
		}),
	})
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			if err := workOff(ctx, db); err != nil {
				fmt.Println("worker:", err)
				return
			}
		}
	}()
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	return srv.Serve(l)
}

// workOff deals with one event: what it causes and the note that it is done are one transaction.
func workOff(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // over, as a rule
	var key, body string
	err = tx.QueryRowContext(ctx, "SELECT key, body FROM inbox WHERE done = 0 LIMIT 1").Scan(&key, &body)
	if errors.Is(err, sql.ErrNoRows) {
		_ = tx.Rollback() // before the sleep
		time.Sleep(2 * time.Millisecond)
		return nil
	}
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, "INSERT INTO effects (key, body) VALUES (?, ?)", key, body); err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE inbox SET done = 1 WHERE key = ?", key)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// TestPromise5_ReceiverKilled: receivers are killed again and again, between acknowledgement and work as well, while a
// partner sends each event until it is acknowledged, and some more often. In the end each event has one effect.
func TestPromise5_ReceiverKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kit.db")
	open(t, path, keys(t, "k1")) // its schema is made once
	const events, kills = 120, 6
	var mu sync.Mutex // guards addr
	addr := ""
	target := func() string { mu.Lock(); defer mu.Unlock(); return addr }
	launch := func() *child {
		c := start(t, "receive", path)
		if !c.lines.Scan() {
			t.Fatalf("the receiver did not start: %s", c.stderr.String())
		}
		mu.Lock()
		addr = c.lines.Text()
		mu.Unlock()
		return c
	}
	c := launch()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer client.CloseIdleConnections()
	// send delivers once, and reports whether it was acknowledged.
	send := func(i int) (bool, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+target()+"/hook", strings.NewReader(fmt.Sprintf(`{"event":"e","n":%d}`, i)))
		if err != nil {
			return false, err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("svix-id", fmt.Sprint("msg_", i))
		if err := webhook.SignRequest(webhook.Guesty().Scheme, r, receiverSecret, time.Now()); err != nil {
			return false, err
		}
		resp, err := client.Do(r)
		if err != nil {
			return false, nil //nolint:nilerr // the receiver is dead or dies: it is sent again
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusAccepted:
			return true, nil
		case http.StatusServiceUnavailable:
			return false, nil
		}
		return false, fmt.Errorf("msg_%d was answered %d", i, resp.StatusCode)
	}
	progress := make(chan int, 2*events)
	var wg sync.WaitGroup
	work := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range work {
				for times := 1 + i%2; times > 0; {
					acked, err := send(i)
					if err != nil {
						t.Error(err)
						break
					}
					if acked {
						times--
						progress <- i
						continue
					}
					time.Sleep(10 * time.Millisecond) // a partner's would be seconds
				}
			}
		})
	}
	wg.Go(func() {
		defer close(work)
		for i := range events {
			work <- i
		}
	})
	go func() { wg.Wait(); close(progress) }()
	acked, next := 0, 0
	for range progress {
		acked++
		if next < kills && acked > (next+1)*events/(kills+1) {
			next++
			time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond) // at any point of what is under way
			if err := c.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = c.Wait() // killed
			c = launch()
		}
	}
	if next != kills {
		t.Errorf("only %d kills", next)
	}
	db, err := hostDB(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	deadline := time.Now().Add(time.Minute)
	for rowCount(t, path, "inbox WHERE done = 0") > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if n, once := rowCount(t, path, "effects"), rowCount(t, path, "(SELECT DISTINCT body FROM effects)"); n != events || once != events {
		t.Errorf("%d events have %d effects, of %d events", events, n, once)
	}
}

// rowCount counts the rows of a table.
func rowCount(t testing.TB, path, table string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
