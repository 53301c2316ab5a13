// Package services starts private servers for tests: from the binary that is installed, on a free port of the loopback interface, with
// a directory of their own, and gone when the test is over.
//
// A test whose server is not installed is skipped and says what to install. Where REQUIRE_SERVICES is 1 it fails instead, so that
// a run that has to test everything does.
package services

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// T is the part of testing.TB that is used.
type T interface {
	Helper()
	Cleanup(func())
	TempDir() string
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Server is a server that a test has started. It is safe for concurrent use.
type Server struct {
	// Addr is its address, host:port. It stays the same when it is started again.
	Addr string

	binary string
	args   []string
	dir    string

	mu    sync.Mutex // guards the fields below
	cmd   *exec.Cmd  // nil: stopped
	out   *bytes.Buffer
	ended chan struct{} // closed when cmd has ended
}

// patience is how long a server may take to start.
const patience = 20 * time.Second

// Redis starts a redis-server that keeps nothing on disk; args are added to its command line. It is stopped at the end of the test.
func Redis(t T, args ...string) *Server {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		const how = "redis-server is not installed (Debian: apt-get install redis-server)"
		if os.Getenv("REQUIRE_SERVICES") == "1" {
			t.Fatalf("%s, and REQUIRE_SERVICES is 1", how)
		}
		t.Skipf("%s", how)
		return nil
	}
	s := &Server{binary: binary, args: args, dir: t.TempDir()}
	for range 5 { // somebody else may take the port
		if s.Addr, err = freeAddr(); err == nil {
			if err = s.Start(); err == nil {
				t.Cleanup(s.Stop)
				return s
			}
		}
	}
	t.Fatalf("redis-server: %v", err)
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Start starts a server that was stopped, with nothing in it, and waits until it answers.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		return errors.New("services: the server runs")
	}
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return err
	}
	s.out = new(bytes.Buffer)
	cmd := exec.Command(s.binary, append([]string{ //nolint:noctx // it ends with Stop
		"--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", s.dir,
	}, s.args...)...)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // killed, or never up
		close(ended)
	}(s.ended)
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if err = s.ping(cmd.Process.Pid); err == nil {
			return nil
		}
		select {
		case <-s.ended:
			end = time.Time{}
		default:
		}
		if time.Now().After(end) {
			s.stop()
			return fmt.Errorf("services: not up: %w\n%s", err, s.out)
		}
	}
}

// ping asks whether it is this server that answers.
func (s *Server) ping(pid int) error {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second) //nolint:noctx // bounded
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }() // it was only read
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := fmt.Fprint(c, "INFO server\r\n"); err != nil {
		return err
	}
	for lines := bufio.NewScanner(c); lines.Scan(); {
		if lines.Text() == "process_id:"+strconv.Itoa(pid) {
			return nil
		}
	}
	return errors.New("no answer, or somebody else's")
}

// Stop kills the server, as a failure would. A server that does not run is left alone.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop()
}

func (s *Server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill() // it may be gone
		<-s.ended
		s.cmd = nil
	}
}
