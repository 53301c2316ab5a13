package cloudbeds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

const (
	opPatchRate = "patchRate"
	opRateJobs  = "getRateJobs"

	// maxIntervals is how many a call of patchRate takes (documented).
	maxIntervals = 30
)

// interval is a run of nights of one rate for which the partner is told the same.
type interval struct {
	rate     string
	from, to driver.Date
	fields   string // encoded, to be compared
	form     url.Values
}

// PushCalendar implements driver.CalendarPusher by POST patchRate: price (of the currency that the property has),
// shortest and longest stay, closed, closed to arrival and to departure, of rates that are not derived. A day must name
// its rate in RatePlanID; how many rooms are for sale cannot be written. Nights that follow each other and are told the
// same go as one interval, 30 of them in a call.
//
// The partner queues them and works them off within seconds (seen). The effect's ID names the jobs, and it is confirmed
// if they are done when they are asked for right after; else [Driver.PushedCalendar] tells later. What an interval's
// endDate means (taken for the last night here), and the spelling of lists in the form, are unverified.
func (d *Driver) PushCalendar(
	ctx context.Context, _ driver.EffectKey, resourceID string, days []driver.Day,
) (driver.Effect, error) {
	property, ok := d.within(resourceID)
	if property == "" || !ok {
		return driver.Effect{}, d.failed(opPatchRate, nil, driver.ErrNotFound)
	}
	if _, err := intervals(property, "", days); err != nil {
		return driver.Effect{}, d.unsent(opPatchRate, err)
	}
	var currency string
	if slices.ContainsFunc(days, func(day driver.Day) bool { return day.Price.Observed() }) {
		c, err := d.currency(ctx, property)
		if err != nil {
			return driver.Effect{}, err
		}
		if currency = c.Or(""); currency == "" {
			return driver.Effect{}, d.unsent(opPatchRate,
				errors.New("the property has no currency, so no price can be written"))
		}
	}
	all, err := intervals(property, currency, days)
	if err != nil {
		return driver.Effect{}, d.unsent(opPatchRate, err)
	}
	if len(all) == 0 {
		return driver.Effect{ID: resourceID, Confirmed: true}, nil
	}
	var jobs []string
	for part := range slices.Chunk(all, maxIntervals) {
		fields, err := d.write(ctx, opPatchRate, http.MethodPost, formOf(part))
		if err != nil {
			if len(jobs) > 0 {
				err = fmt.Errorf("%w: jobs %s are queued, what follows is not: %w", driver.ErrPartial,
					strings.Join(jobs, ","), err)
			}
			return driver.Effect{ID: strings.Join(jobs, ",")}, err
		}
		if job, ok := wire.Scalar(fields["jobReferenceID"]); ok && job != "" && !strings.Contains(job, ",") {
			jobs = append(jobs, job)
		}
	}
	effect, err := d.PushedCalendar(ctx, strings.Join(jobs, ","))
	if err != nil && !errors.Is(err, driver.ErrPartial) {
		return driver.Effect{ID: strings.Join(jobs, ",")}, nil // queued it is; what became of it can be asked for again
	}
	effect.Confirmed = effect.Confirmed && len(jobs)*maxIntervals >= len(all)
	return effect, err
}

// PushedCalendar asks what became of the jobs of a [Driver.PushCalendar], by the ID of its effect, within seven days
// (documented). The effect is confirmed when all are done; an error that wraps driver.ErrPartial says that the partner
// did not take some of it. What is neither completed nor error (documented:
// openapi-1.3) is not done yet.
func (d *Driver) PushedCalendar(ctx context.Context, effectID string) (driver.Effect, error) {
	effect := driver.Effect{ID: effectID, Confirmed: effectID != ""}
	failed := 0
	for _, id := range strings.Split(effectID, ",") {
		if id == "" {
			continue
		}
		env, r, err := d.call(ctx, opRateJobs, "/"+opRateJobs, url.Values{"jobReferenceID": {id}})
		if err != nil {
			return driver.Effect{ID: effectID}, err
		}
		rows, err := env.rows("jobReferenceID")
		if err != nil {
			return driver.Effect{ID: effectID}, d.failed(opRateJobs, r, err)
		}
		status := ""
		for _, raw := range rows {
			if wire.ID(raw, "jobReferenceID") == id { // a filter that was ignored brings others
				status = wire.Fields(raw).Word("status").Or("")
			}
		}
		switch status {
		case "completed":
		case "error":
			failed++
			effect.Confirmed = false
		default: // in progress, or not listed yet
			effect.Confirmed = false
		}
	}
	if failed > 0 {
		err := fmt.Errorf("%w: %d of the jobs ended with an error for one rate or more", driver.ErrPartial, failed)
		return effect, &retry.Error{
			Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Answered},
			Partner: Partner, Op: opRateJobs, Integration: d.integration, Err: err,
		}
	}
	return effect, nil
}

// intervals puts nights together, or names everything that cannot be written. currency "": it is not looked at.
func intervals(property, currency string, days []driver.Day) ([]interval, error) {
	type key struct {
		rate string
		date driver.Date
	}
	var errs []error
	last := map[key]interval{}
	for _, day := range days {
		i, err := intervalOf(property, currency, day)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", day.Date, err))
			continue
		}
		last[key{i.rate, i.from}] = i
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all := make([]interval, 0, len(last))
	for _, i := range last {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b interval) int {
		return cmp.Or(cmp.Compare(a.rate, b.rate), cmp.Compare(b.from.Days(a.from), 0))
	})
	merged := all[:0]
	for _, i := range all {
		if n := len(merged) - 1; n >= 0 && merged[n].rate == i.rate && merged[n].fields == i.fields &&
			merged[n].to.Days(i.from) == 1 {
			merged[n].to = i.to
			continue
		}
		merged = append(merged, i)
	}
	return merged, nil
}

// intervalOf says what the partner is told of one night.
func intervalOf(property, currency string, day driver.Day) (interval, error) {
	var errs []error
	bad := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New(text))
		}
	}
	i := interval{rate: day.RatePlanID.Or(""), from: day.Date, to: day.Date, form: url.Values{}}
	bad(day.ResourceID != property, "it is another property's")
	bad(i.rate == "", "RatePlanID does not name a rate")
	bad(!day.Date.Valid(), "Date is none")
	bad(day.Status.Observed() || day.StatusText.Observed(), "a status cannot be written, Closed can")
	bad(day.Available.Observed(), "Available cannot be written: the partner counts rooms itself")
	for name, null := range map[string]bool{
		"Price": day.Price.IsNull(), "MinStay": day.MinStay.IsNull(), "MaxStay": day.MaxStay.IsNull(),
		"Closed":          day.Closed.IsNull(),
		"ClosedToArrival": day.ClosedToArrival.IsNull(), "ClosedToDeparture": day.ClosedToDeparture.IsNull(),
	} {
		bad(null, name+" is null")
	}
	if p, ok := day.Price.Get(); ok {
		amount, _, _ := strings.Cut(p.String(), " ")
		bad(p.Amount < 0, "Price is negative")
		bad(currency != "" && p.Currency != currency, "Price is not in the property's currency")
		_, known := driver.MinorDigits(p.Currency)
		bad(!known, "Price is in no currency")
		i.form.Set("rate", amount)
	}
	for name, v := range map[string]driver.Opt[int]{"minLos": day.MinStay, "maxLos": day.MaxStay} {
		if n, ok := v.Get(); ok {
			bad(n < 0, name+" is negative")
			i.form.Set(name, strconv.Itoa(n))
		}
	}
	for name, v := range map[string]driver.Opt[bool]{
		"blocked": day.Closed, "closedToArrival": day.ClosedToArrival, "closedToDeparture": day.ClosedToDeparture,
	} {
		if b, ok := v.Get(); ok {
			i.form.Set(name, strconv.FormatBool(b))
		}
	}
	bad(len(errs) == 0 && len(i.form) == 0, "nothing is to be written")
	i.fields = i.form.Encode()
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return i, errors.Join(errs...)
}

// formOf spells intervals as PHP reads lists (seen in client code; the specification does not say it).
func formOf(part []interval) url.Values {
	form := url.Values{}
	rates, n := -1, 0
	for at, i := range part {
		if at == 0 || part[at-1].rate != i.rate {
			rates, n = rates+1, 0
			form.Set(fmt.Sprintf("rates[%d][rateID]", rates), i.rate)
		}
		prefix := fmt.Sprintf("rates[%d][interval][%d]", rates, n)
		form.Set(prefix+"[startDate]", i.from.String())
		form.Set(prefix+"[endDate]", i.to.String())
		for name := range i.form {
			form.Set(prefix+"["+name+"]", i.form.Get(name))
		}
		n++
	}
	return form
}
