package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// delivery is a signed request.
func delivery(t *testing.T, id, body string, at time.Time) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Svix-Id", id)
	if err := webhook.SignRequest(webhook.Guesty().Scheme, r, exampleSecret, at); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestKeptOnceAlsoAfterARestart(t *testing.T) {
	name := filepath.Join(t.TempDir(), "events.jsonl")
	send := func(requests ...*http.Request) (statuses []int) {
		j, err := open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer j.f.Close()
		var out bytes.Buffer
		h, err := routes(exampleSecret, j, &out)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			statuses = append(statuses, w.Code)
		}
		return statuses
	}
	now := time.Now()
	first := send(
		delivery(t, "msg_1", `{"event":"listing.updated"}`, now),
		delivery(t, "msg_1", `{"event":"listing.updated"}`, now),
		delivery(t, "msg_2", `{"event":"listing.new"}`, now.Add(-time.Hour)),
		httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{}`)),
	)
	if want := []int{202, 202, 401, 401}; !equal(first, want) {
		t.Errorf("statuses %v, want %v", first, want)
	}
	// Killed in the middle of the next line.
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"key":"guesty/acc`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if again := send(delivery(t, "msg_1", `{"event":"listing.updated"}`, now), delivery(t, "msg_3", `{"event":"listing.new"}`, now)); !equal(again, []int{202, 202}) {
		t.Errorf("after a restart: statuses %v", again)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), "\n"); n != 2 || strings.Count(string(b), "msg_1") != 1 {
		t.Errorf("%d events are kept, want 2:\n%s", n, b)
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestSignPrintsACommand(t *testing.T) {
	var out bytes.Buffer
	if err := sign(&out, exampleSecret, `{"title":"Anna's loft"}`, time.Unix(1_700_000_000, 0)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"curl -i ", "Svix-Signature: v1,", `'{"title":"Anna'\''s loft"}'`, address + path} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %s", want, out.String())
		}
	}
}
