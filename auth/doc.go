// Package auth puts credentials on requests, for the declared origins only, and keeps OAuth tokens fresh.
package auth
