package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"testing"
)

const committed = "../../../docs/arrivals.svg"

func TestThePictureIsWhatTheCommandMakes(t *testing.T) {
	runs, err := runAll()
	if err != nil {
		t.Fatal(err)
	}
	got := draw(runs)
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/arrivals.svg is not what `go run ./internal/bench/arrivals -o docs/arrivals.svg` makes")
	}
	for d := xml.NewDecoder(bytes.NewReader(got)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v", err)
		}
	}
}

// What the picture is there to show.
func TestWhoKeepsTheLimit(t *testing.T) {
	runs, err := runAll()
	if err != nil {
		t.Fatal(err)
	}
	between := [][2]int{{58, 60}, {61, 75}, {115, 121}, {60, 63}, {61, 75}, {115, 121}, {100, 121}, {115, 121}}
	if len(runs) != len(between) {
		t.Fatalf("%d limiters, want %d", len(runs), len(between))
	}
	for i, r := range runs {
		if r.worst < between[i][0] || r.worst > between[i][1] {
			t.Errorf("%s, %s: %d in the worst minute, want %v", r.name, r.note, r.worst, between[i])
		}
		if len(r.arrivals) < 240 {
			t.Errorf("%s, %s: only %d arrived", r.name, r.note, len(r.arrivals))
		}
	}
	if worst(runs[0].arrivals) > limit {
		t.Error("ours is over the limit")
	}
}
