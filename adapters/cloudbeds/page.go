package cloudbeds

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// envelope is what stands around an answer's data: {"success", "data", "count", "total", "message"}, and of the errors
// that have another one {"status", "error", "error_description"}.
type envelope struct {
	refused bool // success or status is false, or there is an error in place of success
	code    string
	message string
	total   int // 0: not said
	counted bool
	data    json.RawMessage // nil: there is none
}

var (
	errNoRows  = errors.New("data is neither an array nor an object of rows")
	errIgnored = errors.New("reservations came that were not asked for: the filter by id was ignored")
	errRefused = errors.New("the partner says that it did not succeed")
)

// readEnvelope reads a whole answer. One that is neither data nor a refusal is an error, never an empty page: what an
// empty page does not list is taken for deleted.
func readEnvelope(body []byte, contentType string) (envelope, error) {
	var fields map[string]json.RawMessage
	if err := driver.Decode(body, contentType, &fields); err != nil {
		return envelope{}, err
	}
	env := envelopeOf(fields)
	if !env.refused && env.data == nil {
		return env, fmt.Errorf("%w: neither data nor a refusal", driver.ErrUndecodable)
	}
	return env, nil
}

// envelopeOf tells success from refusal. A success that is given as "false", 0 or "" is none: this is PHP.
func envelopeOf(fields map[string]json.RawMessage) envelope {
	env := envelope{}
	success, said := fields["success"]
	if !said {
		success, said = fields["status"]
	}
	if s, ok := wire.Scalar(success); said && ok {
		env.refused = s == "false" || s == "0" || s == ""
	}
	code, _ := wire.Scalar(fields["error"])
	if !said && code != "" {
		env.refused = true
	}
	for _, name := range []string{"message", "error_description", "error"} {
		if s, _ := wire.Scalar(fields[name]); s != "" && env.message == "" {
			env.message = s
		}
	}
	env.code = code
	if s, ok := wire.Scalar(fields["total"]); ok {
		if n, err := strconv.Atoi(s); err == nil && n >= 0 {
			env.total, env.counted = n, true
		}
	}
	if raw, ok := fields["data"]; ok {
		env.data = raw
	}
	return env
}

// head reads what can be read of the envelope in the beginning of a body: the fields at the top that come whole in it.
func head(body []byte) envelope {
	fields := map[string]json.RawMessage{}
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return envelope{}
	}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		var raw json.RawMessage
		if err != nil || !ok || dec.Decode(&raw) != nil {
			break
		}
		fields[name] = raw
	}
	return envelopeOf(fields)
}

// rows are the rows in data: an array, an object keyed by id (both documented), or one row alone, which has the id. An
// empty PHP map may come as [].
func (e envelope) rows(id string) ([]json.RawMessage, error) {
	bad := fmt.Errorf("%w: %w", driver.ErrUndecodable, errNoRows)
	switch wire.TypeOf(e.data) {
	case '[':
		var rows []json.RawMessage
		if json.Unmarshal(e.data, &rows) != nil {
			return nil, bad
		}
		return rows, nil
	case 'n':
		if e.counted && e.total == 0 {
			return nil, nil
		}
	case '{':
		var keyed map[string]json.RawMessage
		if json.Unmarshal(e.data, &keyed) != nil {
			return nil, bad
		}
		if _, ok := keyed[id]; ok {
			return []json.RawMessage{e.data}, nil
		}
		rows := make([]json.RawMessage, 0, len(keyed))
		for _, key := range slices.Sorted(maps.Keys(keyed)) {
			if wire.TypeOf(keyed[key]) != '{' {
				return nil, bad
			}
			rows = append(rows, keyed[key])
		}
		return rows, nil
	}
	return nil, bad
}
