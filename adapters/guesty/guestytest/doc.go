// Package guestytest is a simulated Guesty account.
package guestytest
