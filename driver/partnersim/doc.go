// Package partnersim is the kit that simulated partners are made of.
package partnersim
