package chaos

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rules are rules in the order in which they are asked. A *Rules is a flag.Value, which reads what [Parse] reads; a
// flag that is given several times adds to what it had.
type Rules []Rule

// String returns the rules as [Parse] reads them.
func (r Rules) String() string {
	texts := make([]string, len(r))
	for i, rule := range r {
		texts[i] = rule.String()
	}
	return strings.Join(texts, ",")
}

// Set implements flag.Value.
func (r *Rules) Set(text string) error {
	more, err := Parse(text)
	if err != nil {
		return err
	}
	*r = append(*r, more...)
	return nil
}

// Parse reads rules from text, separated by commas, each a kind with an optional rate (a number or a percentage) and
// options after semicolons, named as the fields of [Rule] but "at" for the endpoint and "by" for the skew:
//
//	429:1%;retry=date:7s,503:0.02,latency;delay=80ms;jitter=40ms
//	lost:0.5%;at=POST /v1/*
//	refused;at=api.acme.example/*;from=5m;until=6m;every=1h
//	skew;by=-90s,duplicate:10%,reorder:5%;delay=2s
//
// The error names everything that is wrong. Text without any rule has none.
func Parse(text string) (Rules, error) {
	var rules Rules
	var errs []error
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		r, err := parseRule(part)
		if err == nil {
			err = r.Validate()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("chaos: rule %q: %w", part, err))
			continue
		}
		rules = append(rules, r)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return rules, nil
}

func parseRule(text string) (Rule, error) {
	var errs []error
	head, options, _ := strings.Cut(text, ";")
	kind, rate, rated := strings.Cut(head, ":")
	r := Rule{Kind: Kind(strings.TrimSpace(kind))}
	if rated {
		n, err := parseRate(strings.TrimSpace(rate))
		if err != nil {
			errs = append(errs, err)
		}
		r.Rate = n
	}
	for option := range strings.SplitSeq(options, ";") {
		if option = strings.TrimSpace(option); option == "" {
			continue
		}
		name, value, _ := strings.Cut(option, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if err := r.set(name, value); err != nil {
			errs = append(errs, fmt.Errorf("option %q: %w", name, err))
		}
	}
	return r, errors.Join(errs...)
}

// set sets the field of an option.
func (r *Rule) set(name, value string) (err error) {
	switch name {
	case "at":
		r.Endpoint = value
	case "after":
		r.After, err = strconv.Atoi(value)
	case "count":
		r.Count, err = strconv.Atoi(value)
	case "from":
		r.From, err = time.ParseDuration(value)
	case "until":
		r.Until, err = time.ParseDuration(value)
	case "every":
		r.Every, err = time.ParseDuration(value)
	case "retry":
		r.Retry = value
	case "delay":
		r.Delay, err = time.ParseDuration(value)
	case "jitter":
		r.Jitter, err = time.ParseDuration(value)
	case "by":
		r.Skew, err = time.ParseDuration(value)
	default:
		err = errors.New("unknown, want at, after, count, from, until, every, retry, delay, jitter or by")
	}
	return err
}

// parseRate reads 0.02 or 2%.
func parseRate(text string) (float64, error) {
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n > 0 && n <= 1) {
		return math.NaN(), fmt.Errorf("the rate is %q, want a number above 0 and up to 1, or a percentage", text)
	}
	return n, nil
}
