package authtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/auth"
)

// What a process of [Processes] is to do, and with which storage, is in its environment.
const (
	envRole  = "INTEGRATIONKIT_AUTHTEST_ROLE"
	envPlace = "INTEGRATIONKIT_AUTHTEST_PLACE"
)

// Processes tests that a store keeps processes apart that share its storage: that none loses another's update, that a
// lock is exclusive, and that a killed process's lock is free when its time is over. place makes an empty storage and
// returns how a process finds it (a path, an address); open opens it.
//
// The processes are the test binary, run again for the test that Processes is called from: that must be a Test function
// of its own, not a subtest, and do nothing before.
func Processes(t *testing.T, place func(t *testing.T) string, open func(t *testing.T, place string) auth.Store) {
	if role := os.Getenv(envRole); role != "" {
		child(t, role, open(t, os.Getenv(envPlace)))
		return
	}
	for _, test := range []struct {
		name string
		f    func(t *testing.T, place string, s auth.Store)
	}{{"LockedIncrements", processIncrements}, {"OneOfManyWins", processWins}, {"KilledHolder", killedHolder}} {
		t.Run(test.name, func(t *testing.T) {
			p := place(t)
			test.f(t, p, open(t, p))
		})
	}
}

const (
	processes = 3
	rounds    = 8
)

func processIncrements(t *testing.T, place string, s auth.Store) {
	var all []*process
	for range processes {
		all = append(all, start(t, "increment", place))
	}
	for range rounds {
		increment(t, s)
	}
	for _, p := range all {
		p.wait(t)
	}
	if got, want := load(t, s, "key").Generation, auth.Generation((processes+1)*rounds); got != want {
		t.Errorf("%d increments under the lock are left, want %d", got, want)
	}
}

func processWins(t *testing.T, place string, s auth.Store) {
	r := full(1)
	r.Version = save(t, s, "key", r)
	var all []*process
	for range processes {
		all = append(all, start(t, "write", place))
	}
	for _, p := range all { // each has read the record
		p.expect(t, "read")
	}
	for _, p := range all {
		p.tell(t)
	}
	won := 0
	for _, p := range all {
		if p.line(t) == "won" {
			won++
		}
		p.wait(t)
	}
	if g := load(t, s, "key").Generation; won != 1 || g != 2 {
		t.Errorf("%d of %d writers of one version won, generation %d, want 1 and 2", won, processes, g)
	}
}

func killedHolder(t *testing.T, place string, s auth.Store) {
	for _, role := range []string{"hold", "hold for long"} {
		p := start(t, role, place)
		p.expect(t, "locked")
		if role == "hold for long" {
			busy(t, s, "key")
		}
		p.kill(t)
		if role == "hold for long" {
			busy(t, s, "key")
		} else {
			lock(t, s, "key", patience)()
		}
	}
}

// child is what one of the processes does.
func child(t *testing.T, role string, s auth.Store) {
	switch role {
	case "increment":
		for range rounds {
			increment(t, s)
		}
	case "write":
		r := load(t, s, "key")
		fmt.Println("read")
		awaitLine()
		r.Generation++
		switch _, err := s.SaveToken(ctxFor(t), "key", r); {
		case err == nil:
			fmt.Println("won")
		case errors.Is(err, auth.ErrConflict):
			fmt.Println("lost")
		default:
			t.Errorf("SaveToken: %v, want nil or ErrConflict", err)
		}
	case "hold", "hold for long":
		ttl := 100 * time.Millisecond
		if role == "hold for long" {
			ttl = time.Hour
		}
		lock(t, s, "key", ttl)
		fmt.Println("locked")
		awaitLine() // for ever: it is killed
	default:
		t.Errorf("%s is %q, which is no role", envRole, role)
	}
}

// awaitLine waits for a line, or the end of the process that started this one.
func awaitLine() { _, _ = bufio.NewReader(os.Stdin).ReadString('\n') }

func increment(t *testing.T, s auth.Store) {
	t.Helper()
	unlock := lock(t, s, "key", patience)
	defer unlock()
	r := load(t, s, "key")
	r.Generation++
	save(t, s, "key", r)
}

type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
}

func start(t *testing.T, role, place string) *process {
	t.Helper()
	name, _, _ := strings.Cut(t.Name(), "/")
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+regexp.QuoteMeta(name)+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), envRole+"="+role, envPlace+"="+place)
	p := &process{cmd: cmd}
	cmd.Stderr = &p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stdout = stdin, bufio.NewReader(stdout)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// line returns the process's next line.
func (p *process) line(t *testing.T) string {
	t.Helper()
	s, err := p.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("the process said no more: %v\n%s%s", err, s, p.stderr.String())
	}
	return strings.TrimSpace(s)
}

func (p *process) expect(t *testing.T, want string) {
	t.Helper()
	if got := p.line(t); got != want {
		rest, _ := io.ReadAll(p.stdout)
		t.Fatalf("the process said %q, want %q\n%s%s", got, want, rest, p.stderr.String())
	}
}

func (p *process) tell(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
}

// wait waits for a process that ends by itself.
func (p *process) wait(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(p.stdout)
	if err = errors.Join(err, p.cmd.Wait()); err != nil {
		t.Fatalf("a process failed: %v\n%s%s", err, rest, p.stderr.String())
	}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // killed
}
