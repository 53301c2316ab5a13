package guesty

import (
	"encoding/json"

	"github.com/integrationkit/integrationkit/driver"
	"github.com/integrationkit/integrationkit/driver/wire"
)

// custom reads custom fields, which are documented as an object and delivered as an array of {fieldId, value}. Where
// a long text is cut in value, fullText has it all.
func custom(o wire.Object, field string) driver.Opt[map[string]string] {
	m := map[string]string{}
	switch o.Type(field) {
	case 0:
		return driver.Opt[map[string]string]{}
	case 'n':
		return driver.Null[map[string]string]()
	case '{':
		byID, _ := o.Object(field).Get()
		for _, id := range byID.Names() {
			raw := byID.Raw(id)
			if wire.TypeOf(raw) == '{' {
				m[id] = customValue(wire.Fields(raw))
			} else {
				m[id] = valueText(raw)
			}
		}
	case '[':
		all, _ := o.Objects(field).Get()
		for _, f := range all {
			id, ok := f.First(f.Word, "fieldId", "_id", "id").Get()
			if !ok {
				f.Odd("fieldId", driver.ChangeMissing, "missing")
				continue
			}
			m[id] = customValue(f)
		}
	default:
		o.Odd(field, driver.ChangeType, "not custom fields")
		return driver.Opt[map[string]string]{}
	}
	return driver.Some(m)
}

// customValue is the value of the custom field that o describes.
func customValue(o wire.Object) string {
	if k := o.Type("fullText"); k != 0 && k != 'n' {
		return valueText(o.Raw("fullText"))
	}
	return valueText(o.Raw("value"))
}

// valueText is a value's text; what is neither a text nor another scalar is kept as JSON.
func valueText(raw json.RawMessage) string {
	if k := wire.TypeOf(raw); k == 0 || k == 'n' {
		return ""
	}
	if s, ok := wire.Scalar(raw); ok {
		return s
	}
	return string(wire.Compact(raw))
}
