package bookingcom

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// Notifications is the receiving side of the Connectivity Notification Service: Booking.com asks an endpoint of yours for a token, with credentials that you
// gave it in the provider portal, and bears the token in what it pushes. Partner is for the webhook.Verifier of the one and the Handler is the
// other. No event is about a reservation; each is a hint that the owning API has something new.
//
//	n, err := bookingcom.NewNotifications(bookingcom.NotificationsConfig{Clients: map[string]auth.Secret{"booking": secret}, Key: key})
//	mux.Handle("POST /bookingcom/token", n)
//	verifier, err := webhook.NewVerifier(n.Partner(), n.Secret())
//
// Tokens hold their own end and are signed with Key, so that all processes that share it know each other's and none is stored. Credentials are
// changed as the portal does it: add the new client, tell the portal ("update authentication" tries them first), remove the old one.
type Notifications struct{ c NotificationsConfig }

// NotificationsConfig configures [Notifications]. Clients and Key are required.
type NotificationsConfig struct {
	// Clients are the secrets by client id, 16 bytes or more each.
	Clients map[string]auth.Secret
	// Key signs tokens: 32 bytes or more, the same in all processes.
	Key auth.Secret
	// Lifetime of a token; 0 means an hour. How Booking.com learns of it is not documented: it is told expires_in, and asks again when a token
	// is refused.
	Lifetime time.Duration
}

// NewNotifications returns an error that names everything that is wrong with c.
func NewNotifications(c NotificationsConfig) (*Notifications, error) {
	var errs []error
	if len(c.Clients) == 0 {
		errs = append(errs, errors.New("there are no Clients"))
	}
	for id, s := range c.Clients {
		if id == "" || len(s) < 16 {
			errs = append(errs, fmt.Errorf("client %q of Clients has no id, or a secret of less than 16 bytes", id))
		}
	}
	if len(c.Key) < 32 {
		errs = append(errs, errors.New("the Key has less than 32 bytes"))
	}
	if c.Lifetime < 0 {
		errs = append(errs, errors.New("the Lifetime is negative"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("bookingcom: NotificationsConfig: %w", errors.Join(errs...))
	}
	if c.Lifetime == 0 {
		c.Lifetime = time.Hour
	}
	return &Notifications{c}, nil
}

// Format prints nothing of the configuration.
func (n *Notifications) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte("bookingcom.Notifications"))
}

// Partner is webhook.BookingCom with the tokens of n.
func (n *Notifications) Partner() webhook.Partner {
	p := webhook.BookingCom()
	p.Scheme = webhook.Custom{Verify: verifyToken, Sign: signToken}
	return p
}

// Secret is what the webhook.Verifier of n's Partner is made with.
func (n *Notifications) Secret() webhook.Secret {
	return webhook.Secret{ID: "key", Value: string(n.c.Key)}
}

// ServeHTTP is the authentication endpoint: a form with grant_type=client_credentials, client_id and client_secret, answered by JSON with the token in jwt
// (documented). It is in access_token too, where OAuth has it.
func (n *Notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, v any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		b, err := json.Marshal(v)
		if err != nil { // texts and numbers
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		_, _ = w.Write(b) // the one who asked is gone
	}
	refuse := func(status int, code string) { answer(status, map[string]string{"error": code}) }
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		refuse(http.StatusMethodNotAllowed, "invalid_request")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	if err := r.ParseForm(); err != nil {
		refuse(http.StatusBadRequest, "invalid_request")
		return
	}
	if r.PostForm.Get("grant_type") != "client_credentials" {
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	want, ok := n.c.Clients[r.PostForm.Get("client_id")]
	if !ok {
		want = n.c.Key // compared all the same: how long it takes tells nothing
	}
	got, expected := sha256.Sum256([]byte(r.PostForm.Get("client_secret"))), sha256.Sum256([]byte(want))
	if subtle.ConstantTimeCompare(got[:], expected[:]) != 1 || !ok {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	token := tokenOf([]byte(n.c.Key), time.Now().Add(n.c.Lifetime))
	answer(http.StatusOK, map[string]any{
		"jwt": token, "access_token": token, "token_type": "Bearer", "expires_in": int64(n.c.Lifetime / time.Second),
	})
}

// tokenOf makes a token: its end in seconds since 1970 and the HMAC of that, in the three parts that a JWT has.
func tokenOf(key []byte, end time.Time) string {
	payload := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"bookingcom-notifications","exp":%d}`, end.Unix()))
	signed := tokenHeader + "." + payload
	return signed + "." + base64.RawURLEncoding.EncodeToString(tokenSum(key, signed))
}

// tokenHeader is {"alg":"HS256","typ":"JWT"}.
const tokenHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"

func tokenSum(key []byte, signed string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(signed))
	return h.Sum(nil)
}

// verifyToken is the scheme: what is proved is who sends, not what.
func verifyToken(m *webhook.Message, key []byte) (webhook.Proof, error) {
	scheme, token, _ := strings.Cut(m.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(token) > 1<<10 {
		return webhook.Proof{}, webhook.ErrMissing
	}
	signed, sum, ok := cutLast(token)
	got, err := base64.RawURLEncoding.DecodeString(sum)
	if !ok || err != nil || !hmac.Equal(got, tokenSum(key, signed)) {
		return webhook.Proof{}, webhook.ErrSignature
	}
	_, payload, _ := strings.Cut(signed, ".")
	b, err := base64.RawURLEncoding.DecodeString(payload)
	var claims struct {
		End int64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(b, &claims) != nil {
		return webhook.Proof{}, webhook.ErrMalformed
	}
	if time.Now().Unix() >= claims.End {
		return webhook.Proof{}, webhook.ErrSignature // 401: it asks for another
	}
	return webhook.Proof{Trust: webhook.Authenticated}, nil
}

func cutLast(token string) (before, after string, ok bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return token, "", false
	}
	return token[:i], token[i+1:], true
}

func signToken(m *webhook.Message, key []byte, at time.Time) error {
	m.Header["Authorization"] = []string{"Bearer " + tokenOf(key, at.Add(time.Hour))}
	return nil
}

// Webhooks implements driver.WebhookSource, with the tokens of the host's own making as secrets; [Notifications] makes and knows them by itself.
func (d *Driver) Webhooks() webhook.Partner { return webhook.BookingCom() }

// Notices implements driver.WebhookSource.
func (d *Driver) Notices(e webhook.Event) ([]webhook.Notice, error) { return Notices(e) }

// Notices says what a notification tells, for a host that has one endpoint for all integrations. Members of payloads but for those of
// PBB_CONFIG_UPDATE_STATUS are unverified, so no notice holds more than the kind and, where it is about payments of a property, the property.
func Notices(e webhook.Event) ([]webhook.Notice, error) {
	var in struct {
		Metadata struct {
			Type string `json:"type"`
		} `json:"metadata"`
		Payload struct {
			PropertyID any `json:"propertyId"`
		} `json:"payload"`
	}
	if err := driver.Decode(e.Body, e.ContentType, &in); err != nil {
		return nil, fmt.Errorf("bookingcom: the notification cannot be read: %w", err)
	}
	if in.Metadata.Type == "" {
		return nil, errors.New("bookingcom: the notification has no type")
	}
	n := webhook.Notice{Event: e, Kind: in.Metadata.Type, Thin: true}
	if in.Metadata.Type == "PBB_CONFIG_UPDATE_STATUS" {
		n.Kind = webhook.ResourceChanged // the property's payments
		switch id := in.Payload.PropertyID.(type) {
		case string:
			n.Record = trimZeros(id)
		case float64:
			n.Record = strconv.FormatFloat(id, 'f', -1, 64)
		}
	}
	return []webhook.Notice{n}, nil
}
