package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// ErrState is wrapped by the error of a callback that no start in the same browser led to: its state is missing, not
// the browser's, used, or too old.
var ErrState = errors.New("auth: the callback does not belong to an authorization under way in this browser")

// CodeError is the partner's refusal at its authorization endpoint (RFC 6749 section 4.1.2.1).
type CodeError struct {
	// Code is the partner's error code, "access_denied" when the human said no; "" when it is not one of lower-case
	// letters and underscores.
	Code string
}

// Error names the code. The partner's description is left out: anybody may have written it.
func (e *CodeError) Error() string {
	if e.Code == "" {
		return "the partner refused the authorization"
	}
	return "the partner refused the authorization: " + e.Code
}

// CodeFlowConfig configures a [CodeFlow].
type CodeFlowConfig struct {
	// Client is who asks: what the [Source] refreshes with.
	Client       RefreshToken
	AuthorizeURL string // the partner's page, https
	// CallbackURL is where the host mounts [CodeFlow.Callback], as the browser sees it and as registered with the
	// partner: https, or http on loopback. Each partner has its own, so that none can answer for another (RFC 9700
	// section 4.4).
	CallbackURL string
	Scopes      []string
	Params      url.Values // more for the partner's page, such as access_type=offline
	Issuer      string     // what the partner says in iss (RFC 9207), which is then required; "": not looked at
	// Keys seals what the browser keeps between start and callback. Processes that share them may each answer half of
	// a flow.
	Keys *Keys
	// Timeout is how long the human may take; 0: 10 min.
	Timeout time.Duration

	// Subject says for whom the flow is started: the integration's id, from the host's own session and its own checks of
	// what the user may do. Its error answers 403, without its text.
	Subject func(*http.Request) (string, error)
	// OnToken keeps the token, by [Source.Replace] of the subject's source, before the browser is told of success. Its
	// context is detached from the browser's, which may be gone, and ends after 30 s.
	OnToken func(ctx context.Context, subject string, t Token) error
	// OnError, if set, is told why a callback failed: [ErrState] (with subject ""), a [*CodeError], what the token
	// endpoint answered, OnToken's own. Anybody can cause the first.
	OnError func(ctx context.Context, subject string, err error)
	// Done and Failed are where the browser goes afterwards: a path of the host ("/integrations") or an https address.
	// They are fixed: nothing in a request changes them. Failed "": Done.
	Done, Failed string
}

// CodeFlow lets a human authorize the host at a partner: the OAuth 2.0 authorization code grant (RFC 6749 section
// 4.1) with a proof key (PKCE, RFC 7636, S256) and a state that is bound to the browser by a sealed cookie (HttpOnly,
// Secure, SameSite=Lax, __Host-), expires, and is good once. Use [NewCodeFlow]; it is safe for concurrent use.
//
// That a state is used once is remembered by the process; across processes the partner's code is what can be used
// once only.
type CodeFlow struct{ c *codeFlow }

type codeFlow struct {
	CodeFlowConfig
	place string // of what is sealed
	cross *http.CrossOriginProtection

	mu   sync.Mutex           // guards used
	used map[string]time.Time // states that came back, until they expire
}

// exchangeTimeout bounds what follows a callback.
const exchangeTimeout = 30 * time.Second

// maxUsed bounds what is remembered of states that came back; more than so many flows per Timeout are refused.
const maxUsed = 1 << 16

// NewCodeFlow returns an error that names everything that is wrong with c.
func NewCodeFlow(c CodeFlowConfig) (*CodeFlow, error) {
	var p problems
	p.join(c.Client.Validate())
	p.endpoint("AuthorizeURL", c.AuthorizeURL)
	p.endpoint("CallbackURL", c.CallbackURL)
	p.scopes(c.Scopes)
	for name, values := range c.Params {
		p.check(len(values) != 1, "Params holds "+name+" more than once, or without a value")
		switch name {
		case "client_id", "redirect_uri", "response_type", "response_mode", "state",
			"code_challenge", "code_challenge_method":
			p.add("Params holds %s, which is the flow's own", name)
		}
	}
	p.check(c.Params.Has("scope") && len(c.Scopes) > 0, "Params holds scope, and Scopes is set too")
	p.check(c.Keys == nil, "Keys is nil")
	p.check(c.Timeout < 0, "Timeout is negative")
	p.check(c.Subject == nil, "Subject is nil")
	p.check(c.OnToken == nil, "OnToken is nil")
	p.destination("Done", c.Done)
	if c.Failed == "" {
		c.Failed = c.Done
	} else {
		p.destination("Failed", c.Failed)
	}
	if err := p.err(); err != nil {
		return nil, fmt.Errorf("auth: code flow: %w", err)
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Minute
	}
	return &CodeFlow{&codeFlow{
		CodeFlowConfig: c, cross: http.NewCrossOriginProtection(), used: map[string]time.Time{},
		place: "auth/code/" + fingerprint(c.CallbackURL, c.AuthorizeURL, c.Client.TokenURL, c.Client.ClientID),
	}}, nil
}

// destination checks where a browser is sent.
func (p *problems) destination(name, s string) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		p.add("%s is not an address", name)
	case strings.ContainsAny(s, "\\\r\n\t"):
		p.add("%s holds what browsers read in ways of their own", name)
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//"):
	default:
		if _, err := originOf(u); err != nil {
			p.add("%s is neither a path of the host's nor an address: %w", name, err)
		}
	}
}

// Start returns the handler that sends the browser to the partner. It takes POST from the host's own pages only
// (http.CrossOriginProtection), so that no other page can start a flow in a user's name: a form with a button, behind
// the host's login.
func (f *CodeFlow) Start() http.Handler { return http.HandlerFunc(f.c.start) }

// Callback returns the handler for CallbackURL. It answers GET: with a redirect to Done when OnToken has the token;
// with one to Failed when the partner, or a step after it, refused; and with 400 to what does not belong to a flow.
func (f *CodeFlow) Callback() http.Handler { return http.HandlerFunc(f.c.callback) }

func (f *codeFlow) start(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "Press the button on the page to start.", http.StatusMethodNotAllowed)
		return
	}
	if err := f.cross.Check(r); err != nil {
		http.Error(w, "This must be started from the application's own pages.", http.StatusForbidden)
		return
	}
	subject, err := f.Subject(r)
	if err != nil {
		http.Error(w, "This may not be started here.", http.StatusForbidden)
		return
	}
	t := ticket{
		State: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(),
		Subject: subject, Until: time.Now().Add(f.Timeout),
	}
	cookie, err := f.seal(t)
	if err != nil {
		http.Error(w, "This could not be started.", http.StatusInternalServerError)
		f.tell(r.Context(), subject, err)
		return
	}
	http.SetCookie(w, cookie)
	conf := f.Client.config()
	conf.Endpoint.AuthURL, conf.RedirectURL, conf.Scopes = f.AuthorizeURL, f.CallbackURL, f.Scopes
	opts := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(t.Verifier)}
	for name := range f.Params {
		opts = append(opts, oauth2.SetAuthURLParam(name, f.Params.Get(name)))
	}
	http.Redirect(w, r, conf.AuthCodeURL(t.State, opts...), http.StatusSeeOther)
}

func (f *codeFlow) callback(w http.ResponseWriter, r *http.Request) {
	private(w)
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "This address is for the partner's answer.", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), exchangeTimeout)
	defer cancel()
	a, err := readAnswer(r.URL.RawQuery)
	var t ticket
	if err == nil {
		t, err = f.open(r, a.state)
	}
	if err == nil {
		http.SetCookie(w, f.cookie(a.state, "", -1))
		err = f.spend(t)
	}
	if err != nil {
		http.Error(w, "This authorization was not started in this browser, is over, or took too long. Please start again.",
			http.StatusBadRequest)
		f.tell(ctx, "", err)
		return
	}
	if err := f.finish(ctx, a, t); err != nil {
		f.tell(ctx, t.Subject, err)
		http.Redirect(w, r, f.Failed, http.StatusSeeOther)
		return
	}
	http.Redirect(w, r, f.Done, http.StatusSeeOther)
}

// finish trades the code of an answer that belongs to a flow.
func (f *codeFlow) finish(ctx context.Context, a codeAnswer, t ticket) error {
	switch {
	case f.Issuer != "" && a.issuer != f.Issuer:
		return errors.New("the callback does not come from the issuer that was asked")
	case a.failed && plainCode(a.err):
		return &CodeError{Code: a.err}
	case a.failed:
		return &CodeError{}
	case a.code == "":
		return errors.New("the partner's answer holds neither a code nor an error")
	}
	tok, err := f.Client.trade(ctx, a.code, f.CallbackURL, t.Verifier)
	if err != nil {
		return fmt.Errorf("the authorization code was not taken: %w", err)
	}
	// Without the monotonic clock, which stands still while a machine sleeps.
	tok.Obtained, tok.Expiry = tok.Obtained.Round(0).UTC(), tok.Expiry.Round(0).UTC()
	if err := f.OnToken(ctx, t.Subject, tok); err != nil {
		return fmt.Errorf("the token could not be kept: %w", err)
	}
	return nil
}

func (f *codeFlow) tell(ctx context.Context, subject string, err error) {
	if f.OnError != nil {
		f.OnError(ctx, subject, err)
	}
}

// spend notes that a state came back. It fails for one that did before.
func (f *codeFlow) spend(t ticket) error {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, again := f.used[t.State]; again {
		return fmt.Errorf("%w: it came twice", ErrState)
	}
	if len(f.used) >= maxUsed {
		for state, until := range f.used {
			if !now.Before(until) {
				delete(f.used, state)
			}
		}
		if len(f.used) >= maxUsed {
			return fmt.Errorf("%w: too many came of late", ErrState)
		}
	}
	f.used[t.State] = t.Until
	return nil
}

// private keeps an answer, and the code in its address, from caches and other sites.
func private(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
