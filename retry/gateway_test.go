package retry_test

import (
	"net/http"
	"testing"

	"github.com/integrationkit/integrationkit/retry"
)

func TestGatewayPage(t *testing.T) {
	for _, tt := range []struct {
		status int
		kind   string
		length int64
		want   bool
	}{
		{200, "text/html; charset=utf-8", 300, true},
		{200, "application/xhtml+xml", -1, true},
		{200, "application/json", 0, true},
		{200, "application/json", 2, false},
		{200, "", -1, false},
		{200, ";", -1, false},
		{204, "", 0, false},
		{502, "text/html", 300, false},
	} {
		r := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {tt.kind}}, ContentLength: tt.length}
		v, ok := retry.GatewayPage.Classify(retry.Exchange{Response: r})
		if ok != tt.want || ok && (v.Class != retry.Transient || !v.Fault || v.Sent != retry.Answered) {
			t.Errorf("%d %q of %d bytes: %+v, %v", tt.status, tt.kind, tt.length, v, ok)
		}
	}
	if _, ok := retry.GatewayPage.Classify(retry.Exchange{}); ok {
		t.Error("judged without an answer")
	}
}
