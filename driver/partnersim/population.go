package partnersim

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// Population is which records of one kind exist, without the records: indexes 0, 1, 2 … and what became of them. What
// it holds grows with the changes, not with the size. It is safe for concurrent use.
type Population struct {
	seed uint64
	size int // at first

	mu      sync.RWMutex
	total   int // indexes ever used
	deleted []int
	revs    map[int]Revision
	rounds  int
}

// Revision is what became of a record.
type Revision struct {
	// Number counts the changes; 0: it is as it was at first.
	Number int
	// At is when it was added or changed last; zero for Number 0.
	At time.Time
}

// Delta counts what changed.
type Delta struct{ Added, Updated, Deleted int }

// NewPopulation returns a population of that size, at most [MaxIndex]; below zero is zero.
func NewPopulation(seed uint64, size int) *Population {
	size = min(max(size, 0), MaxIndex)
	return &Population{seed: seed, size: size, total: size, revs: map[int]Revision{}}
}

// Len returns how many records exist.
func (p *Population) Len() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.total - len(p.deleted)
}

// Total returns how many indexes were ever used: every index is below it.
func (p *Population) Total() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.total
}

// Rounds returns how often the population changed.
func (p *Population) Rounds() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.rounds
}

// At returns the index of the record that has rank others of lower index before it; ok is false beyond the last.
func (p *Population) At(rank int) (index int, ok bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.at(rank)
}

func (p *Population) at(rank int) (int, bool) {
	if rank < 0 || rank >= p.total-len(p.deleted) {
		return 0, false
	}
	// The j-th deleted index has deleted[j]-j living ones below it.
	lo, hi := 0, len(p.deleted)
	for lo < hi {
		if mid := (lo + hi) / 2; p.deleted[mid]-mid <= rank {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return rank + lo, true
}

// Exists says whether the record with the index does.
func (p *Population) Exists(index int) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if index < 0 || index >= p.total {
		return false
	}
	_, dead := slices.BinarySearch(p.deleted, index)
	return !dead
}

// Revision returns what became of the record.
func (p *Population) Revision(index int) Revision {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.revs[index]
}

// Changed returns the indexes of the existing records that were added or updated at or after since, in order.
func (p *Population) Changed(since time.Time) []int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []int
	for i, r := range p.revs {
		if !r.At.Before(since) {
			if _, dead := slices.BinarySearch(p.deleted, i); !dead {
				out = append(out, i)
			}
		}
	}
	slices.Sort(out)
	return out
}

// Change changes a share (0 to 1) of the records at the partner's time at: a third each is added, updated and
// deleted, and at least one each where there are three. Rounds are numbered from 1 and the same round chooses the
// same records of the same population; one that was done already changes nothing. Added records get the next indexes.
func (p *Population) Change(share float64, round int, at time.Time) Delta {
	p.mu.Lock()
	defer p.mu.Unlock()
	alive := p.total - len(p.deleted)
	if round <= p.rounds || !(share > 0) || alive < 3 {
		return Delta{}
	}
	p.rounds = round
	k := min(max(int(math.Round(min(share, 1)*float64(alive)/3)), 1), alive/3)
	add := min(k, MaxIndex-p.total)

	// Ranks are drawn without repetition: start + j*stride modulo alive, the stride having no factor in common with it.
	d := Roll(p.seed, 0xc4a9e, round)
	start, stride := d.Int(0, alive), 1+d.Int(1, alive-1)
	for gcd(stride, alive) != 1 {
		stride = stride%(alive-1) + 1
	}
	chosen := make([]int, 0, 2*k)
	for j := range 2 * k {
		i, _ := p.at(int((uint64(start) + uint64(j)*uint64(stride)) % uint64(alive)))
		chosen = append(chosen, i)
	}
	for _, i := range chosen[:k] {
		delete(p.revs, i)
	}
	for _, i := range chosen[k:] {
		p.revs[i] = Revision{p.revs[i].Number + 1, at}
	}
	p.deleted = append(p.deleted, chosen[:k]...)
	slices.Sort(p.deleted)
	for i := range add {
		p.revs[p.total+i] = Revision{1, at}
	}
	p.total += add
	return Delta{Added: add, Updated: k, Deleted: k}
}

// String describes the population for a test's failure message.
func (p *Population) String() string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return fmt.Sprintf("%d records of %d after %d rounds", p.total-len(p.deleted), p.total, p.rounds)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
