package auth

import (
	"errors"
	"net/http"
)

// ErrOrigin is wrapped by the error of a request that would carry credentials to an origin that was not declared, or over plain
// http to anything but a loopback address.
var ErrOrigin = errors.New("auth: not a declared origin")

// Credential is what puts itself on requests: an API key, Basic credentials, a token source.
type Credential interface {
	// Wrap returns a RoundTripper that adds the credential to a copy of each request for a declared origin and refuses
	// any other with an error that wraps [ErrOrigin]. next nil: http.DefaultTransport.
	Wrap(next http.RoundTripper) http.RoundTripper
}

// APIKey is a fixed key in a header or a query parameter. Use [NewAPIKey].
type APIKey struct{}

// APIKeyConfig configures an [APIKey]. Exactly one of Header and Query is set.
type APIKeyConfig struct {
	Header, Query string
	Prefix        string // put before the key in a header, for example "Bearer "
	Key           Secret
	Origins       []string // "https://api.example.com"
}

// NewAPIKey returns an error that names everything that is wrong with c.
func NewAPIKey(c APIKeyConfig) (*APIKey, error) { panic("spike") }

// Wrap implements [Credential].
func (k *APIKey) Wrap(next http.RoundTripper) http.RoundTripper { panic("spike") }

// Basic is a user name and password (RFC 7617). Use [NewBasic].
type Basic struct{}

// BasicConfig configures a [Basic].
type BasicConfig struct {
	Username string
	Password Secret
	Origins  []string
}

// NewBasic returns an error that names everything that is wrong with c.
func NewBasic(c BasicConfig) (*Basic, error) { panic("spike") }

// Wrap implements [Credential].
func (b *Basic) Wrap(next http.RoundTripper) http.RoundTripper { panic("spike") }
