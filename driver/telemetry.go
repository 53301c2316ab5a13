package driver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/breaker"
	"github.com/integrationkit/integrationkit/retry"
)

const scope = "github.com/integrationkit/integrationkit/driver"

// The names of docs/telemetry.md.
const (
	attrPartner     = attribute.Key("integrationkit.partner")
	attrOperation   = attribute.Key("integrationkit.operation")
	attrIntegration = attribute.Key("integrationkit.integration")
	attrRequests    = attribute.Key("integrationkit.requests")
	attrRequestID   = attribute.Key("integrationkit.request_id")
	attrWait        = attribute.Key("integrationkit.wait")
	attrTier        = attribute.Key("integrationkit.tier")
	attrState       = attribute.Key("integrationkit.breaker.state")
	attrMethod      = attribute.Key("http.request.method")
	attrServer      = attribute.Key("server.address")
	attrStatus      = attribute.Key("http.response.status_code")
	attrResend      = attribute.Key("http.request.resend_count")
	attrKind        = attribute.Key("integrationkit.kind")
	attrField       = attribute.Key("integrationkit.field")
	attrChange      = attribute.Key("integrationkit.change")
	attrErrorType   = attribute.Key("error.type")
)

// telemetry is what a client reports to. Its methods do nothing on nil.
type telemetry struct {
	log      *slog.Logger
	tracer   trace.Tracer
	requests metric.Float64Histogram // nil without a meter, and so the rest
	calls    metric.Float64Histogram
	sends    metric.Int64Histogram
	waits    metric.Float64Histogram
	oddities metric.Int64Counter
}

// buckets suit what partners take: from 10 ms to minutes in a queue.
var buckets = metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

// newTelemetry returns nil when there is nowhere to report to.
func newTelemetry(t Telemetry) (*telemetry, error) {
	if t.Drift = nil; t == (Telemetry{}) {
		return nil, nil
	}
	r := &telemetry{log: t.Logger}
	if t.Tracer != nil {
		r.tracer = t.Tracer.Tracer(scope)
	}
	if t.Meter == nil {
		return r, nil
	}
	m := t.Meter.Meter(scope)
	var errs [5]error
	r.requests, errs[0] = m.Float64Histogram("http.client.request.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time from sending a request to the header of its answer."))
	r.calls, errs[1] = m.Float64Histogram("integrationkit.client.call.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time of a call, with all its waits and requests."))
	r.sends, errs[2] = m.Int64Histogram("integrationkit.client.call.requests", metric.WithUnit("{request}"),
		metric.WithExplicitBucketBoundaries(0, 1, 2, 3, 4, 8), metric.WithDescription("Requests that a call took."))
	r.waits, errs[3] = m.Float64Histogram("integrationkit.client.wait.duration", metric.WithUnit("s"), buckets,
		metric.WithDescription("Time that a call was held back, by reason."))
	r.oddities, errs[4] = m.Int64Counter("integrationkit.decode.oddities", metric.WithUnit("{field}"),
		metric.WithDescription("Fields of answers that are not as the driver knows them."))
	return r, errors.Join(errs[:]...)
}

// start begins the span of a call.
func (t *telemetry) start(ctx context.Context, s *state) context.Context {
	if t == nil || t.tracer == nil {
		return ctx
	}
	//nolint:spancheck // endSpan ends it
	ctx, s.span = t.tracer.Start(ctx, s.client.c.Partner+" "+s.op, trace.WithAttributes(
		attrPartner.String(s.client.c.Partner), attrOperation.String(s.op), attrIntegration.String(s.client.c.Integration)))
	return ctx
}

// end reports a call.
func (t *telemetry) end(ctx context.Context, s *state, err *retry.Error) {
	if t == nil {
		return
	}
	took := time.Since(s.began)
	w := s.waits()
	if err != nil {
		w = err.Waits
	}
	if t.calls != nil {
		t.measure(ctx, s, err, took, w)
	}
	if s.span != nil {
		t.endSpan(s, err, w)
	}
	if t.log != nil {
		t.line(ctx, s, err, took, w)
	}
}

func (t *telemetry) measure(ctx context.Context, s *state, err *retry.Error, took time.Duration, w retry.Waits) {
	partner, op := attrPartner.String(s.client.c.Partner), attrOperation.String(s.op)
	var attrs metric.MeasurementOption
	if err == nil {
		attrs = metric.WithAttributeSet(attribute.NewSet(partner, op))
	} else {
		attrs = metric.WithAttributeSet(attribute.NewSet(partner, op, attrErrorType.String(errorType(err.Status, err.Class))))
	}
	t.calls.Record(ctx, took.Seconds(), attrs)
	t.sends.Record(ctx, int64(s.sends), attrs)
	wait := func(d time.Duration, attrs ...attribute.KeyValue) {
		if d > 0 {
			t.waits.Record(ctx, d.Seconds(), metric.WithAttributeSet(attribute.NewSet(append(attrs, partner)...)))
		}
	}
	wait(w.Backoff, attrWait.String("backoff"))
	wait(w.Auth, attrWait.String("auth"))
	for _, tier := range w.Tiers {
		wait(tier.Wait, attrWait.String("limiter"), attrTier.String(tier.Tier))
	}
}

func (t *telemetry) endSpan(s *state, err *retry.Error, w retry.Waits) {
	s.span.SetAttributes(attrRequests.Int(s.sends))
	for _, part := range [...]struct {
		key string
		d   time.Duration
	}{
		{"integrationkit.wait.limiter", w.Limiter}, {"integrationkit.wait.backoff", w.Backoff},
		{"integrationkit.wait.auth", w.Auth}, {"integrationkit.wait.partner", w.Partner},
	} {
		if part.d > 0 {
			s.span.SetAttributes(attribute.Float64(part.key, part.d.Seconds()))
		}
	}
	for _, tier := range w.Tiers {
		s.span.SetAttributes(attribute.Float64("integrationkit.wait.tier."+tier.Tier, tier.Wait.Seconds()))
	}
	if s.requestID != "" {
		s.span.SetAttributes(attrRequestID.String(s.requestID))
	}
	if err != nil {
		s.span.SetAttributes(attrErrorType.String(errorType(err.Status, err.Class)))
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

func (t *telemetry) line(ctx context.Context, s *state, err *retry.Error, took time.Duration, w retry.Waits) {
	level, class := slog.LevelDebug, retry.OK
	if err != nil {
		class = err.Class
		switch class {
		case retry.Transient, retry.Auth, retry.Data:
			level = slog.LevelWarn
		default:
			level = slog.LevelInfo
		}
	}
	if !t.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 18)
	attrs = append(attrs, slog.String("partner", s.client.c.Partner), slog.String("op", s.op), slog.String("integration", s.client.c.Integration),
		slog.Int("status", s.status), slog.String("class", class.String()), slog.Int("requests", s.sends), slog.Duration("took", took))
	wait := func(name string, d time.Duration) {
		if d > 0 {
			attrs = append(attrs, slog.Duration(name, d))
		}
	}
	wait("wait_limiter", w.Limiter)
	wait("wait_backoff", w.Backoff)
	wait("wait_auth", w.Auth)
	wait("at_partner", w.Partner)
	if len(w.Tiers) > 0 {
		tiers := make([]any, len(w.Tiers))
		for i, tier := range w.Tiers {
			tiers[i] = slog.Duration(tier.Tier, tier.Wait)
		}
		attrs = append(attrs, slog.Group("tiers", tiers...))
	}
	if s.requestID != "" {
		attrs = append(attrs, slog.String("request_id", s.requestID))
	}
	if err != nil {
		if !err.At.IsZero() {
			attrs = append(attrs, slog.Time("retry_at", err.At))
		}
		if err.Code != "" {
			attrs = append(attrs, slog.String("code", err.Code))
		}
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	t.log.LogAttrs(ctx, level, "call", attrs...)
}

// startAttempt begins the span of an attempt, which the returned request carries.
func (t *telemetry) startAttempt(req *http.Request, s *state) (*http.Request, trace.Span) {
	if t == nil || t.tracer == nil {
		return req, nil
	}
	attrs := make([]attribute.KeyValue, 0, 5)
	attrs = append(attrs, attrPartner.String(s.client.c.Partner), attrOperation.String(s.op),
		attrMethod.String(method(req.Method)), attrServer.String(s.client.base.Hostname()))
	if s.last != nil && s.last.Number > 1 {
		attrs = append(attrs, attrResend.Int(s.last.Number-1))
	}
	//nolint:spancheck // endAttempt ends it
	ctx, span := t.tracer.Start(req.Context(), method(req.Method)+" "+s.op, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	return req.WithContext(ctx), span //nolint:spancheck // as above
}

func (t *telemetry) endAttempt(span trace.Span, s *state) {
	if span == nil {
		return
	}
	if s.status != 0 {
		span.SetAttributes(attrStatus.Int(s.status))
	}
	if s.verdict.Failed() {
		e := retry.Error{Verdict: s.verdict, Status: s.status}
		span.SetAttributes(attrErrorType.String(errorType(s.status, s.verdict.Class)))
		span.SetStatus(codes.Error, e.Error())
	}
	span.End()
}

// request reports one request.
func (t *telemetry) request(s *state, req *http.Request, resp *http.Response, took time.Duration, v retry.Verdict) {
	if t == nil || t.requests == nil || !t.requests.Enabled(s) {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs, attrPartner.String(s.client.c.Partner), attrOperation.String(s.op),
		attrMethod.String(method(req.Method)), attrServer.String(s.client.base.Hostname()))
	status := 0
	if resp != nil {
		status = resp.StatusCode
		attrs = append(attrs, attrStatus.Int(status))
	}
	if v.Failed() {
		attrs = append(attrs, attrErrorType.String(errorType(status, v.Class)))
	}
	t.requests.Record(req.Context(), took.Seconds(), metric.WithAttributeSet(attribute.NewSet(attrs...)))
}

// errorType returns the status code of an answer that is no success, else the class.
func errorType(status int, c retry.Class) string {
	if status >= 300 {
		return strconv.Itoa(status)
	}
	return c.String()
}

// method returns a known method of HTTP, else what the conventions say for others.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions:
		return m
	}
	return "_OTHER"
}

// undecodable reports an answer that was good until it was read.
func (t *telemetry) undecodable(ctx context.Context, err *retry.Error) {
	if t == nil || t.log == nil {
		return
	}
	t.log.LogAttrs(ctx, slog.LevelWarn, "answer", slog.String("partner", err.Partner), slog.String("op", err.Op),
		slog.String("integration", err.Integration), slog.Int("status", err.Status), slog.String("class", err.Class.String()), slog.String("error", err.Error()))
}

// oddity reports one, under the field that it was counted under.
func (t *telemetry) oddity(ctx context.Context, c *Client, o Oddity, field string, first bool) {
	if t == nil {
		return
	}
	if t.oddities != nil {
		t.oddities.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attrPartner.String(c.c.Partner), attrKind.String(string(o.Kind)),
			attrField.String(field), attrChange.String(string(o.Change)))))
	}
	level := slog.LevelDebug
	if first {
		level = slog.LevelWarn
	}
	if t.log != nil && t.log.Enabled(ctx, level) {
		t.log.LogAttrs(ctx, level, "drift", slog.String("partner", c.c.Partner), slog.String("integration", c.c.Integration),
			slog.String("kind", string(o.Kind)), slog.String("field", o.Field), slog.String("change", string(o.Change)), slog.String("detail", o.Detail), slog.Bool("lost", o.Lost),
			slog.String("id", o.ID))
	}
}

// registryTelemetry is what a registry reports to. Its methods do nothing on nil.
type registryTelemetry struct{ circuits, gates, tokens metric.Int64Counter }

func newRegistryTelemetry(t Telemetry) (*registryTelemetry, error) {
	if t.Meter == nil {
		return nil, nil
	}
	m := t.Meter.Meter(scope)
	r := &registryTelemetry{}
	var errs [3]error
	r.circuits, errs[0] = m.Int64Counter("integrationkit.breaker.transitions", metric.WithUnit("{transition}"),
		metric.WithDescription("Changes of state of an integration's circuit."))
	r.gates, errs[1] = m.Int64Counter("integrationkit.gate.transitions", metric.WithUnit("{transition}"),
		metric.WithDescription("Changes of state of a whole partner's circuit."))
	r.tokens, errs[2] = m.Int64Counter("integrationkit.token.refreshes", metric.WithUnit("{refresh}"),
		metric.WithDescription("Tokens asked for."))
	return r, errors.Join(errs[:]...)
}

func (r *registryTelemetry) transition(partner string, s breaker.State) {
	if r != nil {
		r.circuits.Add(context.Background(), 1, metric.WithAttributes(attrPartner.String(partner), attrState.String(s.String())))
	}
}

func (r *registryTelemetry) gated(partner string, s breaker.State) {
	if r != nil {
		r.gates.Add(context.Background(), 1, metric.WithAttributes(attrPartner.String(partner), attrState.String(s.String())))
	}
}

func (r *registryTelemetry) refreshed(partner string, ev auth.Event) {
	if r == nil {
		return
	}
	attrs := []attribute.KeyValue{attrPartner.String(partner)}
	if ev.Kind != auth.Refreshed {
		attrs = append(attrs, attrErrorType.String(retry.ClassOf(ev.Err).String()))
	}
	r.tokens.Add(context.Background(), 1, metric.WithAttributes(attrs...))
}
