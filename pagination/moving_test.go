package pagination_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/integrationkit/integrationkit/pagination"
)

// moving is a list that changes between its fetches.
type moving struct {
	rows    []string
	stayed  map[string]bool // those that are there since the first fetch
	fetches int
	made    int
	total   bool
	change  func(m *moving)
}

func newMoving(n int, change func(m *moving)) *moving {
	m := &moving{rows: rows(n), stayed: map[string]bool{}, change: change}
	for _, r := range m.rows {
		m.stayed[r] = true
	}
	return m
}

func (m *moving) insert(at int) {
	m.made++
	m.rows = slices.Insert(m.rows, at, fmt.Sprintf("new-%d", m.made))
}

func (m *moving) remove(at int) {
	delete(m.stayed, m.rows[at])
	m.rows = slices.Delete(m.rows, at, at+1)
}

// front is a row that changes, in a list whose newest change comes first.
func (m *moving) front(at int) {
	r := m.rows[at]
	m.rows = slices.Insert(slices.Delete(m.rows, at, at+1), 0, r)
}

func (m *moving) fetch(_ context.Context, from, n int) (pagination.Batch[string], error) {
	if m.fetches++; m.fetches > 1 && m.change != nil {
		m.change(m)
	}
	from = min(from, len(m.rows))
	b := pagination.Batch[string]{Items: slices.Clone(m.rows[from:min(from+n, len(m.rows))])}
	if m.total {
		b.Total = len(m.rows)
	}
	return b, nil
}

// lost reads a stream to its end, in a new run after every few pages, and returns how many of the rows that stayed
// did not come, how many came twice, and what the last page says.
func (m *moving) lost(t *testing.T, perRun int, open func(pagination.Start) pagination.Pages[string]) (lost,
	twice int, incomplete string, err error) {
	t.Helper()
	seen := map[string]int{}
	var c pagination.Cursor
	for {
		items, last, err := read(t, open(pagination.Start{Stream: "s", Cursor: c}), perRun)
		for _, it := range items {
			seen[it]++
			if seen[it] == 2 {
				twice++
			}
		}
		incomplete = last.Incomplete
		if err != nil {
			return 0, twice, incomplete, err
		}
		if c = last.Next; last.Last() {
			break
		}
	}
	for r := range m.stayed {
		if seen[r] == 0 {
			lost++
		}
	}
	return lost, twice, incomplete, nil
}

// churn reads a list of n rows by an offset while up to so many rows come, or runs of rows go, anywhere between two
// fetches. What was there all the time comes, or the stream says that it may not have.
func churn(t *testing.T, seed uint64, n, limit, most int) (complete, changed, loop bool) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	m := newMoving(n, func(m *moving) {
		for range rnd.IntN(most + 1) {
			if changed = true; rnd.IntN(2) == 0 {
				m.insert(rnd.IntN(len(m.rows) + 1))
			} else if len(m.rows) > 0 {
				at := rnd.IntN(len(m.rows))
				for range min(1+rnd.IntN(1+rnd.IntN(12)), len(m.rows)-at) {
					m.remove(at)
				}
			}
		}
	})
	m.total = rnd.IntN(2) == 0
	lost, twice, incomplete, err := m.lost(t, 1+rnd.IntN(4), func(s pagination.Start) pagination.Pages[string] {
		return pagination.Offset(t.Context(), s, limit, self, m.fetch)
	})
	switch {
	case errors.Is(err, pagination.ErrLoop): // as many rows came as there are on a page, and it is the same again
		return false, changed, true
	case err != nil:
		t.Errorf("seed %d: %v", seed, err)
	case lost > 0 && incomplete == "":
		t.Errorf("seed %d: limit %d: %d rows that stayed are lost, and the stream does not say so", seed, limit, lost)
	case !changed && ((incomplete == "") != (limit > 1 || m.fetches == 1) || twice > 0):
		t.Errorf("seed %d: limit %d: nothing changed, but it is incomplete: %q, %d came twice", seed, limit,
			incomplete, twice)
	}
	return incomplete == "", changed, false
}

func TestOffsetOfAMovingList(t *testing.T) {
	const all = 3000
	complete, repaired, loops := 0, 0, 0
	for seed := range uint64(all) {
		rnd := rand.New(rand.NewPCG(seed, 6))
		limit := 1 + rnd.IntN(20)
		whole, changed, loop := churn(t, seed, rnd.IntN(150), limit, rnd.IntN(4))
		if whole {
			complete++
		}
		if whole && changed {
			repaired++
		}
		if loop && limit > 4 { // with fewer it is likely
			loops++
		}
	}
	if repaired < all/4 || complete == all || loops > all/50 {
		t.Errorf("of %d moving lists %d are complete, %d of them although they changed, and %d loop", all, complete,
			repaired, loops)
	}
}

func FuzzOffset(f *testing.F) {
	f.Add(uint64(1), uint8(100), uint8(10), uint8(2))
	f.Add(uint64(2), uint8(20), uint8(1), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, n, limit, most uint8) {
		churn(t, seed, int(n), 1+int(limit%40), int(most%12))
	})
}

// One row for each page goes, and as many come: no total says so. Nothing is lost, and it costs little.
func TestOffsetGoesBack(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(m *moving)
		fetches  int
		complete bool
	}{
		{"nothing", func(*moving) {}, 11, true},
		{"rows come", func(m *moving) { m.insert(0) }, 11, true},
		{"one goes once", func(m *moving) {
			if m.fetches == 3 {
				m.remove(0)
				m.insert(len(m.rows))
			}
		}, 12, true},
		{"one goes behind", func(m *moving) { m.remove(len(m.rows) - 1); m.insert(len(m.rows)) }, 11, true},
		{"seventy go", func(m *moving) {
			for range 70 {
				if m.fetches == 6 {
					m.remove(0)
				}
			}
		}, 12, true},
		{"the last row that was read goes", func(m *moving) {
			if m.fetches == 2 {
				m.remove(99)
			}
		}, 12, true},
		{"all that was read goes", func(m *moving) {
			for range 100 {
				if m.fetches == 2 {
					m.remove(0)
				}
			}
		}, 12, false},
		{"everything goes", func(m *moving) {
			for len(m.rows) > 0 {
				m.remove(0)
			}
		}, 4, true},
	} {
		m := newMoving(1000, c.change)
		lost, _, incomplete, err := m.lost(t, -1, func(s pagination.Start) pagination.Pages[string] {
			return pagination.Offset(t.Context(), s, 100, self, m.fetch)
		})
		if err != nil || lost > 0 && c.complete || (incomplete == "") != c.complete || m.fetches > c.fetches+1 {
			t.Errorf("%s: %d lost, %q, %v after %d fetches, want at most %d", c.name, lost, incomplete, err,
				m.fetches, c.fetches+1)
		}
	}
	// However much moves, what is read again is bounded.
	m := newMoving(4000, func(m *moving) {
		rand.Shuffle(len(m.rows), func(i, k int) { m.rows[i], m.rows[k] = m.rows[k], m.rows[i] })
	})
	if _, _, incomplete, err := m.lost(t, 3, func(s pagination.Start) pagination.Pages[string] {
		return pagination.Offset(t.Context(), s, 10, self, m.fetch)
	}); err != nil || incomplete == "" || m.fetches > 401+pagination.MaxBack+100 {
		t.Errorf("shuffled each time: %q, %v after %d fetches", incomplete, err, m.fetches)
	}
}

func TestRowsWithoutIDsAreDoubted(t *testing.T) {
	none := func(string) string { return "" }
	for _, c := range []struct {
		name    string
		fetches int
		open    func(m *moving, s pagination.Start) pagination.Pages[string]
	}{
		{"offset", 3, func(m *moving, s pagination.Start) pagination.Pages[string] {
			return pagination.Offset(t.Context(), s, 10, none, m.fetch)
		}},
		{"number", 4, func(m *moving, s pagination.Start) pagination.Pages[string] {
			return pagination.Number(t.Context(), s, 0, 10, none, func(ctx context.Context, page,
				size int) (pagination.Batch[string], error) {
				return m.fetch(ctx, page*size, size)
			})
		}},
	} {
		m := newMoving(25, nil)
		lost, twice, incomplete, err := m.lost(t, 1, func(s pagination.Start) pagination.Pages[string] {
			return c.open(m, s)
		})
		if lost+twice > 0 || incomplete == "" || err != nil || m.fetches != c.fetches {
			t.Errorf("%s: %d lost, %d twice, %q, %v after %d fetches", c.name, lost, twice, incomplete, err,
				m.fetches)
		}
	}
}

// Rows come and go between two pages, but not between a page and the look at the one before.
func TestNumberOfAMovingList(t *testing.T) {
	complete, silent := 0, 0
	for seed := range uint64(1500) {
		rnd := rand.New(rand.NewPCG(seed, 8))
		size, churn := 1+rnd.IntN(20), rnd.IntN(3)
		m := newMoving(rnd.IntN(120), nil)
		m.total = rnd.IntN(2) == 0
		next := -1
		fetch := func(ctx context.Context, page, size int) (pagination.Batch[string], error) {
			if page > next && next >= 0 {
				for range rnd.IntN(churn + 1) {
					m.insert(rnd.IntN(len(m.rows) + 1))
					m.remove(rnd.IntN(len(m.rows)))
				}
			}
			next = max(next, page)
			return m.fetch(ctx, page*size, size)
		}
		lost, _, incomplete, err := m.lost(t, 1+rnd.IntN(4), func(s pagination.Start) pagination.Pages[string] {
			return pagination.Number(t.Context(), s, 0, size, self, fetch)
		})
		switch {
		case err == nil && lost > 0 && incomplete == "":
			t.Errorf("seed %d: size %d: %d rows that stayed are lost, and the stream does not say so", seed, size, lost)
		case err == nil && incomplete == "":
			complete++
		case lost > 0:
			silent++
		}
	}
	if complete < 300 || silent == 0 {
		t.Errorf("%d lists complete, %d that lost rows", complete, silent)
	}
}

// Rows change and come to the front between any two fetches.
func TestNewestOfAMovingList(t *testing.T) {
	complete, saved := 0, 0
	for seed := range uint64(1500) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		size, churn := 10+rnd.IntN(20), rnd.IntN(4)
		moved := false
		m := newMoving(rnd.IntN(150), func(m *moving) {
			for range rnd.IntN(churn + 1) {
				if moved = true; rnd.IntN(4) == 0 || len(m.rows) == 0 {
					m.insert(0)
				} else {
					m.front(rnd.IntN(len(m.rows)))
				}
			}
		})
		m.total = rnd.IntN(2) == 0
		lost, twice, incomplete, err := m.lost(t, 1+rnd.IntN(4), func(s pagination.Start) pagination.Pages[string] {
			return pagination.Newest(t.Context(), s, 1, size, self, func(ctx context.Context, page,
				size int) (pagination.Batch[string], error) {
				return m.fetch(ctx, (page-1)*size, size)
			})
		})
		switch {
		case err != nil || lost > 0 && incomplete == "" || !moved && (incomplete != "" || twice > 0):
			t.Errorf("seed %d: size %d: %d lost, %d twice, %q, %v", seed, size, lost, twice, incomplete, err)
		case incomplete == "":
			if complete++; moved {
				saved++
			}
		}
	}
	if saved < 200 {
		t.Errorf("%d lists complete, %d of them although rows moved", complete, saved)
	}
}
