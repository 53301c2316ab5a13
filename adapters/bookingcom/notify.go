package bookingcom

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/webhook"
)

// Webhooks implements driver.WebhookSource: the Connectivity Notification Service, which fetches the token that it
// bears from a webhook.TokenEndpoint of the host's (see the example). It is set up in the provider portal, for the
// provider.
func (d *Driver) Webhooks() webhook.Partner { return webhook.BookingCom() }

// Notices implements driver.WebhookSource; see the function of this name.
func (d *Driver) Notices(e webhook.Event) ([]webhook.Notice, error) { return Notices(e) }

// Notices says what a notification tells, for a host with one endpoint for all integrations. None is about a
// reservation (documented): those come by the queue alone. Members of payloads but for those of
// PBB_CONFIG_UPDATE_STATUS are unverified, so a notice holds no more than the partner's kind, but for that one: the
// property has changed.
func Notices(e webhook.Event) ([]webhook.Notice, error) {
	var in struct {
		Metadata struct {
			Type string `json:"type"`
		} `json:"metadata"`
		Payload struct {
			PropertyID any `json:"propertyId"`
		} `json:"payload"`
	}
	if err := driver.Decode(e.Body, e.ContentType, &in); err != nil {
		return nil, fmt.Errorf("bookingcom: the notification cannot be read: %w", err)
	}
	if in.Metadata.Type == "" {
		return nil, errors.New("bookingcom: the notification has no type")
	}
	n := webhook.Notice{Event: e, Kind: in.Metadata.Type, Thin: true}
	if in.Metadata.Type != "PBB_CONFIG_UPDATE_STATUS" { // payments by Booking.com are switched on for a property
		return []webhook.Notice{n}, nil
	}
	switch id := in.Payload.PropertyID.(type) {
	case string:
		n.Record = trimZeros(id)
	case float64:
		n.Record = strconv.FormatFloat(id, 'f', -1, 64)
	}
	if digits(n.Record) {
		n.Kind = webhook.ResourceChanged
	} else {
		n.Record = ""
	}
	return []webhook.Notice{n}, nil
}
