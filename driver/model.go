package driver

import (
	"encoding/json"
	"log/slog"
	"strconv"
	"time"
)

// Record is what every normalized record has. Fields of the records that embed it are Opt where a partner may leave
// them out: missing is not observed, and never erases what is known; null is observed to be empty.
type Record struct {
	// ID is the partner's id, unique for the kind within the integration. Required.
	ID string `json:"id" validate:"required,max=200"`
	// Aliases are other ids of the same thing (merged, split, renamed). An import takes a record over that lives under one of them and is not
	// shown by itself any more: a change of ids, not a deletion and an addition.
	Aliases []string `json:"aliases,omitempty" validate:"max=50,dive,required,max=200"`
	// UpdatedAt is when the partner says it changed last, in UTC; zero when it does not say.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// CreatedAt is when the partner says it came to be, in UTC.
	CreatedAt Opt[time.Time] `json:"created_at,omitzero"`
	// Raw is the item as it came, less what the adapter dropped (credentials of others). Not part of the normalized document.
	Raw json.RawMessage `json:"-"`
	// AdapterVersion is the version of the normalization.
	AdapterVersion string `json:"-"`
}

// String returns the record's id alone, so that a record that reaches a log or an error takes no personal data there.
func (r Record) String() string { return "record " + strconv.Quote(r.ID) }

// GoString is String.
func (r Record) GoString() string { return r.String() }

// LogValue implements slog.LogValuer: the id alone.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.ID) }

// Resource is something that can be booked or sold: in lodging, a listing, property or unit.
type Resource struct {
	Record
	ParentID     Opt[string]            `json:"parent_id,omitzero"`     // the multi-unit parent
	Name         Opt[string]            `json:"name,omitzero"`          // public name
	InternalName Opt[string]            `json:"internal_name,omitzero"` // the account's own name for it
	Status       Opt[ResourceStatus]    `json:"status,omitzero" validate:"omitempty,status"`
	Listed       Opt[bool]              `json:"listed,omitzero"`    // shown to guests
	Type         Opt[string]            `json:"type,omitzero"`      // the partner's word: "Loft"
	Structure    Opt[string]            `json:"structure,omitzero"` // the partner's word for single, multi-unit parent, sub-unit
	Description  Opt[string]            `json:"description,omitzero"`
	Capacity     Opt[int]               `json:"capacity,omitzero" validate:"omitempty,gte=0"` // people
	Bedrooms     Opt[float64]           `json:"bedrooms,omitzero" validate:"omitempty,finite,gte=0"`
	Beds         Opt[float64]           `json:"beds,omitzero" validate:"omitempty,finite,gte=0"`
	Bathrooms    Opt[float64]           `json:"bathrooms,omitzero" validate:"omitempty,finite,gte=0"` // may be fractional
	AreaSqM      Opt[float64]           `json:"area_sqm,omitzero" validate:"omitempty,finite,gte=0"`
	Address      Opt[Address]           `json:"address,omitzero" validate:"omitempty"`
	TimeZone     Opt[string]            `json:"time_zone,omitzero" validate:"omitempty,max=100"`       // IANA name
	CheckInFrom  Opt[string]            `json:"check_in_from,omitzero" validate:"omitempty,timeofday"` // local "15:00"
	CheckOutBy   Opt[string]            `json:"check_out_by,omitzero" validate:"omitempty,timeofday"`  // local "11:00"
	Currency     Opt[string]            `json:"currency,omitzero" validate:"omitempty,currency"`       // ISO 4217
	BasePrice    Opt[Money]             `json:"base_price,omitzero" validate:"omitempty"`              // one night
	CleaningFee  Opt[Money]             `json:"cleaning_fee,omitzero" validate:"omitempty"`
	Deposit      Opt[Money]             `json:"deposit,omitzero" validate:"omitempty"`
	MinStay      Opt[int]               `json:"min_stay,omitzero" validate:"omitempty,gte=0"` // nights
	MaxStay      Opt[int]               `json:"max_stay,omitzero" validate:"omitempty,gte=0"`
	Amenities    Opt[[]string]          `json:"amenities,omitzero"`
	Tags         Opt[[]string]          `json:"tags,omitzero"`
	CoverURL     Opt[string]            `json:"cover_url,omitzero" validate:"omitempty,max=8192,weburl"`
	Custom       Opt[map[string]string] `json:"custom,omitzero"` // custom fields by the partner's field id
}

// ResourceStatus is whether a resource can be sold.
type ResourceStatus string

// The states of a resource.
const (
	ResourceActive   ResourceStatus = "active"
	ResourceInactive ResourceStatus = "inactive"
)

// Address is a postal address; any part may be missing.
type Address struct {
	Full       string   `json:"full,omitempty"`
	Street     string   `json:"street,omitempty"`
	City       string   `json:"city,omitempty"`
	Region     string   `json:"region,omitempty"`
	PostalCode string   `json:"postal_code,omitempty"`
	Country    string   `json:"country,omitempty"` // as the partner writes it
	Lat        *float64 `json:"lat,omitempty" validate:"omitempty,gte=-90,lte=90"`
	Lng        *float64 `json:"lng,omitempty" validate:"omitempty,gte=-180,lte=180"`
}

// Transaction is an agreement on a resource: in lodging, a reservation.
type Transaction struct {
	Record
	ResourceID    Opt[string]            `json:"resource_id,omitzero" validate:"omitempty,max=200"`
	UnitID        Opt[string]            `json:"unit_id,omitzero"` // the unit assigned, of a multi-unit resource
	Code          Opt[string]            `json:"code,omitzero"`    // what the customer is told
	Status        Opt[TransactionStatus] `json:"status,omitzero" validate:"omitempty,status"`
	StatusText    Opt[string]            `json:"status_text,omitzero"`                // the partner's word
	Channel       Opt[string]            `json:"channel,omitzero"`                    // where it was sold, the partner's code: "airbnb2"
	Source        Opt[string]            `json:"source,omitzero"`                     // free text
	Start         Opt[Date]              `json:"start,omitzero" validate:"omitempty"` // first night, local to the property
	End           Opt[Date]              `json:"end,omitzero" validate:"omitempty"`   // day of departure, local to the property
	StartAt       Opt[time.Time]         `json:"start_at,omitzero"`                   // instant of arrival, UTC
	EndAt         Opt[time.Time]         `json:"end_at,omitzero"`
	ArrivalTime   Opt[string]            `json:"arrival_time,omitzero" validate:"omitempty,timeofday"` // planned, local "18:30"
	DepartureTime Opt[string]            `json:"departure_time,omitzero" validate:"omitempty,timeofday"`
	Nights        Opt[int]               `json:"nights,omitzero" validate:"omitempty,gte=0"`
	Party         Opt[Party]             `json:"party,omitzero" validate:"omitempty"`
	CustomerID    Opt[string]            `json:"customer_id,omitzero" validate:"omitempty,max=200"` // who booked, also where Customer did not come
	Customer      Opt[Customer]          `json:"customer,omitzero" validate:"omitempty"`
	Currency      Opt[string]            `json:"currency,omitzero" validate:"omitempty,currency"`
	Fare          Opt[Money]             `json:"fare,omitzero" validate:"omitempty"` // accommodation alone
	Fees          Opt[Money]             `json:"fees,omitzero" validate:"omitempty"` // cleaning and the like
	Taxes         Opt[Money]             `json:"taxes,omitzero" validate:"omitempty"`
	Subtotal      Opt[Money]             `json:"subtotal,omitzero" validate:"omitempty"` // before taxes
	Total         Opt[Money]             `json:"total,omitzero" validate:"omitempty"`    // what the customer pays
	Commission    Opt[Money]             `json:"commission,omitzero" validate:"omitempty"`
	Payout        Opt[Money]             `json:"payout,omitzero" validate:"omitempty"` // what the account receives
	Paid          Opt[Money]             `json:"paid,omitzero" validate:"omitempty"`
	Balance       Opt[Money]             `json:"balance,omitzero" validate:"omitempty"`
	FullyPaid     Opt[bool]              `json:"fully_paid,omitzero"`
	Lines         Opt[[]Line]            `json:"lines,omitzero" validate:"omitempty,dive"`
	Stays         Opt[[]Stay]            `json:"stays,omitzero" validate:"omitempty,dive"` // one for each room; empty when there is but one
	ConfirmedAt   Opt[time.Time]         `json:"confirmed_at,omitzero"`
	CanceledAt    Opt[time.Time]         `json:"canceled_at,omitzero"`
	Notes         Opt[string]            `json:"notes,omitzero"`
	Custom        Opt[map[string]string] `json:"custom,omitzero"`
}

// TransactionStatus is the state of a transaction. The set is open at the partners: what is none of these is StatusOther.
type TransactionStatus string

// The states of a transaction.
const (
	StatusInquiry    TransactionStatus = "inquiry"
	StatusPending    TransactionStatus = "pending" // held, not confirmed
	StatusConfirmed  TransactionStatus = "confirmed"
	StatusCheckedIn  TransactionStatus = "checked_in"
	StatusCheckedOut TransactionStatus = "checked_out"
	StatusNoShow     TransactionStatus = "no_show"
	StatusCanceled   TransactionStatus = "canceled"
	StatusDeclined   TransactionStatus = "declined"
	StatusExpired    TransactionStatus = "expired"
	StatusClosed     TransactionStatus = "closed"
	StatusOther      TransactionStatus = "other"
)

// Party is who comes.
type Party struct {
	Total    int `json:"total,omitempty" validate:"gte=0"`
	Adults   int `json:"adults,omitempty" validate:"gte=0"`
	Children int `json:"children,omitempty" validate:"gte=0"`
	Infants  int `json:"infants,omitempty" validate:"gte=0"`
	Pets     int `json:"pets,omitempty" validate:"gte=0"`
}

// Customer is who booked. It is personal data: it is never logged.
type Customer struct {
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	Email     string `json:"email,omitempty"`
	Phone     string `json:"phone,omitempty"`
}

// String returns a placeholder.
func (Customer) String() string { return "[personal data]" }

// GoString is String.
func (c Customer) GoString() string { return c.String() }

// LogValue implements slog.LogValuer: a placeholder.
func (c Customer) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Line is one item of a bill.
type Line struct {
	ID     string `json:"id,omitempty"`
	Title  string `json:"title,omitempty"`
	Type   string `json:"type,omitempty"` // the partner's code
	Amount Money  `json:"amount"`
	Tax    bool   `json:"tax,omitempty"`
}

// Stay is one room of a transaction.
type Stay struct {
	ResourceID string `json:"resource_id,omitempty"`
	UnitID     string `json:"unit_id,omitempty"`
	Start      Date   `json:"start,omitzero"`
	End        Date   `json:"end,omitzero"`
	Party      Party  `json:"party,omitzero"`
}

// Media is a picture of a resource.
type Media struct {
	Record
	ResourceID   string      `json:"resource_id" validate:"required,max=200"`
	URL          Opt[string] `json:"url,omitzero" validate:"omitempty,max=8192,weburl"`
	ThumbnailURL Opt[string] `json:"thumbnail_url,omitzero" validate:"omitempty,max=8192,weburl"`
	Caption      Opt[string] `json:"caption,omitzero"`
	Position     Opt[int]    `json:"position,omitzero" validate:"omitempty,gte=0"` // from 0
	Source       Opt[string] `json:"source,omitzero"`                              // the partner's word
}
