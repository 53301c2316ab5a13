package pagination_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/pagination"
)

func TestLinkNext(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"none", nil, ""},
		{"plain", []string{`<https://a.example/?p=2>; rel="next"`}, "https://a.example/?p=2"},
		{"second of several", []string{`<?p=1>; rel="prev", <?p=3>; rel="next"`}, "?p=3"},
		{"commas in target and title", []string{`<?a=1,2;3>; rel=prev; title="x, <y>; rel=next", <?p=3,4>; title="a\", b"; rel="next"`}, "?p=3,4"},
		{"several relations", []string{`<?p=3>; rel="last  NEXT"`}, "?p=3"},
		{"case and space", []string{"\t<?p=3>\t;\tReL = Next "}, "?p=3"},
		{"several fields", []string{`<?p=1>; rel=first`, `<?p=3>; rel=next`}, "?p=3"},
		{"empty members", []string{`, ,<?p=3>;;rel=next;,`}, "?p=3"},
		{"flag parameter", []string{`<?p=3>; crossorigin; rel=next`}, "?p=3"},
		{"first rel counts", []string{`<?p=3>; rel=prev; rel=next`}, ""},
		{"another page's", []string{`<?p=3>; rel=next; anchor="/other"`}, ""},
		{"relation that only contains it", []string{`<?p=3>; rel="next-archive"`}, ""},
		{"no target", []string{`rel=next`}, ""},
		{"junk before", []string{`junk; rel=next, <?p=3>; rel=next`}, "?p=3"},
		{"never closed", []string{`<?p=3; rel=next`}, ""},
		{"quote never closed", []string{`<?p=3>; rel="next`}, "?p=3"},
		{"empty target", []string{`<>; rel=next`}, ""},
	} {
		if got := pagination.LinkNext(http.Header{"Link": tt.fields}); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzLinkNext(f *testing.F) {
	f.Add(`<?p=1>; rel="prev", <?p=3>; rel="next"`, "?p=3", `a "title", <with> all; of it\`)
	f.Add(`<?p=3>; rel="next`, "", "")
	f.Fuzz(func(t *testing.T, field, target, title string) {
		if got := pagination.LinkNext(http.Header{"Link": {field}}); got != "" &&
			!strings.Contains(field, "<"+got+">") {
			t.Errorf("%q has no target %q", field, got)
		}
		if target == "" || strings.Contains(target, ">") {
			return
		}
		// A well-formed link is found behind any other.
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(title) + `"`
		field = `<` + target + `x>; title=` + quoted + `; rel=prev, <` + target + `>; title=` + quoted + `; rel="next"`
		if got := pagination.LinkNext(http.Header{"Link": {field}}); got != target {
			t.Errorf("LinkNext(%q) = %q, want %q", field, got, target)
		}
	})
}
