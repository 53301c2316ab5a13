package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
)

// runner runs one check.
type runner struct {
	testing.TB
	h       Harness
	mediaOf string     // Harness.MediaOf, or a resource that was found
	tokens  auth.Store // of all rigs, if set
}

// rig is a partner, a registry and a driver, and what is seen of them.
type rig struct {
	r       *runner
	partner Partner
	wire    *wire
	reg     *driver.Registry
	driver  driver.Driver
	ctx     context.Context
	cancel  context.CancelCauseFunc
	log     *logs
	errs    []string
	before  map[string]bool // the goroutines there were
	// throttled says that the check lets the partner throttle.
	throttled bool
}

// patient is a context that ends when it was asked too often: for a driver that goes round without sending anything, in a bubble whose time
// stands still meanwhile.
type patient struct {
	context.Context
	g     *rig
	asked *atomic.Int64
}

const askedTooOften = 500_000

func (p patient) ask() {
	switch n := p.asked.Add(1); {
	case n == askedTooOften:
		p.g.cancel(errEndless)
	case n > 4*askedTooOften:
		p.g.stop()
	}
}

func (p patient) Done() <-chan struct{} { p.ask(); return p.Context.Done() }
func (p patient) Err() error            { p.ask(); return p.Context.Err() }
func (p patient) Value(key any) any     { p.ask(); return p.Context.Value(key) }

// stop ends the goroutine, the check's own or one that the driver started, of a driver that not even the end of its context stops.
func (g *rig) stop() {
	g.r.Errorf("%v, though its context has ended", errEndless)
	runtime.Goexit()
}

// logs keeps all log lines.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open makes a rig. It must be closed.
func (r *runner) open(c Conditions) *rig { return r.openAs(c, nil) }

// openAs makes a rig whose integration was changed by edit.
func (r *runner) openAs(c Conditions, edit func(*driver.Integration)) *rig {
	r.Helper()
	g := &rig{r: r, log: &logs{}, before: goroutines()}
	ctx, cancel := context.WithCancelCause(context.Background())
	g.cancel = cancel
	g.ctx = patient{ctx, g, new(atomic.Int64)}
	p, err := r.h.Partner(c)
	if err != nil {
		r.Fatalf("the simulated partner: %v", err)
	}
	if p.Server == nil {
		r.Fatal("the harness made no simulated partner")
	}
	g.partner = p
	g.wire = newWire(g, p.Server.Transport())
	for _, s := range p.Integration.Credentials {
		g.wire.secret(string(s))
	}
	in := p.Integration
	if edit != nil {
		edit(&in)
		for _, s := range in.Credentials {
			g.wire.secret(string(s))
		}
	}
	g.reg = driver.NewRegistry(driver.Options{
		Tokens:    r.tokens,
		Transport: g.wire, TokenTransport: g.wire,
		Telemetry: driver.Telemetry{Logger: slog.New(slog.NewJSONHandler(g.log, &slog.HandlerOptions{Level: slog.LevelDebug - 8}))},
	})
	if err := r.h.Register(g.reg); err != nil {
		r.Fatalf("Register: %v", err)
	}
	if g.driver, err = g.reg.OpenIntegration(g.ctx, in); err != nil {
		r.Fatalf("opening the driver: %v", err)
	}
	return g
}

// saw notes an error, whose text is searched for secrets at the end. It returns it.
func (g *rig) saw(err error) error {
	if err != nil {
		g.errs = append(g.errs, fmt.Sprintf("%v", err), fmt.Sprintf("%+v", err))
	}
	return err
}

// close ends the rig and looks at what is left: goroutines, bodies, secrets, the partner's count.
func (g *rig) close() {
	g.r.Helper()
	if errors.Is(context.Cause(g.ctx), errEndless) {
		g.r.Error(errEndless)
	}
	g.cancel(nil)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := g.saw(g.reg.Close(ctx)); err != nil {
		g.r.Errorf("closing the registry: %v", err)
	}
	if err := g.partner.Server.Close(); err != nil {
		g.r.Errorf("closing the simulated partner: %v", err)
	}
	synctest.Wait()
	for id, stack := range goroutineStacks() {
		if !g.before[id] {
			g.r.Errorf("leaks: a goroutine is left:\n%s", stack)
		}
	}
	for _, where := range g.wire.open() {
		g.r.Errorf("leaks: the body of %s was not closed", where)
	}
	g.secrets()
	if rep := g.partner.Server.Report(); rep.Violations > 0 && !g.throttled {
		g.r.Errorf("quota: %d requests arrived although a tier was full, first %s at %s", rep.Violations, rep.Ledger[0].Endpoint, rep.Ledger[0].Tier)
	}
}

// unexpected reports what the driver sent that the partner does not document. It is for runs that nothing disturbs.
func (g *rig) unexpected(check string) {
	g.r.Helper()
	for _, note := range g.partner.Server.Report().Unexpected {
		g.r.Errorf("%s: the simulated partner met what its documentation does not have: %s", check, note)
	}
}

// secrets searches the log and the errors. What it finds it does not repeat.
func (g *rig) secrets() {
	g.r.Helper()
	texts := map[string]string{"the log": g.log.String(), "an error": strings.Join(g.errs, "\n")}
	for name, secret := range g.wire.canaries() {
		for where, text := range texts {
			if strings.Contains(text, secret) {
				g.r.Errorf("secrets: %s is in %s", name, where)
			}
		}
	}
	for i, secret := range g.r.h.Canaries {
		for where, text := range texts {
			if strings.Contains(text, secret) {
				g.r.Errorf("secrets: Canaries[%d] is in %s", i, where)
			}
		}
	}
}

var header = regexp.MustCompile(`^goroutine (\d+) \[[^\]]*synctest bubble (\d+)`)

// goroutineStacks returns the stacks of the goroutines of this bubble.
func goroutineStacks() map[string]string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	mine := ""
	all := map[string]string{}
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		m := header.FindStringSubmatch(stack)
		if mine == "" { // the first stack is this goroutine's
			if m == nil {
				return nil
			}
			mine = m[2]
		}
		if m != nil && m[2] == mine {
			all[m[1]] = stack
		}
	}
	return all
}

func goroutines() map[string]bool {
	all := map[string]bool{}
	for id := range goroutineStacks() {
		all[id] = true
	}
	return all
}

// endless is a body that does not end before it has been read far beyond what anybody should read.
type endless struct {
	mu   sync.Mutex
	read int64
}

const (
	endlessSize = 80 << 20
	readAtMost  = 48 << 20
)

func (e *endless) Read(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.read >= endlessSize {
		return 0, io.EOF
	}
	for n := 0; n < len(p); {
		n += copy(p[n:], spaces)
	}
	if e.read == 0 && len(p) > 0 {
		p[0] = '['
	}
	e.read += int64(len(p))
	return len(p), nil
}

var spaces = bytes.Repeat([]byte{' '}, 64<<10)

func (e *endless) Close() error { return nil }
