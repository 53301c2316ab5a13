package breaker

import "time"

// looked is how many other circuits are looked at when one is added.
const looked = 16

func (b *Breaker) lookup(key string) *circuit {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.circuits[key]
}

// lock returns the key's circuit, locked, and makes it if there is none.
func (b *Breaker) lock(key string) *circuit {
	for {
		c := b.lookup(key)
		if c == nil {
			c = b.add(key)
		}
		c.mu.Lock()
		if !c.gone {
			return c
		}
		c.mu.Unlock()
	}
}

func (b *Breaker) add(key string) *circuit {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.circuits[key]; c != nil {
		return c
	}
	b.reclaim()
	c := newCircuit(b, key)
	b.circuits[key] = c
	return c
}

// reclaim looks at a few circuits, forgets those that hold nothing of use any more, and if there are still too many, the one
// of them that will be missed the least. Maps are ranged over from a random place on.
func (b *Breaker) reclaim() {
	now := time.Now()
	var victim *circuit
	var least loss
	n := 0
	for _, c := range b.circuits {
		c.mu.Lock()
		l, idle := c.loss(b, now)
		if idle {
			b.forget(c)
		} else if !l.never && (victim == nil || l.less(least)) {
			victim, least = c, l
		}
		c.mu.Unlock()
		if n++; n >= looked && (victim != nil || len(b.circuits) < b.c.MaxKeys) {
			break
		}
	}
	if len(b.circuits) >= b.c.MaxKeys && victim != nil {
		victim.mu.Lock()
		b.forget(victim)
		victim.mu.Unlock()
	}
}

func (b *Breaker) forget(c *circuit) {
	c.gone = true
	delete(b.circuits, c.key)
}

// loss is what it would cost to forget a circuit.
type loss struct {
	never bool
	open  bool
	used  time.Time
}

func (l loss) less(m loss) bool {
	if l.open != m.open {
		return m.open
	}
	return l.used.Before(m.used)
}

// loss also reports whether the circuit holds nothing of use any more.
func (c *circuit) loss(b *Breaker, now time.Time) (l loss, idle bool) {
	forced := c.state == ForcedOpen || c.state == ForcedClosed
	l = loss{never: forced || c.telling || len(c.changes) > 0, open: c.state != Closed, used: c.used}
	if l.never || c.out > 0 {
		return l, false
	}
	if c.state == Closed {
		return l, now.Sub(c.used) > b.c.Window
	}
	return l, now.Sub(c.used) > b.c.MaxOpen && now.Sub(c.until) > b.c.MaxOpen
}
