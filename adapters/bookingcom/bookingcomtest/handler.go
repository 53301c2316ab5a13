package bookingcomtest

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
)

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps, texts and numbers
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b)
}

// envelope is that of the Property and Rooms APIs.
func (s *Server) envelope(w http.ResponseWriter, status int, data any, code, message string) {
	errs := []any{}
	if message != "" {
		e := map[string]any{"message": message, "description": message, "details": map[string]any{"fields": []string{}}}
		if n, err := strconv.Atoi(code); err == nil {
			e["code"] = n
		} else if code != "" {
			e["code"] = code
		}
		errs = append(errs, e)
	}
	s.json(w, status, map[string]any{"data": data, "warnings": []any{}, "errors": errs,
		"meta": map[string]any{"ruid": s.ruid()}})
}

// xml writes a document with the RUID behind it, as a comment.
func (s *Server) xml(w http.ResponseWriter, status int, doc string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + doc + "\n<!-- RUID: [" + s.uuid() + "] -->\n"))
}

// esc escapes text for XML.
func esc(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic(err) // a strings.Builder takes everything
	}
	return b.String()
}

// refuse answers for a status. No API but recovery is known to send Retry-After; 429s that a fault rule made bear what
// the rule says.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, status int) {
	if status == http.StatusTooManyRequests && !s.storms && !strings.HasPrefix(r.URL.Path,
		"/reservations-flow-control/") {
		w.Header().Del("Retry-After")
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/hotels/ota/"):
		s.otaErrors(w, r, status, "450", http.StatusText(status))
	case strings.HasPrefix(r.URL.Path, "/hotels/xml/"):
		s.xml(w, status, "<response><errors><error><code>"+strconv.Itoa(status)+"</code><message>"+esc(http.StatusText(status))+"</message></error></errors></response>")
	default:
		s.envelope(w, status, nil, "450", http.StatusText(status))
	}
}

func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	if !s.authorized(r) {
		s.refuse(w, r, http.StatusUnauthorized)
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/hotels/ota/"); ok {
		s.ota(w, r, name)
		return
	}
	switch p := r.URL.Path; {
	case p == "/hotels/xml/reservations":
		s.pull(w, r)
	case p == "/hotels/xml/availability":
		s.availability(w, r)
	case p == "/reservations-flow-control/missed-reservations":
		s.missed(w, r)
	case p == "/property-api/meta":
		s.envelope(w, http.StatusOK, map[string]any{"property_categories": []int{20, 3}}, "", "")
	case strings.HasPrefix(p, "/property-api/properties/"), strings.HasPrefix(p,
		"/rooms-api/properties/"), strings.HasPrefix(p, "/photo-api/properties/"):
		s.content(w, r)
	default:
		s.Note("%s: no such path, or not simulated", p)
		s.refuse(w, r, http.StatusNotFound)
	}
}
