package driver

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	maxDepth  = 200
	maxTokens = 5_000_000
)

var (
	errDTD      = errors.New("XML with a document type definition")
	errDepth    = fmt.Errorf("XML nested more than %d deep", maxDepth)
	errTokens   = fmt.Errorf("XML of more than %d parts", maxTokens)
	errTrailing = errors.New("text after the XML's root")
	errCharset  = errors.New("XML in an unknown encoding")
	errNoRoot   = errors.New("XML without a root")
)

// decodeXML decodes one document. It refuses document type definitions (and with them entities of one's own), and
// documents of absurd depth, before anything is built of them. A raw control character, which no XML document can hold, becomes a space.
func decodeXML(b []byte, v any) error {
	b = withoutControls(b)
	if err := checkXML(b); err != nil {
		return err
	}
	if err := newXML(b).Decode(v); err != nil {
		return xmlError(err)
	}
	return nil
}

// withoutControls returns b with spaces for the control characters that XML 1.0 forbids (section 2.2), b itself when there are none. It is right in
// every encoding that holds ASCII.
func withoutControls(b []byte) []byte {
	forbidden := func(c byte) bool { return c < ' ' && c != '\t' && c != '\n' && c != '\r' }
	if !slices.ContainsFunc(b, forbidden) {
		return b
	}
	b = bytes.Clone(b)
	for i, c := range b {
		if forbidden(c) {
			b[i] = ' '
		}
	}
	return b
}

func newXML(b []byte) *xml.Decoder {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		cm := latin(charset)
		if cm == nil {
			return nil, errCharset
		}
		return cm.NewDecoder().Reader(r), nil
	}
	return d
}

func checkXML(b []byte) error {
	d := newXML(b)
	depth, roots := 0, 0
	for range maxTokens {
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			if roots == 0 {
				return errNoRoot
			}
			return nil // what is not closed is found by the decoder
		}
		if err != nil {
			return xmlError(err)
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return errDTD
		case xml.StartElement:
			if depth == 0 {
				if roots++; roots > 1 {
					return errTrailing
				}
			}
			if depth++; depth > maxDepth {
				return errDepth
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && strings.TrimSpace(string(tok)) != "" {
				return errTrailing
			}
		}
	}
	return errTokens
}

// xmlError returns err with a text that holds no value.
func xmlError(err error) error {
	if errors.Is(err, errCharset) {
		return errCharset
	}
	if e, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return fmt.Errorf("malformed XML at line %d", e.Line)
	}
	if c, ok := withoutValues(err).(*clean); ok { //nolint:errorlint // what withoutValues itself made
		return c
	}
	return fmt.Errorf("XML that is not what was expected (%T)", err)
}
