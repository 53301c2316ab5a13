package partnersim

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// ServeHTTP implements http.Handler with the same limits, latency and faults as [Server.Transport], for use behind a
// real listener. Faults of the connection break it; where it cannot be taken over, by panicking with
// http.ErrAbortHandler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.ending.Add(1)
	}
	s.mu.Unlock()
	if closed {
		breakOff(w)
		return
	}
	defer s.ending.Done()
	x := s.begin(r)
	// What was sent arrives, also when the client is gone: the wait out does not end with the request's context.
	if x.kind == Outage || s.wait(context.Background(), x.out) != nil || x.kind == Reset {
		breakOff(w)
		return
	}
	defer s.leave(&x.admission)
	s.serve(x, r, r.Context().Err() != nil)
	if x.kind == Timeout {
		_ = s.wait(r.Context(), -1) // both ends, client gone and server closed, are what it waits for
		s.abandon()
		breakOff(w)
		return
	}
	err := s.wait(r.Context(), x.work)
	s.leave(&x.admission)
	if err != nil || s.wait(r.Context(), x.back) != nil {
		s.abandon()
		breakOff(w)
		return
	}
	if x.kind == Lost {
		breakOff(w)
		return
	}
	a := &x.answer
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	switch x.kind {
	case Cut:
		w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush() // the connection is broken off next
		breakOff(w)
	case Slow:
		step := (len(a.body) + drips - 1) / drips
		for rest := a.body; len(rest) > 0; rest = rest[min(step, len(rest)):] {
			if s.wait(r.Context(), s.slowFor(x)/drips) != nil {
				s.abandon()
				breakOff(w)
				return
			}
			w.Write(rest[:min(step, len(rest))])
			if http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	default:
		w.Write(a.body)
	}
}

// breakOff resets the connection.
func breakOff(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a reset instead of an orderly end; without it the end is orderly
	}
	_ = conn.Close()
}

// Start listens on a free port of the loopback interface until ctx ends or Close is called, and returns the base URL:
// "http://127.0.0.1:40321". A server is started once.
func (s *Server) Start(ctx context.Context) (baseURL string, err error) {
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("partnersim: simulated partner %q: %w", s.cfg.Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.http != nil {
		_ = ln.Close() // nobody has connected
		return "", fmt.Errorf("partnersim: simulated partner %q was started or closed before", s.cfg.Name)
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.baseURL = "http://" + ln.Addr().String()
	s.ending.Add(1)
	go func() {
		defer s.ending.Done()
		_ = s.http.Serve(ln) // it ends when Close closes it
	}()
	s.stop = context.AfterFunc(ctx, s.shut)
	return s.baseURL, nil
}

// BaseURL is where the server listens, "" before Start.
func (s *Server) BaseURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.baseURL
}

// Close ends the server: it breaks off what is in flight, forgets what was still on its way, and waits for what is
// being carried out. The in-memory transport refuses connections from then on; Report stays. Closing again does
// nothing.
func (s *Server) Close() error {
	s.shut()
	s.ending.Wait()
	return nil
}

func (s *Server) shut() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	close(s.done)
	for t := range s.late {
		if t.Stop() {
			s.ending.Done()
		}
	}
	clear(s.late)
	srv, stop := s.http, s.stop
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
	if srv != nil {
		_ = srv.Close() // closing a listener and connections: nobody can act on the error
	}
}
