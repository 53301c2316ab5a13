package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/adapters/airbnb"
	"github.com/integrationkit/integrationkit/adapters/airbnb/airbnbtest"
	"github.com/integrationkit/integrationkit/adapters/bookingcom"
	"github.com/integrationkit/integrationkit/adapters/bookingcom/bookingcomtest"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds"
	"github.com/integrationkit/integrationkit/adapters/cloudbeds/cloudbedstest"
	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/partnersim"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// entry is what this host knows of one partner. Another partner is another entry.
type entry struct {
	name     string // the driver's
	register func(*driver.Registry) error
	size     size // of the simulated account, where the flags say nothing
	simulate func(simulation) (simulated, error)
	// secrets are the credentials that --live takes from the environment: GUESTY_CLIENT_ID for client_id. account, if not "",
	// is the variable that has the account's id.
	secrets []string
	account string
	// domain is where requests go of an integration that has no base URL.
	domain string
}

// size is how large an account is.
type size struct {
	Resources int `json:"resources"`
	Each      int `json:"transactions_each"`
	Photos    int `json:"photos_each"`
}

// simulation is what a simulated partner is made of.
type simulation struct {
	size
	scale   float64
	latency time.Duration
	faults  []partnersim.Rule
}

// simulated is a simulated partner, ready.
type simulated struct {
	server
	tiers  map[string]ratelimit.Tiers // its limits by the clock on the wall
	change func(share float64, round int, at time.Time)
}

// server is what all simulated partners have.
type server interface {
	Transport() http.RoundTripper
	Report() partnersim.Report
	Integration(id string) driver.Integration
}

// partners is the table. The sizes are such that none takes more than 20 s at its own limits.
var partners = []entry{
	{
		name: guesty.Partner, register: guesty.Register, size: size{2000, 3, 5}, secrets: []string{"client_id", "client_secret"},
		simulate: func(c simulation) (simulated, error) {
			s, err := guestytest.NewServer(guestytest.Config{
				Listings: c.Resources, ReservationsPerListing: c.Each, PhotosPerListing: c.Photos,
				Scale: c.scale, Latency: c.latency, Seed: 1, Faults: c.faults,
			})
			if err != nil {
				return simulated{}, err
			}
			tiers := map[string]ratelimit.Tiers{"guesty/api": s.Limits(), "guesty/token": s.TokenLimits()}
			return simulated{s, tiers, func(share float64, n int, at time.Time) { s.Change(share, n, at) }}, nil
		},
	},
	{
		name: cloudbeds.Partner, register: cloudbeds.Register, size: size{1200, 2, 5}, secrets: []string{"api_key"},
		simulate: func(c simulation) (simulated, error) {
			s, err := cloudbedstest.NewServer(cloudbedstest.Config{
				Properties: c.Resources, ReservationsPerProperty: c.Each, PhotosPerProperty: c.Photos,
				Scale: c.scale, Latency: c.latency, Seed: 1, Faults: c.faults,
			})
			if err != nil {
				return simulated{}, err
			}
			tiers := map[string]ratelimit.Tiers{"cloudbeds/api": s.Limits()}
			return simulated{s, tiers, func(share float64, n int, at time.Time) { s.Change(share, n, at) }}, nil
		},
	},
	{
		name: airbnb.Partner, register: airbnb.Register, size: size{1000, 6, 5},
		secrets: []string{"client_id", "client_secret", "refresh_token"}, account: "AIRBNB_HOST_ID",
		simulate: func(c simulation) (simulated, error) {
			s, err := airbnbtest.NewServer(airbnbtest.Config{
				Listings: c.Resources, ReservationsPerListing: c.Each, PhotosPerListing: c.Photos,
				Scale: c.scale, Latency: c.latency, Seed: 1, Faults: c.faults,
			})
			if err != nil {
				return simulated{}, err
			}
			return simulated{s, s.Tiers(), func(share float64, n int, at time.Time) { s.Change(share, n, at) }}, nil
		},
	},
	{
		// Its reservations come by a queue, with a pause of 5 s after each hundred that no scale shortens.
		name: bookingcom.Partner, register: bookingcom.Register, size: size{40, 6, 5}, secrets: []string{"client_id", "client_secret"},
		account: "BOOKINGCOM_PROPERTY_ID", domain: "booking.com",
		simulate: func(c simulation) (simulated, error) {
			s, err := bookingcomtest.NewServer(bookingcomtest.Config{
				Properties: c.Resources, ReservationsPerProperty: c.Each, PhotosPerProperty: c.Photos,
				Scale: c.scale, Latency: c.latency, Seed: 1, Faults: c.faults,
			})
			if err != nil {
				return simulated{}, err
			}
			tiers := map[string]ratelimit.Tiers{"bookingcom/api": s.Limits("api"), "bookingcom/token": s.Limits("token")}
			return simulated{s, tiers, func(share float64, n int, _ time.Time) { s.Change(share, n) }}, nil
		},
	},
}

// names lists the partners.
func names() (all []string) {
	for _, e := range partners {
		all = append(all, e.name)
	}
	return all
}

// find returns the entry of a partner.
func find(name string) (entry, bool) {
	i := slices.IndexFunc(partners, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, false
	}
	return partners[i], true
}

// partner is one that is imported from.
type partner struct {
	entry
	integration driver.Integration
	sim         *simulated // nil when it is the real one
	latency     time.Duration
}

// host is whom the flags have imported from, and what they share.
type host struct {
	partners  []*partner
	transport http.RoundTripper // nil: the network
	tiers     map[string]ratelimit.Tiers
	keys      *auth.Keys
	remember  func() error // stores what the simulated ones must know in the next run
}

// open returns whom the flags name. Nothing is sent, and nothing written.
func open(o options, env func(string) string) (*host, error) {
	if o.live != "" {
		return live(o, env)
	}
	return simulateAll(o)
}

// envKey is the variable with the key that seals what is stored of a real partner's tokens.
const envKey = "INTEGRATIONKIT_KEY"

// variables returns the environment's variables that --live needs, in the order of the entry's secrets.
func (e entry) variables() (vars []string) {
	for _, name := range e.secrets {
		vars = append(vars, strings.ToUpper(e.name+"_"+name))
	}
	if e.account != "" {
		vars = append(vars, e.account)
	}
	return append(vars, envKey)
}

// live is a real partner, with credentials from the environment.
func live(o options, env func(string) string) (*host, error) {
	e, _ := find(o.live)
	var errs []error
	for _, name := range e.variables() {
		if env(name) == "" {
			errs = append(errs, fmt.Errorf("--live %s: %s is not set", o.live, name))
		}
	}
	key, err := base64.StdEncoding.DecodeString(env(envKey))
	if env(envKey) != "" && (err != nil || len(key) != 32) {
		errs = append(errs, fmt.Errorf("--live %s: %s is not 32 bytes in base64; `head -c 32 /dev/urandom | base64` makes one", o.live, envKey))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	in := driver.Integration{ID: e.name + "-1", Partner: e.name, Credentials: map[string]auth.Secret{}}
	for _, name := range e.secrets {
		in.Credentials[name] = auth.Secret(env(strings.ToUpper(e.name + "_" + name)))
	}
	if e.account != "" {
		in.Account = env(e.account)
	}
	h := &host{partners: []*partner{{entry: e, integration: o.settings(in)}}, remember: func() error { return nil }}
	h.keys, err = auth.NewKeys(auth.Key{ID: "env", Secret: auth.KeyBytes(key)})
	return h, err
}

// simulateAll makes the simulated partners, in this process.
func simulateAll(o options) (*host, error) {
	w, err := loadWorld(o)
	if err != nil {
		return nil, err
	}
	h := &host{tiers: map[string]ratelimit.Tiers{}, remember: func() error { return w.save(worldFile(o.db)) }}
	routes := byHost{}
	for _, name := range o.partners {
		e, _ := find(name)
		account := w[name]
		sim, err := e.simulate(simulation{size: account.size, scale: o.scale, latency: o.latency, faults: o.faults[name]})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i, r := range account.Rounds {
			sim.change(r.Share, i+1, r.At)
		}
		in := sim.Integration(name + "-1")
		domain := e.domain
		if domain == "" {
			base, err := url.Parse(in.BaseURL)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			domain = base.Host
		}
		routes[domain] = sim.Transport()
		for limit, t := range sim.tiers {
			h.tiers[limit] = t
		}
		h.partners = append(h.partners, &partner{
			entry: e, integration: o.settings(in), sim: &sim, latency: time.Duration(float64(o.latency) / o.scale),
		})
	}
	h.transport = routes
	// The simulated partners' credentials are constants in their sources: so may be the key that seals their tokens.
	h.keys, err = auth.NewKeys(auth.Key{ID: "simulated", Secret: auth.KeyBytes([]byte("the key of the simulated partner"))})
	return h, err
}

// settings adds to an integration what the flags say of it.
func (o options) settings(in driver.Integration) driver.Integration {
	if in.Partner == guesty.Partner && o.family != "" {
		in.Settings = map[string]string{"reservations": string(o.family)}
	}
	return in
}

// byHost is a network of simulated partners, by the domain of each.
type byHost map[string]http.RoundTripper

// RoundTrip implements http.RoundTripper.
func (n byHost) RoundTrip(r *http.Request) (*http.Response, error) {
	for domain, t := range n {
		if r.URL.Host == domain || strings.HasSuffix(r.URL.Host, "."+domain) {
			return t.RoundTrip(r)
		}
	}
	if r.Body != nil {
		r.Body.Close()
	}
	return nil, fmt.Errorf("there is no simulated partner at %s", r.URL.Host)
}
