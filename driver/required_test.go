package driver_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

type enveloped struct {
	Rows   []json.RawMessage `json:"rows" wire:"required"`
	Paging *struct {
		Next driver.Opt[string] `json:"next" wire:"required"`
	} `json:"paging" wire:"required"`
	Self  *enveloped `json:"self"`
	inner int
	Base
}

// Base is embedded: its fields are the envelope's.
type Base struct {
	Version string `json:"version" wire:"required"`
}

func TestRequiredFields(t *testing.T) {
	const rest = `,"paging":{"next":"x"},"version":"1"`
	for in, missing := range map[string]string{
		`{"rows":[]` + rest + `}`:                                  "",
		`{"rows":[{}]` + rest + `,"self":{"rows":[]` + rest + `}}`: "",
		`{"rows":null` + rest + `}`:                                `"rows"`,
		`{}`:                                                       `"rows"`,
		`{"rows":[],"version":"1"}`:                                `"paging"`,
		`{"rows":[],"paging":{},"version":"1"}`:                    `"paging.next"`,
		`{"rows":[],"paging":{"next":null},"version":"1"}`:         `"paging.next"`,
		`{"rows":[],"paging":{"next":"x"},"version":""}`:           `"version"`,
		`null`: `"rows"`,
	} {
		var v enveloped
		err := driver.Decode([]byte(in), "application/json", &v)
		if missing == "" && err != nil || missing != "" && (!errors.Is(err, driver.ErrUndecodable) || !strings.Contains(err.Error(), missing)) {
			t.Errorf("%s: %v, want %q in it", in, err, missing)
		}
		_ = v.inner
	}
}

func TestNullInPlaceOfAList(t *testing.T) {
	var list []json.RawMessage
	var m map[string]any
	for _, v := range []any{&list, &m} {
		if err := driver.Decode([]byte("null"), "", v); !errors.Is(err, driver.ErrUndecodable) {
			t.Errorf("%T: %v", v, err)
		}
	}
	if err := driver.Decode([]byte("[]"), "", &list); err != nil || list == nil {
		t.Errorf("[]: %v", err)
	}
	var anything any
	if err := driver.Decode([]byte("null"), "", &anything); err != nil {
		t.Errorf("any: %v", err)
	}
}

func TestRequiredInXML(t *testing.T) {
	type answer struct {
		XMLName xml.Name  `xml:"answer"`
		Rooms   *struct{} `xml:"rooms" wire:"required"`
	}
	for in, ok := range map[string]bool{`<answer><rooms/></answer>`: true, `<answer><errors/></answer>`: false} {
		var v answer
		if err := driver.Decode([]byte(in), "text/xml", &v); (err == nil) != ok || err != nil && !errors.Is(err, driver.ErrUndecodable) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// A tag on a field whose zero is a value would refuse good answers: it is an error at first use.
func TestRequiredOfTheWrongType(t *testing.T) {
	var v struct {
		Count int `json:"count" wire:"required"`
	}
	if err := driver.Decode([]byte(`{"count":0}`), "", &v); err == nil || !strings.Contains(err.Error(), "Count") || !strings.Contains(err.Error(), "Opt") {
		t.Errorf("%v", err)
	}
}
