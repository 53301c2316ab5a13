package partnersim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// The population against a list that is really held.
func TestPopulationAgainstAList(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		size := rng.IntN(60)
		p := partnersim.NewPopulation(seed, size)
		var alive []int
		for i := range size {
			alive = append(alive, i)
		}
		at := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
		for round := 1; round <= 5; round++ {
			at = at.Add(time.Hour)
			before, total, share := slices.Clone(alive), p.Total(), rng.Float64()
			d := p.Change(share, round, at)
			if again := p.Change(share, round, at); again != (partnersim.Delta{}) {
				t.Fatalf("seed %d: round %d a second time: %+v", seed, round, again)
			}
			alive = nil
			for rank := range p.Len() {
				i, ok := p.At(rank)
				if !ok {
					t.Fatalf("seed %d: no record of rank %d of %d", seed, rank, p.Len())
				}
				alive = append(alive, i)
			}
			if !slices.IsSorted(alive) || len(slices.Compact(slices.Clone(alive))) != len(alive) {
				t.Fatalf("seed %d: ranks out of order: %v", seed, alive)
			}
			var got partnersim.Delta
			for i := range p.Total() {
				_, was := slices.BinarySearch(before, i)
				_, is := slices.BinarySearch(alive, i)
				if p.Exists(i) != is {
					t.Fatalf("seed %d: Exists(%d) is %v, but in the list: %v", seed, i, p.Exists(i), is)
				}
				switch changed := p.Revision(i).At.Equal(at); {
				case was && !is:
					got.Deleted++
				case !was && is:
					got.Added++
					if i < total {
						t.Errorf("seed %d: index %d is used again", seed, i)
					}
				case was && changed:
					got.Updated++
				}
			}
			if got != d {
				t.Errorf("seed %d, round %d: said %+v, did %+v", seed, round, d, got)
			}
			if want := int(math.Round(share * float64(len(before)) / 3)); len(before) >= 3 && want > 0 &&
				(d.Added != want && d.Added != len(before)/3 || d.Deleted != d.Added || d.Updated != d.Added) {
				t.Errorf("seed %d: %v of %d: %+v", seed, share, len(before), d)
			}
			changed := p.Changed(at)
			if len(changed) != d.Added+d.Updated || !slices.IsSorted(changed) {
				t.Errorf("seed %d: changed %v after %+v", seed, changed, d)
			}
		}
		if _, ok := p.At(p.Len()); ok {
			t.Error("there is a record beyond the last")
		}
		if _, ok := p.At(-1); ok || p.Exists(-1) || p.Exists(p.Total()) {
			t.Error("there are records outside")
		}
	}
}

func TestChangeIsTheSameForTheSameSeed(t *testing.T) {
	at := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	run := func(seed uint64) []int {
		p := partnersim.NewPopulation(seed, 1000)
		p.Change(0.05, 1, at)
		p.Change(0.05, 2, at.Add(time.Hour))
		return p.Changed(at)
	}
	if !slices.Equal(run(1), run(1)) {
		t.Error("the same seed changes other records")
	}
	if slices.Equal(run(1), run(2)) {
		t.Error("another seed changes the same records")
	}
	if d := partnersim.NewPopulation(1, 2).Change(1, 1, at); d != (partnersim.Delta{}) {
		t.Errorf("two records: %+v", d)
	}
	if d := partnersim.NewPopulation(1, 3).Change(0.01, 1, at); d != (partnersim.Delta{Added: 1, Updated: 1,
		Deleted: 1}) {
		t.Errorf("three records: %+v", d)
	}
	if d := partnersim.NewPopulation(1, 300).Change(math.NaN(), 1, at); d != (partnersim.Delta{}) {
		t.Errorf("a share that is no number: %+v", d)
	}
}

func TestDice(t *testing.T) {
	d := partnersim.Roll(1, 2, 3)
	if again := partnersim.Roll(1, 2, 3); d != again || d.Uint64(4) != again.Uint64(4) {
		t.Error("the same record has other values")
	}
	seen := map[uint64]bool{}
	for seed := range uint64(5) {
		for kind := range uint64(5) {
			for index := range 5 {
				for field := range 5 {
					seen[partnersim.Roll(seed, kind, index).Uint64(field)] = true
				}
			}
		}
	}
	if len(seen) != 625 {
		t.Errorf("%d different values of 625", len(seen))
	}
	var sum float64
	counts := make([]int, 4)
	for i := range 10000 {
		d := partnersim.Roll(7, 1, i)
		f := d.Float(0)
		if f < 0 || f >= 1 {
			t.Fatalf("Float: %v", f)
		}
		sum += f
		counts[partnersim.Pick(d, 1, []int{0, 1, 2, 3})]++
	}
	if sum < 4850 || sum > 5150 {
		t.Errorf("the mean is %v", sum/10000)
	}
	for i, n := range counts {
		if n < 2300 || n > 2700 {
			t.Errorf("choice %d was picked %d times of 10000", i, n)
		}
	}
	if d.Int(0, 0) != 0 || d.Int(0, -1) != 0 {
		t.Error("Int without a range is not 0")
	}
}

func TestHexIDTurnsBack(t *testing.T) {
	last := ""
	for _, i := range []int{0, 1, 2, 255, 65536, partnersim.MaxIndex} {
		id := partnersim.HexID(9, 3, i)
		if len(id) != 24 || id <= last {
			t.Errorf("id of %d is %q after %q", i, id, last)
		}
		last = id
		if got, ok := partnersim.HexIndex(9, 3, id); !ok || got != i {
			t.Errorf("index of %q: %d, %v", id, got, ok)
		}
		for _, other := range []string{partnersim.HexID(8, 3, i), partnersim.HexID(9, 4, i), id[:23], id[:23] + "g",
			"", "ffff" + id[4:]} {
			if _, ok := partnersim.HexIndex(9, 3, other); ok {
				t.Errorf("%q is taken for an id", other)
			}
		}
	}
}

func FuzzHexIndex(f *testing.F) {
	f.Add(partnersim.HexID(1, 2, 3))
	f.Add("")
	f.Add("65924080020000000000+00001")
	f.Fuzz(func(t *testing.T, id string) {
		if i, ok := partnersim.HexIndex(1, 2, id); ok && partnersim.HexID(1, 2, i) != id {
			t.Errorf("%q is the id of %d, whose id is %q", id, i, partnersim.HexID(1, 2, i))
		}
	})
}
