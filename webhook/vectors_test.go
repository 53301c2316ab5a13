package webhook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/integrationkit/integrationkit/webhook"
)

const airbnbKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuNjBX6WTesVqagehwrNm
Vg9ixSOmfF9sVrQiVbM4TCs4TR7YDtpEgorUhRNAdXLhchKuyFzN9HqbSsbdfmFB
d3zhPMp/9j2FDvNUACgS01b+Bn1WlpWdlrvcfSZHYylqjoz67NOzf8zPJyuWGJNK
7shGb9BBTteScIHbNm7FyWQzecN9X5mRe9ZLV5uULCyaaT7kHIXeMn9+SuMP1HUm
oEjZeXi8CmbaR7AxVFFxMx27a8PWlFhrnowr+FIvyul85IS6oEBrM3R2ql+rneKl
7CmsIfIM74mXXEJag5p8aml/5JKpmCKAfpAakhWQcqf82fVG7iAFdN+1FpdCTOl8
GQIDAQAB
-----END PUBLIC KEY-----`

const airbnbSignature = `fnBH7dSPiY2Lug1LjZx0zpo94gwESDdLehaR145iX1SKb4b62bRn9ULOEIyJyij5Ocg8Cvv8d0jIktaOVbfxsA5lNChUFyf1NZwzVyk/` +
	`CMuKKdVErToy+PvqQQFwNYPYTojV+UyGsnlxLUO/OROJDl8YUbVVseUcHfyvbHwNcP6ICcytlwt9Wfx6hmEPrElXZhNPyQoptFMqSL/aCuqrc4t3tat5Qab5kPnsJ41` +
	`MnE08yuS3LHW3rkzr1/3oo082GQEFwntbCGQEMDHKKsbdQvOcveQT8us6F/qOl5frQ3zI1PDpD3AzHiUInMpzg0F1i+I9poJJNTZocOeI+7ImbQ==`

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

func hook(scheme webhook.Scheme) webhook.Partner {
	return webhook.Partner{Name: "acme", Scheme: scheme}
}

// vector is a request that somebody has published, or that is computed with the primitive alone.
type vector struct {
	name    string
	source  string
	partner webhook.Partner
	secret  string
	msg     webhook.Message
	now     int64
}

func vectors() []vector {
	slackBody := "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
		"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2F" +
		"commands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	m := hmac.New(sha1.New, []byte("12345"))
	m.Write([]byte("https://mycompany.com/myapp.php?foo=1&bar=2CallSidCA1234567890ABCDECaller+14158675309Digits1234From+14158675309To+18005551212"))
	twilio := base64.StdEncoding.EncodeToString(m.Sum(nil))
	return []vector{
		{"RFC 4231 case 1", "https://www.rfc-editor.org/rfc/rfc4231#section-4.2",
			hook(webhook.HMAC{Header: "S", Secret: webhook.SecretHex}), strings.Repeat("0b", 20),
			webhook.Message{Body: []byte("Hi There"), Header: headers("S", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")}, 0},
		{"RFC 4231 case 2, SHA-512", "https://www.rfc-editor.org/rfc/rfc4231#section-4.3",
			hook(webhook.HMAC{Header: "S", Hash: webhook.SHA512}), "Jefe",
			webhook.Message{Body: []byte("what do ya want for nothing?"), Header: headers("S", "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737")}, 0},
		{"RFC 2202 case 2, SHA-1", "https://www.rfc-editor.org/rfc/rfc2202#section-3",
			hook(webhook.HMAC{Header: "S", Hash: webhook.SHA1}), "Jefe",
			webhook.Message{Body: []byte("what do ya want for nothing?"), Header: headers("S", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")}, 0},
		{"Standard Webhooks", "https://github.com/standard-webhooks/standard-webhooks, the libraries' own test",
			webhook.StandardWebhooks("acme"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
			webhook.Message{Body: []byte(`{"test": 2432232314}`), Header: headers("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek",
				"webhook-timestamp", "1614265330", "webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")}, 1614265330},
		{"Guesty", "computed for the kit with a secret of the bytes 1 to 32",
			webhook.Guesty(), "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",
			webhook.Message{Body: []byte(`{"listingId":"66f0c1a2b3d4e5f607182930","accountId":"65aa00112233445566778899","currency":"EUR","dateRange":{"start":"2026-11-02","end":"2026-11-06"}}`),
				Header: headers("svix-id", "msg_sample0001", "svix-timestamp", "1793620800",
					"svix-signature", "v1,hZ/v8l/w0t2I2xDhqlWvcr8RuEu1Ca3pFUMzRmjr2sQ=")}, 1793620800},
		{"GitHub", "https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries",
			webhook.GitHub(), "It's a Secret to Everybody",
			webhook.Message{Body: []byte("Hello, World!"), Header: headers("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")}, 0},
		{"Slack", "https://docs.slack.dev/authentication/verifying-requests-from-slack",
			webhook.Slack(), "8f742231b10e8888abcd99yyyzzz85a5",
			webhook.Message{Body: []byte(slackBody), Header: headers("X-Slack-Request-Timestamp", "1531420618",
				"X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")}, 1531420618},
		{"Twilio", "computed: https://www.twilio.com/docs/usage/security has the content",
			webhook.Twilio(), "12345",
			webhook.Message{URL: "https://mycompany.com/myapp.php?foo=1&bar=2",
				Body:   []byte("CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212"),
				Header: headers("Content-Type", "application/x-www-form-urlencoded; charset=utf-8", "X-Twilio-Signature", twilio)}, 0},
		{"Airbnb", "computed for the kit with a throw-away key",
			webhook.Airbnb(), airbnbKey,
			webhook.Message{Method: "POST", Host: "partner.example.net:8443", Path: "/hooks/airbnb",
				Body: []byte(`{"action":"test_notification","test_notification":{"host_id":700001}}`),
				Header: headers("Date", "Tue, 14 Jan 2025 09:30:00 GMT", "Content-Type", "application/json",
					"Authorization", `Signature keyId="booking_web_hooks",algorithm="rsa-sha256",headers="host url method date content-type body",delimiter="|",signature="`+airbnbSignature+`"`)}, 1736847000},
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, tc := range vectors() {
		t.Run(tc.name, func(t *testing.T) {
			v, err := webhook.NewVerifier(tc.partner, webhook.Secret{ID: "now", Value: tc.secret})
			if err != nil {
				t.Fatal(err)
			}
			p, err := v.Verify(&tc.msg, time.Unix(tc.now, 0))
			if err != nil {
				t.Fatalf("%s: %v", tc.source, err)
			}
			if p.Trust != webhook.Signed || p.SecretID != "now" || p.Old {
				t.Errorf("got proof %+v", p)
			}
			if tc.now != 0 && p.At.Unix() != tc.now {
				t.Errorf("signed at %v, want %v", p.At.Unix(), tc.now)
			}
			tc.msg.Body[len(tc.msg.Body)/2] ^= 1
			if p, err := v.Verify(&tc.msg, time.Unix(tc.now, 0)); !errors.Is(err, webhook.ErrSignature) && !errors.Is(err, webhook.ErrMalformed) || p.Trust != webhook.Hint {
				t.Errorf("an altered body: got %+v, %v", p, err)
			}
		})
	}
}
