package services_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/internal/services"
)

func TestRedisStopsAndStarts(t *testing.T) {
	s := services.Redis(t)
	for range 2 {
		if err := s.Start(); err == nil {
			t.Fatal("started twice")
		}
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		s.Stop()
		s.Stop()
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			c.Close()
			t.Fatal("answers after Stop")
		}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// said records how a test would have ended.
type said struct {
	testing.TB
	skip, fatal string
}

func (s *said) Skipf(format string, args ...any)  { s.skip = fmt.Sprintf(format, args...) }
func (s *said) Fatalf(format string, args ...any) { s.fatal = fmt.Sprintf(format, args...); panic(s) }

func TestMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	run := func(require string) (s *said) {
		t.Setenv("REQUIRE_SERVICES", require)
		s = &said{TB: t}
		defer func() { _ = recover() }()
		services.Redis(s)
		return s
	}
	if s := run(""); !strings.Contains(s.skip, "redis-server is not installed") || s.fatal != "" {
		t.Errorf("got %+v, want a skip that says what to install", s)
	}
	s := run("1")
	if !strings.Contains(s.fatal, "REQUIRE_SERVICES") || s.skip != "" {
		t.Errorf("got %+v, want a failure", s)
	}
}

func TestNeverUp(t *testing.T) {
	services.Redis(t) // or it is skipped
	s := &said{TB: t}
	defer func() {
		if recover() != s || s.fatal == "" {
			t.Error("a server that ends at once was taken as up")
		}
	}()
	services.Redis(s, "--no-such-option", "1")
}
