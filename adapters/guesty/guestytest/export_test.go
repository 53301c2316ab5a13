package guestytest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
)

// Handler calls the partner's handler without limits and latency.
func Handler(s *Server) func(path, query string) (int, []byte) {
	tok, err := s.tokens.Grant(ClientID, ClientSecret)
	if err != nil {
		panic(err)
	}
	return func(path, query string) (int, []byte) {
		w := httptest.NewRecorder()
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path, RawQuery: query},
			Header: http.Header{"Authorization": {"Bearer " + tok.Text}}}
		s.handle(w, r)
		return w.Code, w.Body.Bytes()
	}
}
