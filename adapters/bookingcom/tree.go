package bookingcom

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// node is an element of a document. Names are without their prefix: some servers and mocks leave the namespace out.
type node struct {
	name     string
	attrs    []xml.Attr
	children []*node
	text     string // of the element itself, without that of its children
	start    int    // in the document: from the start tag
	opened   int    // behind the start tag
	closing  int    // before the end tag
	end      int    // behind it
}

// The bounds of what is read. The widest reservation seen is some ten elements deep.
const (
	maxDepth = 64
	maxNodes = 1_000_000
)

var (
	errDTD      = errors.New("XML with a document type definition")
	errDepth    = fmt.Errorf("XML nested more than %d deep", maxDepth)
	errNodes    = fmt.Errorf("XML of more than %d elements", maxNodes)
	errNesting  = errors.New("XML whose tags do not match")
	errTrailing = errors.New("text or a second element after the XML's root")
	errNoRoot   = errors.New("XML without a root")
	errCharset  = errors.New("XML in an encoding that is not UTF-8 or Latin-1")
	errNotXML   = errors.New("not XML")
)

// parseXML reads one document, strictly: no document type definition and so no entities but the five of XML, matching
// tags, one root, bounded depth and size. What errors say holds no value.
func parseXML(doc []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(doc))
	// utf8Document has removed those that are known
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errCharset }
	var root *node
	var stack []*node
	var texts [][]byte
	for nodes := 0; ; {
		start := int(d.InputOffset())
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, xmlError(err)
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errDTD
		case xml.StartElement:
			if nodes++; nodes > maxNodes {
				return nil, errNodes
			}
			n := &node{name: tok.Name.Local, attrs: tok.Copy().Attr, start: start, opened: int(d.InputOffset())}
			switch {
			case len(stack) >= maxDepth:
				return nil, errDepth
			case len(stack) > 0:
				parent := stack[len(stack)-1]
				parent.children = append(parent.children, n)
			case root != nil:
				return nil, errTrailing
			default:
				root = n
			}
			stack, texts = append(stack, n), append(texts, nil)
		case xml.EndElement:
			if len(stack) == 0 || stack[len(stack)-1].name != tok.Name.Local {
				return nil, errNesting
			}
			n := stack[len(stack)-1]
			n.text, n.closing, n.end = string(texts[len(texts)-1]), start, int(d.InputOffset())
			stack, texts = stack[:len(stack)-1], texts[:len(texts)-1]
		case xml.CharData:
			if len(stack) > 0 {
				texts[len(texts)-1] = append(texts[len(texts)-1], tok...)
			} else if len(bytes.TrimSpace(tok)) > 0 {
				return nil, errTrailing
			}
		}
	}
	switch {
	case root == nil:
		return nil, errNoRoot
	case len(stack) > 0:
		return nil, errNesting
	}
	return root, nil
}

// xmlError returns err with a text that holds no value.
func xmlError(err error) error {
	if errors.Is(err, errCharset) {
		return errCharset
	}
	if e, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return fmt.Errorf("malformed XML at line %d", e.Line)
	}
	return errNotXML
}

// utf8Document returns a document in UTF-8: without a byte order mark, and converted when it declares Latin-1, whose
// declaration is then cut off.
func utf8Document(doc []byte) ([]byte, error) {
	doc = bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimLeft(doc, " \t\r\n")
	if !bytes.HasPrefix(trimmed, []byte("<?xml")) {
		return trimmed, nil
	}
	declaration, rest, ok := bytes.Cut(trimmed, []byte("?>"))
	if !ok || len(declaration) > 256 {
		return nil, errNotXML
	}
	_, encoding, ok := strings.Cut(strings.ToLower(string(declaration)), "encoding")
	if !ok {
		return rest, nil
	}
	encoding = strings.Trim(strings.TrimLeft(encoding, " \t\r\n="), "\"' \t\r\n")
	if i := strings.IndexAny(encoding, "\"' "); i >= 0 {
		encoding = encoding[:i]
	}
	switch encoding {
	case "utf-8", "utf8", "us-ascii":
		return rest, nil
	case "iso-8859-1", "latin1", "windows-1252":
		return charmap.Windows1252.NewDecoder().Bytes(rest)
	}
	return nil, errCharset
}

// The methods below take a nil node, which has nothing.

// child returns the first child of the name, or the first below the path of names.
func (n *node) child(path ...string) *node {
	for _, name := range path {
		if n == nil {
			return nil
		}
		var found *node
		for _, c := range n.children {
			if c.name == name {
				found = c
				break
			}
		}
		n = found
	}
	return n
}

// all returns the children of the last name below the path, of each parent that there is.
func (n *node) all(path ...string) []*node {
	if n == nil {
		return nil
	}
	level := []*node{n}
	for _, name := range path {
		var next []*node
		for _, p := range level {
			for _, c := range p.children {
				if c.name == name {
					next = append(next, c)
				}
			}
		}
		level = next
	}
	return level
}

// attr returns an attribute, trimmed; "" if there is none.
func (n *node) attr(name string) string {
	v, _ := n.lookup(name)
	return v
}

func (n *node) lookup(name string) (string, bool) {
	if n == nil {
		return "", false
	}
	for _, a := range n.attrs {
		if a.Name.Local == name && a.Name.Space != "xmlns" {
			return strings.TrimSpace(a.Value), true
		}
	}
	return "", false
}

// value returns the element's text, trimmed; "" if there is none.
func (n *node) value() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// walk calls f for n and what is below it.
func (n *node) walk(f func(*node)) {
	f(n)
	for _, c := range n.children {
		c.walk(f)
	}
}
