package webhook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

// bare is a Standard Webhooks verification with nothing around it.
func bare(key []byte, h http.Header, body []byte, now time.Time) error {
	id, stamp := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return err
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > 5*time.Minute || age < -5*time.Minute {
		return errors.New("too old or too new")
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + stamp + "."))
	mac.Write(body)
	want := mac.Sum(nil)
	for sig := range strings.SplitSeq(h.Get("Webhook-Signature"), " ") {
		text, ok := strings.CutPrefix(sig, "v1,")
		if !ok {
			continue
		}
		if got, err := base64.StdEncoding.DecodeString(text); err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("no signature matches")
}

func BenchmarkVerify(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		body := bytes.Repeat([]byte("x"), size)
		s := subject{partner: webhook.StandardWebhooks("acme"), key: text(whsec)}
		m, v := s.signed(b, string(body)), s.verifier(b)
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(whsec, "whsec_"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%dKB/kit", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := v.Verify(m, signedAt); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%dKB/bare", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := bare(raw, m.Header, m.Body, signedAt); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%dKB/hmac", size>>10), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				mac := hmac.New(sha256.New, raw)
				mac.Write(m.Body)
				mac.Sum(nil)
			}
		})
	}
}

func BenchmarkVerifySchemes(b *testing.B) {
	for _, s := range subjects() {
		b.Run(strings.ReplaceAll(s.name, " ", "_"), func(b *testing.B) {
			m, v := s.signed(b, sample), s.verifier(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(m, signedAt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchHandler(b *testing.B, p webhook.Partner) *webhook.Handler {
	h, err := webhook.NewHandler(webhook.Config{
		Resolve: webhook.Paths(map[string]webhook.Endpoint{"/acme": endpoint(b, p, whsec)}),
		Sink:    webhook.SinkFunc(func(context.Context, webhook.Event) error { return nil }),
	})
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// benchRequest is a delivery of 1 KB, each another one.
func benchRequest(b *testing.B, url string, n int64, p webhook.Partner) *http.Request {
	r, err := http.NewRequest(http.MethodPost, url, strings.NewReader(`{"event":"e","pad":"`+strings.Repeat("x", 1000)+`"}`))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("svix-id", "msg_"+strconv.FormatInt(n, 10))
	if err := webhook.SignRequest(p.Scheme, r, whsec, time.Now()); err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkHandler is a delivery from request to answer, without a network; signing it is a part of what is measured.
func BenchmarkHandler(b *testing.B) {
	p := webhook.Guesty()
	h := benchHandler(b, p)
	var n int64
	b.ReportAllocs()
	for b.Loop() {
		n++
		r := benchRequest(b, "https://hooks.example.com/acme", n, p)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkHandlerLoopback is the same through a server on the loopback interface, client included.
func BenchmarkHandlerLoopback(b *testing.B) {
	p := webhook.Guesty()
	srv := httptest.NewServer(benchHandler(b, p))
	defer srv.Close()
	hc := srv.Client()
	hc.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := hc.Do(benchRequest(b, srv.URL+"/acme", n.Add(1), p))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				b.Error(resp.Status)
				return
			}
		}
	})
}

// BenchmarkVerifyRatio takes turns, and compares the fastest of each: a machine that does other things too slows some of
// them, not all.
func BenchmarkVerifyRatio(b *testing.B) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(whsec, "whsec_"))
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			s := subject{partner: webhook.StandardWebhooks("acme"), key: text(whsec)}
			m, v := s.signed(b, strings.Repeat("x", size)), s.verifier(b)
			rivals := []func() error{
				func() error { _, err := v.Verify(m, signedAt); return err },
				func() error { return bare(raw, m.Header, m.Body, signedAt) },
				func() error { mac := hmac.New(sha256.New, raw); mac.Write(m.Body); mac.Sum(nil); return nil },
			}
			best := []time.Duration{time.Hour, time.Hour, time.Hour}
			for b.Loop() {
				for i, f := range rivals {
					start := time.Now()
					for range 8 {
						if err := f(); err != nil {
							b.Fatal(err)
						}
					}
					best[i] = min(best[i], time.Since(start)/8)
				}
			}
			b.ReportMetric(float64(best[0])/float64(best[1]), "kit/bare")
			b.ReportMetric(float64(best[0])/float64(best[2]), "kit/hmac")
		})
	}
}
