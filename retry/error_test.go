package retry_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/retry"
)

func TestErrorText(t *testing.T) {
	throttled := retry.Verdict{Class: retry.RateLimit, At: start.In(time.FixedZone("", 3600))}
	for _, tt := range []struct {
		err  retry.Error
		want string
	}{
		{retry.Error{}, "ok"},
		{retry.Error{Verdict: retry.Verdict{Class: retry.Client}, Status: 404, Attempts: 1}, "client (404)"},
		{retry.Error{Verdict: throttled, Partner: "guesty", Op: "listings.list", Status: 429, Code: "SLOW", Attempts: 4, RequestID: "r-1", Message: "slow down", Err: io.EOF},
			"guesty: listings.list: rate_limit (429 SLOW) after 4 attempts, retry at 2026-03-01T12:00:00Z, request id r-1: slow down: EOF"},
		{retry.Error{Err: &url.Error{Op: "Get", URL: "https://h/?key=sekret", Err: &url.Error{Op: "Get", URL: "https://h/?key=sekret", Err: io.EOF}}}, "ok: EOF"},
		{retry.Error{Err: fmt.Errorf("page 3: %w", errors.Join(&url.Error{Op: "Get", URL: "https://h/?key=sekret", Err: io.EOF}, io.ErrClosedPipe))},
			"ok: page 3: EOF\nio: read/write on closed pipe"},
		{retry.Error{Err: &retry.Error{Err: &url.Error{Op: "Get", URL: "https://h/?key=sekret", Err: io.EOF}}}, "ok: ok: EOF"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if !errors.Is(&tt.err, tt.err.Err) && tt.err.Err != nil {
			t.Errorf("%v does not wrap its cause", &tt.err)
		}
	}
}

// TestPromise8_NoTextOfAnAnswerLeaves: net/http quotes what it cannot read; an Error does not.
func TestPromise8_NoTextOfAnAnswerLeaves(t *testing.T) {
	for _, text := range []string{
		"sekret\r\n\r\n",
		"HTTP/1.1 sekret\r\n\r\n",
		"HTTPsekret 200 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nsekret\r\n\r\n",
		"HTTP/1.1 200 OK\r\n : sekret\r\n\r\n",
	} {
		client, partner := net.Pipe()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer partner.Close()
			if _, err := http.ReadRequest(bufio.NewReader(partner)); err == nil {
				_, _ = io.WriteString(partner, text)
			}
		}()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://partner.example/?key=sekret", nil)
		if err != nil {
			t.Fatal(err)
		}
		tr := &http.Transport{Dial: func(string, string) (net.Conn, error) { return client, nil }} //nolint:staticcheck // nobody cancels
		_, err = (&http.Client{Transport: retry.Policy{}.Wrap(tr)}).Do(req)                        //nolint:bodyclose // there is none
		if err == nil {
			t.Fatalf("%q was taken for an answer", text)
		}
		e := &retry.Error{Verdict: retry.Judge(req, nil, err), Err: err}
		if s := e.Error(); strings.Contains(s, "sekret") || !strings.Contains(s, "malformed") {
			t.Errorf("%q: got %s", text, s)
		}
		<-ended
		tr.CloseIdleConnections()
	}
}

func TestWaitsByTier(t *testing.T) {
	var w retry.Waits
	w.AddTier("second", time.Second)
	w.AddTier("minute", time.Minute)
	w.AddTier("second", time.Second)
	if w.Limiter != 62*time.Second || len(w.Tiers) != 2 || w.Tiers[0] != (retry.TierWait{Tier: "second", Wait: 2 * time.Second}) {
		t.Errorf("got %+v", w)
	}
}
