package driver

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/retry"
)

// gate is the circuit of a partner as a whole: it opens when most calls fail, and only on faults that two or more integrations see
// within the window, so that no integration can close it for the others. The nil gate is always open to calls.
type gate struct {
	b      *breaker.Breaker // one circuit, under ""
	window time.Duration
	err    error

	mu     sync.Mutex // guards the fields below
	faulty map[string]time.Time
}

func newGate(partner string, c breaker.Config) (*gate, error) {
	g := &gate{
		window: c.Window,
		err:    fmt.Errorf("driver: calls of several integrations to %s fail: %w", partner, breaker.ErrOpen),
		faulty: map[string]time.Time{},
	}
	if g.window == 0 {
		g.window = time.Minute
	}
	var err error
	g.b, err = breaker.New(c)
	return g, err
}

// ready returns an error with the time to come back at while the gate is closed to calls.
func (g *gate) ready() error {
	if g == nil {
		return nil
	}
	if at := g.b.Ready(""); !at.IsZero() {
		return g.refusal(at)
	}
	return nil
}

func (g *gate) refusal(at time.Time) error {
	return &retry.Error{Verdict: retry.Verdict{Class: retry.Unavailable, Scope: retry.Partner, At: at, Sent: retry.Never}, Err: g.err}
}

// allow asks to make one call.
func (g *gate) allow() (breaker.Call, error) {
	if g == nil {
		return breaker.Call{}, nil
	}
	return g.b.Allow("")
}

// done tells how a call of the integration ended. A fault that no other integration sees counts neither way, nor does it close the
// gate again while that is looking whether the partner is back: then the next call looks.
func (g *gate) done(call *breaker.Call, integration string, v retry.Verdict) {
	if g == nil {
		return
	}
	fault := v.Fault && v.Class == retry.Transient
	switch {
	case fault && g.note(integration, time.Now()) < 2:
		v = retry.Verdict{Class: retry.Canceled}
	case !fault && (v.Class == retry.OK || v.Sent == retry.Answered):
		g.mu.Lock()
		delete(g.faulty, integration)
		g.mu.Unlock()
	}
	call.Done(v)
	if fault {
		if state, _ := g.b.State(""); state == breaker.Open {
			g.mu.Lock()
			clear(g.faulty) // what comes after is seen afresh
			g.mu.Unlock()
		}
	}
}

// note notes a fault, and returns how many integrations have seen one within the window, and none of them a success since.
func (g *gate) note(integration string, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faulty[integration] = now
	for id, at := range g.faulty {
		if now.Sub(at) > g.window {
			delete(g.faulty, id)
		}
	}
	return len(g.faulty)
}

var errClosed = errors.New("driver: the registry is closed")
