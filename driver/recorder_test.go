package driver_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/integrationkit/integrationkit/driver"
)

// recorder is a tracer, a meter and a log that keep what they are told.
type recorder struct {
	mu           sync.Mutex
	spans        []*span
	measurements []measurement
	log          bytes.Buffer
}

type measurement struct {
	name  string
	value float64
	attrs attribute.Set
}

func (r *recorder) telemetry() driver.Telemetry {
	return driver.Telemetry{
		Logger: slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Tracer: tracerProvider{r: r}, Meter: meterProvider{r: r},
	}
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

// text is everything that was recorded.
func (r *recorder) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	b.Write(r.log.Bytes())
	for _, s := range r.spans {
		fmt.Fprintf(&b, "span %s %v %q %v\n", s.name, s.kind, s.status, s.attrs)
	}
	for _, m := range r.measurements {
		fmt.Fprintf(&b, "metric %s %v %s\n", m.name, m.value, m.attrs.Encoded(attribute.DefaultEncoder()))
	}
	return b.String()
}

// metrics returns "name{attributes}" of each measurement.
func (r *recorder) metrics() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, m := range r.measurements {
		out = append(out, m.name+"{"+m.attrs.Encoded(attribute.DefaultEncoder())+"}")
	}
	slices.Sort(out)
	return out
}

type tracerProvider struct {
	tracenoop.TracerProvider
	r *recorder
}

func (p tracerProvider) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{r: p.r} }

type tracer struct {
	tracenoop.Tracer
	r *recorder
}

func (t tracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	c := trace.NewSpanStartConfig(opts...)
	s := &span{r: t.r, name: name, kind: c.SpanKind(), attrs: c.Attributes()}
	if p, ok := trace.SpanFromContext(ctx).(*span); ok {
		s.parent = p
	}
	return trace.ContextWithSpan(ctx, s), s
}

type span struct {
	tracenoop.Span
	r      *recorder
	parent *span
	name   string
	kind   trace.SpanKind
	attrs  []attribute.KeyValue
	code   codes.Code
	status string
	ended  int
}

func (s *span) SetAttributes(kv ...attribute.KeyValue) { s.attrs = append(s.attrs, kv...) }
func (s *span) SetStatus(c codes.Code, text string)    { s.code, s.status = c, text }
func (s *span) IsRecording() bool                      { return true }
func (s *span) End(...trace.SpanEndOption) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.ended++
	s.r.spans = append(s.r.spans, s)
}

func (s *span) attr(key string) string {
	for _, kv := range s.attrs {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

type meterProvider struct {
	metricnoop.MeterProvider
	r *recorder
}

func (p meterProvider) Meter(string, ...metric.MeterOption) metric.Meter { return meter{r: p.r} }

type meter struct {
	metricnoop.Meter
	r *recorder
}

func (m meter) Float64Histogram(name string, _ ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return floats{r: m.r, name: name}, nil
}

func (m meter) Int64Histogram(name string, _ ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return ints{r: m.r, name: name}, nil
}

func (m meter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{r: m.r, name: name}, nil
}

type floats struct {
	metricnoop.Float64Histogram
	r    *recorder
	name string
}

func (f floats) Enabled(context.Context) bool { return true }
func (f floats) Record(_ context.Context, v float64, o ...metric.RecordOption) {
	f.r.add(f.name, v, metric.NewRecordConfig(o).Attributes())
}

type ints struct {
	metricnoop.Int64Histogram
	r    *recorder
	name string
}

func (i ints) Record(_ context.Context, v int64, o ...metric.RecordOption) {
	i.r.add(i.name, float64(v), metric.NewRecordConfig(o).Attributes())
}

type counter struct {
	metricnoop.Int64Counter
	r    *recorder
	name string
}

func (c counter) Add(_ context.Context, v int64, o ...metric.AddOption) {
	c.r.add(c.name, float64(v), metric.NewAddConfig(o).Attributes())
}

func (r *recorder) add(name string, v float64, attrs attribute.Set) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.measurements = append(r.measurements, measurement{name, v, attrs})
}
