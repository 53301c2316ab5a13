package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrUnknown is what a [Resolver] returns if there is no endpoint at that path. It is answered 404.
var ErrUnknown = errors.New("webhook: no endpoint is at this path")

// Endpoint is a path at which one partner delivers. It does not print. Give each endpoint a secret of its own: a
// secret that two share proves a delivery to one of them at the other, too, unless the scheme signs the URL. Where a
// partner has one secret for all, have one endpoint and an Owner.
type Endpoint struct {
	Verifier    *Verifier // required
	Integration string    // whose events come here; "" if Owner tells
	// Owner finds the integration in a message that has been verified, where one endpoint serves many. The event is
	// handed over with an Integration of "" if Owner returns that. Its error is answered 503: the partner sends
	// again.
	Owner func(ctx context.Context, m *Message) (integration string, err error)
	// Account is the partner's id of the integration's account. A message that says it is about another one is answered
	// as an unknown path is. "": it may be about any.
	Account string
	URL     string       // as it was registered; needed by schemes that sign it
	From    *AddressList // nil: from anywhere
}

// Format prints the partner and the integration, whatever the verb.
func (e Endpoint) Format(f fmt.State, _ rune) {
	name := ""
	if e.Verifier != nil {
		name = e.Verifier.partner.Name
	}
	_, _ = io.WriteString(f, "webhook.Endpoint("+name+", "+e.Integration+")")
}

// Resolver finds the endpoint of a request from its path, host or query; r has no body. [ErrUnknown] is answered 404,
// any other error 503, so that the partner sends again. It is called for strangers too: a cache should not grow with
// what they ask for.
type Resolver func(r *http.Request) (Endpoint, error)

// Paths is a resolver with a fixed set of endpoints: a path that ends in a slash also serves what is below it.
func Paths(endpoints map[string]Endpoint) Resolver {
	return func(r *http.Request) (Endpoint, error) {
		path := r.URL.Path
		if e, ok := endpoints[path]; ok {
			return e, nil
		}
		for i := strings.LastIndexByte(path, '/'); i >= 0; i = strings.LastIndexByte(path[:i], '/') {
			if e, ok := endpoints[path[:i+1]]; ok {
				return e, nil
			}
		}
		return Endpoint{}, ErrUnknown
	}
}

// Config configures a [Handler].
type Config struct {
	Resolve Resolver // required
	Sink    Sink     // required
	Dedupe  Dedupe   // nil: a [Memory] of this handler's own, which knows nothing of other processes

	MaxBody int64 // bytes, also after decompression; 0: 1 MiB
	// Keep is how long a delivery that was kept is remembered; it should be longer than partners repeat theirs.
	// 0: four days.
	Keep time.Duration
	// Patience is the upper bound of partners' own, and holds until the partner is known. 0: 5 s, and no bound.
	Patience time.Duration

	// OnResult is told how each request ended, after the answer was written. It must not block nor panic. Nil: nobody
	// is.
	OnResult func(ctx context.Context, r Result)
}

// Handler receives webhooks. Make one with [NewHandler].
type Handler struct{ c Config }

const (
	defaultMaxBody = 1 << 20
	defaultKeep    = 4 * 24 * time.Hour
	settle         = 2 * time.Second // for Done and Release, after the hand-over took its time
)

// NewHandler returns a handler, or every problem of c.
func NewHandler(c Config) (*Handler, error) {
	var problems []error
	if c.Resolve == nil {
		problems = append(problems, errors.New("webhook: Config.Resolve is missing"))
	}
	if c.Sink == nil {
		problems = append(problems, errors.New("webhook: Config.Sink is missing"))
	}
	if c.MaxBody < 0 || c.Keep < 0 || c.Patience < 0 {
		problems = append(problems, errors.New("webhook: Config: MaxBody, Keep and Patience are not negative"))
	}
	if c.Dedupe == nil {
		c.Dedupe = &Memory{}
	}
	if c.MaxBody == 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Keep == 0 {
		c.Keep = defaultKeep
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Handler{c: c}, nil
}

// ServeHTTP implements [http.Handler]. What it answers is said at [Outcome].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q := &request{h: h, w: w, r: r, start: start}
	q.patience = h.c.Patience
	if q.patience == 0 {
		q.patience = defaultPatience
	}
	a := q.serve()
	q.res.Status = a.Status
	a.write(w)
	q.res.Took = time.Since(start)
	if h.c.OnResult != nil {
		h.c.OnResult(r.Context(), q.res)
	}
	if q.abort {
		panic(http.ErrAbortHandler)
	}
}

func (a Answer) write(w http.ResponseWriter) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	if a.Body != "" {
		kind := a.Type
		if kind == "" {
			kind = "text/plain; charset=utf-8"
		}
		head.Set("Content-Type", kind)
		head.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body) // nobody can act on the error: the partner will send again
}

// request is one request on its way.
type request struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	start    time.Time
	patience time.Duration
	res      Result
	abort    bool
}

// end sets the outcome and returns its answer.
func (q *request) end(o Outcome, err error) Answer {
	q.res.Outcome, q.res.Err = o, err
	switch o {
	case Busy, NotKept, Unresolved:
		q.w.Header().Set("Retry-After", "5")
		return Answer{Status: http.StatusServiceUnavailable}
	case Unknown:
		return Answer{Status: http.StatusNotFound}
	case Forbidden:
		return Answer{Status: http.StatusForbidden}
	case Unproved, Forged, Late:
		return Answer{Status: http.StatusUnauthorized}
	case BadMethod:
		return Answer{Status: http.StatusMethodNotAllowed}
	case BadType:
		return Answer{Status: http.StatusUnsupportedMediaType}
	case BadBody:
		return Answer{Status: http.StatusBadRequest}
	case TooLarge:
		return Answer{Status: http.StatusRequestEntityTooLarge}
	}
	return Answer{Status: http.StatusInternalServerError}
}

// serve does it all but for writing the answer. The context of what follows is the request's without its end: a
// partner that hangs up has not undone what is being stored.
func (q *request) serve() (a Answer) {
	defer func() {
		if v := recover(); v != nil {
			q.abort = aborts(v)
			a = q.end(Panicked, &PanicError{value: v, Stack: string(debug.Stack())})
		}
	}()
	ctx, cancel := q.within(q.patience)
	defer cancel()
	body, outcome, err := q.body()
	if outcome != "" {
		return q.end(outcome, err)
	}
	q.res.Bytes = len(body)
	bare := q.r.WithContext(ctx)
	bare.Body, bare.GetBody = http.NoBody, nil
	e, err := q.h.c.Resolve(bare)
	switch {
	case errors.Is(err, ErrUnknown):
		return q.end(Unknown, err)
	case err != nil:
		return q.end(Unresolved, err)
	case e.Verifier == nil:
		return q.end(Unresolved, errors.New("webhook: the resolver returned an endpoint without a verifier"))
	}
	return q.deliver(e, body)
}

// aborts says whether a panic is the one that net/http asks for.
func aborts(v any) bool {
	err, ok := v.(error)
	return ok && errors.Is(err, http.ErrAbortHandler)
}

func (q *request) within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithDeadlineCause(context.WithoutCancel(q.r.Context()), q.start.Add(d),
		fmt.Errorf("webhook: the partner waits no longer than %v: %w", d, context.DeadlineExceeded))
}

// deliver takes a request to an endpoint from there to its answer.
func (q *request) deliver(e Endpoint, body []byte) Answer {
	p := e.Verifier.partner
	q.res.Partner, q.res.Integration = p.Name, e.Integration
	patience := p.patience()
	if limit := q.h.c.Patience; limit > 0 && limit < patience {
		patience = limit
	}
	ctx, cancel := q.within(patience)
	defer cancel()

	m := NewMessage(q.r, body)
	m.URL = e.URL
	if err := e.From.Check(m); err != nil {
		if _, fenced := e.Verifier.check.(*urlCheck); fenced {
			return q.end(Unknown, err) // 403 would tell that the path is right
		}
		return q.end(Forbidden, err)
	}
	now := time.Now()
	proof, err := e.Verifier.Verify(m, now)
	refused := refusal(err)
	// Without the secret in the URL nothing is learnt of the path, not even which methods it knows.
	if allowed := p.methods(); refused != Unknown && !slices.Contains(allowed, q.r.Method) {
		q.w.Header().Set("Allow", strings.Join(allowed, ", "))
		return q.end(BadMethod, err)
	}
	if err != nil {
		return q.end(refused, err)
	}
	q.res.SecretID, q.res.OldSecret = proof.SecretID, proof.Old
	if a, ok := p.challenge(m); ok {
		q.res.Outcome = Challenged
		return a
	}
	if q.r.Method != http.MethodPost {
		return q.end(BadBody, errors.New("webhook: the request is neither a delivery nor a handshake"))
	}
	kind := q.r.Header.Get("Content-Type")
	if !p.reads(kind) {
		return q.end(BadType, errors.New("webhook: the content type is none of the partner's"))
	}
	ev := Event{
		Partner: p.Name, Integration: e.Integration, Trust: proof.Trust, SecretID: proof.SecretID,
		SignedAt: proof.At, ReceivedAt: now, ContentType: kind, Body: body,
	}
	if e.Owner != nil {
		if ev.Integration, err = e.Owner(ctx, m); err != nil {
			return q.end(Unresolved, err)
		}
		q.res.Integration = ev.Integration
	}
	ev.identify(proof.Delivery, p, m)
	q.res.Key, q.res.Kind = ev.Key, ev.Kind
	if e.Account != "" && ev.Account != "" && e.Account != ev.Account {
		return q.end(Unknown, errors.New("webhook: the message is about another account than the endpoint's"))
	}
	return q.handOver(ctx, ev, p, patience)
}

// refusal says what kind of refusal an error of Verify is.
func refusal(err error) Outcome {
	var fence errURLSecret
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fence):
		return Unknown
	case errors.Is(err, ErrTimestamp):
		return Late
	case errors.Is(err, ErrMissing), errors.Is(err, ErrMalformed):
		return Unproved
	}
	return Forged
}

func (p Partner) reads(contentType string) bool {
	if len(p.Types) == 0 || contentType == "" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && slices.Contains(p.Types, kind)
}

// challenge returns the answer to m, if it is one of the handshakes of p.
func (p Partner) challenge(m *Message) (Answer, bool) {
	for _, c := range p.Challenges {
		if echo, ok := c.answer(m); ok {
			return Answer{Status: http.StatusOK, Body: echo}, true
		}
	}
	return Answer{}, false
}

// handOver claims the delivery, gives it to the sink, and says that it is done or gives it up.
func (q *request) handOver(ctx context.Context, ev Event, p Partner, patience time.Duration) Answer {
	d := q.h.c.Dedupe
	success := p.Answer
	if success.Status == 0 {
		success.Status = http.StatusAccepted
	}
	// A sink that takes longer than it may is waited for, and a process may die: only then does the lease run out.
	token, state, err := d.Claim(ctx, ev.Key, 2*patience+settle)
	switch {
	case err != nil:
		return q.end(Unresolved, fmt.Errorf("webhook: claim a delivery: %w", err))
	case state == Done:
		q.res.Outcome = Duplicate
		return success
	case state == InProgress:
		return q.end(Busy, nil)
	}
	if err := accept(ctx, q.h.c.Sink, ev); err != nil {
		release := func(ctx context.Context) error { return d.Release(ctx, ev.Key, token) }
		if lost := afterwards(ctx, release); lost != nil {
			err = errors.Join(err, fmt.Errorf("webhook: release a delivery: %w", lost))
		}
		var panicked *PanicError
		if errors.As(err, &panicked) {
			q.abort = aborts(panicked.value)
			return q.end(Panicked, err)
		}
		return q.end(NotKept, err)
	}
	q.res.Outcome = Accepted
	done := func(ctx context.Context) error { return d.Done(ctx, ev.Key, token, q.h.c.Keep) }
	if err := afterwards(ctx, done); err != nil {
		// It is kept, and so it is acknowledged; if it comes again the sink gets it again, with the same key.
		q.res.Err = fmt.Errorf("webhook: remember a delivery: %w", err)
	}
	return success
}

// accept gives ev to the sink and makes an error of a panic.
func accept(ctx context.Context, s Sink, ev Event) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{value: v, Stack: string(debug.Stack())}
		}
	}()
	if err := s.Accept(ctx, ev); err != nil {
		return fmt.Errorf("webhook: hand over: %w", err)
	}
	return nil
}

// afterwards calls f with some time of its own: the hand-over may have used up ctx.
func afterwards(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), settle,
		fmt.Errorf("webhook: Dedupe took longer than %v: %w", settle, context.DeadlineExceeded))
	defer cancel()
	return f(ctx)
}
