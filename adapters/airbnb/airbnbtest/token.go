package airbnbtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const tokenPath = "/v2/oauth2/authorizations"

// token is POST /v2/oauth2/authorizations: HTTP Basic of the client, JSON with a code or a refresh token (seen in
// client code). Every grant counts one access token; what a code is exchanged for is the account's refresh token.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.Params(r, "_unwrapped") // many clients add it
	if r.Method != http.MethodPost {
		s.refuse(w, r, http.StatusNotFound)
		return
	}
	id, secret, _ := r.BasicAuth()
	if id != ClientID || secret != ClientSecret {
		s.refuse(w, r, http.StatusUnauthorized)
		return
	}
	var in struct {
		Code    string `json:"code"`
		Refresh string `json:"refresh_token"`
	}
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.Code == "" && in.Refresh == "" {
		send(w, http.StatusBadRequest, map[string]any{"status": 400, "error": "Invalid Request"})
		return
	}
	s.mu.Lock()
	good := in.Code == Code && s.refresh != "" || in.Refresh != "" && in.Refresh == s.refresh
	refresh := s.refresh
	if good && in.Refresh != "" {
		s.refreshes++
		switch {
		case s.cfg.Rotate:
			s.refresh = fmt.Sprintf("ref-simulated-%014d", s.refreshes)
			refresh = s.refresh
		case s.refreshes%2 == 0:
			refresh = "" // omitted: the old one stays good
		}
	}
	s.mu.Unlock()
	if !good {
		s.notFound(w) // an unknown refresh token is not found (seen in client code)
		return
	}
	t, err := s.tokens.Grant(id, secret)
	if err != nil {
		s.refuse(w, r, http.StatusUnauthorized)
		return
	}
	out := map[string]any{"access_token": t.Text, "expires_at": t.Expires.Unix(), "user_id": HostID,
		"user_id_str": fmt.Sprint(HostID)}
	if refresh != "" {
		out["refresh_token"] = refresh
	}
	send(w, http.StatusOK, out)
}

// mint makes the text of a token, which another server of the same seed finds good, too: a client that kept it over a
// restart of the simulation does not have to ask for another.
func (s *Server) mint(_ string, n int, issued, expires time.Time) string {
	text := fmt.Sprintf("sim-%d-%d-%d", n, issued.UnixNano(), expires.Unix())
	return text + "-" + s.sign(text)
}

func (s *Server) sign(text string) string {
	mac := hmac.New(sha256.New, binary.LittleEndian.AppendUint64(nil, s.cfg.Seed))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// readToken reads a token that another server of the same seed minted.
func (s *Server) readToken(text string) (client string, expires time.Time, ok bool) {
	at := strings.LastIndexByte(text, '-')
	if at < 0 || !hmac.Equal([]byte(text[at+1:]), []byte(s.sign(text[:at]))) {
		return "", time.Time{}, false
	}
	end, err := strconv.ParseInt(text[strings.LastIndexByte(text[:at], '-')+1:at], 10, 64)
	return ClientID, time.Unix(end, 0), err == nil
}

// Code is the authorization code that a browser would bring back.
const Code = "simulated-authorization-code"

// authorization is GET and DELETE /v2/oauth2/authorizations/{token}.
func (s *Server) authorization(w http.ResponseWriter, r *http.Request, token string) {
	if id, secret, _ := r.BasicAuth(); id != ClientID || secret != ClientSecret {
		s.refuse(w, r, http.StatusUnauthorized)
		return
	}
	if !s.valid(token) {
		s.notFound(w)
		return
	}
	switch r.Method {
	case http.MethodGet:
		send(w, http.StatusOK, map[string]any{"valid": true, "token": token, "token_type": "access_token",
			"user_id": HostID, "user_id_str": fmt.Sprint(HostID)})
	case http.MethodDelete:
		s.Withdraw()
		send(w, http.StatusOK, map[string]any{})
	default:
		s.refuse(w, r, http.StatusNotFound)
	}
}

// valid reports whether an access token is good.
func (s *Server) valid(token string) bool {
	r := &http.Request{Header: http.Header{"Authorization": {"Bearer " + token}}}
	_, ok := s.tokens.Client(r)
	return ok
}

// authenticated checks the two headers of a call (seen in client code).
func (s *Server) authenticated(r *http.Request) bool {
	if r.Header.Get("X-Airbnb-API-Key") != ClientID {
		s.Note("%s: X-Airbnb-API-Key is not the client id", generic(r.URL.Path))
		return false
	}
	return s.valid(r.Header.Get("X-Airbnb-OAuth-Token"))
}

// generic is a path without ids, for notes.
func generic(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if strings.ContainsAny(p, "0123456789") && p != "v2" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}
