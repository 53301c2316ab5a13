package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/adapters/guesty/guestytest"
	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/ratelimit"
)

// partner is who is imported from.
type partner struct {
	title       string
	integration driver.Integration
	transport   http.RoundTripper // nil: the network
	tiers       map[string]ratelimit.Tiers
	keys        *auth.Keys
	sim         *guestytest.Server // nil when it is the real one
	latency     time.Duration      // of the simulated one, scaled
	remember    func() error       // stores what the simulated one must know in the next run
}

// open returns the partner that the flags name. Nothing is sent, and nothing written.
func open(o options, env func(string) string) (*partner, error) {
	if o.live != "" {
		return live(o, env)
	}
	return simulated(o)
}

// live is the real partner, with credentials from the environment.
func live(o options, env func(string) string) (*partner, error) {
	var errs []error
	for _, name := range []string{envClient, envSecret, envKey} {
		if env(name) == "" {
			errs = append(errs, fmt.Errorf("--live guesty: %s is not set", name))
		}
	}
	key, err := base64.StdEncoding.DecodeString(env(envKey))
	if env(envKey) != "" && (err != nil || len(key) != 32) {
		errs = append(errs, fmt.Errorf("--live guesty: %s is not 32 bytes in base64; `head -c 32 /dev/urandom | base64` makes one", envKey))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	cfg := guesty.Config{
		ClientID: auth.Secret(env(envClient)), ClientSecret: auth.Secret(env(envSecret)), Reservations: o.family,
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &partner{title: "Guesty", integration: cfg.Integration(integrations), remember: func() error { return nil }}
	p.keys, err = auth.NewKeys(auth.Key{ID: "env", Secret: auth.KeyBytes(key)})
	return p, err
}

// world is what the simulated partner remembers from run to run, beside the database: how large its account is and
// what became of it. Its records are made up anew each time.
type world struct {
	Listings     int     `json:"listings"`
	Reservations int     `json:"reservations_per_listing"`
	Photos       int     `json:"photos_per_listing"`
	Rounds       []round `json:"rounds,omitempty"`
}

type round struct {
	Share float64   `json:"share"`
	At    time.Time `json:"at"`
}

func worldFile(db string) string { return db + ".partner.json" }

// simulated is a Guesty account in this process.
func simulated(o options) (*partner, error) {
	w, err := loadWorld(o)
	if err != nil {
		return nil, err
	}
	sim, err := guestytest.NewServer(guestytest.Config{
		Listings: w.Listings, ReservationsPerListing: w.Reservations, PhotosPerListing: w.Photos,
		Scale: o.scale, Latency: o.latency, Seed: 1, Faults: o.faults,
	})
	if err != nil {
		return nil, err
	}
	for i, r := range w.Rounds {
		sim.Change(r.Share, i+1, r.At)
	}
	p := &partner{
		title: "simulated Guesty account", integration: sim.Integration(integrations), transport: sim.Transport(), sim: sim,
		tiers:    map[string]ratelimit.Tiers{"guesty/api": sim.Limits(), "guesty/token": sim.TokenLimits()},
		latency:  time.Duration(float64(o.latency) / o.scale),
		remember: func() error { return w.save(worldFile(o.db)) },
	}
	if o.family != "" {
		p.integration.Settings = map[string]string{"reservations": string(o.family)}
	}
	// The simulated partner's credentials are constants in its source: so may be the key that seals its tokens.
	p.keys, err = auth.NewKeys(auth.Key{ID: "simulated", Secret: auth.KeyBytes([]byte("the key of the simulated partner"))})
	return p, err
}

// loadWorld reads what the simulated partner remembers, or makes a new world of the flags' size; with --change it goes through another
// round.
func loadWorld(o options) (world, error) {
	w := world{Listings: o.listings, Reservations: o.perListing, Photos: o.photos}
	name := worldFile(o.db)
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(o.db); err == nil {
			return w, fmt.Errorf("%s is there, but not %s, which the simulated partner left beside it: use another --db, or remove it", o.db, name)
		}
	case err != nil:
		return w, err
	default:
		known := world{}
		if err := json.Unmarshal(b, &known); err != nil {
			return w, fmt.Errorf("%s: %w", name, err)
		}
		if o.sized && (known.Listings != w.Listings || known.Reservations != w.Reservations || known.Photos != w.Photos) {
			return w, fmt.Errorf("%s holds an account of %d listings with %d reservations and %d photos each: for one of another size use another --db",
				o.db, known.Listings, known.Reservations, known.Photos)
		}
		w = known
	}
	if o.change > 0 {
		w.Rounds = append(w.Rounds, round{o.change, time.Now().UTC()})
	}
	return w, nil
}

// save replaces the file as a whole.
func (w world) save(name string) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// directory is the host's own list of integrations: here there is one.
type directory []driver.Integration

// Integration implements driver.Integrations.
func (d directory) Integration(_ context.Context, id string) (driver.Integration, error) {
	for _, in := range d {
		if in.ID == id {
			return in, nil
		}
	}
	return driver.Integration{}, fmt.Errorf("integration %s: %w", id, driver.ErrNotFound)
}

// Integrations implements driver.Integrations.
func (d directory) Integrations(_ context.Context, f driver.Filter) iter.Seq2[driver.Integration, error] {
	return func(yield func(driver.Integration, error) bool) {
		for _, in := range d {
			if f.Partner != "" && f.Partner != in.Partner || f.Company != "" && f.Company != in.Company {
				continue
			}
			if !yield(in, nil) {
				return
			}
		}
	}
}
