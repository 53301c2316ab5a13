// Package archtest holds the tests that guard the structure of the repository.
package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const kit = "github.com/integrationkit/integrationkit"

type pkg struct {
	ImportPath string
	Name       string
	Imports    []string
	Deps       []string

	TestImports, XTestImports []string
	Standard                  bool
	Module                    *struct{ Path string }
}

// list returns what go list says of the packages that match, run in dir.
func list(t *testing.T, dir string, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Name,Imports,Deps,Standard,Module,TestImports,XTestImports"}, args...)...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v\n%s", dir, err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// root is the repository's root.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// layer is how high a package of the kit stands; it may import what stands lower, and what allowed says.
func layer(path string) int {
	rel := strings.TrimPrefix(strings.TrimPrefix(path, kit), "/")
	switch top, rest, below := strings.Cut(rel, "/"); {
	case rel == "":
		return 0
	case top == "retry":
		return 1
	case top == "ratelimit":
		return 2
	case top == "breaker", top == "auth", top == "pagination", top == "webhook":
		return 3
	case top == "driver" && !below:
		return 4
	case top == "driver" && !strings.Contains(rest, "/"):
		return 5
	case top == "driver": // a test kit of a package below driver
		return 6
	case top == "adapters":
		return 7
	case top == "examples", top == "internal":
		return 8
	}
	return -1
}

// broken says why from must not import to, "" if it may.
func broken(from, to string) string {
	f, g := layer(from), layer(to)
	adapter := func(p string) string {
		rest := strings.TrimPrefix(p, kit+"/adapters/")
		name, _, _ := strings.Cut(rest, "/")
		return name
	}
	sub := strings.HasPrefix(from, to+"/") || strings.HasPrefix(to, from+"/")
	switch {
	case f < 0:
		return "it is in no known place"
	case g < 0:
		return to + " is in no known place"
	case strings.HasPrefix(to, kit+"/internal/"):
		return ""
	case f == 7 && g == 7:
		if adapter(from) != adapter(to) {
			return "adapters do not import each other"
		}
		return ""
	case f == 3 && g == 3 && !sub, f == 5 && g == 5 && !strings.HasSuffix(from, "test") && !sub:
		return "neighbours do not import each other"
	case g > f:
		return "the arrow runs back"
	}
	return ""
}

func TestImportRule(t *testing.T) {
	for _, p := range list(t, root(t), "./...") {
		for _, imp := range p.Imports {
			if imp != kit && !strings.HasPrefix(imp, kit+"/") {
				continue
			}
			if why := broken(p.ImportPath, imp); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
		}
		if p.Name != "main" && !strings.HasSuffix(p.Name, "test") && slices.Contains(p.Deps, "testing") {
			t.Errorf("%s links testing, which is for packages whose name ends in test", p.ImportPath)
		}
		// Cassettes are made by drivertest alone, which redacts them: nobody links go-vcr otherwise, and no test goes past it.
		if p.ImportPath != kit+"/driver/drivertest" {
			vcr := func(imp string) bool { return strings.HasPrefix(imp, "gopkg.in/dnaeon/go-vcr.") }
			if slices.ContainsFunc(slices.Concat(p.Deps, p.TestImports, p.XTestImports), vcr) {
				t.Errorf("%s links go-vcr", p.ImportPath)
			}
		}
	}
}

func TestBrokenSeesWhatIsForbidden(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		ok       bool
	}{
		{"/ratelimit", "/retry", true},
		{"/retry", "/ratelimit", false},
		{"/auth", "/breaker", false},
		{"/auth", "/retry", true},
		{"/ratelimit", "/auth", false},
		{"/auth/authtest", "/auth", true},
		{"/driver", "/auth", true},
		{"/auth", "/driver", false},
		{"/driver", "/driver/importer", false},
		{"/driver/importer", "/driver", true},
		{"/driver/importer", "/driver/partnersim", false},
		{"/driver/drivertest", "/driver/partnersim", true},
		{"/adapters/guesty", "/driver", true},
		{"/adapters/guesty", "/adapters/sqlstore", false},
		{"/adapters/guesty/guestytest", "/adapters/guesty", true},
		{"/driver/importer", "/adapters/guesty", false},
		{"/examples/sync", "/adapters/guesty", true},
		{"/toolbox", "/retry", false},
	} {
		if got := broken(kit+tt.from, kit+tt.to) == ""; got != tt.ok {
			t.Errorf("%s -> %s: allowed %v, want %v", tt.from, tt.to, got, tt.ok)
		}
	}
}

// Nested modules are released on their own and may meet another version of the root: its internal packages are not theirs to use.
func TestNestedModulesImportNoInternal(t *testing.T) {
	for _, dir := range nestedModules(t) {
		for _, p := range list(t, dir, "./...") {
			for _, imp := range p.Imports {
				if strings.HasPrefix(imp, kit+"/internal/") && !strings.HasPrefix(p.ImportPath, kit+"/internal/") {
					t.Errorf("%s imports %s", p.ImportPath, imp)
				}
				if (imp == kit || strings.HasPrefix(imp, kit+"/")) && !strings.HasPrefix(p.ImportPath, kit+"/internal/") {
					if why := broken(p.ImportPath, imp); why != "" {
						t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
					}
				}
			}
		}
	}
}

func nestedModules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	top := root(t)
	for _, pattern := range []string{"adapters/*/go.mod", "examples/go.mod", "internal/*/go.mod"} {
		found, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			dirs = append(dirs, filepath.Dir(f))
		}
	}
	if len(dirs) < 3 {
		t.Fatalf("found %d nested modules, want at least 3: %v", len(dirs), dirs)
	}
	return dirs
}

// What the root module requires, every user of one leaf downloads.
func TestRootModuleStaysSmall(t *testing.T) {
	allowed := []string{
		"github.com/hashicorp/go-retryablehttp", "golang.org/x/oauth2", "golang.org/x/time", "golang.org/x/text",
		"github.com/sony/gobreaker/v2", "github.com/go-playground/validator/v10", "gopkg.in/dnaeon/go-vcr.v3",
		"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/metric", "go.opentelemetry.io/otel/trace", "go.uber.org/goleak",
		"github.com/arran4/golang-ical", // adapters/airbnb's calendar feeds; needs nothing itself
	}
	data, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(f) < 2 || !strings.HasPrefix(f[1], "v") || strings.Contains(line, "// indirect") {
			continue
		}
		n++
		if !slices.Contains(allowed, f[0]) {
			t.Errorf("go.mod requires %s, which is not on the list of what every user may have to download", f[0])
		}
	}
	if n == 0 {
		t.Fatal("no requirement found in go.mod: the test reads it wrongly")
	}
}
