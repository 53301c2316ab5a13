// Package e2e holds the tests that need several modules at once: whole imports from a simulated partner into a real database,
// by processes that are killed. The ones that take long are skipped with -short.
package e2e
