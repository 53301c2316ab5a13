package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/adapters/guesty"
	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// options are what the command line says.
type options struct {
	listings    int
	perListing  int  // reservations
	photos      int  // of each listing
	sized       bool // one of these three was given
	scale       float64
	latency     time.Duration
	db          string
	change      float64 // share of the records that the simulated partner changes before the import
	faults      []partnersim.Rule
	incremental bool
	family      guesty.Family // "": the driver's default
	live        string
	plain       bool
}

const usage = `sync imports everything from a partner into a SQLite database, at the partner's limits, and shows it.

Without flags the partner is a simulated Guesty account in the same process: nothing but Go is needed, nothing leaves the machine.
Run it again: it says that nothing changed. Stop it with Ctrl-C and run it again: it goes on where it was.

usage: go run ./examples/sync [flags]

  --listings N       listings the simulated account has (default 2000)
  --reservations N   reservations of each listing (default 3)
  --photos N         photos of each listing (default 5)
  --scale F          how much faster than real the simulated partner's time runs, 1 to 60 (default 60):
                     windows, latencies and token lifetimes alike
  --latency D        the simulated partner's latency, before scaling (default 120ms)
  --change P         change a share of the account first, such as 5% (a third each added, updated, deleted)
  --faults SPEC      make the simulated partner misbehave: kind:rate,… such as 429:2%,reset:1%,500:2%, or
                     outage;from=2m;until=5m by the partner's clock
  --incremental      ask only for what changed since the last complete run, where the partner can tell
  --reservations-api v3|classic
                     which of Guesty's two families of endpoints to read reservations from (default v3); only classic
                     can tell what changed
  --db FILE          the database (default sync.db)
  --live guesty      use the real partner, with GUESTY_CLIENT_ID, GUESTY_CLIENT_SECRET and INTEGRATIONKIT_KEY
                     (32 random bytes in base64, which seal the stored token) from the environment
  --plain            plain lines instead of bars, also on a terminal
  --help             this text
`

// errHelp says that the help was asked for and printed.
var errHelp = errors.New("help")

// parseFlags reads the command line. The error names everything that is wrong with it.
func parseFlags(args []string, out io.Writer) (options, error) {
	var o options
	var change, faults, family string
	fs := flag.NewFlagSet("sync", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&o.listings, "listings", 2000, "")
	fs.IntVar(&o.perListing, "reservations", 3, "")
	fs.IntVar(&o.photos, "photos", 5, "")
	fs.Float64Var(&o.scale, "scale", 60, "")
	fs.DurationVar(&o.latency, "latency", 120*time.Millisecond, "")
	fs.StringVar(&o.db, "db", "sync.db", "")
	fs.StringVar(&change, "change", "", "")
	fs.StringVar(&faults, "faults", "", "")
	fs.BoolVar(&o.incremental, "incremental", false, "")
	fs.StringVar(&family, "reservations-api", "", "")
	fs.StringVar(&o.live, "live", "", "")
	fs.BoolVar(&o.plain, "plain", false, "")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
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
		o.sized = o.sized || f.Name == "listings" || f.Name == "reservations" || f.Name == "photos"
	})
	switch o.family = guesty.Family(family); o.family {
	case "", guesty.V3, guesty.Classic:
	default:
		bad("--reservations-api %q: v3 or classic", family)
	}
	if o.listings < 0 || o.perListing < 0 || o.photos < 0 {
		bad("--listings, --reservations and --photos: not below 0")
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
	if o.live != "" && o.live != "guesty" {
		bad("--live %q: there is guesty only", o.live)
	}
	if change != "" {
		p, err := percent(change)
		if err != nil {
			bad("--change %q: a share such as 5%% or 0.05", change)
		}
		o.change = p
	}
	if faults != "" {
		rules, err := partnersim.ParseFaults(faults)
		if err != nil {
			bad("--faults: %w", err)
		}
		o.faults = rules
	}
	if o.live != "" && (o.change != 0 || faults != "" || o.sized) {
		bad("--change, --faults and the size of the account are for the simulated partner, not for --live")
	}
	if o.live != "" {
		o.scale = 1
	}
	return o, errors.Join(errs...)
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
