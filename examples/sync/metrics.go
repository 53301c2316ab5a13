package main

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// metrics counts what the kit reports (docs/telemetry.md has the names). A service would give its exporter's provider
// to the registry; here a reader adds up at the end.
type metrics struct {
	reader   *sdk.ManualReader
	provider *sdk.MeterProvider
}

func newMetrics() *metrics {
	r := sdk.NewManualReader()
	return &metrics{r, sdk.NewMeterProvider(sdk.WithReader(r))}
}

// counts is what was done at one partner since the start.
type counts struct {
	requests  int64 // sent to the API
	calls     int64 // asked for by the driver, each one request or more
	throttled int64 // requests that were answered 429
	failed    int64 // requests that failed in another way
	refreshes int64 // tokens asked for
	waited    map[string]float64
}

// retries is how many requests were repetitions.
func (c counts) retries() int64 { return max(c.requests-c.calls, 0) }

// counts returns what was done, by partner.
func (m *metrics) counts(ctx context.Context) (map[string]*counts, error) {
	all := map[string]*counts{}
	of := func(set attribute.Set) *counts {
		name := attr(set, "integrationkit.partner")
		if all[name] == nil {
			all[name] = &counts{waited: map[string]float64{}}
		}
		return all[name]
	}
	var rm metricdata.ResourceMetrics
	if err := m.reader.Collect(ctx, &rm); err != nil {
		return nil, err
	}
	for _, scope := range rm.ScopeMetrics {
		for _, metric := range scope.Metrics {
			switch data := metric.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					if metric.Name == "integrationkit.token.refreshes" {
						of(p.Attributes).refreshes += p.Value
					}
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					of(p.Attributes).duration(metric.Name, p)
				}
			}
		}
	}
	return all, nil
}

// of returns what was done at one partner.
func (m *metrics) of(ctx context.Context, partner string) (counts, error) {
	all, err := m.counts(ctx)
	if c := all[partner]; c != nil {
		return *c, err
	}
	return counts{waited: map[string]float64{}}, err
}

// duration adds a histogram of durations.
func (c *counts) duration(name string, p metricdata.HistogramDataPoint[float64]) {
	n := int64(p.Count)
	switch name {
	case "http.client.request.duration":
		c.requests += n
		switch why := attr(p.Attributes, "error.type"); why {
		case "":
		case "429":
			c.throttled += n
		default:
			c.failed += n
		}
	case "integrationkit.client.call.duration":
		c.calls += n
	case "integrationkit.client.wait.duration":
		c.waited[attr(p.Attributes, "integrationkit.wait")] += p.Sum
	}
}

func attr(set attribute.Set, name attribute.Key) string {
	v, _ := set.Value(name)
	return v.String()
}
