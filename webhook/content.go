package webhook

import (
	"fmt"
	"strings"
)

type field uint8

const (
	fieldNone field = iota
	fieldBody
	fieldTime
	fieldID
	fieldMethod
	fieldHost
	fieldPath
	fieldURL
	fieldHeader
)

var fieldNames = map[string]field{
	"body": fieldBody, "time": fieldTime, "id": fieldID, "method": fieldMethod,
	"host": fieldHost, "path": fieldPath, "url": fieldURL,
}

// part is a value of the content and the text after it.
type part struct {
	field field
	name  string // of a header
	after string
}

// compile reads a template: what stands before the first value, and the values.
func compile(content string) (before string, parts []part, err error) {
	bad := func(format string, a ...any) (string, []part, error) {
		return "", nil, fmt.Errorf("webhook: content %q: "+format, append([]any{content}, a...)...)
	}
	before, rest, found := strings.Cut(content, "{")
	body := false
	for found {
		name, tail, closed := strings.Cut(rest, "}")
		if !closed {
			return bad("a brace is not closed")
		}
		p := part{field: fieldNames[name]}
		if h, ok := strings.CutPrefix(name, "header:"); ok {
			p.field = fieldHeader
			if p.name, err = headerName("a header", h); err != nil {
				return bad("%w", err)
			}
		}
		if p.field == fieldNone {
			return bad("there is no %q", name)
		}
		if p.field == fieldBody && body {
			return bad("it holds the body twice")
		}
		body = body || p.field == fieldBody
		p.after, rest, found = strings.Cut(tail, "{")
		if found && p.after == "" && p.field != fieldURL {
			return bad("nothing stands between %q and what follows, so it could be divided in two ways", name)
		}
		parts = append(parts, p)
	}
	if !body {
		return bad("it does not hold the body")
	}
	return before, parts, nil
}

func has(parts []part, f field) bool {
	for _, p := range parts {
		if p.field == f {
			return true
		}
	}
	return false
}
