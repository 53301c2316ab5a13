package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Partner is what there is to know of one partner's webhooks, as data. The functions [Guesty], [Stripe] and so on
// return some that are ready; change a field where an account differs.
type Partner struct {
	Name   string // as in metrics: "guesty"
	Scheme Scheme

	// Tolerance is how far the time of a signature may be from now, either way. 0: five minutes. Negative: any time
	// will do. It means nothing to schemes that sign no time: there only the memory for deliveries stops a replay.
	Tolerance time.Duration

	// Delivery finds the delivery's id, if the scheme does not sign one. It should read what is signed: whoever
	// repeats a delivery could otherwise give it another id, and it would have another effect. Nil, or "": a hash of
	// kind and body.
	Delivery Field
	// Kind finds what happened, in the partner's words. Nil: it is not told.
	Kind Field
	// Account finds the partner's id of the account that a message is about: the Account of its [Event], which is
	// compared with the one of its [Endpoint]. An Owner may look the integration up by it. Nil: it is not told.
	Account Field

	Types    []string      // content types that are read, "application/json"; nil: any. A missing one passes.
	Patience time.Duration // how long the partner waits for an answer, with something to spare; 0: 5 s
	Answer   Answer        // to a delivery that is kept; zero: 202 without a body
	// Challenges are requests that are no events, and are answered with a part of themselves. They are verified too.
	Challenges []Challenge
}

// Answer is what a partner is answered.
type Answer struct {
	Status int // 0: 202
	Type   string
	Body   string
}

// Challenge is a handshake by which a partner finds out whether an endpoint is ours. The answer is 200 with one value
// of the request, as plain text.
type Challenge struct {
	Method string // "": POST
	// Query says that the values are in the query; otherwise they are members of a JSON object in the body.
	Query bool
	When  map[string]string // values that make it one
	Echo  string            // name of the value that is answered
}

// Field finds a value in a message; "" if it is not there.
type Field func(m *Message) string

// Header returns a field that is the value of a header. Headers are rarely signed.
func Header(name string) Field {
	return func(m *Message) string { return m.Header.Get(name) }
}

// JSON returns a field that is the text, or number, at the first of some paths in a JSON body that holds one:
// "metadata.uuid". Names of members are as they are written, and have no dots.
func JSON(paths ...string) Field {
	split := make([][]string, len(paths))
	for i, p := range paths {
		split[i] = strings.Split(p, ".")
	}
	return func(m *Message) string {
		var top map[string]json.RawMessage
		if json.Unmarshal(m.Body, &top) != nil {
			return ""
		}
		for _, path := range split {
			if v := at(top, path); v != "" {
				return v
			}
		}
		return ""
	}
}

func at(object map[string]json.RawMessage, path []string) string {
	raw := object[path[0]]
	if len(path) > 1 {
		var next map[string]json.RawMessage
		if json.Unmarshal(raw, &next) != nil {
			return ""
		}
		return at(next, path[1:])
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

func (p Partner) tolerance() time.Duration {
	if p.Tolerance == 0 {
		return defaultTolerance
	}
	return p.Tolerance
}

const defaultPatience = 5 * time.Second

func (p Partner) patience() time.Duration {
	if p.Patience == 0 {
		return defaultPatience
	}
	return p.Patience
}

func (p Partner) problems() []error {
	var problems []error
	if p.Name == "" {
		problems = append(problems, errors.New("webhook: Partner.Name is missing"))
	}
	if p.Scheme == nil {
		problems = append(problems, errors.New("webhook: Partner.Scheme is missing; if nothing is signed, say Unsigned{}"))
	}
	if p.Patience < 0 {
		problems = append(problems, errors.New("webhook: Partner.Patience is negative"))
	}
	if s := p.Answer.Status; s != 0 && (s < 200 || s > 299) {
		problems = append(problems, fmt.Errorf("webhook: Partner.Answer has status %d, which is no success", s))
	}
	for _, c := range p.Challenges {
		if len(c.When) == 0 || c.Echo == "" {
			problems = append(problems, errors.New("webhook: a Challenge wants When and Echo"))
		}
	}
	return problems
}

// methods lists those that are answered.
func (p Partner) methods() []string {
	list := []string{http.MethodPost}
	for _, c := range p.Challenges {
		if c.Method != "" && c.Method != http.MethodPost {
			list = append(list, c.Method)
		}
	}
	return list
}

var (
	jsonOnly = []string{"application/json"}
	jsonForm = []string{"application/json", "application/x-www-form-urlencoded"}
)

// Guesty sends through Svix: headers svix-id, svix-timestamp, svix-signature. The secret, whsec_…, is had from GET
// /webhooks-v2/secret and is another one after a subscription has been made anew. Repeats for about a day, each time
// signed afresh with the same id. Bodies name what happened as event or eventType, calendar updates not at all.
func Guesty() Partner {
	return Partner{
		Name: "guesty", Scheme: Standard{Prefixes: []string{"svix", "webhook"}},
		Types: jsonOnly, Patience: 10 * time.Second, Kind: JSON("event", "eventType"),
		Account: JSON("accountId"), // calendar updates have it
	}
}

// StandardWebhooks is any sender that keeps to the specification (https://www.standardwebhooks.com), which recommends
// that type tells what happened.
func StandardWebhooks(name string) Partner {
	return Partner{
		Name: name, Scheme: Standard{Prefixes: []string{"webhook", "svix"}},
		Kind: JSON("type"), Patience: 10 * time.Second,
	}
}

// Airbnb signs with RSA and wants {"succeed": true}. A secret is Airbnb's public key, in PEM. There is no delivery
// id: a body that comes twice is one event. Whether a repeat is dated afresh is not known; if it is not, it comes too
// late for the default Tolerance. Bodies may hold little more than a confirmation code: fetch the record.
func Airbnb() Partner {
	return Partner{
		Name: "airbnb", Scheme: SignatureHeader{}, Types: jsonOnly, Patience: 8 * time.Second, Kind: JSON("action"),
		Account: JSON("host_id", "listing_approval_status.host_id"), // reservations have none
		Answer:  Answer{Status: http.StatusOK, Type: "application/json", Body: `{"succeed": true}`},
	}
}

// BookingCom is the Connectivity Notification Service. It signs nothing: it fetches a token from a [TokenEndpoint] of
// yours, which its sample has as member jwt, and sends that as bearer. Early adopters use Basic: change the Scheme to
// [Basic]. Notifications are hints in the partner's words, too: the record is had from the API that owns it.
func BookingCom() Partner {
	return Partner{
		Name: "bookingcom", Scheme: Issued{}, Types: jsonOnly,
		Delivery: JSON("metadata.uuid"), Kind: JSON("metadata.type"),
		Account: JSON("payload.propertyId"),
	}
}

// Cloudbeds signs nothing, waits two seconds and repeats five times, a minute apart. The secret is a part of the URL.
// Events are hints. Its names of members differ in case from event to event: see its driver.
func Cloudbeds() Partner {
	return Partner{
		Name: "cloudbeds", Scheme: URLSecret{}, Types: jsonForm, Patience: 1500 * time.Millisecond, Kind: JSON("event"),
		Account: JSON("propertyID_str", "propertyId_str", "propertyID", "propertyId"),
	}
}

// Stripe signs "t.body" (https://docs.stripe.com/webhooks#verify-manually); a secret is whsec_…, as it is.
func Stripe() Partner {
	return Partner{
		Name: "stripe", Scheme: HMAC{Header: "Stripe-Signature", Pair: "v1", TimePair: "t", Content: "{time}.{body}"},
		Types: jsonOnly, Delivery: JSON("id"), Kind: JSON("type"),
	}
}

// GitHub signs the body (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries). Neither the
// delivery's id nor the event's name is signed, and no time: a body that comes twice under one name is one event.
func GitHub() Partner {
	return Partner{
		Name: "github", Scheme: HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256="},
		Types: jsonForm, Kind: Header("X-GitHub-Event"),
	}
}

// Shopify signs the body (https://shopify.dev/docs/apps/build/webhooks/subscribe/https); a secret is the app's. What
// was said of [GitHub] holds.
func Shopify() Partner {
	return Partner{
		Name: "shopify", Scheme: HMAC{Header: "X-Shopify-Hmac-Sha256", Encoding: Base64},
		Types: jsonOnly, Kind: Header("X-Shopify-Topic"), Patience: 4 * time.Second,
	}
}

// Slack signs "v0:time:body" (https://docs.slack.dev/authentication/verifying-requests-from-slack), waits three
// seconds, and asks a new endpoint for its challenge.
func Slack() Partner {
	return Partner{
		Name: "slack",
		Scheme: HMAC{Header: "X-Slack-Signature", Prefix: "v0=", TimeHeader: "X-Slack-Request-Timestamp",
			Content: "v0:{time}:{body}"},
		Types: jsonForm, Patience: 2500 * time.Millisecond, Delivery: JSON("event_id"), Kind: JSON("event.type", "type"),
		Answer:     Answer{Status: http.StatusOK},
		Challenges: []Challenge{{When: map[string]string{"type": "url_verification"}, Echo: "challenge"}},
	}
}

// Twilio signs URL and form: see [FormHMAC]; a secret is the auth token. [Endpoint].URL is needed.
func Twilio() Partner {
	return Partner{
		Name: "twilio", Scheme: FormHMAC{Header: "X-Twilio-Signature", Hash: SHA1, Encoding: Base64}, Types: jsonForm,
		Answer: Answer{Status: http.StatusNoContent},
	}
}
