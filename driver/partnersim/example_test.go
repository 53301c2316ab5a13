package partnersim_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// Acme rents boats. Its API has one list, pages by number, wants a key, allows 5 requests a second for each marina,
// and says in a 200 when something went wrong. This is the whole of its simulated partner.
type Acme struct {
	*partnersim.Server
	cfg   AcmeConfig
	boats *partnersim.Population
}

// AcmeConfig describes a simulated Acme account.
type AcmeConfig struct {
	Boats   int
	Scale   float64
	Latency time.Duration
	Seed    uint64
	Faults  []partnersim.Rule
}

const (
	acmeKey  = "simulated-key"
	kindBoat = 1
)

// Fields of the dice of a boat.
const (
	fieldSize = iota
	fieldName
	fieldMarina
)

// NewAcme returns a simulated Acme account.
func NewAcme(c AcmeConfig) (*Acme, error) {
	if c.Boats < 0 {
		return nil, errors.New("acmetest: Boats is negative")
	}
	a := &Acme{cfg: c, boats: partnersim.NewPopulation(c.Seed, c.Boats)}
	var err error
	a.Server, err = partnersim.New(partnersim.Config{
		Name:    "acme",
		Handler: http.HandlerFunc(a.handle),
		Tiers:   ratelimit.Tiers{{Requests: 5, Per: time.Second}},
		Key:     func(r *http.Request) string { return r.Header.Get("X-Marina") },
		Scale:   c.Scale, Latency: c.Latency, Seed: c.Seed, Faults: c.Faults,
		Refuse: func(w http.ResponseWriter, _ *http.Request, status int) {
			acmeError(w, status, http.StatusText(status))
		},
		Answers: map[string]http.Handler{ // a rule of the kind x-failure
			"failure": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				acmeError(w, http.StatusOK,
					"try again")
			}),
		},
	})
	return a, err
}

// acmeError writes an error as Acme does.
func acmeError(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"success": false, "message": text})
}

type boat struct {
	ID      string    `json:"boatID"`
	Name    string    `json:"name"`
	Marina  string    `json:"marina"`
	Metres  int       `json:"metres"`
	Changed time.Time `json:"changed,omitzero"`
}

// boat makes up the boat with the index.
func (a *Acme) boat(index int) boat {
	d := partnersim.Roll(a.cfg.Seed, kindBoat, index)
	rev := a.boats.Revision(index)
	return boat{
		ID: partnersim.HexID(a.cfg.Seed, kindBoat, index),
		Name: fmt.Sprintf("%s %d", partnersim.Pick(d, fieldName, []string{"Gull", "Heron", "Tern"}),
			index+rev.Number*1000),
		Marina:  partnersim.Pick(d, fieldMarina, []string{"north", "south"}),
		Metres:  6 + d.Int(fieldSize, 20),
		Changed: rev.At,
	}
}

func (a *Acme) handle(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Header.Get("X-Api-Key") != acmeKey:
		acmeError(w, http.StatusUnauthorized, "unknown key")
		return
	case r.URL.Path != "/boats":
		a.Note("%s %s: no such endpoint", r.Method, r.URL.Path)
		acmeError(w, http.StatusNotFound, "not found")
		return
	}
	a.Params(r, "page")
	page, _ := strconv.Atoi(r.URL.Query().Get("page")) // anything else than a number is the first page
	const size = 20
	boats := []boat{}
	for rank := page * size; rank < (page+1)*size; rank++ {
		if i, ok := a.boats.At(rank); ok {
			boats = append(boats, a.boat(i))
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"success": true, "data": boats, "total": a.boats.Len()})
}

// A simulated partner in about a hundred lines, and a client that reads it.
func Example_newPartner() {
	faults, err := partnersim.ParseFaults("x-failure;after=1;count=1")
	if err != nil {
		fmt.Println(err)
		return
	}
	acme, err := NewAcme(AcmeConfig{Boats: 50, Scale: 60, Faults: faults})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer acme.Close()
	client := &http.Client{Transport: acme.Transport()}
	page := func(n int) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet,
			"https://api.acme.example/boats?page="+strconv.Itoa(n), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("X-Api-Key", acmeKey)
		resp, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		var out struct {
			Success bool
			Data    []boat
			Message string
		}
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d success=%v boats=%d %q\n", resp.StatusCode, out.Success, len(out.Data), out.Message)
	}
	page(0)
	page(1) // the fault strikes
	page(1)
	page(2)
	r := acme.Report()
	fmt.Println(r.Requests, "requests,", r.Violations, "violations, faults", r.Faults)
	fmt.Println("give the driver", acme.Limits("api")[0].Requests, "requests per",
		acme.Limits("api")[0].Per.Round(time.Millisecond))
	// Output:
	// 200 success=true boats=20 ""
	// 200 success=false boats=0 "try again"
	// 200 success=true boats=20 ""
	// 200 success=true boats=10 ""
	// 4 requests, 0 violations, faults map[x-failure:1]
	// give the driver 5 requests per 17ms
}

// A partner refuses what comes too soon, and its ledger remembers.
func ExampleServer_Report() {
	s, err := partnersim.New(partnersim.Config{
		Name: "acme", Tiers: ratelimit.Tiers{{Requests: 2, Per: time.Hour}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	client := &http.Client{Transport: s.Transport()}
	for range 3 {
		resp, err := client.Get("https://api.acme.example/")
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Printf("%d %q\n", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	r := s.Report()
	fmt.Printf("%d violation; at worst %d of %d, use %.0f %%\n", r.Violations, r.Tiers[0].Worst,
		r.Tiers[0].Tier.Requests, 100*r.Tiers[0].Share)
	// Output:
	// 200 ""
	// 200 ""
	// 429 "3600"
	// 1 violation; at worst 3 of 2, use 100 %
}

// Faults are written as people type them.
func ExampleParseFaults() {
	rules, err := partnersim.ParseFaults("429:2%;retry=none, outage;from=30s;until=1m")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range rules {
		fmt.Println(r)
	}
	_, err = partnersim.ParseFaults("429:2,flood")
	fmt.Println(err)
	// Output:
	// 429:0.02;retry=none
	// outage;from=30s;until=1m0s
	// fault "429:2": the rate is "2", want a number above 0 and up to 1, or a percentage
	// fault "flood": unknown kind "flood"; known are a status from 400 to 599 and 429, reset, outage, lost, timeout, slow, cut, html, malformed, empty, bom, control, revoke
}
