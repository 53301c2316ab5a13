package driver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"

	"github.com/integrationkit/integrationkit/pagination"
)

// CalendarLister reads what is for sale, night by night.
type CalendarLister interface {
	// Calendar lists the days of one resource from the night of from to the night of to, both included, in any order. A
	// day of several units or rate plans is several Days. What the partner does not show is left out; it is not closed.
	// A range that the partner does not take at once is read in parts.
	Calendar(ctx context.Context, resourceID string, from, to Date) pagination.Pages[Day]
}

// CalendarPusher tells the partner what is for sale: availability, prices and restrictions in one.
type CalendarPusher interface {
	// PushCalendar writes the fields of days that hold a value, and leaves what is missing as the partner has it; a
	// null is refused, unless the driver's package says how the partner is told of it. Of two Days with one [Day.Key]
	// the later one counts. Days that are invalid or of another resource, and fields that the partner cannot be told,
	// are refused, all of them named, before anything is sent.
	//
	// What is written are states, not increments, so the same call may be made again, with the same key, when its
	// outcome is not known. Not all partners take it as a whole: an error that wraps [ErrPartial] says that some of the
	// days may have been written, with the partner's reasons for the others, as far as it gives any.
	PushCalendar(ctx context.Context, key EffectKey, resourceID string, days []Day) (Effect, error)
}

// ErrPartial is wrapped by the error of a write of which the partner took a part and refused another.
var ErrPartial = errors.New("driver: written in part")

// KindDay is the kind of [Day]s. They are not imported; see [CalendarLister].
const KindDay Kind = "day"

// Day is one night of a resource, or of one unit or rate plan of it: how many are for sale, at what price, and to whom.
// Its fields are Opt as those of a [Resource] are: missing is not observed, and null is observed to be empty. It has no
// id but [Day.Key].
type Day struct {
	ResourceID string `json:"resource_id" validate:"required,max=200"`
	// UnitID is the room type or unit of a multi-unit resource, RatePlanID the rate plan, that the fields are about. A
	// partner may give availability for a unit and prices for its rate plans: then these are different Days of one
	// night.
	UnitID     Opt[string] `json:"unit_id,omitzero" validate:"omitempty,max=200"`
	RatePlanID Opt[string] `json:"rate_plan_id,omitzero" validate:"omitempty,max=200"`
	// Date is the night, local to the property. Required.
	Date       Date           `json:"date" validate:"required"`
	Status     Opt[DayStatus] `json:"status,omitzero" validate:"omitempty,status"`
	StatusText Opt[string]    `json:"status_text,omitzero"`                          // the partner's word
	Available  Opt[int]       `json:"available,omitzero" validate:"omitempty,gte=0"` // left for sale
	Price      Opt[Money]     `json:"price,omitzero" validate:"omitempty"`           // of the night
	// MinStay and MaxStay are nights, of a stay that arrives on the day; 0 says that there is no such bound.
	MinStay           Opt[int]  `json:"min_stay,omitzero" validate:"omitempty,gte=0"`
	MaxStay           Opt[int]  `json:"max_stay,omitzero" validate:"omitempty,gte=0"`
	Closed            Opt[bool] `json:"closed,omitzero"` // not for sale, whatever Available says
	ClosedToArrival   Opt[bool] `json:"closed_to_arrival,omitzero"`
	ClosedToDeparture Opt[bool] `json:"closed_to_departure,omitzero"`
	// Raw is the day as it came. Not part of the normalized document.
	Raw json.RawMessage `json:"-"`
	// AdapterVersion is the version of the normalization.
	AdapterVersion string `json:"-"`
}

// DayStatus is why a night is for sale or not. The set is open at the partners: what is none of these is DayOther.
type DayStatus string

// The states of a day.
const (
	DayAvailable DayStatus = "available"
	DayBooked    DayStatus = "booked"
	DayReserved  DayStatus = "reserved" // held, not confirmed
	DayBlocked   DayStatus = "blocked"  // by the owner or for maintenance
	DayOther     DayStatus = "other"
)

// DayKey identifies what a [Day] is about.
type DayKey struct {
	ResourceID, UnitID, RatePlanID string
	Date                           Date
}

// Key returns what d is about; a unit or rate plan that d does not name is "".
func (d Day) Key() DayKey { return DayKey{d.ResourceID, d.UnitID.Or(""), d.RatePlanID.Or(""), d.Date} }

// String returns the resource's id and the date.
func (d Day) String() string { return d.ResourceID + " " + d.Date.String() }

// GoString is String.
func (d Day) GoString() string { return d.String() }

// LogValue implements slog.LogValuer: as String.
func (d Day) LogValue() slog.Value { return slog.StringValue(d.String()) }
