package cloudbeds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
	"github.com/integrationkit/integrationkit/retry"
)

const opPutReservation = "putReservation"

// pushed are the statuses that putReservation takes (documented: openapi-1.3). A reservation is cancelled with one l
// less.
var pushed = map[driver.TransactionStatus]string{
	driver.StatusPending:    "not_confirmed",
	driver.StatusConfirmed:  "confirmed",
	driver.StatusCanceled:   "canceled",
	driver.StatusCheckedIn:  "checked_in",
	driver.StatusCheckedOut: "checked_out",
	driver.StatusNoShow:     "no_show",
}

// PushStatus implements driver.StatusPusher by PUT putReservation. The partner takes no idempotency key. So the
// reservation is read first, and nothing is written if it has the status already; a write is never repeated by itself,
// and one whose outcome is not known is read back. A reservation that is not there is an error that wraps
// driver.ErrNotFound, a status that the partner does not know one of class Client.
func (d *Driver) PushStatus(
	ctx context.Context, _ driver.EffectKey, transactionID string, s driver.TransactionStatus,
) (driver.Effect, error) {
	word, ok := pushed[s]
	if !ok {
		return driver.Effect{}, d.unsent(opPutReservation, fmt.Errorf("a reservation cannot be set to %q", s))
	}
	has, property, err := d.statusOf(ctx, transactionID)
	if err != nil {
		return driver.Effect{}, err
	}
	done := driver.Effect{ID: transactionID, Confirmed: true}
	if has == s {
		return done, nil
	}
	form := url.Values{"reservationID": {transactionID}, "status": {word}}
	if property != "" {
		form.Set("propertyID", property)
	}
	fields, err := d.write(ctx, opPutReservation, http.MethodPut, form)
	if err != nil {
		if e, ok := errors.AsType[*retry.Error](err); !ok || e.Sent != retry.Unknown {
			return driver.Effect{}, err
		}
		if has, _, readErr := d.statusOf(ctx, transactionID); readErr == nil && has == s {
			return done, nil
		}
		return driver.Effect{}, err
	}
	// The answer has the reservation as getReservation would, or null (documented: openapi-1.3).
	if statuses[wire.Fields(fields["data"]).Word("status").Or("")] == s {
		return done, nil
	}
	has, _, err = d.statusOf(ctx, transactionID)
	//nolint:nilerr // written it is; whether it shows is not known
	return driver.Effect{ID: transactionID, Confirmed: err == nil && has == s}, nil
}

// statusOf reads a reservation's status and property.
func (d *Driver) statusOf(ctx context.Context, id string) (driver.TransactionStatus, string, error) {
	for page, err := range d.TransactionsByID(ctx, []string{id}) {
		if err != nil {
			return "", "", err
		}
		for _, r := range page.Rejected {
			return "", "", d.failed(opReservations, nil, fmt.Errorf("the reservation cannot be read: %w", r.Err))
		}
		for _, t := range page.Items {
			if t.ID == id {
				return t.Status.Or(driver.StatusOther), t.ResourceID.Or(d.property), nil
			}
		}
	}
	return "", "", d.failed(opReservations, nil, driver.ErrNotFound)
}

// unsent is the error of a call that was not made because it could not be right.
func (d *Driver) unsent(op string, err error) *retry.Error {
	return &retry.Error{
		Verdict: retry.Verdict{Class: retry.Client, Scope: retry.Request, Sent: retry.Never},
		Partner: Partner, Op: op, Integration: d.integration, Err: err,
	}
}

// write makes a call that changes something: a form, whatever the verb (JSON is refused by some methods, seen). It is
// never repeated by itself. The fields at the top of the answer are returned: not all methods put them in data.
func (d *Driver) write(ctx context.Context, op, method string, form url.Values) (map[string]json.RawMessage, error) {
	ctx = retry.WithIdempotent(ctx, false)
	r, err := driver.Send[*driver.Response](ctx, d.api, driver.Call{Op: op, Method: method, Path: "/" + op, Body: form})
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := driver.Decode(r.Body, r.Header.Get("Content-Type"), &fields); err != nil {
		return nil, d.failed(op, r, err)
	}
	if env := envelopeOf(fields); env.refused {
		e := d.failed(op, r, errRefused)
		e.Verdict, e.Message = refusal(env.message), say(env.message)
		return nil, e
	}
	return fields, nil
}
