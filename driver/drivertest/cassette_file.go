package drivertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// stop ends the cassette with its test.
func (c *Tape) stop(written string) {
	c.t.Helper()
	c.mu.Lock()
	c.done = true
	c.mu.Unlock()
	switch {
	case !c.record:
		if err := c.rec.Stop(); err != nil {
			c.t.Errorf("drivertest: cassette %s: %v", c.name, err)
		}
		c.unplayed()
		return
	case c.t.Failed():
		c.t.Logf("drivertest: cassette %s was not written, because the test failed", c.name)
		return
	}
	err := c.rec.Stop()
	if err == nil {
		err = c.publish(written)
	}
	if err != nil {
		c.t.Errorf("drivertest: cassette %s was not written: %v", c.name, err)
	}
}

// publish puts the file that was written where it belongs.
func (c *Tape) publish(written string) error {
	b, err := os.ReadFile(written)
	if err != nil {
		return err
	}
	if name := c.secrets.left(string(b)); name != "" {
		return fmt.Errorf("a secret (%s) is left in the file", name)
	}
	origin := fmt.Sprintf("# Recorded from: %s %s, %s\n", c.r.From, c.r.Of, c.r.Date)
	if err := os.MkdirAll(filepath.Dir(c.file), 0o755); err != nil {
		return err
	}
	next := c.file + ".new"
	if err := os.WriteFile(next, append([]byte(origin), b...), 0o644); err != nil {
		return err
	}
	return os.Rename(next, c.file)
}

var originLine = regexp.MustCompile(`^# Recorded from: ((simulator|live) ([^\n]+), \d{4}-\d\d-\d\d)\n`)

// readOrigin reads what the cassette says of itself.
func (c *Tape) readOrigin() error {
	b, err := os.ReadFile(c.file)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("drivertest: there is no cassette %s: record it with\n\tgo test -run '^%s$' -record", c.file, c.t.Name())
	}
	if err != nil {
		return fmt.Errorf("drivertest: cassette %s: %w", c.name, err)
	}
	m := originLine.FindStringSubmatch(string(b))
	switch {
	case m == nil:
		return fmt.Errorf("drivertest: cassette %s does not say in its first line what it was recorded from", c.name)
	case m[2] != c.r.From, m[3] != c.r.Of:
		return fmt.Errorf("drivertest: cassette %s was recorded from %s, the test says %s %s", c.name, m[1], c.r.From, c.r.Of)
	}
	c.origin = m[1]
	return nil
}
