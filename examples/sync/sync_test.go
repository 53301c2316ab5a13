package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noEnv(string) string { return "" }

// small is an account that is imported within a second.
func small(db string, more ...string) []string {
	return append([]string{"--db", db, "--listings", "40", "--photos", "2", "--latency", "10ms"}, more...)
}

// start runs the program as the shell would.
func start(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, noEnv, &out, &errs)
	return code, out.String(), errs.String()
}

// row returns the numbers of a kind in the table: items, added, updated, unchanged, restored, deleted, rejected, stale.
func row(t *testing.T, out, kind string) []string {
	t.Helper()
	_, table, _ := strings.Cut(out, "\nkind ")
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); len(f) > 9 && f[0] == kind {
			return f[1:9]
		}
	}
	t.Fatalf("no row for %s in\n%s", kind, out)
	return nil
}

func TestImportTwiceChangeAndImportAgain(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	for _, step := range []struct {
		args []string
		want map[string]string
	}{
		{small(db), map[string]string{
			"resource": "40 40 0 0 0 0 0 0", "transaction": "120 120 0 0 0 0 0 0", "media": "80 80 0 0 0 0 0 0",
		}},
		{[]string{"--db", db}, map[string]string{
			"resource": "40 0 0 40 0 0 0 0", "transaction": "120 0 0 120 0 0 0 0", "media": "80 0 0 80 0 0 0 0",
		}},
		{[]string{"--db", db, "--change", "15%"}, map[string]string{"resource": "40 2 2 36 0 2 0 0"}},
		{[]string{"--db", db}, map[string]string{"resource": "40 0 0 40 0 0 0 0"}},
	} {
		code, out, errs := start(t.Context(), step.args...)
		if code != exitDone || errs != "" {
			t.Fatalf("%q: exit code %d\n%s%s", step.args, code, out, errs)
		}
		for kind, want := range step.want {
			if got := strings.Join(row(t, out, kind), " "); got != want {
				t.Errorf("%q: %s is %q, want %q\n%s", step.args, kind, got, want, out)
			}
		}
		if !regexp.MustCompile(`its ledger has \d+ requests, 0 violations and 0 429s`).MatchString(out) {
			t.Errorf("%q: no clean ledger in\n%s", step.args, out)
		}
	}
}

func TestStoppedRunGoesOn(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopper{after: "media", stop: cancel}
	var errs bytes.Buffer
	args := []string{"--db", db, "--listings", "400", "--photos", "2"}
	if code := run(ctx, args, noEnv, out, &errs); code != exitStopped || errs.Len() > 0 || !strings.Contains(out.String(), "goes on from there") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs.String())
	}
	code, second, stderr := start(t.Context(), "--db", db)
	if code != exitDone || !strings.Contains(second, "resumed") {
		t.Errorf("exit code %d\n%s%s", code, second, stderr)
	}
	code, third, stderr := start(t.Context(), "--db", db)
	if got := strings.Join(row(t, third, "media"), " "); code != exitDone || got != "800 0 0 800 0 0 0 0" {
		t.Errorf("exit code %d: media %q\n%s%s", code, got, third, stderr)
	}
}

// stopper stops the run when the output has a word at the beginning of a line.
type stopper struct {
	bytes.Buffer
	after string
	stop  func()
}

// Write implements io.Writer.
func (s *stopper) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), s.after) {
		s.stop()
	}
	return s.Buffer.Write(p)
}

func TestFaultsAreSurvived(t *testing.T) {
	db := filepath.Join(t.TempDir(), "sync.db")
	code, out, errs := start(t.Context(), small(db, "--faults", "500:3%,reset:2%,cut:2%,429:1%;retry=5s")...)
	if code != exitDone {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	if got := strings.Join(row(t, out, "transaction"), " "); got != "120 120 0 0 0 0 0 0" {
		t.Errorf("transactions are %q\n%s", got, out)
	}
	if !strings.Contains(out, "0 violations") || strings.Contains(out, "retries 0,") {
		t.Errorf("nothing was repeated, or too much was sent:\n%s", out)
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
		{"live without credentials", []string{"--live", "guesty"}, exitUsage, []string{envClient, envSecret, envKey}},
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
	for name, tt := range map[string]struct {
		env  func(string) string
		args []string
		want string
	}{
		"size": {noEnv, []string{"--db", db, "--listings", "41"}, "use another --db"},
		"key": {func(string) string { return "c2VhbGluZyBrZXkgb2YgMzIgYnl0ZXMgLSBub3QgaXQ=" }, []string{"--db", db, "--live", "guesty"},
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
	if code != exitDone || !strings.Contains(out, "--live guesty") || errs != "" {
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
