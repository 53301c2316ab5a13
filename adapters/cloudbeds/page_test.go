package cloudbeds

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

func TestEnvelopes(t *testing.T) {
	for in, want := range map[string]struct{ rows, total int }{
		`{"success":true,"data":[{},{}],"count":2,"total":7}`:                {2, 7},
		`{"success":true,"data":[]}`:                                         {0, 0},
		`{"success":true,"data":null,"total":0}`:                             {0, 0},
		`{"data":{"1":{"a":1},"2":{"a":2}},"success":"true","total":"2"}`:    {2, 2},
		`{"success":true,"data":{"reservationID":"1","rooms":{}},"total":1}`: {1, 1},
		`{"success":1,"data":[{}],"total":-1}`:                               {1, 0},
		"\xef\xbb\xbf" + `{"success":true,"data":[{"n":"` + "\v" + `"}]}`:    {1, 0},
	} {
		env, err := readEnvelope([]byte(in), "application/json")
		if err != nil || env.refused {
			t.Errorf("%s: %v, refused %v", in, err, env.refused)
			continue
		}
		rows, err := env.rows("reservationID")
		if err != nil || len(rows) != want.rows || env.total != want.total {
			t.Errorf("%s: %d rows of %d, %v", in, len(rows), env.total, err)
		}
	}
}

// An answer without rows is an error and never an empty page: what an empty page does not list is taken for deleted.
func TestNoPageWithoutRows(t *testing.T) {
	for _, in := range []string{
		``, ` `, `<html>CANARY</html>`, `"CANARY"`, `null`, `{"success":true}`,
		`{"success":true,"data":[{"x":"CANARY"`, `[]`, `{"message":"CANARY"}`,
		`{"success":true,"data":"CANARY"}`, `{"success":true,"data":null}`, `{"success":true,"data":null,"total":3}`,
		`{"success":true,"data":{"a":"CANARY"}}`, `{"data":7}`,
	} {
		env, err := readEnvelope([]byte(in), "")
		if err == nil {
			_, err = env.rows("reservationID")
		}
		if !errors.Is(err, driver.ErrUndecodable) {
			t.Errorf("%s: error %v", in, err)
		} else if strings.Contains(err.Error(), "CANARY") {
			t.Errorf("a value in %q", err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for in, want := range map[string]struct {
		class retry.Class
		scope retry.Scope
	}{
		`{"success":false}`: {retry.Client, retry.Request},
		`{"success":"false","message":"Parameter status is not valid"}`:                                                             {retry.Client, retry.Request},
		`{"success":0,"message":"SCOPE required for this call was not granted by property"}`:                                        {retry.Auth, retry.Endpoint},
		`{"success":false,"message":"This application is not available to be connected."}`:                                          {retry.Auth, retry.Credential},
		`{"success":false,"message":"None of the included property id's match the access_token user's property id"}`:                {retry.Client, retry.Request},
		`{"success":false,"message":"Please specify \"propertyID\" parameter for this call"}`:                                       {retry.Client, retry.Request},
		`{"status":false,"error":"Unknown method."}`:                                                                                {retry.Client, retry.Request},
		`{"error":"invalid_request","error_description":"The refresh token is invalid."}`:                                           {retry.Auth, retry.Credential},
		`{"success":false,"message":"something","data":[{"cut off`:                                                                  {retry.Client, retry.Request},
		`{"success":true,"data":[{"success":false}]}`:                                                                               {retry.OK, retry.Request},
		`{"success":true,"data":[{"cut off`:                                                                                         {retry.OK, retry.Request},
		`{"data":{"success":false}`:                                                                                                 {retry.OK, retry.Request},
		`[{"success":false}]`:                                                                                                       {retry.OK, retry.Request},
		`{"success":{"a":1},"data":[]}`:                                                                                             {retry.OK, retry.Request},
		`{"success":false,"message":"Inactive user"}`:                                                                               {retry.Auth, retry.Credential},
		`{"status":false,"error":"server_error","error_description":"The authorization code is invalid or has expired.","data":[]}`: {retry.Auth, retry.Credential},
	} {
		v, judged := classify(retry.Exchange{Response: &http.Response{StatusCode: 200, ContentLength: -1,
			Header: http.Header{}}, Body: []byte(in)})
		if v.Class != want.class || judged != (want.class != retry.OK) || judged &&
			(v.Scope != want.scope || v.Fault || v.Sent != retry.Answered) {
			t.Errorf("%s: %v, want %v", in, v, want)
		}
	}
	html := http.Header{"Content-Type": {"text/html; charset=UTF-8"}}
	for _, c := range []struct {
		r     *http.Response
		class retry.Class
		peek  int
	}{
		{&http.Response{StatusCode: 404, ContentLength: -1, Header: html}, retry.OK, 0}, // HTTP's own rules know it
		{&http.Response{StatusCode: 200, ContentLength: 9}, retry.OK, peekBytes},
	} {
		if v, judged := classify(retry.Exchange{Response: c.r}); v.Class != c.class ||
			judged != (c.class != retry.OK) || peek(c.r) != c.peek {
			t.Errorf("%d, %d bytes: %v, peeks at %d", c.r.StatusCode, c.r.ContentLength, v, peek(c.r))
		}
	}
	if _, judged := classify(retry.Exchange{Err: errNoRows}); judged {
		t.Error("an error of the network is judged")
	}
}

// What a partner says may name a guest: only what is known is repeated.
func TestWhatIsSaid(t *testing.T) {
	for in, want := range map[string]string{
		"Parameter modifiedFrom is not valid":                "Parameter modifiedFrom is not valid",
		"parameter endpointUrl is Required.":                 "Parameter endpointUrl is required",
		"Parameter a@guests.example.com is not valid":        "",
		"Ada Example has no reservation":                     "",
		"application NOT available to be connected, Ada":     "The application is not available to be connected.",
		"None of the included property id's match Ada's one": noProperty,
	} {
		if got := say(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if c, m := explain(500, []byte(`{"error":"Ada Example","message":"Ada"}`)); c != "" || m != "" {
		t.Errorf("%q, %q", c, m)
	}
}

func seeds(f *testing.F) {
	f.Helper()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

// Every row of whatever comes is a valid record or rejected with a reason; none is lost, nothing private is kept.
func FuzzPage(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := readEnvelope(body, "application/json")
		var rows []json.RawMessage
		if err == nil {
			rows, err = env.rows("reservationID")
		}
		if err != nil {
			if !errors.Is(err, driver.ErrUndecodable) && !env.refused {
				t.Fatalf("error %v", err)
			}
			rows = []json.RawMessage{body}
		}
		a := adapters[v1]
		check(t, rows, a.hotel, func(r driver.Resource) driver.Record { return r.Record })
		check(t, rows, a.roomType, func(r driver.Resource) driver.Record { return r.Record })
		check(t, rows, a.reservation, func(r driver.Transaction) driver.Record { return r.Record })
		check(t, rows, a.photo("1"), func(m driver.Media) driver.Record { return m.Record })
		for _, row := range rows {
			check(t, photos(row), a.photo("1"), func(m driver.Media) driver.Record { return m.Record })
		}
	})
}

func check[T any](t *testing.T, rows []json.RawMessage, adapt wire.Decoder[T], record func(T) driver.Record) {
	t.Helper()
	b := adapt.Each(t.Context(), nil, rows)
	if len(b.Items)+len(b.Rejected) != len(rows) {
		t.Fatalf("%d rows, %d items, %d rejected", len(rows), len(b.Items), len(b.Rejected))
	}
	for _, r := range b.Rejected {
		if strings.Contains(r.Err.Error(), "panic") {
			t.Fatal(r.Err)
		}
	}
	for _, it := range b.Items {
		if err := driver.Validate(it); err != nil {
			t.Fatalf("%v", err)
		}
		r := record(it)
		if !json.Valid(r.Raw) || bytes.Contains(r.Raw, []byte(`"cardsOnFile":`)) {
			t.Fatalf("kept: %s", r.Raw)
		}
	}
}

// What the beginning of an answer says, the whole of it says as well.
func FuzzHead(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		whole, err := readEnvelope(body, "application/json")
		if err != nil {
			return
		}
		if h := head(body); json.Valid(body) && (h.refused != whole.refused || h.message != whole.message) {
			t.Fatalf("head %+v, whole %+v", h, whole)
		}
		code, message := explain(200, body)
		if strings.ContainsAny(code+message, "@\n") {
			t.Fatalf("%q, %q", code, message)
		}
	})
}
