package cloudbeds

import (
	"errors"
	"strings"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/retry"
)

// failed is the error of an answer that came and is not what was asked for. r may be nil.
func (d *Driver) failed(op string, r *driver.Response, err error) *retry.Error {
	e := &retry.Error{
		Verdict: retry.Verdict{Class: retry.Data, Scope: retry.Request, Sent: retry.Answered, Fault: true},
		Partner: Partner, Op: op, Integration: d.integration, Err: err,
	}
	if r != nil {
		e.Status, e.RequestID, e.Attempts, e.Waits = r.Status, r.RequestID, r.Attempts, r.Waits
	}
	if errors.Is(err, driver.ErrNotFound) {
		e.Verdict = retry.Verdict{Class: retry.Client, Sent: retry.Answered}
	}
	return e
}

// unknown reports whether err is the partner's refusal of a property's id. It comes with status 200, and only these two
// messages are taken for it: another refusal must not make a property look deleted.
func unknown(err error) bool {
	e, ok := errors.AsType[*retry.Error](err)
	return ok && e.Class == retry.Client &&
		(e.Message == noProperty || e.Message == "Parameter propertyID is not valid")
}

// wantsMore reports whether err is the refusal of a call that lacks a parameter, or has the wrong verb.
func wantsMore(err error) bool {
	e, ok := errors.AsType[*retry.Error](err)
	return ok && e.Class == retry.Client &&
		(strings.HasPrefix(e.Message, "Parameter ") && strings.HasSuffix(e.Message, " is required") ||
			e.Message == "Unknown method.")
}
