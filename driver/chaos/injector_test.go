package chaos_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/integrationkit/integrationkit/driver/chaos"
)

var mixed = []chaos.Rule{{Kind: "429", Rate: 0.2}, {Kind: "503", Rate: 0.1, Endpoint: "/b*", Count: 2},
	{Kind: chaos.HTML, Rate: 0.1, After: 1}}

// fates makes 40 requests each of 50 identities in the order of a shuffle, with so many goroutines, and returns how
// often each met what.
func fates(t *testing.T, seed, shuffle uint64, goroutines int) map[string]int {
	t.Helper()
	got := map[string]int{}
	var mu sync.Mutex
	in, err := chaos.New(chaos.Config{Rules: mixed, Seed: seed, OnFault: func(r *http.Request, f chaos.Fault) {
		mu.Lock()
		defer mu.Unlock()
		got[fmt.Sprint(r.URL.Path, " ", f.Nth, " ", f.Kind, " ", f.Rule)]++
	}})
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for i := range 2000 {
		path := "a"
		if i%2 == 0 {
			path = "b"
		}
		urls = append(urls, fmt.Sprintf("https://a.example/%s%d", path, i%50))
	}
	rng := rand.New(rand.NewPCG(shuffle, 1))
	rng.Shuffle(len(urls), func(i, j int) { urls[i], urls[j] = urls[j], urls[i] })
	rt := in.Wrap(partner{})
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < len(urls); i += goroutines {
				send(t, rt, "GET", urls[i])
			}
		})
	}
	wg.Wait()
	r := in.Report()
	total := 0
	for _, n := range r.Faults {
		total += n
	}
	if r.Calls != 2000 || total != len(got) || r.Struck != total || r.ByRule[0] != r.Faults["429"] ||
		len(r.ByRule) != 3 {
		t.Errorf("the report %+v does not fit %d faults", r, len(got))
	}
	return got
}

// The same seed and requests meet the same faults in whatever order, and with however many goroutines.
func TestReproducible(t *testing.T) {
	want := fates(t, 7, 1, 1)
	if len(want) < 300 || len(want) > 700 {
		t.Fatalf("%d of 2000 requests were struck", len(want))
	}
	for shuffle := range uint64(4) {
		if got := fates(t, 7, shuffle, 16); !maps.Equal(got, want) {
			t.Errorf("in another order, with 16 goroutines: %d faults, of which not all are the %d", len(got),
				len(want))
		}
	}
	if got := fates(t, 8, 1, 1); maps.Equal(got, want) {
		t.Error("another seed meets the same faults")
	}
}

func TestRates(t *testing.T) {
	in := injector(t, chaos.Rule{Kind: "503", Rate: 0.02}, chaos.Rule{Kind: "500", Rate: 0.5, Endpoint: "/same"})
	rt := in.Wrap(partner{})
	for i := range 10_000 {
		send(t, rt, "GET", fmt.Sprint("https://a.example/", i))
		send(t, rt, "GET", "https://a.example/same")
	}
	if r := in.Report(); r.Faults["503"] < 300 || r.Faults["503"] > 500 || r.Faults["500"] < 4600 ||
		r.Faults["500"] > 5200 {
		t.Errorf("of 20,000 at 2 %% and 10,000 at 50 %%: %v", r.Faults)
	}
}

// The order of a query's parameters makes no difference; their values, the method and the host do.
func TestIdentity(t *testing.T) {
	nths := func(identity func(*http.Request) string, requests ...[2]string) (got []int) {
		in, err := chaos.New(chaos.Config{Rules: []chaos.Rule{{Kind: "503"}}, Identity: identity,
			OnFault: func(_ *http.Request, f chaos.Fault) { got = append(got, f.Nth) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			send(t, in.Wrap(partner{}), r[0], r[1])
		}
		return got
	}
	requests := [][2]string{
		{"GET", "https://a.example/?x=1&y=2"}, {"GET", "https://a.example/?y=2&x=1"},
		{"GET", "https://a.example/?y=2&x=2"},
		{"GET", "https://b.example/?x=1&y=2"}, {"PUT", "https://a.example/?x=1&y=2"},
		{"GET", "https://A.example/?x=1&y=2"}, {"GET", "https://a.example/?x=%&y"},
	}
	if got, want := nths(nil, requests...), []int{1, 2, 1, 1, 1, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("the requests are the %v of their identity, want %v", got, want)
	}
	if got, want := nths(func(r *http.Request) string { return r.Method }, requests...), []int{1, 2, 3, 4, 1, 5,
		6}; !slices.Equal(got, want) {
		t.Errorf("by method alone they are the %v, want %v", got, want)
	}
}

// A long run does not fill the memory: beyond 65,536 identities counting begins anew, and no request meets one fate
// for ever.
func TestManyIdentities(t *testing.T) {
	var nths []int
	id := ""
	in, err := chaos.New(chaos.Config{
		Rules:    []chaos.Rule{{Kind: "503", Rate: 0.5, Endpoint: "/again"}},
		Identity: func(r *http.Request) string { return id },
		OnFault:  func(_ *http.Request, f chaos.Fault) { nths = append(nths, f.Nth) },
	})
	if err != nil {
		t.Fatal(err)
	}
	rt := in.Wrap(partner{})
	again, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/again", nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	before, after := heap(), uint64(0)
	for epoch := range 8 {
		id = "again"
		if _, err := rt.RoundTrip(again); err != nil {
			t.Fatal(err)
		}
		for i := range 1 << 16 {
			id = fmt.Sprint(epoch, "/", i)
			if _, err := rt.RoundTrip(other); err != nil {
				t.Fatal(err)
			}
		}
		after = heap()
	}
	if len(nths) == 0 || len(nths) == 8 || slices.Max(nths) > 1 {
		t.Errorf("of eight first requests, these were struck: %v", nths)
	}
	if after > before+8<<20 {
		t.Errorf("the heap grew by %d KiB", (after-before)>>10)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkWrap(b *testing.B) {
	in := injector(b, chaos.Rule{Kind: "503", Rate: 0.0001, Endpoint: "/x/*"},
		chaos.Rule{Kind: chaos.Lost, Rate: 0.0001})
	rt := in.Wrap(partner{})
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "https://a.example/x/7?limit=100&offset=200",
		nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if resp, err := rt.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
}
