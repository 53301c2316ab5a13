// Package retry decides what a failed call means, and repeats it when that is safe and worth while.
package retry
