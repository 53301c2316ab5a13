package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noEnv(string) string { return "" }

// quick are the partners that do not make anybody wait; bookingcom's queue has a pause of 5 s that no scale shortens.
var quick = []string{"guesty", "cloudbeds", "airbnb"}

// small is an account at each of the quick ones that is imported within a second.
func small(db string, more ...string) []string {
	return append([]string{"--db", db, "--partners", strings.Join(quick, ","), "--listings", "40", "--reservations", "3", "--photos", "2", "--latency", "10ms"}, more...)
}

// again imports from the quick ones, whatever size they have.
func again(db string) []string { return []string{"--db", db, "--partners", strings.Join(quick, ",")} }

// start runs the program as the shell would.
func start(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, noEnv, &out, &errs)
	return code, out.String(), errs.String()
}

// row returns the numbers of a partner's kind in the table: items, added, updated, unchanged, restored, deleted, rejected, stale.
func row(t *testing.T, out, partner, kind string) string {
	t.Helper()
	_, table, _ := strings.Cut(out, "\npartner ")
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 10 && f[0] == partner && f[1] == kind {
			return strings.Join(f[2:10], " ")
		}
	}
	t.Fatalf("no row for %s of %s in\n%s", kind, partner, out)
	return ""
}

// ledger returns what a partner counted: requests, violations, 429s, faults.
func ledger(t *testing.T, out, partner string) (n [4]int) {
	t.Helper()
	_, table, _ := strings.Cut(out, "\nledger of ")
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 4 && f[0] == partner {
			for i := range n {
				v, err := strconv.Atoi(f[1+i])
				if err != nil {
					t.Fatal(err)
				}
				n[i] = v
			}
			return n
		}
	}
	t.Fatalf("no ledger of %s in\n%s", partner, out)
	return n
}

func TestImportTwiceChangeAndImportAgain(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	for _, step := range []struct {
		args []string
		want map[string]string // the same at all partners
	}{
		{small(db), map[string]string{
			"resource": "40 40 0 0 0 0 0 0", "transaction": "120 120 0 0 0 0 0 0", "media": "80 80 0 0 0 0 0 0",
		}},
		{again(db), map[string]string{
			"resource": "40 0 0 40 0 0 0 0", "transaction": "120 0 0 120 0 0 0 0", "media": "80 0 0 80 0 0 0 0",
		}},
		{append(again(db), "--change", "15%"), nil},
		{again(db), nil},
	} {
		code, out, errs := start(t.Context(), step.args...)
		if code != exitDone || errs != "" {
			t.Fatalf("%q: exit code %d\n%s%s", step.args, code, out, errs)
		}
		for _, name := range quick {
			for kind, want := range step.want {
				if got := row(t, out, name, kind); got != want {
					t.Errorf("%q: %s of %s is %q, want %q\n%s", step.args, kind, name, got, want, out)
				}
			}
			if l := ledger(t, out, name); l[0] == 0 || l[1] != 0 || l[2] != 0 {
				t.Errorf("%q: no clean ledger of %s: %v\n%s", step.args, name, l, out)
			}
			n := strings.Fields(row(t, out, name, "transaction"))
			changed := n[1] != "0" && n[2] != "0" // added, updated
			if step.want == nil && changed != slices.Contains(step.args, "--change") {
				t.Errorf("%q: %s changed: %v\n%s", step.args, name, changed, out)
			}
		}
	}
}

func TestStoppedRunGoesOn(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopper{after: "media", stop: cancel}
	var errs bytes.Buffer
	args := append(again(db), "--listings", "400", "--photos", "2")
	if code := run(ctx, args, noEnv, out, &errs); code != exitStopped || errs.Len() > 0 || !strings.Contains(out.String(), "goes on from there") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs.String())
	}
	code, second, stderr := start(t.Context(), again(db)...)
	if code != exitDone || !strings.Contains(second, "resumed") {
		t.Errorf("exit code %d\n%s%s", code, second, stderr)
	}
	code, third, stderr := start(t.Context(), again(db)...)
	for _, name := range quick {
		if got := row(t, third, name, "media"); code != exitDone || got != "800 0 0 800 0 0 0 0" {
			t.Errorf("exit code %d: media of %s %q\n%s%s", code, name, got, third, stderr)
		}
	}
}

// Reservations that come by a queue are acknowledged when they are stored; what comes again changes nothing.
func TestQueue(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	for _, want := range []string{"24 24 0 0 0 0 0 0", "24 0 0 24 0 0 0 0"} {
		code, out, errs := start(t.Context(), "--db", db, "--partners", "bookingcom", "--listings", "12", "--reservations", "2", "--photos", "1")
		if code != exitDone || errs != "" {
			t.Fatalf("exit code %d\n%s%s", code, out, errs)
		}
		if got := row(t, out, "bookingcom", "transaction"); got != want {
			t.Errorf("transactions are %q, want %q\n%s", got, want, out)
		}
		if l := ledger(t, out, "bookingcom"); l[0] == 0 || l[1] != 0 || l[2] != 0 {
			t.Errorf("no clean ledger: %v\n%s", l, out)
		}
	}
}

// stopper stops the run when the output says that some partner's media are read.
type stopper struct {
	bytes.Buffer
	after string
	stop  func()
}

// Write implements io.Writer.
func (s *stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), " "+s.after+" ") {
		s.stop()
	}
	return s.Buffer.Write(p)
}

// Of what goes wrong at one partner no other knows.
func TestFaultsAreSurvived(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	code, out, errs := start(t.Context(), small(db, "--faults", "cloudbeds=500:3%,reset:2%,cut:2%,429:1%;retry=5s", "--faults", "guesty=502:10%")...)
	if code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	for _, name := range quick {
		if got := row(t, out, name, "transaction"); got != "120 120 0 0 0 0 0 0" {
			t.Errorf("transactions of %s are %q\n%s", name, got, out)
		}
		l := ledger(t, out, name)
		if faulty := name == "cloudbeds" || name == "guesty"; l[1] != 0 || (l[3] > 0) != faulty {
			t.Errorf("%s: %v\n%s", name, l, out)
		}
	}
}

func TestOutageOfOne(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	code, out, errs := start(t.Context(), small(db, "--faults", "airbnb=outage")...)
	if code != exitFailed || !strings.Contains(errs, "airbnb") || strings.Contains(errs, "guesty") || strings.Contains(errs, "cloudbeds") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	for _, name := range quick {
		if l := ledger(t, out, name); name == "airbnb" {
			if l[3] == 0 {
				t.Errorf("there was no outage:\n%s", out)
			}
		} else if got := row(t, out, name, "media"); got != "80 80 0 0 0 0 0 0" || l[3] != 0 {
			t.Errorf("%s: media are %q, %v\n%s", name, got, l, out)
		}
	}
}

// Whatever is wrong is refused with all of it named, and nothing is written.
func TestRefusals(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"flags", []string{"--scale", "61", "--latency", "-1s", "--live", "acme", "--change", "120%", "--faults", "nonsense:2", "extra"}, exitUsage,
			[]string{"--scale 61", "--latency -1s", `--live "acme"`, `--change "120%"`, "--faults", `"extra"`}},
		{"unknown flag", []string{"--sale"}, exitUsage, []string{"-sale", "--help"}},
		{"live without credentials", []string{"--live", "guesty"}, exitUsage, []string{"GUESTY_CLIENT_ID", "GUESTY_CLIENT_SECRET", envKey}},
		{"another one", []string{"--live", "airbnb"}, exitUsage, []string{"AIRBNB_REFRESH_TOKEN", "AIRBNB_HOST_ID", envKey}},
		{"partners", []string{"--partners", "guesty,acme", "--faults", "acme=500", "--faults", "airbnb=500", "--listings", "-1"}, exitUsage,
			[]string{`"acme" is none of`, `"acme=500"`, "leaves airbnb out", "--listings: not below 0"}},
		{"live with a size", []string{"--live", "guesty", "--listings", "3"}, exitUsage, []string{"not for --live"}},
		{"directory", []string{"--db", "no/such/dir/sync.db"}, exitFailed, []string{"no/such/dir"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			code, out, errs := start(t.Context(), tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, tt.code, out, errs)
			}
			for _, want := range tt.want {
				if !strings.Contains(errs, want) {
					t.Errorf("%q is not in\n%s", want, errs)
				}
			}
			if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
				t.Errorf("files were written: %v, %v", files, err)
			}
		})
	}
}

func TestOtherAccountNeedsAnotherDatabase(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	if code, out, errs := start(t.Context(), small(db)...); code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	before := files(t, filepath.Dir(db))
	sealed := func(name string) string {
		if name == envKey {
			return "c2VhbGluZyBrZXkgb2YgMzIgYnl0ZXMgLSBub3QgaXQ="
		}
		return "x"
	}
	for name, tt := range map[string]struct {
		env  func(string) string
		args []string
		want string
	}{
		"size": {noEnv, []string{"--db", db, "--listings", "41"}, "use another --db"},
		"key": {sealed, []string{"--db", db, "--live", "guesty"},
			"wrong sealing keys"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), tt.args, tt.env, &out, &errs); code == exitDone || !strings.Contains(errs.String(), tt.want) {
			t.Errorf("%s: exit code %d, %s", name, code, errs.String())
		}
	}
	if after := files(t, filepath.Dir(db)); after != before {
		t.Errorf("something was written:\n%s, before\n%s", after, before)
	}
}

// files describes what is in a directory.
func files(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s strings.Builder
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "-shm") || strings.HasSuffix(e.Name(), "-wal") {
			continue // a reader needs them, and they hold nothing
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		s.WriteString(e.Name() + " " + info.ModTime().String() + "\n")
	}
	return s.String()
}

func TestHelp(t *testing.T) {
	code, out, errs := start(t.Context(), "--help")
	if code != exitDone || !strings.Contains(out, "GUESTY_CLIENT_SECRET") || errs != "" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	for _, name := range regexp.MustCompile(`fs\.\w+Var\(&\w+(?:\.\w+)?, "([a-z-]+)"`).FindAllStringSubmatch(source(t, "flags.go"), -1) {
		if !strings.Contains(out, "--"+name[1]+" ") && !strings.Contains(out, "--"+name[1]+"\n") {
			t.Errorf("the help does not know --%s", name[1])
		}
	}
}

func source(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
