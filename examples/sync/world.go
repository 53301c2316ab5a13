package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/integrationkit/integrationkit/driver"
)

// world is what the simulated partners remember from run to run, beside the database: how large each one's account is and what
// became of it. Its records are made up anew each time.
type world map[string]account

type account struct {
	size
	Rounds []round `json:"rounds,omitempty"`
}

type round struct {
	Share float64   `json:"share"`
	At    time.Time `json:"at"`
}

func worldFile(db string) string { return db + ".partners.json" }

// loadWorld reads what the simulated partners remember, and makes accounts of the flags' size for those that are new; with
// --change each goes through another round.
func loadWorld(o options) (world, error) {
	w := world{}
	name := worldFile(o.db)
	b, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(o.db); err == nil {
			return nil, fmt.Errorf("%s is there, but not %s, which the simulated partners left beside it: use another --db, or remove it", o.db, name)
		}
	case err != nil:
		return nil, err
	default:
		if err := json.Unmarshal(b, &w); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, p := range o.partners {
		e, _ := find(p)
		want := o.sizeOf(e)
		a, known := w[p]
		switch {
		case !known:
			a = account{size: want}
		case o.sized && a.size != want:
			return nil, fmt.Errorf("%s holds an account at %s of %d listings with %d reservations and %d photos each: for one of another size use another --db",
				o.db, p, a.Resources, a.Each, a.Photos)
		}
		if o.change > 0 {
			a.Rounds = append(a.Rounds, round{o.change, time.Now().UTC()})
		}
		w[p] = a
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

// directory is the host's own list of integrations: here one for each partner.
type directory []*partner

// Integration implements driver.Integrations.
func (d directory) Integration(_ context.Context, id string) (driver.Integration, error) {
	for _, p := range d {
		if p.integration.ID == id {
			return p.integration, nil
		}
	}
	return driver.Integration{}, fmt.Errorf("integration %s: %w", id, driver.ErrNotFound)
}

// Integrations implements driver.Integrations.
func (d directory) Integrations(_ context.Context, f driver.Filter) iter.Seq2[driver.Integration, error] {
	return func(yield func(driver.Integration, error) bool) {
		for _, p := range d {
			in := p.integration
			if f.Partner != "" && f.Partner != in.Partner || f.Company != "" && f.Company != in.Company {
				continue
			}
			if !yield(in, nil) {
				return
			}
		}
	}
}
