package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/webhook"
)

// FuzzVerify: whoever knows one signed message of each scheme, and changes header, place and body of it as they like,
// gets nothing else past the verifier: what passes has the body, time and id that were signed.
func FuzzVerify(f *testing.F) {
	type signed struct {
		subject
		v     *webhook.Verifier
		m     *webhook.Message
		proof webhook.Proof
	}
	var all []signed
	// A body with all that schemes put between values, and a part of it that could stand alone.
	const body = `{"a":"x|.:,= &1793620800.y|"}|{"b":2}`
	for i, s := range subjects() {
		if s.trust != webhook.Signed {
			continue
		}
		m := s.signed(f, body)
		v := s.verifier(f)
		p, err := v.Verify(m, signedAt)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, signed{s, v, m, p})
		var names, values []string
		for name, value := range m.Header {
			names, values = append(names, name), append(values, value[0])
		}
		n := uint8(len(all) - 1)
		for k, name := range names {
			f.Add(n, name, values[k], "Content-Type", "application/json", "/acme", m.Host, []byte(body))
			f.Add(n, name, values[k]+" ", name, values[k], "/acme", m.Host, []byte(body[1:]))
			f.Add(n, name, values[k], "Content-Type", `application/json|{"a":"x`, "/acme", m.Host, []byte(body[8:]))
			f.Add(n, name, strings.ToUpper(values[k]), "X-Id", "", "/acme|POST", "hooks", []byte(body[:i%len(body)]))
		}
		f.Add(n, "Authorization", `Signature algorithm="rsa-sha256",headers="body",delimiter="|",signature="AA=="`, "", "", "", "", []byte(body))
		f.Add(n, "Stripe-Signature", "t=1793620800,v1=", "Svix-Signature", "v1,", "/", "", []byte{})
	}
	sum := sha256.Sum256([]byte(body))
	f.Add(uint8(len(all)-1), "Content-Type", "application/x-www-form-urlencoded", "X-Id", "", "", "", []byte("%3FbodySHA256%3D="+hex.EncodeToString(sum[:])))
	f.Fuzz(func(t *testing.T, n uint8, name1, value1, name2, value2, path, host string, body []byte) {
		s := all[int(n)%len(all)]
		m := *s.m
		m.Header = m.Header.Clone()
		m.Header.Set(name1, value1)
		m.Header.Set(name2, value2)
		m.Path, m.Host, m.Body = path, host, body
		p, err := s.v.Verify(&m, signedAt)
		if err != nil {
			if p != (webhook.Proof{}) {
				t.Errorf("%s: refused with a proof %+v", s.name, p)
			}
			return
		}
		if !bytes.Equal(m.Body, s.m.Body) {
			t.Errorf("%s: another body passes: %q", s.name, body)
		}
		if p.Delivery != s.proof.Delivery || !p.At.Equal(s.proof.At) || p.Trust != webhook.Signed {
			t.Errorf("%s: got %+v, signed was %+v", s.name, p, s.proof)
		}
		// Without anything, nothing passes.
		if p, err := s.v.Verify(&webhook.Message{Header: http.Header{}, Body: body, URL: m.URL, Path: path, Host: host}, signedAt); err == nil {
			t.Errorf("%s: unsigned passes: %+v", s.name, p)
		}
	})
}

// FuzzHandler: whatever is sent without the secret, nothing is handed over, no success is answered, and nothing panics.
func FuzzHandler(f *testing.F) {
	f.Add("POST", "/acme", "gzip", "application/json", "v1,AAAA", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x00\x00\xff\xff"))
	f.Add("GET", "/acme/x", "", "", "", []byte(`{"type":"url_verification","challenge":"c"}`))
	f.Add("PUT", "//", "identity", "application/x-www-form-urlencoded; q", "sha256=", []byte("a=b&%"))
	partners := []webhook.Partner{webhook.Guesty(), webhook.Slack(), webhook.GitHub(), webhook.Cloudbeds(), webhook.BookingCom(), webhook.Stripe(), webhook.Twilio()}
	var rigs []*rig
	for _, p := range partners {
		rigs = append(rigs, newRig(f, endpoint(f, p, whsec), nil))
	}
	airbnb := newRig(f, endpoint(f, webhook.Airbnb(), airbnbKey), nil)
	rigs = append(rigs, airbnb)
	f.Fuzz(func(t *testing.T, method, path, encoding, kind, sig string, body []byte) {
		for _, g := range rigs {
			g.results = g.results[:0]
			r := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/", bytes.NewReader(body))
			r.Method, r.URL.Path = method, path
			for _, name := range []string{"Svix-Signature", "Svix-Id", "X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Hub-Signature-256", "Authorization", "Stripe-Signature", "X-Twilio-Signature", "Svix-Timestamp"} {
				r.Header.Set(name, sig)
			}
			r.Header.Set("Content-Encoding", encoding)
			r.Header.Set("Content-Type", kind)
			w := httptest.NewRecorder()
			g.ServeHTTP(w, r)
			if w.Code < 400 || len(g.inbox.events) > 0 || g.last().Outcome == webhook.Panicked {
				t.Errorf("got %d, %+v", w.Code, g.last())
			}
		}
	})
}

// FuzzSender: the sender is none of our proxies, and is the peer unless the peer is one of them.
func FuzzSender(f *testing.F) {
	f.Add("10.0.0.1:80", "203.0.113.7, 10.0.0.2")
	f.Add("203.0.113.7:80", "198.51.100.1")
	f.Add("[::ffff:10.0.0.1]:80", "evil, 203.0.113.7:4711,10.1.1.1")
	f.Add("10.0.0.1:80", "10.0.0.3")
	list := &webhook.AddressList{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, From: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}}
		m := webhook.NewMessage(r, nil)
		got := list.Sender(m)
		proxied := list.Proxies[0].Contains(m.Peer)
		switch {
		case !proxied && got != m.Peer:
			t.Errorf("the peer is %v, got %v", m.Peer, got)
		case proxied && got.IsValid():
			if list.Proxies[0].Contains(got) {
				t.Errorf("got our own proxy %v", got)
			}
			// What stands after it are proxies of ours.
			hops := strings.Split(forwarded, ",")
			slices.Reverse(hops)
			for _, hop := range hops {
				if a, err := netip.ParseAddr(strings.TrimSpace(hop)); err == nil && !list.Proxies[0].Contains(a.Unmap()) && a.Unmap().WithZone("") != got {
					t.Errorf("%v stands after %v", a, got)
				} else if err == nil && a.Unmap().WithZone("") == got || strings.HasPrefix(strings.TrimSpace(hop), "[") || strings.Contains(hop, ":") {
					break
				}
			}
		}
	})
}
