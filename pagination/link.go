package pagination

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// NextLink pages by the link that came with the batch before, absolute or relative to the page it came with; first
// fetches the first. It ends as [Token] does. A link that leaves first's origin (scheme, host and port), carries a
// user or a password, or is no link ends the stream with [ErrOrigin], because the credentials would go with it; the
// error does not show the link. The URL given to fetch is fetch's own. A partner that repeats an API key in its links
// would have it stored in the cursor: leave it out of Batch.Next and add it in fetch.
func NextLink[T any](ctx context.Context, s Start, first *url.URL, fetch func(ctx context.Context,
	u *url.URL) (Batch[T], error)) Pages[T] {
	var base url.URL
	var err error
	switch {
	case first == nil || first.Scheme == "" || first.Host == "":
		err = errors.New("first is not an absolute URL")
	case first.User != nil:
		err = errors.New("first carries a user")
	default:
		base = *first
		base.Fragment, base.RawFragment = "", ""
	}
	// The current page's URL, parsed. It belongs to one range at a time and is derived from st wherever it is needed.
	current := func(st *state) (*url.URL, error) {
		u, err := base.Parse(string(st.Token))
		if err != nil || !sameOrigin(&base, u) {
			return nil, fmt.Errorf("%w: its link is of another origin", ErrCursor)
		}
		return u, nil
	}
	return strategy[T]{
		begin:  state{Kind: "link", Token: []byte(base.String())},
		err:    err,
		resume: func(st *state) error { _, err := current(st); return err },
		fetch: func(ctx context.Context, st *state) (Batch[T], error) {
			u, err := current(st)
			if err != nil {
				return Batch[T]{}, err
			}
			return fetch(ctx, u)
		},
		step: func(st *state) string { return string(st.Token) },
		next: func(st *state, b *Batch[T], rows int) (bool, string, error) {
			link := strings.TrimSpace(b.Next)
			if end, why := followed(b.More, link); end {
				return true, why, nil
			}
			u, err := current(st)
			if err != nil {
				return false, "", err
			}
			if u, err = u.Parse(link); err != nil {
				return false, "", fmt.Errorf("%w: it is no link", ErrOrigin) // err would show the link
			}
			if !sameOrigin(&base, u) {
				return false, "", ErrOrigin
			}
			u.Fragment, u.RawFragment = "", ""
			st.Token = []byte(u.String())
			return false, "", nil
		},
	}.pages(ctx, s)
}

func sameOrigin(a, b *url.URL) bool {
	return b.User == nil && b.Opaque == "" && strings.EqualFold(a.Scheme, b.Scheme) &&
		strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	switch strings.ToLower(u.Scheme) {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// LinkNext returns the target of the first Link header field with the relation "next" (RFC 8288), "" if there is
// none. It may be relative to the page it came with. Several links in one field, several fields, several relations in
// one rel, any case, and commas and semicolons in quotes are understood; a link with an anchor speaks of another page
// and is passed over.
func LinkNext(h http.Header) string {
	for _, field := range h.Values("Link") {
		for field != "" {
			var target string
			var next bool
			target, next, field = cutLink(field)
			if next {
				return target
			}
		}
	}
	return ""
}

// cutLink takes the first link-value off s, by the algorithm of RFC 8288 appendix B.2, and passes over what is none.
func cutLink(s string) (target string, next bool, rest string) {
	s = strings.TrimLeft(s, ", \t")
	if !strings.HasPrefix(s, "<") {
		_, rest = cutToken(s, ",")
		return "", false, rest
	}
	target, s, ok := strings.Cut(s[1:], ">")
	if !ok {
		return "", false, ""
	}
	var rel string
	var hasRel, anchored bool
	for {
		_, s = cutToken(s, ";,")
		if !strings.HasPrefix(s, ";") {
			break
		}
		var name, value string
		name, s = cutToken(s[1:], "=;,")
		if strings.HasPrefix(s, "=") {
			value, s = cutToken(s[1:], ";,")
		}
		switch strings.ToLower(name) {
		case "rel":
			if !hasRel { // RFC 8288 section 3.3: occurrences after the first are ignored
				rel, hasRel = value, true
			}
		case "anchor":
			anchored = true
		}
	}
	for _, r := range strings.Fields(rel) {
		next = next || strings.EqualFold(r, "next")
	}
	return target, next && !anchored, s
}

// cutToken takes a token or a quoted string off s, up to the first byte of stops that is not in quotes. Quotes and
// surrounding space are taken off the token; rest begins with the stop, or is empty.
func cutToken(s, stops string) (token, rest string) {
	s = strings.TrimLeft(s, " \t")
	var b strings.Builder
	quoted := false
	i := 0
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
			continue
		case quoted && c == '\\' && i+1 < len(s):
			i++
		case !quoted && strings.IndexByte(stops, c) >= 0:
			return strings.TrimRight(b.String(), " \t"), s[i:]
		}
		b.WriteByte(s[i])
	}
	return strings.TrimRight(b.String(), " \t"), ""
}
