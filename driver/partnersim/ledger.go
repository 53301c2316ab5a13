package partnersim

import (
	"fmt"
	"net/http"
	"time"

	"github.com/integrationkit/integrationkit/ratelimit"
)

// quota counts one set of tiers for many keys. Everything of it is guarded by the server's mutex.
type quota struct {
	Quota
	scaled ratelimit.Tiers
	books  map[string]*book
}

// book is what one key has spent.
type book struct {
	quota    *quota
	key      string
	counters []counter
}

// counter counts one tier for one key. Times are the server's clock and never run backwards.
type counter interface {
	// room says whether a request that arrives now is within the limit; if not, from when on one will be.
	room(now time.Duration) (ok bool, at time.Duration)
	// seen is told of every arrival, refused ones included, after room and before take.
	seen(now time.Duration)
	// take counts an arrival that was not refused; leave ends it.
	take(now time.Duration)
	leave(now time.Duration)
	// count returns how many more there is room for, and when the tier is empty again.
	count(now time.Duration) (remaining int64, reset time.Duration)
	// use returns the most that any window held, and the share of the tier that was used.
	use() (worst int64, share float64)
	// counted returns how many were taken.
	counted() int64
}

// newQuota checks q and returns it with its tiers scaled.
func newQuota(q Quota, scale float64) (*quota, []error) {
	var errs []error
	out := &quota{Quota: q, books: map[string]*book{}}
	for i, t := range q.Tiers {
		where := fmt.Sprintf("tier %d of quota %q", i, q.Name)
		switch {
		case t.Concurrent > 0 && t.Requests == 0 && t.Per == 0:
		case t.Concurrent != 0:
			errs = append(errs, fmt.Errorf("%s: Concurrent is %d, want a positive number and no other limit "+
				"beside it", where, t.Concurrent))
		case t.Requests <= 0 || t.Per <= 0:
			errs = append(errs, fmt.Errorf("%s: %d requests per %v, want both to be positive", where, t.Requests,
				t.Per))
		case t.Kind != ratelimit.Sliding && t.Kind != ratelimit.Fixed:
			errs = append(errs, fmt.Errorf("%s: only sliding, fixed and concurrent tiers can be simulated", where))
		}
		t.Per = time.Duration(float64(t.Per) / max(scale, 1))
		out.scaled = append(out.scaled, t)
	}
	return out, errs
}

// book returns the key's.
func (q *quota) book(key string) *book {
	b := q.books[key]
	if b == nil {
		b = &book{quota: q, key: key}
		for _, t := range q.scaled {
			switch {
			case t.Concurrent > 0:
				b.counters = append(b.counters, &inFlight{limit: t.Concurrent})
			case t.Kind == ratelimit.Fixed:
				b.counters = append(b.counters, &fixed{limit: t.Requests, per: t.Per})
			default:
				b.counters = append(b.counters, &sliding{limit: int(t.Requests), per: t.Per})
			}
		}
		q.books[key] = b
	}
	return b
}

// Violation is one request that arrived although a tier was full.
type Violation struct {
	At       time.Time // when it arrived, by the server's clock
	Quota    string
	Key      string
	Tier     ratelimit.Tier // scaled
	Endpoint string         // method and path
}

// admission is what the ledger made of one request.
type admission struct {
	books   []*book
	refused bool
	retry   time.Duration // how long until there is room, of a refused one
	counts  []Count
}

// admit counts the request at its arrival, now. An abandoned one, whose client is gone by then, is not in flight.
func (s *Server) admit(r *http.Request, abandoned bool) admission {
	var keys [4]string
	type match struct {
		q   *quota
		key string
	}
	matches := make([]match, 0, len(keys))
	for _, q := range s.quotas { // the partner's own functions run without the lock
		if q.Match != nil && !q.Match(r) {
			continue
		}
		m := match{q: q}
		if q.Key != nil {
			m.key = q.Key(r)
		}
		matches = append(matches, m)
	}
	token := s.isToken(r)

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.sum.requests++
	if token {
		s.sum.tokens++
	}
	if s.sum.requests == 1 {
		s.sum.first = now
	}
	s.sum.last = now
	var a admission
	for _, m := range matches {
		b := m.q.book(m.key)
		a.books = append(a.books, b)
		for i, c := range b.counters {
			if _, inflight := c.(*inFlight); inflight && abandoned {
				continue
			}
			if ok, at := c.room(now); !ok {
				if !a.refused {
					s.sum.violations++
				}
				a.refused = true
				a.retry = max(a.retry, at-now)
				s.violated(Violation{
					At: s.start.Add(now), Quota: m.q.Name, Key: m.key, Tier: m.q.scaled[i],
					Endpoint: r.Method + " " + r.URL.Path,
				})
			}
			c.seen(now)
		}
	}
	if a.refused {
		s.sum.throttled++
	}
	for _, b := range a.books {
		for i, c := range b.counters {
			if _, inflight := c.(*inFlight); !a.refused && !(inflight && abandoned) {
				c.take(now)
			}
			if s.cfg.Header != nil {
				t := b.quota.scaled[i]
				left, reset := c.count(now)
				a.counts = append(a.counts, Count{
					Quota: b.quota.Name, Tier: t, Limit: t.Requests + t.Concurrent, Remaining: left,
					Reset: s.start.Add(reset),
				})
			}
		}
	}
	if a.refused || abandoned {
		a.books = nil // nothing to leave
	}
	return a
}

// maxLedger bounds the violations and notes that are kept one by one.
const maxLedger = 100

func (s *Server) violated(v Violation) {
	if len(s.ledger) < maxLedger {
		s.ledger = append(s.ledger, v)
	}
}

// leave ends what admit began: the answer is written.
func (s *Server) leave(a *admission) {
	if len(a.books) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, b := range a.books {
		for _, c := range b.counters {
			c.leave(now)
		}
	}
	a.books = nil
}
