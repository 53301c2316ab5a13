package driver_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/integrationkit/integrationkit/driver"
)

type named struct {
	XMLName xml.Name `json:"-"`
	Name    string   `json:"name" xml:"name"`
	N       int      `json:"n" xml:"n"`
}

func TestDecodeTakesPartnersAsTheyAre(t *testing.T) {
	for _, tt := range []struct{ what, media, body, want string }{
		{"plain", "application/json", `{"name":"a"}`, "a"},
		{"no media type", "", `{"name":"a"}`, "a"},
		{"JSON called HTML", "text/html; charset=utf-8", ` {"name":"a"}`, "a"},
		{"byte order mark", "application/json", "\xef\xbb\xbf" + `{"name":"a"}`, "a"},
		{"raw newline in a string", "application/json", "{\"name\":\"a\nb\tc\x00\"}", "a\nb\tc\x00"},
		{"raw newline and escapes", "application/json", "{\n\"name\":\"\\\"a\n\\\\\"}", "\"a\n\\"},
		{"raw newline after a backslash", "application/json", "{\"name\":\"a\\\nb\\\\\n\"}", "a\nb\\\n"},
		{"declared Latin-1", "application/json; charset=ISO-8859-1", "{\"name\":\"Caf\xe9 \x80\"}", "Café €"},
		{"declared Latin-9", "application/json; charset=iso-8859-15", "{\"name\":\"\xa4\"}", "€"},
		{"Latin-1 declared, UTF-8 sent", "application/json; charset=latin1", `{"name":"Café"}`, "Café"},
		{"unreadable media type", "application/json; ;;=", `{"name":"a"}`, "a"},
		{"XML", "application/xml", `<?xml version="1.0"?><r><name>a</name></r>`, "a"},
		{"XML with raw controls", "text/xml", "<r><name>a\x01b\tc</name></r>", "a b\tc"},
		{"XML in windows-1252", "text/xml", "<?xml version=\"1.0\" encoding=\"windows-1252\"?><r><name>\x80\x01\xe9</name></r>", "€ é"},
		{"declared windows-1252", "application/json;charset=\"Windows-1252\"", "{\"name\":\"\x93a\x94\"}", "“a”"},
		{"a mark and raw controls", "application/json; charset=utf-8", "\xef\xbb\xbf{\"name\":\"a\x1fb\"}", "a\x1fb"},
		{"XML by its look", "text/plain", `<r><name>a</name></r>`, "a"},
		{"XML in Latin-1 by its declaration", "text/xml", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r><name>\xe9</name></r>", "é"},
		{"XML in Latin-1 twice declared", "text/xml; charset=iso-8859-1", "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><r><name>\xe9</name></r>", "é"},
		{"XML in Latin-1 by its media type", "text/xml; charset=iso-8859-1", "<r><name>\xe9</name></r>", "é"},
		{"XML with a mark", "text/xml", "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?><r><name>é</name></r>\n<!-- end -->", "é"},
	} {
		var v named
		if err := driver.Decode([]byte(tt.body), tt.media, &v); err != nil || v.Name != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.what, v.Name, err, tt.want)
		}
	}
}

func TestDecodeRefusesWithoutQuoting(t *testing.T) {
	deep := strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300)
	for _, tt := range []struct{ what, media, body, text string }{
		{"empty", "application/json", "", "empty"},
		{"blank", "application/json", " \r\n", "empty"},
		{"HTML", "text/html", "<!DOCTYPE html><html>canary</html>", "HTML"},
		{"HTML called JSON", "application/json", "<HTML>canary</HTML>", "HTML"},
		{"XML called JSON", "application/json", "<r>canary</r>", "XML"},
		{"cut off", "application/json", `{"name":"canary`, "malformed JSON"},
		{"text after it", "application/json", `{"name":"a"} canary`, "malformed JSON"},
		{"wrong type", "application/json", `{"n":"canary"}`, `field "n"`},
		{"too big a number", "application/json", `{"n":31337e99}`, `field "n"`},
		{"UTF-16", "application/json", "\xff\xfe{\x00}\x00", "UTF-16"},
		{"XML cut off", "text/xml", "<r><name>canary", "malformed XML"},
		{"XML, wrong end", "text/xml", "<r><name>canary</r>", "malformed XML"},
		{"XML, wrong type", "text/xml", "<r><n>canary</n></r>", "number"},
		{"XML, entities", "text/xml", `<!DOCTYPE r [<!ENTITY a "canary">]><r><name>&a;</name></r>`, "document type"},
		{"XML, unknown entity", "text/xml", `<r><name>&canary;</name></r>`, "malformed XML"},
		{"XML, two roots", "text/xml", "<r></r><r>canary</r>", "after"},
		{"XML, text after", "text/xml", "<r></r>canary", "after"},
		{"XML, deep", "text/xml", deep, "deep"},
		{"XML, no root", "text/xml", "<!-- canary -->", "without a root"},
		{"XML, charset", "text/xml", "<?xml version=\"1.0\" encoding=\"canary\"?><r></r>", "encoding"},
	} {
		var v named
		err := driver.Decode([]byte(tt.body), tt.media, &v)
		if !errors.Is(err, driver.ErrUndecodable) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v; want %q in it", tt.what, err, tt.text)
		} else if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "31337") {
			t.Errorf("%s: a value is in %v", tt.what, err)
		}
		if errors.Is(err, driver.ErrEmpty) != (strings.TrimSpace(tt.body) == "") {
			t.Errorf("%s: ErrEmpty in %v", tt.what, err)
		}
	}
}

// FuzzDecodeJSON: what encoding/json takes means the same here; raw controls in strings are all that is put right; nothing panics.
func FuzzDecodeJSON(f *testing.F) {
	for _, s := range []string{`{}`, `[1,"a\nb",null]`, "{\"a\":\"\n\"}", "\"\\\n\"", "\xef\xbb\xbf{}", `{"a":"\"\\"}`, "<r/>", `"` + "\x01", "\xff\xfe"} {
		f.Add([]byte(s), "application/json")
		f.Add([]byte(s), "text/plain; charset=latin1")
	}
	f.Fuzz(func(t *testing.T, b []byte, media string) {
		in := bytes.Clone(b)
		var got, want any
		err := driver.Decode(b, media, &got)
		if !bytes.Equal(in, b) {
			t.Fatal("the body was changed")
		}
		if json.Unmarshal(b, &want) == nil && (utf8.Valid(b) || !strings.Contains(media, ";")) {
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("%q decodes to %v, %v; want %v", b, got, err, want)
			}
			return
		}
		xml := bytes.HasPrefix(bytes.TrimLeft(b, " \t\r\n"), []byte("<"))
		if err == nil && !xml && !strings.Contains(media, ";") && !bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) && bytes.IndexFunc(b, func(r rune) bool { return r < ' ' }) < 0 {
			t.Fatalf("%q is no JSON, has no controls, and decodes to %v", b, got)
		}
		if err != nil && !errors.Is(err, driver.ErrUndecodable) {
			t.Fatalf("%v is not ErrUndecodable", err)
		}
	})
}

// FuzzDecodeXML: nothing panics, what has a document type definition or more than one root is refused, and what is accepted is what encoding/xml makes of it, with
// spaces for the control characters that it refuses.
func FuzzDecodeXML(f *testing.F) {
	for _, s := range []string{"<r><name>a</name></r>", `<?xml version="1.0" encoding="latin1"?><r/>`, "<!DOCTYPE a><a/>", "<a/><b/>", "<a>&lt;</a>", "<a><![CDATA[<b>]]></a>", "<", "<a>\x0e</a>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v named
		if err := driver.Decode(b, "application/xml", &v); err != nil {
			if !errors.Is(err, driver.ErrUndecodable) {
				t.Fatalf("%v is not ErrUndecodable", err)
			}
			return
		}
		if first := bytes.TrimLeft(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), " \t\r\n"); first[0] != '<' {
			return // JSON
		}
		d := xml.NewDecoder(bytes.NewReader(b))
		for {
			tok, err := d.RawToken()
			if err != nil {
				break
			}
			if _, ok := tok.(xml.Directive); ok {
				t.Fatalf("%q has a definition and was accepted", b)
			}
		}
		if !bytes.Contains(b, []byte("encoding")) && utf8.Valid(b) {
			var want named
			plain := bytes.Map(func(r rune) rune {
				if r < ' ' && r != '\t' && r != '\n' && r != '\r' {
					return ' '
				}
				return r
			}, b)
			if err := xml.Unmarshal(plain, &want); err != nil || want != v {
				t.Fatalf("%q decodes to %+v, want %+v, %v", b, v, want, err)
			}
		}
	})
}
