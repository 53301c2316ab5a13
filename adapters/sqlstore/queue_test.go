package sqlstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/importer"
	"github.com/integrationkit/integrationkit/driver/importer/importertest"
	"github.com/integrationkit/integrationkit/pagination"
)

// newQueue returns a partner's queue with messages about some records twice, and some that cannot be imported.
func newQueue() *importertest.QueueDriver {
	q := &importertest.QueueDriver{PageSize: 4, Describes: driver.Queue{Name: "acme/reservations"}}
	for i := range 60 {
		q.Send(fmt.Sprintf("a%d", i%3), fmt.Sprintf("t%d", i), 1)
		if i%20 == 19 {
			q.SendPoison("a1", fmt.Sprintf("p%d", i), "garbage")
		}
	}
	return q
}

// serveQueue is the partner behind HTTP: it outlives the processes that are killed.
func serveQueue(t *testing.T, q *importertest.QueueDriver) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/receive", func(w http.ResponseWriter, r *http.Request) {
		for page, err := range q.Receive(context.WithoutCancel(r.Context())) {
			keys, _ := page.Receipt.([]string)
			if err != nil || json.NewEncoder(w).Encode(remotePage{page.Items, keys}) != nil {
				t.Log("a reader went away")
			}
			return
		}
	})
	mux.HandleFunc("/acknowledge", func(_ http.ResponseWriter, r *http.Request) {
		var keys []string
		if json.NewDecoder(r.Body).Decode(&keys) == nil {
			if err := q.Acknowledge(context.WithoutCancel(r.Context()), keys); err != nil {
				t.Errorf("acknowledge: %v", err)
			}
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

type remotePage struct {
	Items []driver.Message
	Keys  []string
}

// remoteQueue is the driver of that partner.
type remoteQueue struct {
	*importertest.QueueDriver
	url  string
	said func(string)
}

func (q remoteQueue) Receive(ctx context.Context) pagination.Pages[driver.Message] {
	return func(yield func(pagination.Page[driver.Message], error) bool) {
		for {
			var p remotePage
			sent := time.Now()
			body, err := q.call(ctx, "/receive", nil)
			if err == nil {
				err = json.Unmarshal(body, &p)
			}
			if err != nil {
				yield(pagination.Page[driver.Message]{Next: pagination.Beginning, Total: -1}, err)
				return
			}
			q.said("received")
			page := pagination.Page[driver.Message]{Items: p.Items, Total: -1, Sent: sent}
			if len(p.Items) > 0 {
				page.Next, page.Receipt = pagination.Beginning, p.Keys
			}
			if !yield(page, nil) || page.Last() {
				return
			}
		}
	}
}

func (q remoteQueue) Acknowledge(ctx context.Context, receipt any) error {
	b, err := json.Marshal(receipt)
	if err != nil {
		return err
	}
	q.said("stored")
	_, err = q.call(ctx, "/acknowledge", b)
	q.said("acknowledged")
	return err
}

func (q remoteQueue) call(ctx context.Context, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

func queueConfig(d driver.Driver, s importer.QueueStore) importer.QueueConfig {
	return importer.QueueConfig{
		Driver: d, Store: s, Poll: time.Millisecond, Lease: 300 * time.Millisecond,
		Route: func(_ context.Context, account string) (driver.Integration, error) {
			return driver.Integration{ID: "in-" + account, Account: account}, nil
		},
	}
}

// childQueue reads the queue until nothing waits, or that part of it during which so many lines are said.
func childQueue(ctx context.Context, args []string) error {
	s, err := childStore(ctx, args[0])
	if err != nil {
		return err
	}
	defer s.Close()
	lines, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	said := func(what string) {
		fmt.Println(what)
		if lines--; lines == 0 {
			linger()
		}
	}
	cfg := queueConfig(remoteQueue{newQueue(), args[1], said}, s)
	cfg.OnChanges = func(context.Context, importer.ChangeSet) error { said("in"); return nil }
	for {
		res, err := importer.ReadQueue(ctx, cfg)
		switch {
		case errors.Is(err, importer.ErrQueueBusy), errors.Is(err, importer.ErrSuperseded):
			time.Sleep(time.Millisecond)
		case err != nil:
			return err
		case res.Messages == 0:
			fmt.Println("finished")
			return nil
		}
	}
}

// The process that reads a queue is killed at random points, again and again: what was acknowledged is kept, what was
// received twice has one effect, and the store ends as after an undisturbed read.
func TestPromise1_QueueKilledAndResumed(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	memory := importer.NewMemory()
	if _, err := importer.ReadQueue(t.Context(), queueConfig(newQueue(), memory)); err != nil {
		t.Fatal(err)
	}
	q := newQueue()
	url, path := serveQueue(t, q), filepath.Join(t.TempDir(), "kit.db")
	kills, done := 0, false
	for !done && kills < 100 {
		lines := 1 + rnd.IntN(20)
		c := start(t, "queue", path, url, strconv.Itoa(lines))
		for ; lines > 0 && c.lines.Scan(); lines-- {
			if done = c.lines.Text() == "finished"; done {
				break
			}
		}
		if done {
			c.wait(t)
			break
		}
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
		if c.stderr.Len() > 0 {
			t.Fatalf("the child failed: %s", c.stderr.String())
		}
		kills++
	}
	t.Logf("killed %d times", kills)
	if kills < 5 || !done || q.Waiting() != 0 {
		t.Errorf("killed %d times, done: %v, %d messages wait", kills, done, q.Waiting())
	}
	var want, got bytes.Buffer
	if err := errors.Join(memory.Dump(t.Context(), &want), open(t, path, keys(t, "k1")).Dump(t.Context(), &got)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("the dumps differ: %d and %d bytes, first at %q", got.Len(), want.Len(), firstDifference(got.String(), want.String()))
	}
}

// Bodies are sealed, and sealed anew; without keys nothing is kept.
func TestMessagesAreSealed(t *testing.T) {
	const canary = "canary-of-a-guest"
	path := filepath.Join(t.TempDir(), "kit.db")
	put := func(s *sqlstore.Store) error {
		return s.Update(t.Context(), func(ctx context.Context, tx importer.Tx) error {
			return tx.(importer.QueueTx).PutMessages(ctx, []importer.KeptMessage{{
				Queue: "q", Key: "k", State: importer.MessagePending, Message: driver.Message{Body: []byte(canary), Received: noon},
			}})
		})
	}
	read := func(k *auth.Keys) (string, error) {
		s := open(t, path, k)
		got, err := s.Messages(t.Context(), "q", importer.MessagePending, 0, 10)
		if err != nil || len(got) != 1 {
			return "", err
		}
		return string(got[0].Body), nil
	}
	if err := put(open(t, path, nil)); !errors.Is(err, sqlstore.ErrNoKeys) {
		t.Errorf("without keys: got %v", err)
	}
	if err := put(open(t, path, keys(t, "k1"))); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(files(t, path)), canary) {
		t.Error("the body is in the file")
	}
	if err := open(t, path, keys(t, "k2", "k1")).Reseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := read(keys(t, "k2")); err != nil || got != canary {
		t.Errorf("got %q, %v", got, err)
	}
}
