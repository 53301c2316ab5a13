package authtest_test

import (
	"fmt"
	"testing"

	"github.com/integrationkit/integrationkit/auth"
	"github.com/integrationkit/integrationkit/auth/authtest"
)

// The test of a store of one's own. A store in memory is in one process only: each handle is the same one.
func ExampleStore() {
	testTokens := func(t *testing.T) { // in earnest: func TestTokens(t *testing.T)
		authtest.Store(t, func(*testing.T) func() auth.Store {
			s := auth.NewMemoryStore() // in earnest: an empty database, and a function that connects to it
			return func() auth.Store { return s }
		})
	}
	ok := testing.RunTests(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "TestTokens", F: testTokens}})
	fmt.Println("passed:", ok)
	// Output:
	// passed: true
}
