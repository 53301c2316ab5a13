package guestytest

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/integrationkit/integrationkit/driver/partnersim"
)

// page is one page of a list, as asked for.
type page struct {
	skip, limit int
	sort        string
	descending  bool
}

// page reads skip, limit and sort. A limit above 100 is cut to it, as some services do in silence (unverified), and
// noted.
func (s *Server) page(r *http.Request, sort string) (page, bool) {
	q := r.URL.Query()
	p := page{limit: 25, sort: sort}
	if v := q.Get("sort"); v != "" {
		p.sort = v
	}
	p.sort, p.descending = strings.CutPrefix(p.sort, "-")
	for _, f := range []struct {
		name string
		to   *int
	}{{"skip", &p.skip}, {"limit", &p.limit}} {
		text := q.Get(f.name)
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || f.name == "limit" && n == 0 {
			s.Note("%s %s: %s is no number that makes sense", r.Method, r.URL.Path, f.name)
			return p, false
		}
		*f.to = n
	}
	if p.limit > 100 {
		s.Note("%s %s: limit is %d, at most 100 is documented", r.Method, r.URL.Path, p.limit)
		p.limit = 100
	}
	return p, true
}

// rows returns the indexes of the page's records, and how many match in all. A nil keep keeps all; candidates, if not
// nil, are the only ones that can match.
//
// Sorting by _id and createdAt is exact, and so is lastUpdatedAt where by is given. By anything else, the listings'
// default title among them, the order is a fixed one that is none of these and becomes another with every change: it
// is not unique, and pages of it shift.
func (s *Server) rows(pop *partnersim.Population, p page, candidates []int, keep func(i int) bool,
	by func(i int) int64) (rows []int, count int) {
	at := func(rank int) (int, bool) { return pop.At(rank) }
	count = pop.Len()
	if keep != nil || candidates != nil || p.sort == "lastUpdatedAt" && by != nil {
		var all []int
		consider := func(i int) {
			if keep == nil || keep(i) {
				all = append(all, i)
			}
		}
		if candidates != nil {
			for _, i := range candidates {
				if pop.Exists(i) {
					consider(i)
				}
			}
		} else {
			for rank := range count {
				if i, ok := pop.At(rank); ok {
					consider(i)
				}
			}
		}
		if p.sort == "lastUpdatedAt" && by != nil {
			slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(by(a), by(b)) })
		}
		count = len(all)
		at = func(rank int) (int, bool) {
			if rank < 0 || rank >= len(all) {
				return 0, false
			}
			return all[rank], true
		}
	}
	rank := func(n int) int { return n }
	if p.sort != "_id" && p.sort != "createdAt" && (p.sort != "lastUpdatedAt" || by == nil) && count > 1 {
		d := partnersim.Roll(s.cfg.Seed, uint64(pop.Rounds()), count)
		start, stride := d.Int(0, count), 1+d.Int(1, count-1)
		for a, b := stride, count; ; a, b = stride, count {
			for b != 0 {
				a, b = b, a%b
			}
			if a == 1 {
				break
			}
			stride = stride%max(count-1, 1) + 1
		}
		rank = func(n int) int { return int((uint64(start) + uint64(n)*uint64(stride)) % uint64(count)) }
	}
	for n := p.skip; n < p.skip+p.limit && n < count; n++ {
		r := rank(n)
		if p.descending {
			r = count - 1 - r
		}
		if i, ok := at(r); ok {
			rows = append(rows, i)
		}
	}
	return rows, count
}

// buffers are for the big answers, so that a simulated partner leaves little to collect beside the client that is
// measured.
var buffers = sync.Pool{New: func() any { return new(writer) }}

// envelope writes the classic one around the rows. Its count is missing from some pages: it is known to lag or be
// absent.
func (s *Server) envelope(w http.ResponseWriter, p page, rows []int, count int, row func(j *writer, i int)) {
	j := buffers.Get().(*writer)
	defer buffers.Put(j)
	j.b = j.b[:0]
	j.open('{')
	j.array(nil, "results", func(*projection) {
		for _, i := range rows {
			row(j, i)
		}
	})
	if s.cfg.Odd < 0 || (p.skip/p.limit)%s.cfg.Odd != s.cfg.Odd-1 {
		j.int(nil, "count", count)
	}
	j.int(nil, "limit", p.limit)
	j.int(nil, "skip", p.skip)
	j.close('}')
	send(w, http.StatusOK, j.b)
}

// listListings answers GET /listings. No filter by time of update is documented: "filters" is noted and ignored.
func (s *Server) listListings(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "ids", "nids", "q", "city", "tags", "integrationId", "viewId", "active", "pmsActive", "listed",
		"available",
		"ignoreFlexibleBlocks", "fields", "sort", "limit", "skip")
	p, ok := s.page(r, "title")
	if !ok {
		message(w, http.StatusBadRequest, "skip and limit must be numbers")
		return
	}
	fields := s.fields(r, listingFields, defaultListing)
	candidates, keep, err := s.listingFilter(r, r.URL.Query())
	if err != "" {
		message(w, http.StatusBadRequest, err)
		return
	}
	rows, count := s.rows(s.listings, p, candidates, keep, nil)
	s.envelope(w, p, rows, count, func(j *writer, i int) { s.writeListing(j, i, fields) })
}

// listingFilter reads the documented filters. Without the flags active, pmsActive and listed all listings are
// returned, as the text has it (the schema says otherwise).
func (s *Server) listingFilter(r *http.Request, q url.Values) (candidates []int, keep func(int) bool, problem string) {
	var tests []func(i int) bool
	for name, flag := range map[string]func(f listingFacts) bool{
		"active":    func(f listingFacts) bool { return f.active },
		"pmsActive": func(f listingFacts) bool { return f.pmsActive },
		"listed":    func(f listingFacts) bool { return f.listed },
	} {
		if !q.Has(name) {
			continue
		}
		want, err := strconv.ParseBool(q.Get(name))
		if err != nil {
			return nil, nil, name + " must be a boolean"
		}
		tests = append(tests, func(i int) bool { return flag(s.listingFacts(i)) == want })
	}
	if city := q.Get("city"); city != "" {
		tests = append(tests, func(i int) bool { return s.listingFacts(i).place.city == city })
	}
	if text := strings.ToLower(q.Get("q")); text != "" {
		tests = append(tests, func(i int) bool { return strings.Contains(strings.ToLower(s.listingTitle(i)), text) })
	}
	if nids := q.Get("nids"); nids != "" {
		out := strings.Split(nids, ",")
		tests = append(tests, func(i int) bool { return !slices.Contains(out, s.listingID(i)) })
	}
	if ids := q.Get("ids"); ids != "" {
		candidates = []int{}
		for id := range strings.SplitSeq(ids, ",") {
			if i, ok := partnersim.HexIndex(s.cfg.Seed, kindListing, id); ok {
				candidates = append(candidates, i)
			}
		}
		slices.Sort(candidates)
		candidates = slices.Compact(candidates)
	}
	for _, name := range []string{"tags", "integrationId", "viewId", "available", "ignoreFlexibleBlocks"} {
		if q.Has(name) {
			s.Note("%s %s: the filter %q is not simulated", r.Method, r.URL.Path, name)
		}
	}
	return candidates, all(tests), ""
}

// all returns a test that is true if all are; nil if there are none.
func all(tests []func(i int) bool) func(i int) bool {
	if len(tests) == 0 {
		return nil
	}
	return func(i int) bool {
		for _, test := range tests {
			if !test(i) {
				return false
			}
		}
		return true
	}
}

// listReservations answers GET /reservations, the classic family.
func (s *Server) listReservations(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "filters", "viewId", "fields", "sort", "limit", "skip")
	p, ok := s.page(r, "_id")
	if !ok {
		message(w, http.StatusBadRequest, "skip and limit must be numbers")
		return
	}
	fields := s.fields(r, reservationFields, defaultReservation)
	conditions, err := parseFilters(r.URL.Query().Get("filters"))
	if err != nil {
		s.Note("%s %s: %v", r.Method, r.URL.Path, err)
		message(w, http.StatusBadRequest, err.Error())
		return
	}
	candidates, keep := s.plan(conditions)
	rows, count := s.rows(s.reservations, p, candidates, keep, func(i int) int64 { return s.changedAt(i).UnixMilli() })
	s.envelope(w, p, rows, count, func(j *writer, i int) { s.writeReservation(j, s.stay(i), fields) })
}

// searchV3 answers GET /reservations-v3/search. The name of its array, results, is unverified.
func (s *Server) searchV3(w http.ResponseWriter, r *http.Request) {
	p, ok := s.page(r, "-_id")
	if !ok {
		message(w, http.StatusBadRequest, "skip and limit must be numbers")
		return
	}
	if !slices.Contains([]string{"_id", "checkIn", "checkOut", "createdAt"}, p.sort) {
		s.Note("%s %s: it cannot be sorted by %q", r.Method, r.URL.Path, p.sort)
	}
	conditions, err := s.parseSearch(r)
	if err != nil {
		s.Note("%s %s: %v", r.Method, r.URL.Path, err)
		message(w, http.StatusBadRequest, err.Error())
		return
	}
	candidates, keep := s.plan(conditions)
	rows, count := s.rows(s.reservations, p, candidates, keep, nil)
	var j writer
	j.open('{')
	j.array(nil, "results", func(*projection) {
		for _, i := range rows {
			s.writeV3(&j, s.stay(i))
		}
	})
	j.object(nil, "pagination", func(*projection) {
		j.int(nil, "limit", p.limit)
		j.int(nil, "skip", p.skip)
		j.bool(nil, "hasMore", p.skip+len(rows) < count)
	})
	j.close('}')
	send(w, http.StatusOK, j.b)
}
