package driver

import (
	"net/url"
	"strconv"
	"strings"
)

// refused begins what Path returns for values that cannot be put into a path: no client accepts a control character there. What
// follows it is the reason.
const refused = "\x00"

// Path fills the {} of a template with escaped values: Path("/listings/{}/photos", id). A value fills one segment or a part of
// it and never more: "/" is escaped. The empty string, "." and "..", which would change which resource the path means, and another
// number of values than of {}, make a path that every [Client] refuses with an error of class Client that says why.
func Path(template string, values ...string) string {
	var b strings.Builder
	rest := template
	for i, v := range values {
		before, after, ok := strings.Cut(rest, "{}")
		if !ok {
			return refused + "more values than {} in " + strconv.Quote(template)
		}
		if v == "" || v == "." || v == ".." {
			return refused + "value " + strconv.Itoa(i+1) + ` is empty, "." or ".." in ` + strconv.Quote(template)
		}
		b.WriteString(before)
		b.WriteString(url.PathEscape(v))
		rest = after
	}
	if strings.Contains(rest, "{}") {
		return refused + "fewer values than {} in " + strconv.Quote(template)
	}
	b.WriteString(rest)
	return b.String()
}
