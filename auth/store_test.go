package auth_test

import (
	"testing"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
)

func TestMemoryStore(t *testing.T) {
	authtest.Store(t, func(*testing.T) func() auth.Store {
		s := auth.NewMemoryStore()
		return func() auth.Store { return s }
	})
}
