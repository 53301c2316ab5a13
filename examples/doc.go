// Package examples holds whole applications that use the kit; each folder is one.
package examples
