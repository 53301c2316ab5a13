package pagination_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/pagination"
)

type batch = pagination.Batch[string]

// walk follows the tokens in route: the page of token i names token route[i].
func walk(ctx context.Context, s pagination.Start, route map[string]string, fetches *int) pagination.Pages[string] {
	return pagination.Token(ctx, s, func(_ context.Context, token string) (batch, error) {
		*fetches++
		return batch{Items: []string{token}, Next: route[token]}, nil
	})
}

func TestLoops(t *testing.T) {
	long := map[string]string{"": "0"}
	for i := range 100 {
		long[fmt.Sprint(i)] = fmt.Sprint(i + 1)
	}
	long["100"] = "30"
	for _, tt := range []struct {
		name  string
		route map[string]string
		want  int // most fetches before it is noticed
	}{
		{"itself", map[string]string{"": "a", "a": "a"}, 3},
		{"A B A", map[string]string{"": "a", "a": "b", "b": "a"}, 4},
		{"five", map[string]string{"": "a", "a": "b", "b": "c", "c": "d", "d": "e", "e": "a"}, 7},
		{"long", long, 3 * 101},
	} {
		// perRun pages a run: a circle is noticed although no run sees all of it.
		for _, perRun := range []int{0, 1, 3} {
			fetches := 0
			var err error
			var page pagination.Page[string]
			for c := pagination.Cursor(""); err == nil && fetches < 1000; c = page.Next {
				_, page, err = read(t, walk(t.Context(), pagination.Start{Stream: "s", Cursor: c, MaxPages: perRun},
					tt.route, &fetches), -1)
			}
			if !errors.Is(err, pagination.ErrLoop) || fetches > tt.want || page.Next != pagination.Beginning {
				t.Errorf("%s, %d pages a run: got %v after %d fetches, next %q, want ErrLoop within %d", tt.name,
					perRun, err, fetches, page.Next, tt.want)
			}
		}
	}
}

func TestRepeatedTokenThatBringsNews(t *testing.T) {
	n := 0
	pages := pagination.Token(t.Context(), pagination.From("scroll", ""), func(context.Context, string) (batch, error) {
		n++
		b := batch{Items: []string{fmt.Sprint(n)}, Next: "scroll", Fingerprint: fmt.Sprint(n)}
		if n == 20 {
			b.Next = ""
		}
		return b, nil
	})
	if got, _, err := read(t, pages, -1); err != nil || len(got) != 20 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSameContentForEver(t *testing.T) {
	ignores := func(context.Context, int, int) (batch, error) {
		return batch{Items: []string{"a", "b"}, Fingerprint: "a…b"}, nil
	}
	for name, pages := range map[string]pagination.Pages[string]{
		"offset": pagination.Offset(t.Context(), pagination.From("s", ""), 2, nil, ignores),
		"number": pagination.Number(t.Context(), pagination.From("s", ""), 0, 2, nil, ignores),
	} {
		if got, _, err := read(t, pages, -1); !errors.Is(err, pagination.ErrLoop) || len(got) != 2 {
			t.Errorf("%s: got %v, %v, want one page and ErrLoop", name, got, err)
		}
	}
}

func TestNoProgress(t *testing.T) {
	more := func(context.Context, int, int) (batch, error) { return batch{More: pagination.Yes}, nil }
	byKey := func(items ...string) func(context.Context, string, int) (batch, error) {
		return func(context.Context, string, int) (batch, error) {
			return batch{Items: items, More: pagination.Yes}, nil
		}
	}
	self := func(s string) string { return s }
	for name, pages := range map[string]pagination.Pages[string]{
		"offset without rows": pagination.Offset(t.Context(), pagination.From("s", ""), 2, nil, more),
		"keyset without rows": pagination.Keyset(t.Context(), pagination.From("s", ""), 2, self, byKey()),
		"keyset, same row":    pagination.Keyset(t.Context(), pagination.From("s", ""), 2, self, byKey("a")),
		"keyset, no key":      pagination.Keyset(t.Context(), pagination.From("s", ""), 2, self, byKey("a", "")),
	} {
		if _, _, err := read(t, pages, 50); !errors.Is(err, pagination.ErrLoop) {
			t.Errorf("%s: got %v, want ErrLoop", name, err)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, tt := range []struct {
		first, link, want string // want is the URL fetched next, "" for a refusal
	}{
		{"https://a.example/v1/x?p=1", "?p=2", "https://a.example/v1/x?p=2"},
		{"https://a.example/v1/x?p=1", "y?p=2", "https://a.example/v1/y?p=2"},
		{"https://a.example/v1/x", "/v2/x", "https://a.example/v2/x"},
		{"https://a.example/v1/x", " https://A.EXAMPLE:443/v2#top ", "https://A.EXAMPLE:443/v2"},
		{"http://a.example:80/v1/x", "//a.example/v2", "http://a.example/v2"},
		{"https://[::1]:8443/x", "https://[::1]:8443/y", "https://[::1]:8443/y"},
		{"https://a.example/x", "https://evil.example/x?key=s3cret", ""},
		{"https://a.example/x", "https://a.example.evil.example/x?key=s3cret", ""},
		{"https://a.example/x", "//evil.example/x?key=s3cret", ""},
		{"https://a.example/x", "http://a.example/x?key=s3cret", ""},
		{"https://a.example/x", "https://a.example:8443/x?key=s3cret", ""},
		{"https://a.example/x", "https://u:p@a.example/x?key=s3cret", ""},
		{"https://a.example/x", "https:a.example/x?key=s3cret", ""},
		{"https://a.example/x", "mailto:s3cret@a.example", ""},
		{"https://a.example/x", "https://a.example/%zz?key=s3cret", ""},
		{"https://a.example/x", "https://a.example\\@evil.example/?key=s3cret", ""},
	} {
		first, err := url.Parse(tt.first)
		if err != nil {
			t.Fatal(err)
		}
		var fetched []string
		stream := func(c pagination.Cursor) pagination.Pages[string] {
			return pagination.NextLink(t.Context(), pagination.From("s", c), first,
				func(_ context.Context, u *url.URL) (batch, error) {
					fetched = append(fetched, u.String())
					b := batch{Items: []string{"x"}}
					if len(fetched) == 1 {
						b.Next = tt.link
					}
					*u = url.URL{} // fetch's own
					return b, nil
				})
		}
		_, page, err := read(t, stream(""), -1)
		if tt.want != "" {
			if want := []string{tt.first, tt.want}; err != nil || !slices.Equal(fetched, want) {
				t.Errorf("%s from %s: fetched %q, %v, want %q", tt.link, tt.first, fetched, err, want)
			}
			continue
		}
		if !errors.Is(err, pagination.ErrOrigin) || len(fetched) != 1 || page.Next != pagination.Beginning {
			t.Errorf("%s from %s: fetched %q, %v, next %q, want ErrOrigin", tt.link, tt.first, fetched, err, page.Next)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "example")) {
			t.Errorf("the error shows the link: %v", err)
		}
	}
}

func TestCursorOfAnotherOrigin(t *testing.T) {
	stream := func(host string, c pagination.Cursor) pagination.Pages[string] {
		u := &url.URL{Scheme: "https", Host: host, Path: "/"}
		return pagination.NextLink(t.Context(), pagination.From("s", c), u, func(_ context.Context,
			u *url.URL) (batch, error) {
			if u.Host != host {
				t.Errorf("fetched from %s, want %s", u.Host, host)
			}
			return batch{Next: "?2"}, nil
		})
	}
	_, page, err := read(t, stream("old.example", ""), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = read(t, stream("new.example", page.Next), -1); !errors.Is(err, pagination.ErrCursor) {
		t.Errorf("got %v, want ErrCursor", err)
	}
}

func TestIncomplete(t *testing.T) {
	// Each batch in turn, offset paging with a limit of 2. want is a piece of Incomplete of each page.
	two := []string{"a", "b"}
	for _, tt := range []struct {
		name     string
		maxPages int
		batches  []batch
		want     []string
	}{
		{"complete", 0, []batch{{Items: two, Total: 3}, {Items: two[:1], Total: 3}}, []string{"", ""}},
		{"no total", 0, []batch{{Items: two}, {}}, []string{"", ""}},
		{"total grows", 0, []batch{{Items: two, Total: 4}, {Items: two, Total: 5}, {Items: two[:1], Total: 5}},
			[]string{"", "changed", "changed"}},
		{"total changes and changes back", 0, []batch{{Items: two, Total: 5}, {Items: two, Total: 4},
			{Items: two[:1], Total: 5}}, []string{"", "changed", "changed"}},
		{"cap", 1, []batch{{Items: two}}, []string{"cap of 1"}},
		{"cap not needed", 1, []batch{{Items: two[:1]}}, []string{""}},
		{"short pages", 0, []batch{{Items: two[:1], Total: 3}, {Items: two[:1], Total: 3},
			{Items: two[:1], Total: 3}}, []string{"", "", ""}},
		{"fewer than counted", 0, []batch{{Items: two[:1], Total: 3}, {Total: 3}},
			[]string{"", "counted 3 rows and sent 1"}},
		{"said to be all", 0, []batch{{Items: two[:1], Total: 3, More: pagination.No}},
			[]string{"counted 3 rows and sent 1"}},
		{"rows are not items", 0, []batch{{Items: two[:1], Rows: 2, Total: 4}, {Rows: 2, Total: 4}, {Total: 4}},
			[]string{"", "", ""}},
		{"rejected are rows", 0, []batch{{Items: two[:1], Rejected: make([]pagination.Rejected, 1), Total: 2},
			{Total: 2}}, []string{"", ""}},
	} {
		// In one run, and with a new run for every page.
		for _, resumed := range []bool{false, true} {
			i, next := 0, pagination.Cursor("")
			var got []string
			for again := true; again; {
				again = false
				s := pagination.Start{Stream: "s", Cursor: next, MaxPages: tt.maxPages}
				for p, err := range pagination.Offset(t.Context(), s, 2, nil, func(context.Context, int, int) (batch,
					error) {
					i++
					return tt.batches[i-1], nil
				}) {
					if err != nil {
						t.Fatalf("%s: %v", tt.name, err)
					}
					got = append(got, p.Incomplete)
					if wantTotal := max(tt.batches[i-1].Total, 0); max(p.Total, 0) != wantTotal || p.Total == 0 {
						t.Errorf("%s: page %d: total %d, want %d", tt.name, i, p.Total, wantTotal)
					}
					if next = p.Next; resumed && !p.Last() && tt.maxPages == 0 {
						again = true
						break
					}
				}
			}
			ok := len(got) == len(tt.want)
			for i := range min(len(got), len(tt.want)) {
				ok = ok && strings.Contains(got[i], tt.want[i]) && (got[i] == "") == (tt.want[i] == "")
			}
			if !ok {
				t.Errorf("%s, resumed %v: got %q, want %q", tt.name, resumed, got, tt.want)
			}
		}
	}
}

func TestMoreWithoutAPlace(t *testing.T) {
	pages := pagination.Token(t.Context(), pagination.From("s", ""), func(context.Context, string) (batch, error) {
		return batch{Items: []string{"a"}, More: pagination.Yes}, nil
	})
	if got, page, err := read(t, pages, -1); err != nil || len(got) != 1 || !page.Last() || page.Incomplete == "" {
		t.Errorf("got %v, %+v, %v", got, page, err)
	}
}

func TestTokenTooLongForACursor(t *testing.T) {
	pages := pagination.Token(t.Context(), pagination.From("s", ""), func(context.Context, string) (batch, error) {
		return batch{Items: []string{"a"}, Next: strings.Repeat("x", pagination.MaxCursor)}, nil
	})
	if got, page, err := read(t, pages, -1); err == nil || len(got) != 0 || page.Next != pagination.Beginning {
		t.Errorf("got %v, %+v, %v", got, page, err)
	}
}

func TestBinaryToken(t *testing.T) {
	const token = "\xff\x00\"<&"
	stream := func(c pagination.Cursor) pagination.Pages[string] {
		return pagination.Token(t.Context(), pagination.From("s", c), func(_ context.Context, got string) (batch,
			error) {
			if got == "" {
				return batch{Next: token}, nil
			}
			return batch{Items: []string{got}}, nil
		})
	}
	_, page, _ := read(t, stream(""), 1)
	if got, _, err := read(t, stream(page.Next), -1); err != nil || !slices.Equal(got, []string{token}) {
		t.Errorf("got %q, %v, want %q", got, err, token)
	}
}

func TestPartnerForgotTheToken(t *testing.T) {
	pages := pagination.Token(t.Context(), pagination.From("s", ""), func(_ context.Context, token string) (batch,
		error) {
		if token != "" {
			return batch{}, fmt.Errorf("acme: orders.list: 410: %w", pagination.ErrCursor)
		}
		return batch{Next: "a"}, nil
	})
	if _, page, err := read(t, pages, -1); !errors.Is(err, pagination.ErrCursor) || page.Next != pagination.Beginning {
		t.Errorf("got %v, next %q, want to begin again", err, page.Next)
	}
}
