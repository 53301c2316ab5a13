package drivertest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// document is an answer's body, taken to pieces that can be exchanged: JSON, or XML as the same tree.
type document struct {
	root any  // map[string]any, []any, json.Number, string, bool, nil or *xmlNode
	xml  bool // of elements
	lead []byte
}

// xmlNode is an element of XML. A child is an *xmlNode or a string, which is text.
type xmlNode struct {
	start    xml.StartElement
	children []any
}

// read takes a body to pieces; false if it is neither JSON nor XML, or has no structure.
func readDocument(body []byte) (*document, bool) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	first := bytes.TrimLeft(body, " \t\r\n")
	if len(first) == 0 {
		return nil, false
	}
	if first[0] == '<' {
		return readXML(body)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	d := &document{}
	if dec.Decode(&d.root) != nil {
		return nil, false
	}
	return d, true
}

func readXML(body []byte) (*document, bool) {
	d := &document{xml: true}
	dec := xml.NewDecoder(bytes.NewReader(body))
	var stack []*xmlNode
	for {
		tok, err := dec.RawToken() // which leaves prefixes as they are
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			e := &xmlNode{start: tok.Copy()}
			if len(stack) > 0 {
				top := stack[len(stack)-1]
				top.children = append(top.children, e)
			} else if d.root == nil {
				d.root = e
			}
			stack = append(stack, e)
		case xml.EndElement:
			if len(stack) == 0 {
				return nil, false
			}
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 && strings.TrimSpace(string(tok)) != "" {
				top := stack[len(stack)-1]
				top.children = append(top.children, string(tok))
			}
		case xml.ProcInst:
			if len(stack) == 0 && d.root == nil {
				d.lead = []byte("<?" + tok.Target + " " + string(tok.Inst) + "?>\n")
			}
		}
	}
	return d, d.root != nil && len(stack) == 0
}

// bytes puts the pieces together again.
func (d *document) bytes() []byte {
	var b bytes.Buffer
	if !d.xml {
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(d.root); err != nil {
			panic(err) // a tree of what was decoded
		}
		return b.Bytes()
	}
	b.Write(d.lead)
	writeXML(&b, d.root)
	return b.Bytes()
}

func writeXML(b *bytes.Buffer, node any) {
	e, ok := node.(*xmlNode)
	if !ok {
		text, _ := node.(string)
		_ = xml.EscapeText(b, []byte(text)) // a buffer takes everything
		return
	}
	name := qualified(e.start.Name)
	b.WriteString("<" + name)
	for _, a := range e.start.Attr {
		b.WriteString(" " + qualified(a.Name) + `="`)
		_ = xml.EscapeText(b, []byte(a.Value))
		b.WriteString(`"`)
	}
	b.WriteString(">")
	for _, c := range e.children {
		writeXML(b, c)
	}
	b.WriteString("</" + name + ">")
}

// qualified is a raw name with its prefix.
func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// list is where the rows of a document are.
type list struct {
	rows []any
	put  func(rows []any) // in place of them
	// spoil puts what is no list in their place.
	spoil func(v any)
}

// list finds the rows: the longest list of objects among those that are least deep. nil: there is none.
func (d *document) list() *list {
	level := []slot{{get: func() any { return d.root }, set: func(v any) { d.root = v }}}
	for len(level) > 0 {
		var best *list
		var below []slot
		for _, s := range level {
			for _, l := range s.lists() {
				if best == nil || len(l.rows) > len(best.rows) {
					best = l
				}
			}
			below = append(below, s.below()...)
		}
		if best != nil {
			return best
		}
		level = below
	}
	return nil
}

// slot is a place in a tree.
type slot struct {
	get func() any
	set func(any)
}

// lists returns the lists of objects that the value in the slot is or, of XML, holds.
func (s slot) lists() []*list {
	switch v := s.get().(type) {
	case []any:
		for _, row := range v {
			if _, ok := row.(map[string]any); !ok {
				return nil
			}
		}
		if len(v) > 0 {
			return []*list{{rows: v, put: func(rows []any) { s.set(rows) }, spoil: s.set}}
		}
	case *xmlNode:
		byName := map[string][]any{}
		for _, c := range v.children {
			if e, ok := c.(*xmlNode); ok && (len(e.children) > 0 || len(e.start.Attr) > 0) {
				name := qualified(e.start.Name)
				byName[name] = append(byName[name], e)
			}
		}
		var all []*list
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			if rows := byName[name]; len(rows) > 1 {
				others := slices.DeleteFunc(slices.Clone(v.children), func(c any) bool { return slices.Contains(rows, c) })
				all = append(all, &list{
					rows:  rows,
					put:   func(rows []any) { v.children = append(slices.Clone(others), rows...) },
					spoil: func(any) { v.start.Name.Local, v.children = "Unexpected", nil },
				})
			}
		}
		return all
	}
	return nil
}

// below returns the places one level deeper, in a stable order. Rows are not looked into.
func (s slot) below() []slot {
	var all []slot
	switch v := s.get().(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, slot{get: func() any { return v[k] }, set: func(x any) { v[k] = x }})
		}
	case *xmlNode:
		for i := range v.children {
			all = append(all, slot{get: func() any { return v.children[i] }, set: func(x any) { v.children[i] = x }})
		}
	}
	return all
}

// below separates a field's name from that of a field of its value.
const below = "\x00"

// fields returns the names of a row's fields and of the fields of those that are objects, sorted; of XML its attributes' and leaves'.
func fields(row any) []string {
	switch v := row.(type) {
	case map[string]any:
		var names []string
		for k, x := range v {
			names = append(names, k)
			if sub, ok := x.(map[string]any); ok {
				for name := range sub {
					names = append(names, k+below+name)
				}
			}
		}
		slices.Sort(names)
		return names
	case *xmlNode:
		var names []string
		leaves(v, func(name string, _ func() string, _ func(string)) { names = append(names, name) })
		slices.Sort(names)
		return slices.Compact(names)
	}
	return nil
}

// leaves calls f for each attribute and each element that holds nothing but text.
func leaves(e *xmlNode, f func(name string, get func() string, set func(string))) {
	for i := range e.start.Attr {
		f("@"+qualified(e.start.Attr[i].Name), func() string { return e.start.Attr[i].Value }, func(s string) { e.start.Attr[i].Value = s })
	}
	if len(e.children) == 1 {
		if _, ok := e.children[0].(string); ok {
			f(qualified(e.start.Name), func() string { return e.children[0].(string) }, func(s string) { e.children[0] = s })
			return
		}
	}
	for _, c := range e.children {
		if sub, ok := c.(*xmlNode); ok {
			leaves(sub, f)
		}
	}
}

// mistype gives the field of a row a value of another type, the n-th of some. It returns false when there is no such field, or its value
// is one of the ids to be kept.
func mistype(row any, field string, n int, keep map[string]bool) bool {
	switch v := row.(type) {
	case map[string]any:
		if outer, inner, ok := strings.Cut(field, below); ok {
			return mistype(v[outer], inner, n, keep)
		}
		was, ok := v[field]
		if !ok || keep[text(was)] {
			return false
		}
		if n%mistypes == mistypes-1 {
			delete(v, field)
			return true
		}
		wrong := []any{json.Number("-7"), "not what it was", true, map[string]any{"unexpected": []any{}}, []any{"unexpected", nil}, nil, ""}
		v[field] = wrong[n%mistypes]
		return true
	case *xmlNode:
		done := false
		leaves(v, func(name string, get func() string, set func(string)) {
			if name == field && !keep[get()] {
				set([]string{"not what it was", "", "-7", "\u00a0", "9999999999999999999999", "1e400", "0000-00-00", "true"}[n%mistypes])
				done = true
			}
		})
		return done
	}
	return false
}

// mistypes is how many ways there are to be mistyped.
const mistypes = 8

// text is a scalar as text.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// copyRow returns a copy of a row that shares nothing with it.
func copyRow(row any) any {
	switch v := row.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for k, x := range v {
			c[k] = copyRow(x)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, x := range v {
			c[i] = copyRow(x)
		}
		return c
	case *xmlNode:
		c := &xmlNode{start: v.start.Copy()}
		for _, x := range v.children {
			c.children = append(c.children, copyRow(x))
		}
		return c
	}
	return row
}
