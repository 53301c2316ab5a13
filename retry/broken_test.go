package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

// wants makes a classifier that looks at n bytes and finds a failure where they hold "success":false.
func wants(n int, saw *[]byte) retry.Classifier {
	return retry.Classifier{
		PeekBody: func(*http.Response) int { return n },
		Classify: func(x retry.Exchange) (retry.Verdict, bool) {
			*saw = bytes.Clone(x.Body)
			if bytes.Contains(x.Body, []byte(`"success":false`)) {
				return retry.Verdict{Class: retry.Transient, Fault: true}, true
			}
			return retry.Verdict{}, false
		},
	}
}

func TestPeekOfABrokenBody(t *testing.T) {
	cut := errors.New("connection reset")
	for _, tt := range []struct {
		status int
		text   string // before it breaks
		class  retry.Class
	}{
		{200, "half", retry.Transient},
		{200, `{"success":false,`, retry.Transient},
		{404, "half", retry.Client},
		{200, strings.Repeat("x", 100), retry.OK}, // what it wanted to see has arrived
	} {
		resp := &http.Response{StatusCode: tt.status, Body: &counted{Reader: io.MultiReader(strings.NewReader(tt.text), iotest.ErrReader(cut))}}
		var saw []byte
		ctx, _ := retry.WithAttempt(t.Context(), wants(100, &saw))
		v := retry.Judge(newRequest(t, ctx, "GET", ""), resp, nil)
		if v.Class != tt.class || v.Sent != retry.Answered || v.Fault != (tt.class == retry.Transient) {
			t.Errorf("%d %.20q: judged %+v, want %v", tt.status, tt.text, v, tt.class)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != tt.text || !errors.Is(err, cut) {
			t.Errorf("the reader got %q, %v", got, err)
		}
	}
	idle := &http.Response{StatusCode: http.StatusOK, Body: &counted{Reader: iotest.ErrReader(nil)}} // 0, nil for ever
	var saw []byte
	ctx, _ := retry.WithAttempt(t.Context(), wants(100, &saw))
	if v := retry.Judge(newRequest(t, ctx, "GET", ""), idle, nil); v.Class != retry.Transient {
		t.Errorf("judged %+v", v)
	}
}

func TestDialectDecidesTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var saw []byte
		pa := &partner{steps: []move{replies(200, "", `{"success":false}`, "Retry-After", "3"), replies(200, "", `{"success":true}`)}}
		resp, _, err := through(t, retry.Policy{Classifiers: []retry.Classifier{wants(64, &saw)}}, pa, newRequest(t, t.Context(), "GET", ""))
		if err != nil || len(pa.methods) != 2 {
			t.Fatal(err, len(pa.methods))
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != `{"success":true}` {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestTimeoutsOfTheNetworkAreNotTheCallers(t *testing.T) {
	// A dial that timed out claims to be context.DeadlineExceeded; no context of the caller's ended.
	_, err := (&net.Dialer{Deadline: time.Unix(1, 0)}).DialContext(t.Context(), "tcp", "127.0.0.1:1")
	if got := retry.ClassOf(err); got != retry.Transient || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ClassOf(%v) is %v", err, got)
	}
}

func TestPromise8_NoURLQuoted(t *testing.T) {
	for _, cause := range []error{
		fmt.Errorf(`next page "https://api.acme.example/?key=s3cret" is elsewhere: %w`, io.ErrUnexpectedEOF),
		fmt.Errorf("%w at https://api.acme.example/?key=s3cret", io.ErrUnexpectedEOF),
		fmt.Errorf("https://a.acme.example/?key=s3cret, then https://b.acme.example/?key=s3cret: %w", io.ErrUnexpectedEOF),
	} {
		e := &retry.Error{Verdict: retry.Verdict{Class: retry.Data}, Err: cause}
		text := e.Error()
		if strings.Contains(text, "s3cret") || strings.Contains(text, "://") || !strings.Contains(text, "unexpected EOF") || !errors.Is(e, io.ErrUnexpectedEOF) {
			t.Errorf("got %q", text)
		}
	}
}
