// Package authtest tests implementations of the interfaces of package auth. A store of one's own is tested so:
//
//	func TestTokens(t *testing.T) {
//		authtest.Store(t, func(t *testing.T) func() auth.Store { … })        // what the interface promises
//		authtest.AtRest(t, store, func() []byte { … })                       // nothing readable on the disk
//	}
//
//	func TestTokensOfProcesses(t *testing.T) {
//		authtest.Processes(t, func(t *testing.T) string { … }, func(t *testing.T, place string) auth.Store { … })
//	}
package authtest
