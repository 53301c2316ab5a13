// Package bench measures the kit against what a team would compose by hand from the same libraries, in one run.
// Quote ratios, never single numbers.
package bench
