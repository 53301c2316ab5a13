package importer

import "errors"

// field is a member of a JSON object; name is what stands between the quotes.
type field struct {
	name  string
	value []byte
}

var errDocument = errors.New("is not a compact JSON object")

// splitFields splits a compact JSON object, as encoding/json writes it, into its members, in order. The values
// are parts of b.
func splitFields(b []byte) ([]field, error) {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return nil, errDocument
	}
	if len(b) == 2 {
		return nil, nil
	}
	fields := make([]field, 0, 24)
	for i := 1; ; {
		end := skipString(b, i)
		if end < 0 || end >= len(b) || b[end] != ':' {
			return nil, errDocument
		}
		name := string(b[i+1 : end-1])
		i = end + 1
		end = skipValue(b, i)
		if end <= i || end >= len(b) {
			return nil, errDocument
		}
		fields = append(fields, field{name, b[i:end:end]})
		switch {
		case b[end] == ',':
			i = end + 1
		case end == len(b)-1:
			return fields, nil
		default:
			return nil, errDocument
		}
	}
}

// skipString returns the index after the string that starts at i, -1 if none does.
func skipString(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

// skipValue returns the index after the value that starts at i, -1 if it has no end.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i = skipString(b, i); i < 0 {
				return -1
			}
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return -1
}

// joinFields is the inverse of splitFields.
func joinFields(fields []field) []byte {
	n := 2
	for _, f := range fields {
		n += len(f.name) + len(f.value) + 4
	}
	b := append(make([]byte, 0, n), '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, f.name...)
		b = append(b, '"', ':')
		b = append(b, f.value...)
	}
	return append(b, '}')
}
