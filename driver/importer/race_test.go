//go:build race

package importer_test

const raced = true
