package bookingcomtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// Notifier is the Connectivity Notification Service: it asks the partner's authentication URL for a token, keeps it,
// and posts notifications with it. It asks for another when the token is refused; how often the real one tries again is
// unverified. It is safe for concurrent use.
type Notifier struct {
	// Client reaches the partner; nil: http.DefaultClient.
	Client *http.Client
	// AuthURL and URL are the partner's endpoints; ID and Secret what it gave Booking.com.
	AuthURL, URL, ID, Secret string
	// Basic sends ID and Secret with every notification instead, as for early adopters.
	Basic bool

	mu    sync.Mutex
	token string
}

// Notification is one. Payload is what its type has; but for PBB_CONFIG_UPDATE_STATUS what that is, is unverified.
type Notification struct {
	UUID, Type string
	Payload    map[string]any
}

// Send posts a notification and returns the partner's status.
func (n *Notifier) Send(ctx context.Context, v Notification) (status int, err error) {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uuid": v.UUID, "type": v.Type, "payloadVersion": "1.0"}, "payload": v.Payload,
	})
	if err != nil {
		return 0, err
	}
	for attempt := range 2 {
		if !n.Basic {
			if err := n.authenticate(ctx, attempt > 0); err != nil {
				return 0, err
			}
		}
		if status, err = n.post(ctx, body); err != nil || status != http.StatusUnauthorized || n.Basic {
			return status, err
		}
	}
	return status, nil
}

func (n *Notifier) client() *http.Client {
	if n.Client == nil {
		return http.DefaultClient
	}
	return n.Client
}

func (n *Notifier) authenticate(ctx context.Context, again bool) error {
	n.mu.Lock()
	have := n.token != ""
	n.mu.Unlock()
	if have && !again {
		return nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {n.ID}, "client_secret": {n.Secret}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.AuthURL, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := n.client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var out struct{ JWT string }
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("bookingcomtest: the authentication URL answered %d", resp.StatusCode)
	}
	if err := json.Unmarshal(b, &out); err != nil || out.JWT == "" {
		return errors.New("bookingcomtest: the authentication URL answered without a token")
	}
	n.mu.Lock()
	n.token = out.JWT
	n.mu.Unlock()
	return nil
}

func (n *Notifier) post(ctx context.Context, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if n.Basic {
		req.SetBasicAuth(n.ID, n.Secret)
	} else {
		n.mu.Lock()
		req.Header.Set("Authorization", "Bearer "+n.token)
		n.mu.Unlock()
	}
	resp, err := n.client().Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}
