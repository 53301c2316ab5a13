package drivertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	vcr "gopkg.in/dnaeon/go-vcr.v3/cassette"
)

// What has changed in a partner's answers.
const (
	FieldAdded   = "added"     // a field that the cassette does not have
	FieldRemoved = "removed"   // a field that was always there, and is not, or not always
	FieldRetyped = "retyped"   // a field of another type
	NewValue     = "new value" // a word that is not among those of a code
	NewStatus    = "status"    // an endpoint answers with another status
	NotCalled    = "not called"
)

// Difference is one thing that has changed. It holds no values but words of codes.
type Difference struct {
	// Endpoint is the method and the path, with * for what differs from call to call: "GET /v1/listings/*".
	Endpoint string `json:"endpoint"`
	// Field is the path of a field, "results[].guest.name"; of XML as well, with @ before an attribute. "": the answer as a whole.
	Field string `json:"field,omitempty"`
	Kind  string `json:"kind"`
	Was   string `json:"was"`
	Is    string `json:"is"`
}

// Breaks reports whether a driver has to expect trouble: a field that it may need is not there, or of another type. A field that is new and a
// code's new word are worth a look.
func (d Difference) Breaks() bool { return d.Kind != FieldAdded && d.Kind != NewValue }

// String is one line.
func (d Difference) String() string {
	where := d.Endpoint
	if d.Field != "" {
		where += " " + d.Field
	}
	return fmt.Sprintf("%s: %s: was %s, is %s", where, d.Kind, d.Was, d.Is)
}

// DriftReport is what [Drift] found. Its JSON is for machines, Markdown for people.
type DriftReport struct {
	Partner string `json:"partner"`
	// Cassette is what the answers were compared with, and Recorded what it says of itself.
	Cassette    string       `json:"cassette"`
	Recorded    string       `json:"recorded"`
	At          time.Time    `json:"at"`
	Endpoints   int          `json:"endpoints"`
	Answers     int          `json:"answers"`
	Differences []Difference `json:"differences"`
}

// Markdown is the report as a text that can be posted: a heading, a line, and a table if there is something to be told.
func (r DriftReport) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "## Drift: %s\n\n%s, compared with `%s` (%s): ", r.Partner, r.At.UTC().Format(time.RFC3339), r.Cassette, r.Recorded)
	if len(r.Differences) == 0 {
		fmt.Fprintf(&b, "%d answers of %d endpoints are as they were.\n", r.Answers, r.Endpoints)
		return b.String()
	}
	breaks := 0
	for _, d := range r.Differences {
		if d.Breaks() {
			breaks++
		}
	}
	fmt.Fprintf(&b, "%d differences in %d answers of %d endpoints, of which %d may break the driver.\n\n", len(r.Differences), r.Answers, r.Endpoints, breaks)
	b.WriteString("| endpoint | field | | was | is |\n| --- | --- | --- | --- | --- |\n")
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	for _, d := range r.Differences {
		kind := d.Kind
		if d.Breaks() {
			kind = "**" + kind + "**"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", cell.Replace(d.Endpoint), cell.Replace(d.Field), kind, cell.Replace(d.Was), cell.Replace(d.Is))
	}
	return b.String()
}

// DriftReportDir names the environment variable with the folder that [Drift] writes its reports into, PARTNER-CASSETTE.json and .md.
const DriftReportDir = "DRIFT_REPORT_DIR"

// Drift makes the calls of the terms to the partner itself, and reports how the shape of its answers differs from that of the cassette. It is
// skipped unless the environment opts in, as [Terms].Live says. What may break the driver fails the test; what is only new is logged. With
// DRIFT_REPORT_DIR in the environment the report is written there too, for a nightly run to post.
//
// A cassette holds few records: a field that is always there in it may be missing in others. So Drift is as good as what is recorded.
func Drift(t testing.TB, terms Terms) DriftReport {
	t.Helper()
	if err := terms.validate(); err != nil {
		t.Fatalf("drivertest: Drift: %v", err)
	}
	if !terms.live() {
		t.Skipf("not asked for: set %s=1 in the environment to ask the partner", terms.Live)
	}
	tape := &Tape{name: terms.Cassette, r: terms.Recording}
	tape.file = filepath.Join(cmp.Or(terms.Recording.dir, filepath.Join("testdata", "cassettes")), filepath.FromSlash(terms.Cassette)+".yaml")
	if err := tape.readOrigin(); err != nil {
		t.Fatal(err)
	}
	kept, err := vcr.Load(strings.TrimSuffix(tape.file, ".yaml"))
	if err != nil {
		t.Fatalf("drivertest: cassette %s: %v", terms.Cassette, err)
	}
	was := map[string]*endpointShape{}
	for _, i := range kept.Interactions {
		u, err := url.Parse(i.Request.URL)
		if err != nil {
			t.Fatalf("drivertest: cassette %s: interaction %d: its URL cannot be read", terms.Cassette, i.ID)
		}
		addAnswer(was, terms.endpoint(cmp.Or(i.Request.Method, http.MethodGet), u.Path), i.Response.Code, []byte(i.Response.Body))
	}
	is := map[string]*endpointShape{}
	answers := 0
	for _, x := range terms.use(t, nil) {
		answers++
		addAnswer(is, terms.endpoint(x.method, x.path), x.status, x.body)
	}
	r := DriftReport{
		Partner: terms.Recording.Integration.Partner, Cassette: terms.Cassette, Recorded: tape.origin, At: time.Now().UTC().Truncate(time.Second),
		Endpoints: len(is), Answers: answers, Differences: compare(was, is),
	}
	for _, d := range r.Differences {
		if d.Breaks() {
			t.Errorf("drift: %v", d)
		} else {
			t.Logf("drift: %v", d)
		}
	}
	if dir := os.Getenv(DriftReportDir); dir != "" {
		if err := r.write(dir); err != nil {
			t.Errorf("drivertest: Drift: the report was not written: %v", err)
		}
	}
	return r
}

// write puts the report into the folder.
func (r DriftReport) write(dir string) error {
	name := filepath.Join(dir, r.Partner+"-"+strings.ReplaceAll(r.Cassette, "/", "-"))
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(name+".md", []byte(r.Markdown()), 0o644)
}

// endpointShape is what was seen of an endpoint.
type endpointShape struct {
	*answersShape
	statuses map[int]int
}

func addAnswer(all map[string]*endpointShape, endpoint string, status int, body []byte) {
	e := all[endpoint]
	if e == nil {
		e = &endpointShape{newShape(), map[int]int{}}
		all[endpoint] = e
	}
	e.statuses[status]++
	e.add(body)
}

// compare returns the differences, those that break first.
func compare(was, is map[string]*endpointShape) []Difference {
	all := []Difference{} // in JSON never null
	for _, name := range slices.Sorted(maps.Keys(was)) {
		e, ok := is[name]
		if !ok {
			all = append(all, Difference{Endpoint: name, Kind: NotCalled, Was: "called", Is: "not called any more"})
			continue
		}
		for _, status := range slices.Sorted(maps.Keys(e.statuses)) {
			if was[name].statuses[status] == 0 {
				all = append(all, Difference{Endpoint: name, Kind: NewStatus, Was: statuses(was[name].statuses), Is: statuses(e.statuses)})
				break
			}
		}
		all = append(all, compareFields(name, was[name], e)...)
	}
	slices.SortStableFunc(all, func(a, b Difference) int {
		switch {
		case a.Breaks() == b.Breaks():
			return 0
		case a.Breaks():
			return -1
		}
		return 1
	})
	return all
}

func statuses(m map[int]int) string {
	var all []string
	for _, s := range slices.Sorted(maps.Keys(m)) {
		all = append(all, fmt.Sprint(s))
	}
	return strings.Join(all, ", ")
}

func compareFields(endpoint string, was, is *endpointShape) []Difference {
	var all []Difference
	note := func(field, kind, before, after string) {
		all = append(all, Difference{Endpoint: endpoint, Field: field, Kind: kind, Was: before, Is: after})
	}
	removed := func(path string) bool { // with the object that it is of
		_, there := is.objects[parent(path)]
		return !there
	}
	for _, path := range slices.Sorted(maps.Keys(was.fields)) {
		f := was.fields[path]
		g := is.fields[path]
		if g == nil {
			if f.share() == 1 && !removed(path) {
				note(path, FieldRemoved, "always there", "never there")
			}
			continue
		}
		if f.share() == 1 && g.share() < 1 {
			note(path, FieldRemoved, "always there", "there "+g.often())
		}
		before, after := f.known(), g.known()
		if len(before) == 0 || slices.Equal(before, []string{"null"}) {
			continue // nothing is known of it
		}
		if slices.ContainsFunc(after, func(t string) bool { return !slices.Contains(before, t) && !isText(t, before) }) {
			note(path, FieldRetyped, strings.Join(before, " or "), strings.Join(after, " or "))
		}
		if f.code() {
			for _, w := range slices.Sorted(maps.Keys(g.words)) {
				if f.words[w] == 0 {
					note(path, NewValue, strings.Join(slices.Sorted(maps.Keys(f.words)), ", "), w)
				}
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(is.fields)) {
		_, known := was.fields[path]
		if _, outer := was.objects[parent(path)]; !known && outer {
			note(path, FieldAdded, "not there", is.fields[path].kinds()+", "+is.fields[path].often())
		}
	}
	return all
}

// isText says that a text's type is nothing new where texts of any form were seen.
func isText(t string, before []string) bool {
	return (t == "date" || t == "instant") && slices.Contains(before, "string")
}
