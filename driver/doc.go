// Package driver is what a partner's driver is written against, and what a host uses to run it.
package driver
