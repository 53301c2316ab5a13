package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/adapters/sqlstore"
	"github.com/integrationkit/integrationkit/auth"
)

// With these variables set the test binary is a process that calls the API, from many goroutines that share one Source, until its
// input ends.
const (
	envOAuthURL  = "E2E_OAUTH_SERVER"
	envOAuthDB   = "E2E_OAUTH_DB"
	envOAuthKill = "E2E_OAUTH_KILL_AT" // a step at which the process kills itself
)

const oauthKey = "fosite/human"

func init() { // before TestMain, which is another family's
	if os.Getenv(envOAuthURL) != "" {
		if err := oauthChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// killer ends its process without a trace when it comes to its step.
type killer struct {
	auth.Store
	rt http.RoundTripper
	at string
}

func (k *killer) step(name string) {
	if name == k.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

func (k *killer) LockToken(ctx context.Context, key string, ttl time.Duration) (func(), error) {
	k.step("before the lock")
	unlock, err := k.Store.LockToken(ctx, key, ttl)
	k.step("after the lock")
	return unlock, err
}

func (k *killer) SaveToken(ctx context.Context, key string, r auth.Record) (uint64, error) {
	old, err := k.Store.LoadToken(ctx, key)
	if err != nil {
		return 0, err
	}
	what := "the count"
	if old.Generation != r.Generation {
		what = "the token"
	}
	k.step("before the save of " + what)
	v, err := k.Store.SaveToken(ctx, key, r)
	k.step("after the save of " + what)
	return v, err
}

func (k *killer) RoundTrip(req *http.Request) (*http.Response, error) {
	k.step("before the request")
	resp, err := k.rt.RoundTrip(req)
	k.step("after the answer")
	return resp, err
}

// openSource opens the Source that all processes share.
func openSource(ctx context.Context, server, db string, k *killer, onEvent func(auth.Event)) (*auth.Source, *sqlstore.Store, error) {
	store, err := openStore(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	k.Store = store
	if k.rt == nil {
		k.rt = &http.Transport{}
	}
	src, err := auth.NewSource(auth.SourceConfig{
		Key: oauthKey, Exchanger: oauthExchanger(server, k), Store: k, Origins: []string{server}, Timeout: 2 * time.Second, OnEvent: onEvent,
	})
	if err != nil {
		return nil, nil, errors.Join(err, store.Close())
	}
	return src, store, nil
}

func oauthChild() error {
	server := os.Getenv(envOAuthURL)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	src, store, err := openSource(ctx, server, os.Getenv(envOAuthDB), &killer{at: os.Getenv(envOAuthKill)}, func(e auth.Event) {
		fmt.Println(e.Kind, e.Generation) // one write each: whole lines
	})
	if err != nil {
		return err
	}
	hc := &http.Client{Transport: src.Wrap(&http.Transport{MaxIdleConnsPerHost: 16})}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/api", http.NoBody)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					return
				}
				if resp, err := hc.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // ends when the parent wants it to, or is gone
	cancel()
	wg.Wait()
	return errors.Join(src.Close(), store.Close())
}

// fleet is the processes and what they told.
type fleet struct {
	t          *testing.T
	server, db string

	mu    sync.Mutex
	lines map[string]int
}

// proc is one process.
type proc struct {
	cmd   *exec.Cmd
	stdin io.Closer
	errs  bytes.Buffer
	read  chan struct{} // closed when its output ended
}

func (f *fleet) start(killAt string) *proc {
	f.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	p := &proc{cmd: exec.CommandContext(f.t.Context(), exe), read: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), envOAuthURL+"="+f.server, envOAuthDB+"="+f.db, envOAuthKill+"="+killAt)
	p.cmd.Stderr = &p.errs
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		f.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			f.mu.Lock()
			f.lines[lines.Text()]++
			f.mu.Unlock()
		}
	}()
	return p
}

// wait returns whether the process was killed.
func (f *fleet) wait(p *proc) bool {
	f.t.Helper()
	<-p.read
	err := p.cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == -1 {
		return true
	}
	if err != nil {
		f.t.Fatalf("a process: %v: %s", err, p.errs.String())
	}
	return false
}

// told returns how many lines of a kind there are, and the most that are the same.
func (f *fleet) told(kind auth.EventKind) (n, most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for line, times := range f.lines {
		if strings.HasPrefix(line, kind.String()+" ") {
			n, most = n+times, max(most, times)
		}
	}
	return n, most
}

// newFleet has a server, and a database with the token that a human's authorization gave.
func newFleet(t *testing.T, lifetime time.Duration) (*fleet, *oauthServer, *auth.Source, func()) {
	t.Helper()
	db := filepath.Join(t.TempDir(), "kit.db")
	var src *auth.Source
	h, server := newHost(t, lifetime, func(ctx context.Context, tok auth.Token) error { return src.Replace(ctx, tok) })
	src, store, err := openSource(t.Context(), server.url, db, &killer{rt: closing(t)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(src.Close(), store.Close()); err != nil {
			t.Error(err)
		}
	})
	h.authorize(t)
	return &fleet{t: t, server: server.url, db: db, lines: map[string]int{}}, server, src, func() { h.authorize(t) }
}

// until waits for something that other processes do.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}

// A process is killed at each step of a refresh, while others wait for the same token. At every step but two the grant lives and each
// refresh token was sent once; when the answer was there but not saved, the grant is dead, the server was asked once more, and
// one process told so, once.
func TestPromise4_RealServerKilledAtEachStep(t *testing.T) {
	others := 3
	if testing.Short() {
		others = 1
	}
	for _, tt := range []struct {
		step string
		lost bool
	}{
		{"before the lock", false},
		{"after the lock", false},
		{"before the save of the count", false},
		{"after the save of the count", false},
		{"before the request", false},
		{"after the answer", true},
		{"before the save of the token", true},
		{"after the save of the token", false},
	} {
		t.Run(tt.step, func(t *testing.T) {
			if testing.Short() && tt.step != "before the request" && tt.step != "after the answer" {
				t.Skip("takes 5 s of processes")
			}
			t.Parallel()
			f, server, src, again := newFleet(t, 2*time.Second)
			victim := f.start(tt.step)
			if !f.wait(victim) {
				t.Fatal("the process was not killed")
			}
			before := server.refreshes()
			var procs []*proc
			for range others {
				procs = append(procs, f.start(""))
			}
			if tt.lost {
				until(t, "a report", func() bool { n, _ := f.told(auth.NeedsReauth); return n > 0 })
				if st, err := src.State(t.Context()); err != nil || st.NeedsReauth == "" {
					t.Errorf("state %+v, %v; want that a human is needed", st, err)
				}
				again() // and the others go on with what the human gave them
			}
			until(t, "two refreshes", func() bool { return server.refreshes() >= before+2 })
			for _, p := range procs {
				p.stdin.Close()
			}
			for _, p := range procs {
				f.wait(p)
			}
			reused, most := server.reuses()
			reports, _ := f.told(auth.NeedsReauth)
			want := 0
			if tt.lost {
				want = 1
			}
			if reused != want || most != 1+want || reports != want || server.grants() != want || len(server.other) != 0 {
				t.Errorf("%d refresh tokens came more than once (at most %d times), %d grants died, %d reports; want %d each; others: %v",
					reused, most, server.grants(), reports, want, server.other)
			}
			if _, most := f.told(auth.Refreshed); most > 1 {
				t.Errorf("one generation was obtained %d times", most)
			}
		})
	}
}

// Four processes with sixteen goroutines each share a token that lives for two seconds, and are killed at random and started again. A
// human authorizes again whenever one is needed.
func TestPromise4_RealServerUnderKills(t *testing.T) {
	processes, duration := 4, 25*time.Second
	if testing.Short() {
		processes, duration = 2, 4*time.Second
	}
	f, server, src, again := newFleet(t, 2*time.Second)
	server.slow = 300 * time.Millisecond
	procs := make([]*proc, processes)
	for i := range procs {
		procs[i] = f.start("")
	}
	kills, humans := 0, 0
	for end := time.Now().Add(duration); time.Now().Before(end); {
		time.Sleep(time.Duration(200+rand.IntN(400)) * time.Millisecond)
		needed := false
		if kills%2 == 0 { // while a refresh is under way
			until(t, "a refresh", func() bool {
				st, err := src.State(t.Context())
				needed = err == nil && st.NeedsReauth != ""
				return needed || server.busy.Load() > 0
			})
		}
		i := rand.IntN(len(procs))
		if err := procs[i].cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if !f.wait(procs[i]) {
			t.Fatal("a process ended by itself")
		}
		kills++
		procs[i] = f.start("")
		if st, err := src.State(t.Context()); err != nil {
			t.Fatal(err)
		} else if needed || st.NeedsReauth != "" {
			again()
			humans++
		}
	}
	for _, p := range procs {
		p.stdin.Close()
	}
	for _, p := range procs {
		f.wait(p)
	}
	refreshed, twice := f.told(auth.Refreshed)
	reports, most := f.told(auth.NeedsReauth)
	reused, times := server.reuses()
	server.mu.Lock()
	defer server.mu.Unlock()
	t.Logf("%d kills; %d refresh tokens sent, %d of them twice; %d generations told; %d grants died, %d reports, %d re-authorizations; %d calls served, %d refused",
		kills, len(server.used), reused, refreshed, server.ended, reports, humans, server.served, server.denied)
	if twice > 1 || times > 2 || most > 1 {
		t.Errorf("a generation was obtained %d times, a refresh token sent %d times, a death told %d times", twice, times, most)
	}
	// A grant dies only of a kill, and of each death there is one report, unless its reporter was killed too.
	if reused > kills || server.ended != reused || reports > server.ended || len(server.other) != 0 {
		t.Errorf("%d tokens sent twice, %d grants died, %d reports after %d kills; other refusals %v", reused, server.ended, reports, kills, server.other)
	}
	if len(server.used) < int(duration/(4*time.Second)) || server.served < 100 {
		t.Errorf("%d refreshes and %d calls in %v: hardly anything was tried", len(server.used), server.served, duration)
	}
}
