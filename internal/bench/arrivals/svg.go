package main

import (
	"bytes"
	"fmt"
	"html"
	"time"
)

// The picture: a panel for each limiter, two in a row.
const (
	width, panelW, panelH = 900, 390, 120
	left, top             = 50, 84
	stepX, stepY          = 440, 200
	scale                 = 130 // requests at the top of a panel
	grain                 = time.Second
)

const style = `
svg { color-scheme: light dark; }
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
.title { font-size: 17px; font-weight: 600; }
.name { font-size: 13px; font-weight: 600; }
.soft { fill: #57606a; }
.good { fill: #1a7f37; font-weight: 600; }
.bad { fill: #cf222e; font-weight: 600; }
.back { fill: #ffffff; }
.frame { fill: none; stroke: #d0d7de; }
.area { fill: #0969da; fill-opacity: .22; }
.over { fill: #cf222e; fill-opacity: .75; }
.line { fill: none; stroke: #0969da; stroke-width: 1.5; }
.limit { stroke: #24292f; stroke-width: 1.2; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .soft { fill: #9198a1; }
  .good { fill: #3fb950; }
  .bad { fill: #ff7b72; }
  .back { fill: #0d1117; }
  .frame { stroke: #3d444d; }
  .area { fill: #4493f8; fill-opacity: .28; }
  .over { fill: #f85149; }
  .line { stroke: #4493f8; }
  .limit { stroke: #e6edf3; }
}
`

// draw makes the picture.
func draw(runs []run) []byte {
	height := top + (len(runs)+1)/2*stepY - 8
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" height="%[2]d" `+
		`role="img" aria-labelledby="t d">`+"\n", width, height)
	fmt.Fprintf(&b, "<title id=\"t\">Arrivals at a partner that allows %d requests in any minute</title>\n", limit)
	b.WriteString("<desc id=\"d\">")
	for i, r := range runs {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(html.EscapeString(fmt.Sprintf("%s, %s: %d in the worst minute", r.name, r.note, r.worst)))
	}
	b.WriteString("</desc>\n<style>" + style + "</style>\n")
	fmt.Fprintf(&b, "<rect class=\"back\" width=\"%d\" height=\"%d\"/>\n", width, height)
	fmt.Fprintf(&b, "<text class=\"title\" x=\"%d\" y=\"30\">"+
		"Requests that arrived at the partner in the last minute, limit %d</text>\n", left, limit)
	fmt.Fprintf(&b, "<text class=\"soft\" x=\"%d\" y=\"50\">Same demand (%d callers, two bursts), "+
		"same latency (80 to 480 ms), every limiter set to %d per minute. Red is above the limit.</text>\n", left, callers, limit)
	for i, r := range runs {
		panel(&b, r, left+i%2*stepX, top+i/2*stepY)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// panel draws one limiter's curve.
func panel(b *bytes.Buffer, r run, x0, y0 int) {
	x := func(at time.Duration) float64 { return float64(x0) + float64(panelW)*float64(at)/float64(length) }
	y := func(n int) float64 { return float64(y0+36+panelH) - float64(panelH)*float64(n)/scale }
	bottom, topmost := y(0), y(scale)
	class := "good"
	if r.worst > limit {
		class = "bad"
	}
	fmt.Fprintf(b, "<text class=\"name\" x=\"%d\" y=\"%d\">%s</text>\n", x0, y0+12, html.EscapeString(r.name))
	fmt.Fprintf(b, "<text class=\"soft\" x=\"%d\" y=\"%d\">%s</text>\n", x0, y0+28, html.EscapeString(r.note))
	fmt.Fprintf(b, "<text class=\"%s\" x=\"%d\" y=\"%d\" text-anchor=\"end\">worst %d, %.2f×</text>\n",
		class, x0+panelW, y0+12, r.worst, float64(r.worst)/limit)
	var curve bytes.Buffer
	fmt.Fprintf(&curve, "M%.1f %.1f", x(0), bottom)
	last := 0
	for at := grain; at <= length; at += grain {
		n := within(r.arrivals, at)
		if n != last {
			fmt.Fprintf(&curve, "H%.1fV%.1f", x(at-grain), y(n))
		}
		last = n
	}
	fmt.Fprintf(&curve, "H%.1f", x(length))
	area := fmt.Sprintf("%sV%.1fZ", curve.String(), bottom)
	id := fmt.Sprintf("c%d-%d", x0, y0)
	fmt.Fprintf(b, "<clipPath id=\"%s\"><rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/></clipPath>\n",
		id, x0, topmost, panelW, y(limit)-topmost)
	fmt.Fprintf(b, "<path class=\"area\" d=\"%s\"/>\n", area)
	fmt.Fprintf(b, "<path class=\"over\" clip-path=\"url(#%s)\" d=\"%s\"/>\n", id, area)
	fmt.Fprintf(b, "<path class=\"line\" d=\"%s\"/>\n", curve.String())
	fmt.Fprintf(b, "<path class=\"limit\" d=\"M%d %.1fH%d\"/>\n", x0, y(limit), x0+panelW)
	fmt.Fprintf(b, "<rect class=\"frame\" x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%d\"/>\n",
		x0, topmost, panelW, panelH)
	for _, n := range []int{0, limit, 2 * limit} {
		fmt.Fprintf(b, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%d</text>\n", x0-6, y(n)+4, n)
	}
	for m := time.Duration(0); m <= length; m += 2 * time.Minute {
		fmt.Fprintf(b, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%d min</text>\n",
			x(m), bottom+15, m/time.Minute)
	}
}

// within is the most that had arrived in a minute that ends in the grain before at.
func within(arrivals []time.Duration, at time.Duration) (most int) {
	first := 0
	for i, a := range arrivals {
		if a >= at {
			break
		}
		for a-arrivals[first] >= window {
			first++
		}
		if a >= at-grain {
			most = max(most, i-first+1)
		}
	}
	if most > 0 {
		return most
	}
	for _, a := range arrivals { // nothing arrived in it: what is left of the minute
		if a < at && a > at-grain-window {
			most++
		}
	}
	return most
}
