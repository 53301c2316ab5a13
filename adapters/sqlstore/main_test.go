package sqlstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childEnv names the child process that the test binary is to be, and its arguments.
const childEnv = "SQLSTORE_TEST_CHILD"

// children are what the test binary does as another process. What they print is read by the test.
var children = map[string]func(ctx context.Context, args []string) error{
	"import": childImport, "lock": childLock, "count": childCount, "open": childOpen, "ack": childAck, "queue": childQueue,
	"rotate": childRotate, "receive": childReceive,
}

func TestMain(m *testing.M) {
	if args := strings.Split(os.Getenv(childEnv), "\n"); args[0] != "" {
		if err := children[args[0]](context.Background(), args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, args[0]+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// linger waits to be killed.
func linger() { time.Sleep(time.Minute) }

// child is a process that was started by a test.
type child struct {
	*exec.Cmd
	lines  *bufio.Scanner // of its standard output
	stderr strings.Builder
}

// start starts a child, which is dead at the end of the test.
func start(t testing.TB, name string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{Cmd: exec.Command(exe)}
	c.Env = append(os.Environ(), childEnv+"="+strings.Join(append([]string{name}, args...), "\n"))
	c.Stderr = &c.stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill() // it may be gone
			_ = c.Wait()         // killed
		}
	})
	return c
}

// wait waits for the child to end well.
func (c *child) wait(t testing.TB) {
	t.Helper()
	for c.lines.Scan() {
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, c.stderr.String())
	}
}
