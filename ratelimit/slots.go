package ratelimit

// slot is a request that was admitted. Its gen changes when the slot is freed, so that nothing is settled twice.
type slot struct {
	cost  int64
	gen   uint32
	next  int32 // free: the next free slot
	state slotState
	low   bool // below Interactive
}

type slotState uint8

const (
	slotFree    slotState = iota // or, the first one, never used
	slotHeld                     // not yet counted, as far as is known
	slotProbe                    // likewise, and the key waits for what its answer tells
	slotCharged                  // counted
)

// admit holds room for a call for which ask said that there is.
func (c *counts) admit(cost int64, low bool) (int32, uint32) {
	i := c.free
	if i < 0 {
		r := c.more()
		r.slots = append(r.slots, slot{gen: 1, next: -1})
		i = int32(len(r.slots))
	}
	s := c.at(i)
	c.free = s.next
	s.cost, s.state = cost, slotHeld
	if c.probe == probeNeeded {
		c.probe, s.state = probeOut, slotProbe
	}
	c.held += cost
	c.inflight++
	s.low = false
	if r := c.rest(); low && r != nil {
		s.low = true
		r.held += cost
		r.inflight++
	}
	return i, s.gen
}

// at returns a slot that there is.
func (c *counts) at(i int32) *slot {
	if i == 0 {
		return &c.one
	}
	return &c.rare.slots[i-1]
}

// slot returns an admitted request that is not released, nil if there is none.
func (c *counts) slot(i int32, gen uint32) *slot {
	if i != 0 && (i < 0 || c.rare == nil || int(i) > len(c.rare.slots)) {
		return nil
	}
	if s := c.at(i); s.gen == gen && s.state != slotFree {
		return s
	}
	return nil
}

// arrive says that the partner has counted the request by at. It reports whether that was news. answered: the partner's
// own counts, if it reports any, have been observed.
func (c *counts) arrive(i int32, gen uint32, at, now int64, answered bool) bool {
	s := c.slot(i, gen)
	if s == nil || s.state == slotCharged {
		return false
	}
	c.unhold(s, answered)
	s.state = slotCharged
	if at > now {
		c.postpone(at, s.cost, s.low)
		return true
	}
	c.charge(at, s.cost)
	if s.low {
		c.rest().charge(c.p, at, s.cost)
	}
	return true
}

// postpone has a charge begin later.
func (c *counts) postpone(at, cost int64, low bool) {
	r := c.more()
	r.dated = insert(r.dated, charge{at, cost})
	r.late += cost
	if low && r.rest != nil {
		r.rest.dated = insert(r.rest.dated, charge{at, cost})
		r.rest.late += cost
	}
}

// release frees the slot, and refunds what was never said to have arrived. It reports whether that was news.
func (c *counts) release(i int32, gen uint32) bool {
	s := c.slot(i, gen)
	if s == nil {
		return false
	}
	if s.state != slotCharged {
		c.unhold(s, false)
	}
	c.inflight--
	if s.low {
		c.rest().inflight--
	}
	s.state, s.next = slotFree, c.free
	if s.gen++; s.gen == 0 {
		s.gen = 1
	}
	c.free = i
	return true
}

func (c *counts) unhold(s *slot, answered bool) {
	c.held -= s.cost
	if s.low {
		c.rest().held -= s.cost
	}
	if s.state == slotProbe {
		c.probe = probeNeeded // another has to find out
		if answered {
			c.probe = noProbe
		}
	}
}
