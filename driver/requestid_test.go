package driver_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A partner's request id is found in the body where no header has it, of failures and successes, on one line.
func TestRequestIDInBody(t *testing.T) {
	for _, tt := range []struct {
		status       int
		header, body string
		want         string
	}{
		{200, "", `{"ruid":"r-1"}`, "r-1"},
		{200, "h-1", `{"ruid":"r-1"}`, "h-1"},
		{400, "", `{"ruid":"r\n2"}`, "r 2"},
		{200, "", `{"other":1}`, ""},
		{400, "", ``, ""},
	} {
		c, err := driver.NewClient(driver.ClientConfig{
			Partner: "harbour", BaseURL: "https://api.harbour.example",
			RequestIDOf: func(body []byte) string {
				var v struct{ RUID string }
				if err := json.Unmarshal(body, &v); err != nil {
					t.Errorf("asked about %q", body)
				}
				return v.RUID
			},
			Transport: answers(func(r *http.Request) (*http.Response, error) {
				h := http.Header{}
				if tt.header != "" {
					h.Set("X-Request-Id", tt.header)
				}
				return &http.Response{StatusCode: tt.status, Header: h, Body: io.NopCloser(strings.NewReader(tt.body)), Request: r}, nil
			}),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		resp, err := driver.Get[*driver.Response](t.Context(), c, "berths.list", "/berths", nil)
		if e, ok := errors.AsType[*retry.Error](err); ok {
			got = e.RequestID
		} else if err == nil {
			got = resp.RequestID
		}
		if got != tt.want || (err != nil) != (tt.status != 200) {
			t.Errorf("%d %q %q: got %q, %v, want %q", tt.status, tt.header, tt.body, got, err, tt.want)
		}
	}
}
