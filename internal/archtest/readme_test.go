package archtest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What the README shows first is what the examples of the root package compile and run.
func TestReadmeShowsWhatCompiles(t *testing.T) {
	trimmed := func(text string) []string {
		var lines []string
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "//") // a comment may be shorter there
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return lines
	}
	code := trimmed(read(t, "example_test.go"))
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) < 2 {
		t.Fatalf("%d blocks of Go in the README, want at least 2", len(blocks))
	}
	for _, b := range blocks[:2] {
		for _, line := range trimmed(b[1]) {
			if !slices.Contains(code, line) {
				t.Errorf("the README has %q, example_test.go has not", line)
			}
		}
	}
}

// Links in the documents lead to files that are there.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)\)`)
	for _, doc := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/development.md", "docs/limits.md", "docs/telemetry.md", "adapters/cloudbeds/README.md", "adapters/guesty/README.md"} {
		for _, m := range link.FindAllStringSubmatch(read(t, doc), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root(t), filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", doc, m[1], err)
			}
		}
	}
}

// Each promise that the README claims to be proved in a file has a test of its number there.
func TestPromisesAreProvedWhereTheReadmeSays(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| (\d+) \| .*$`)
	link := regexp.MustCompile(`\]\(([^)]+_test\.go)\)`)
	rows := row.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(rows) != 10 {
		t.Fatalf("%d promises in the README, want 10", len(rows))
	}
	for _, r := range rows {
		for _, l := range link.FindAllStringSubmatch(r[0], -1) {
			if !strings.Contains(read(t, l[1]), "func TestPromise"+r[1]+"_") {
				t.Errorf("%s has no test of promise %s", l[1], r[1])
			}
		}
	}
}
