package partnersim

import (
	"bytes"
	"compress/gzip"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// exchange is the way of one request: out over the network, arrival, answer, and back.
type exchange struct {
	out, work, back time.Duration
	kind            Kind // of the fault, "" none
	rule            Rule
	admission       admission
	answer          recorder
}

// begin draws what the network and the faults do to the request.
func (s *Server) begin(r *http.Request) *exchange {
	x := &exchange{out: s.cfg.Latency / 4, work: s.cfg.Latency / 2, back: s.cfg.Latency / 4}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cfg.Jitter > 0 {
		s.rng += 2
		x.out += time.Duration(Dice{s.rng}.Float(0) * float64(s.cfg.Jitter) / 2)
		x.back += time.Duration(Dice{s.rng}.Float(1) * float64(s.cfg.Jitter) / 2)
	}
	x.out, x.work, x.back = s.scaled(x.out), s.scaled(x.work), s.scaled(x.back)
	if len(s.rules) > 0 {
		now := s.now()
		for _, rule := range s.rules {
			if rule.hit(s, r, now) {
				x.kind, x.rule = rule.Kind, rule.Rule
				s.sum.faults[string(rule.Kind)]++
				break
			}
		}
	}
	return x
}

// serve is the partner's side, from arrival on: it counts the request and makes the answer in x.answer. The caller
// calls s.leave when the answer is written.
func (s *Server) serve(x *exchange, r *http.Request, abandoned bool) {
	x.admission = s.admit(r, abandoned)
	w := &x.answer
	w.header = make(http.Header, 8)
	if s.cfg.Header != nil {
		s.cfg.Header(w.header, r, x.admission.counts)
	}
	status := x.kind.status()
	switch {
	case x.admission.refused:
		// A tier is full: no fault has to be made up. One that breaks the connection still does.
		w.header.Set("Retry-After", s.retryAfter(x.admission.retry))
		s.refuse(w, r, http.StatusTooManyRequests)
	case status != 0:
		retry := x.rule.Retry
		if retry == 0 && status == http.StatusTooManyRequests {
			retry = time.Second
		}
		if retry > 0 {
			w.header.Set("Retry-After", s.retryAfter(s.scaled(retry)))
		}
		s.refuse(w, r, status)
	case x.kind == HTML:
		w.header.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write([]byte("<!DOCTYPE html>\n<html><head><title>One moment</title></head><body><h1>We will be " +
			"back soon</h1></body></html>\n"))
	case x.kind == Empty:
		w.WriteHeader(http.StatusOK)
	case strings.HasPrefix(string(x.kind), "x-"):
		s.cfg.Answers[string(x.kind[2:])].ServeHTTP(w, r)
	default:
		if x.kind == Revoke {
			s.cfg.Tokens.Revoke()
		}
		if s.isToken(r) {
			s.cfg.Tokens.ServeHTTP(w, r)
		} else {
			s.cfg.Handler.ServeHTTP(w, r)
		}
		w.body = spoil(x.kind, w.body)
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if s.cfg.Gzip && len(w.body) > 0 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(w.body) // a bytes.Buffer takes everything
		_ = z.Close()
		w.body = b.Bytes()
		w.header.Set("Content-Encoding", "gzip")
	}
}

// spoil does to the body what the kinds of fault do that leave the answer looking whole.
func spoil(k Kind, body []byte) []byte {
	switch k {
	case Malformed:
		return body[:len(body)/2]
	case BOM:
		return append([]byte("\ufeff"), body...)
	case Control:
		for _, opening := range []string{`":"`, `": "`} {
			if i := bytes.Index(body, []byte(opening)); i >= 0 {
				i += len(opening)
				return append(append(append(make([]byte, 0, len(body)+1), body[:i]...), '\v'), body[i:]...)
			}
		}
	}
	return body
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int) {
	if s.cfg.Refuse != nil {
		s.cfg.Refuse(w, r, status)
		return
	}
	http.Error(w, http.StatusText(status), status)
}

// retryAfter formats a wait by the clock on the wall: in whole seconds like the partner when time is not scaled, in
// milliseconds when it is; never less than the wait.
func (s *Server) retryAfter(d time.Duration) string {
	if s.scale == 1 {
		return strconv.FormatInt(max(int64(math.Ceil(d.Seconds())), 1), 10)
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return strconv.FormatFloat(max(float64(ms), 1)/1000, 'f', -1, 64)
}

func (s *Server) abandon() {
	s.mu.Lock()
	s.sum.abandoned++
	s.mu.Unlock()
}

// slowFor returns how long the body of a slow answer takes.
func (s *Server) slowFor(x *exchange) time.Duration {
	d := x.rule.Delay
	if d == 0 {
		d = 10 * time.Second
	}
	return s.scaled(d)
}

// recorder keeps an answer in memory.
type recorder struct {
	header http.Header
	status int
	body   []byte
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body = append(w.body, b...)
	return len(b), nil
}

// WriteString makes io.WriteString cheap.
func (w *recorder) WriteString(t string) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	w.body = append(w.body, t...)
	return len(t), nil
}
