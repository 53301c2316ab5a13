package pagination_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/integrationkit/integrationkit/pagination"
)

// partner is a list of distinct rows, read in all five ways. fail, if set, is the fetch that fails, counted from 1.
type partner struct {
	rows    []string
	size    int
	total   bool // says its total
	prints  bool // gives fingerprints
	cap     int  // sends at most so many rows a page; 0: as asked
	fetches int
	fail    int
}

var errDown = errors.New("partner is down")

func (p *partner) slice(from, n int) (pagination.Batch[string], error) {
	p.fetches++
	if p.fetches == p.fail {
		return pagination.Batch[string]{}, errDown
	}
	if p.cap > 0 {
		n = min(n, p.cap)
	}
	from = min(from, len(p.rows))
	b := pagination.Batch[string]{Items: slices.Clone(p.rows[from:min(from+n, len(p.rows))])}
	if p.total {
		b.Total = len(p.rows)
	}
	if p.prints && len(b.Items) > 0 {
		b.Fingerprint = b.Items[0]
	}
	return b, nil
}

func (p *partner) byOffset(_ context.Context, offset, limit int) (pagination.Batch[string], error) {
	return p.slice(offset, limit)
}

// byNumber counts pages from 1.
func (p *partner) byNumber(_ context.Context, page, size int) (pagination.Batch[string], error) {
	return p.slice((page-1)*size, size)
}

type open func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string]

var first = &url.URL{Scheme: "https", Host: "api.example.com", Path: "/v1/orders", RawQuery: "from=0"}

func self(s string) string { return s }

var strategies = map[string]open{
	"overlap": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Offset(ctx, s, max(p.size, 2), self, p.byOffset)
	},
	"look again": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Number(ctx, s, 1, p.size, self, p.byNumber)
	},
	"newest": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Newest(ctx, s, 1, p.size, self, p.byNumber)
	},
	"offset": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Offset(ctx, s, p.size, nil, p.byOffset)
	},
	"number": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Number(ctx, s, 1, p.size, nil, p.byNumber)
	},
	"token": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Token(ctx, s, func(_ context.Context, token string) (pagination.Batch[string], error) {
			from, _ := strconv.Atoi(token)
			b, err := p.slice(from, p.size)
			if from += p.size; from < len(p.rows) {
				b.Next = strconv.Itoa(from)
			}
			return b, err
		})
	},
	"link": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.NextLink(ctx, s, first, func(_ context.Context, u *url.URL) (pagination.Batch[string],
			error) {
			from, _ := strconv.Atoi(u.Query().Get("from"))
			b, err := p.slice(from, p.size)
			if from += p.size; from < len(p.rows) {
				b.Next = []string{"?from=%d", "/v1/orders?from=%d",
					"https://API.example.com:443/v1/orders?from=%d"}[from%3]
				b.Next = fmt.Sprintf(b.Next, from)
			}
			return b, err
		})
	},
	"keyset": func(ctx context.Context, p *partner, s pagination.Start) pagination.Pages[string] {
		return pagination.Keyset(ctx, s, p.size, func(s string) string { return s },
			func(_ context.Context, after string, limit int) (pagination.Batch[string], error) {
				from, found := slices.BinarySearch(p.rows, after)
				if found {
					from++
				}
				return p.slice(from, limit)
			})
	},
}

func rows(n int) []string {
	r := make([]string, n)
	for i := range r {
		r[i] = fmt.Sprintf("row-%04d", i)
	}
	return r
}

// read ranges over pages until stop pages were read (negative: all), and returns their items and the last page.
func read(t *testing.T, pages pagination.Pages[string], stop int) (items []string, last pagination.Page[string],
	err error) {
	t.Helper()
	ended := false
	for p, e := range pages {
		if ended {
			t.Fatal("a page was yielded after the end or an error")
		}
		last, err = p, e
		if e != nil {
			if len(p.Items) != 0 || p.Last() {
				t.Fatalf("the page of an error holds %d items, Last is %v", len(p.Items), p.Last())
			}
			ended = true
			continue
		}
		if p.Sent.IsZero() {
			t.Fatal("Sent is not set")
		}
		ended = p.Last()
		items = append(items, p.Items...)
		if stop--; stop == 0 {
			break
		}
	}
	return items, last, err
}

func TestResumeAfterAnyPage(t *testing.T) {
	for name, open := range strategies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(40) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				all := rows(rnd.IntN(60))
				shape := partner{rows: all, size: 1 + rnd.IntN(12), total: rnd.IntN(2) == 0, prints: rnd.IntN(2) == 0}
				for k := 1; ; k++ {
					// Stopped after k pages, and resumed.
					p := shape
					got, at, err := read(t, open(t.Context(), &p, pagination.From("s", "")), k)
					if err != nil {
						t.Fatal(err)
					}
					if k == 1 && p.fetches != 1 {
						t.Fatalf("%d pages fetched for one", p.fetches)
					}
					if at.Last() {
						if !slices.Equal(got, all) {
							t.Fatalf("seed %d: got %v, want %v", seed, got, all)
						}
						break
					}
					rest, last, err := read(t, open(t.Context(), &p, pagination.From("s", at.Next)), -1)
					if got = append(got, rest...); err != nil || !slices.Equal(got, all) || !last.Last() ||
						last.Incomplete != "" {
						t.Fatalf("seed %d, resumed after page %d: got %v, %q, %v, want %v", seed, k, got,
							last.Incomplete, err, all)
					}

					// The fetch of page k fails, also in a resumed run.
					p = shape
					p.fail = k
					got, at, err = read(t, open(t.Context(), &p, pagination.From("s", "")), -1)
					if !errors.Is(err, errDown) {
						t.Fatalf("got error %v, want %v", err, errDown)
					}
					p.fail = p.fetches + 1
					none, again, err := read(t, open(t.Context(), &p, pagination.From("s", at.Next)), -1)
					if !errors.Is(err, errDown) || len(none) != 0 || again.Next != at.Next {
						t.Fatalf("second failure at %q: got %v, %q, %v", at.Next, none, again.Next, err)
					}
					rest, last, err = read(t, open(t.Context(), &p, pagination.From("s", again.Next)), -1)
					if got = append(got, rest...); err != nil || !slices.Equal(got, all) || !last.Last() {
						t.Fatalf("seed %d, failed at page %d: got %v, %v, want %v", seed, k, got, err, all)
					}

					// One page a run.
					if k == 1 {
						p, got = shape, nil
						for c := pagination.Cursor(""); ; {
							part, last, err := read(t, open(t.Context(), &p, pagination.Start{Stream: "s", Cursor: c,
								MaxPages: 1}), -1)
							if err != nil {
								t.Fatal(err)
							}
							if (last.Incomplete == "") != last.Last() {
								t.Fatalf("Incomplete %q, Last %v", last.Incomplete, last.Last())
							}
							got = append(got, part...)
							if c = last.Next; last.Last() {
								break
							}
						}
						if !slices.Equal(got, all) {
							t.Fatalf("seed %d, page by page: got %v, want %v", seed, got, all)
						}
					}
				}
			}
		})
	}
}

func TestRangingAgainStartsAgain(t *testing.T) {
	for name, open := range strategies {
		p := &partner{rows: rows(25), size: 10}
		pages := open(t.Context(), p, pagination.From("s", ""))
		for range 2 {
			if got, _, err := read(t, pages, -1); err != nil || !slices.Equal(got, p.rows) {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
	}
}

func TestContextEnds(t *testing.T) {
	why := errors.New("the worker is stopped")
	for name, open := range strategies {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		p := &partner{rows: rows(25), size: 10}
		var next pagination.Cursor
		var last error
		for page, err := range open(ctx, p, pagination.From("s", "")) {
			next, last = page.Next, err
			cancel(why)
		}
		if last != why || p.fetches != 1 {
			t.Errorf("%s: got %v after %d fetches, want %v after 1", name, last, p.fetches, why)
		}
		if got, _, err := read(t, open(t.Context(), p, pagination.From("s", next)), -1); err != nil ||
			!slices.Equal(got, p.rows[10:]) {
			t.Errorf("%s: resumed: got %v, %v", name, got, err)
		}
	}
}

func TestForeignCursors(t *testing.T) {
	cursors := map[string]pagination.Cursor{"noise": "noise", "not base64": "{}",
		"long": pagination.Cursor(make([]byte, pagination.MaxCursor+1))}
	for name, open := range strategies {
		_, page, _ := read(t, open(t.Context(), &partner{rows: rows(25), size: 10}, pagination.From("s", "")), 1)
		cursors["of "+name] = page.Next
		_, page, _ = read(t, open(t.Context(), &partner{rows: rows(25), size: 10}, pagination.From("s/2", "")), 1)
		cursors[name+" of another stream"] = page.Next
	}
	// With ids or without, a place is a place.
	kinds := map[string]string{"of offset": "overlap", "of overlap": "offset", "of number": "look again",
		"of look again": "number"}
	_, page, _ := read(t, strategies["number"](t.Context(), &partner{rows: rows(25), size: 5},
		pagination.From("s", "")), 1)
	cursors["number with another size"] = page.Next
	for name, open := range strategies {
		for what, c := range cursors {
			p := &partner{rows: rows(25), size: 10}
			_, page, err := read(t, open(t.Context(), p, pagination.From("s", c)), -1)
			if what == "of "+name || kinds[what] == name {
				if err != nil {
					t.Errorf("%s: its own cursor: %v", name, err)
				}
				continue
			}
			if !errors.Is(err, pagination.ErrCursor) || page.Next != pagination.Beginning || p.fetches != 0 {
				t.Errorf("%s: cursor %s: got %v, next %q, %d fetches", name, what, err, page.Next, p.fetches)
			}
		}
	}
}

func TestBadArguments(t *testing.T) {
	batch := func() (pagination.Batch[string], error) {
		t.Error("fetched")
		return pagination.Batch[string]{}, nil
	}
	byNumber := func(context.Context, int, int) (pagination.Batch[string], error) { return batch() }
	byLink := func(context.Context, *url.URL) (pagination.Batch[string], error) { return batch() }
	ctx, s := t.Context(), pagination.From("s", "")
	for name, pages := range map[string]pagination.Pages[string]{
		"no stream":     pagination.Offset(ctx, pagination.Start{}, 1, nil, byNumber),
		"stream":        pagination.Offset(ctx, pagination.From("\xff", ""), 1, nil, byNumber),
		"limit":         pagination.Offset(ctx, s, 0, nil, byNumber),
		"size":          pagination.Number(ctx, s, 0, -1, nil, byNumber),
		"nil link":      pagination.NextLink(ctx, s, nil, byLink),
		"relative link": pagination.NextLink(ctx, s, &url.URL{Path: "/x"}, byLink),
		"link and user": pagination.NextLink(ctx, s, &url.URL{Scheme: "https", Host: "x", User: url.User("u")}, byLink),
	} {
		if _, _, err := read(t, pages, -1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
