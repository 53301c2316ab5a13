package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// options are what the command line says.
type options struct {
	partners    []string // by name, in the order of the table
	size        size     // -1: the partner's own
	sized       bool     // one of the three was given
	scale       float64
	latency     time.Duration
	db          string
	change      float64                      // share of the records that the simulated partners change before the import
	faults      map[string][]partnersim.Rule // by partner
	incremental bool
	family      guesty.Family // "": the driver's default
	live        string
	plain       bool
}

const usage = `sync imports everything from several partners into a SQLite database, side by side, each at its own limits, and shows it.

Without flags the partners are simulated in the same process: nothing but Go is needed, nothing leaves the machine.
Run it again: it says that nothing changed. Stop it with Ctrl-C and run it again: it goes on where it was.

usage: go run ./examples/sync [flags]

  --partners LIST    which partners to import from, such as guesty,airbnb (default all: %s)
  --listings N       listings that each simulated account has (default: what takes no more than 20 s)
  --reservations N   reservations of each listing
  --photos N         photos of each listing
  --scale F          how much faster than real the simulated partners' time runs, 1 to 60 (default 60):
                     windows, latencies and token lifetimes alike
  --latency D        the simulated partners' latency, before scaling (default 120ms)
  --change P         change a share of the accounts first, such as 5%% (a third each added, updated, deleted)
  --faults SPEC      make the simulated partners misbehave: kind:rate,… such as 429:2%%,reset:1%%,500:2%%, or
                     outage;from=2m;until=5m by the partner's clock; airbnb=SPEC is for one of them; may be repeated
  --incremental      ask only for what changed since the last complete run, where the partner can tell
  --reservations-api v3|classic
                     which of Guesty's two families of endpoints to read reservations from (default v3); only classic
                     can tell what changed
  --db FILE          the database (default sync.db)
  --live PARTNER     use the real partner, with its credentials and INTEGRATIONKIT_KEY (32 random bytes in base64, which seal
                     the stored token) from the environment:
%s  --plain            plain lines instead of bars, also on a terminal
  --help             this text
`

// help returns the usage with what the table says.
func help() string {
	var live strings.Builder
	for _, e := range partners {
		fmt.Fprintf(&live, "                       %s: %s\n", e.name, strings.Join(e.variables(), ", "))
	}
	return fmt.Sprintf(usage, strings.Join(names(), ","), live.String())
}

// errHelp says that the help was asked for and printed.
var errHelp = errors.New("help")

// parseFlags reads the command line. The error names everything that is wrong with it.
func parseFlags(args []string, out io.Writer) (options, error) {
	o := options{faults: map[string][]partnersim.Rule{}}
	var change, family, list string
	var faults []string
	fs := flag.NewFlagSet("sync", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&list, "partners", "", "")
	fs.IntVar(&o.size.Resources, "listings", -1, "")
	fs.IntVar(&o.size.Each, "reservations", -1, "")
	fs.IntVar(&o.size.Photos, "photos", -1, "")
	fs.Float64Var(&o.scale, "scale", 60, "")
	fs.DurationVar(&o.latency, "latency", 120*time.Millisecond, "")
	fs.StringVar(&o.db, "db", "sync.db", "")
	fs.StringVar(&change, "change", "", "")
	fs.Func("faults", "", func(s string) error { faults = append(faults, s); return nil })
	fs.BoolVar(&o.incremental, "incremental", false, "")
	fs.StringVar(&family, "reservations-api", "", "")
	fs.StringVar(&o.live, "live", "", "")
	fs.BoolVar(&o.plain, "plain", false, "")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, help())
		return o, errHelp
	} else if err != nil {
		return o, fmt.Errorf("%w\n\nrun with --help for the flags", err)
	}

	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, extra := range fs.Args() {
		bad("%q: there are flags only", extra)
	}
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "listings" || f.Name == "reservations" || f.Name == "photos" {
			o.sized = true
			if strings.HasPrefix(f.Value.String(), "-") {
				bad("--%s: not below 0", f.Name)
			}
		}
	})
	o.partners = names()
	if list != "" {
		asked := strings.Split(list, ",")
		for _, name := range asked {
			if _, ok := find(name); !ok {
				bad("--partners: %q is none of %s", name, strings.Join(names(), ", "))
			}
		}
		o.partners = slices.DeleteFunc(o.partners, func(name string) bool { return !slices.Contains(asked, name) })
	}
	switch o.family = guesty.Family(family); o.family {
	case "", guesty.V3, guesty.Classic:
	default:
		bad("--reservations-api %q: v3 or classic", family)
	}
	if !(o.scale >= 1 && o.scale <= 60) {
		bad("--scale %v: from 1 to 60", o.scale)
	}
	if o.latency < 0 {
		bad("--latency %v: not below 0", o.latency)
	}
	if o.db == "" {
		bad("--db: a file name")
	}
	if o.live != "" {
		if _, ok := find(o.live); !ok {
			bad("--live %q: there are %s", o.live, strings.Join(names(), ", "))
		}
		if o.change != 0 || change != "" || len(faults) > 0 || o.sized || list != "" {
			bad("--partners, --change, --faults and the size of the account are for simulated partners, not for --live")
		}
		o.scale = 1
	}
	if change != "" {
		p, err := percent(change)
		if err != nil {
			bad("--change %q: a share such as 5%% or 0.05", change)
		}
		o.change = p
	}
	for _, spec := range faults {
		if err := o.addFaults(spec); err != nil {
			bad("--faults %w", err)
		}
	}
	return o, errors.Join(errs...)
}

// addFaults reads rules for all partners, or after a name and = for one.
func (o *options) addFaults(spec string) error {
	whom := o.partners
	if name, rest, found := strings.Cut(spec, "="); found && !strings.ContainsAny(name, ",;:") {
		if _, ok := find(name); !ok {
			return fmt.Errorf("%q: %q is none of %s", spec, name, strings.Join(names(), ", "))
		}
		if !slices.Contains(o.partners, name) {
			return fmt.Errorf("%q: --partners leaves %s out", spec, name)
		}
		whom, spec = []string{name}, rest
	}
	rules, err := partnersim.ParseFaults(spec)
	if err != nil {
		return fmt.Errorf("%q: %w", spec, err)
	}
	for _, name := range whom {
		o.faults[name] = append(o.faults[name], rules...)
	}
	return nil
}

// sizeOf returns the size of a new account.
func (o options) sizeOf(e entry) size {
	s := e.size
	for _, v := range []struct{ to, from *int }{
		{&s.Resources, &o.size.Resources}, {&s.Each, &o.size.Each}, {&s.Photos, &o.size.Photos},
	} {
		if *v.from >= 0 {
			*v.to = *v.from
		}
	}
	return s
}

func percent(s string) (float64, error) {
	div := 1.0
	if t, ok := strings.CutSuffix(s, "%"); ok {
		s, div = t, 100
	}
	p, err := strconv.ParseFloat(s, 64)
	if err != nil || !(p >= 0 && p/div <= 1) {
		return 0, errors.New("not a share")
	}
	return p / div, nil
}
