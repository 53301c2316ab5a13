package bookingcom

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// dialect is how Booking.com's answers are judged where HTTP's own rules are not enough: errors come with status 200,
// in XML within the first elements of the document. JSON's are found when the envelope is read.
var dialect = retry.Classifier{
	PeekBody: func(r *http.Response) int {
		if r.StatusCode == http.StatusOK && strings.Contains(r.Header.Get("Content-Type"), "xml") {
			return maxPeek
		}
		return 0
	},
	Classify: classify,
}

// maxPeek is more than any document has before its errors.
const maxPeek = 4 << 10

func classify(x retry.Exchange) (retry.Verdict, bool) {
	r := x.Response
	if r == nil {
		return retry.Verdict{}, false
	}
	switch {
	case r.StatusCode == http.StatusOK && strings.Contains(r.Header.Get("Content-Type"), "html"):
		// A gateway's page in place of the answer passes.
		return retry.Verdict{Class: retry.Transient, Sent: retry.Answered, Fault: true}, true
	case r.StatusCode == http.StatusOK && len(x.Body) > 0:
		if code, failed := failure(x.Body); failed {
			return verdictOf(code), true
		}
	}
	return retry.Verdict{}, false
}

// verdictOf is that on an error with a code of OTA's table of errors, as far as these are documented for Booking.com's
// APIs.
func verdictOf(code string) retry.Verdict {
	switch code {
	case "448": // system error
		return retry.Verdict{Class: retry.Transient, Sent: retry.Answered, Fault: true}
	case "497": // authorization error
		return retry.Verdict{Class: retry.Auth, Scope: retry.Endpoint, Sent: retry.Answered}
	}
	return retry.Verdict{Class: retry.Client, Sent: retry.Answered}
}

// failure looks at the beginning of an XML document for an error in place of an answer, and returns its code, if it has
// one: <Errors> below the root (OTA), <errors> below it (B.XML), or the root <error> or <fault> (older B.XML, seen in a
// client).
func failure(head []byte) (code string, failed bool) {
	d := xml.NewDecoder(bytes.NewReader(head))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // codes are ASCII
	depth := 0
	inCode := false
	for {
		tok, err := d.RawToken()
		if err != nil { // the end of what is seen
			return code, failed
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			switch {
			case !failed && depth == 0 && (name == "error" || name == "fault"), !failed && depth == 1 &&
				(name == "Errors" || name == "errors"):
				failed = true
			case !failed && depth == 1 && name != "warnings" && name != "Warnings":
				return "", false // what was asked for
			}
			if failed && code == "" {
				for _, a := range tok.Attr {
					if strings.EqualFold(a.Name.Local, "code") {
						code = a.Value
					}
				}
				inCode = name == "code"
			}
			depth++
		case xml.CharData:
			if inCode && code == "" {
				code = strings.TrimSpace(string(tok))
			}
		case xml.EndElement:
			inCode = false
			depth--
		}
	}
}

var (
	ruidComment = regexp.MustCompile(`<!--\s*RUID:\s*\[([^\]]{1,200})\]\s*-->`)
	ruidMember  = regexp.MustCompile(`"ruid"\s*:\s*"([^"\\]{1,200})"`)
)

// ruid finds Booking.com's id of the request, which its support asks for: a comment behind an XML document, a member of
// JSON.
func ruid(body []byte) string {
	const window = 8 << 10 // it stands at either end
	for _, b := range [][]byte{body[max(0, len(body)-window):], body[:min(len(body), window)]} {
		for _, p := range []*regexp.Regexp{ruidComment, ruidMember} {
			if m := p.FindSubmatch(b); m != nil {
				return string(m[1])
			}
		}
	}
	return ""
}

// code is what a machine's code looks like: 394, ROOM_ID_INVALID.
var code = regexp.MustCompile(`^[A-Za-z0-9_]{1,60}$`)

// known are the messages that may be repeated, by a piece of what Booking.com is documented to send. Messages are free
// text and can quote what was sent.
var known = []struct{ piece, message string }{
	{"wrong type", wrongType},
	{"access denied", "access denied for hotel"},
	{"not found", "not found"},
	{"older than 30 minutes", "last_change is older than 30 minutes"},
}

const wrongType = "the reservation's message is of the wrong type"

// explain takes the code, and the message if it is one of the known.
func explain(_ int, body []byte) (string, string) {
	var c, text string
	if t := bytes.TrimLeft(body, " \t\r\n\xef\xbb\xbf"); len(t) > 0 && t[0] == '<' {
		c, _ = failure(t)
		text = string(t)
	} else {
		var env envelope
		if json.Unmarshal(body, &env) == nil {
			c = env.code()
			text = string(env.Errors)
		}
	}
	if !code.MatchString(c) {
		c = ""
	}
	text = strings.ToLower(text)
	for _, k := range known {
		if strings.Contains(text, k.piece) {
			return c, k.message
		}
	}
	return c, ""
}

// envelope is that of the JSON APIs.
type envelope struct {
	Data   json.RawMessage `json:"data"`
	Errors json.RawMessage `json:"errors"`
}

// failed reports whether the envelope holds errors.
func (e envelope) failed() bool {
	switch text := strings.Join(strings.Fields(string(e.Errors)), ""); text {
	case "", "[]", "null", "{}":
		return false
	}
	return true
}

// code returns the code of the first error: a number (Property API) or a text (Historical).
func (e envelope) code() string {
	var list []struct {
		Code any `json:"code"`
	}
	if json.Unmarshal(e.Errors, &list) != nil || len(list) == 0 {
		return ""
	}
	switch c := list[0].Code.(type) {
	case string:
		return c
	case float64:
		b, err := json.Marshal(c)
		if err == nil {
			return string(b)
		}
	}
	return ""
}

// read returns the data of a JSON API's answer. An answer with errors is one, whatever its status; one without data is
// no empty list.
func (d *Driver) read(ctx context.Context, op, path string) (json.RawMessage, error) {
	r, err := driver.Get[*driver.Response](ctx, d.api, op, path, nil)
	if err != nil {
		return nil, err
	}
	var env envelope
	if err := driver.Decode(r.Body, r.Header.Get("Content-Type"), &env); err != nil {
		return nil, d.failed(op, r, retry.Verdict{Class: retry.Data, Sent: retry.Answered, Fault: true}, err)
	}
	if env.failed() {
		e := d.failed(op, r, verdictOf(env.code()), errors.New("errors with status 200"))
		e.Code, e.Message = explain(r.Status, r.Body)
		return nil, e
	}
	if len(env.Data) == 0 || string(env.Data) == "null" {
		return nil, d.failed(op, r, retry.Verdict{Class: retry.Data, Sent: retry.Answered, Fault: true}, errNoData)
	}
	return env.Data, nil
}

var errNoData = errors.New("no data where there is always some")

// failed is the error of an answer that came and is none.
func (d *Driver) failed(op string, r *driver.Response, v retry.Verdict, err error) *retry.Error {
	if v.Class == retry.Data && !errors.Is(err, driver.ErrUndecodable) {
		err = errors.Join(driver.ErrUndecodable, err)
	}
	return &retry.Error{
		Verdict: v, Partner: Partner, Op: op, Integration: d.integration, RequestID: r.RequestID, Status: r.Status,
		Attempts: r.Attempts,
		Waits:    r.Waits, Err: err,
	}
}
