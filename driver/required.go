package driver

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// errRequired is a field of an envelope that did not come.
type errRequired struct{ field string }

func (e *errRequired) Error() string {
	return fmt.Sprintf("the required field %q did not come", e.field)
}

var errNull = errors.New("null in place of the answer")

// checkRequired returns an error that names the first field of what v points to, at whatever depth of structs and pointers, that has the tag
// wire:"required" and is not there: missing, null or, of a text, empty. An empty list is there. It also refuses null
// where a list, a map or a struct with required fields was to come.
func checkRequired(v any) error {
	if _, ok := v.(json.Unmarshaler); ok {
		return nil // it was asked
	}
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if k := rv.Kind(); (k == reflect.Slice || k == reflect.Map) && rv.IsNil() {
		return errNull
	}
	return missingIn(rv, "")
}

func missingIn(rv reflect.Value, path string) error {
	if rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return nil
		}
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct {
		return nil
	}
	for _, f := range requiredIn(rv.Type()) {
		fv := rv.Field(f.index)
		name := path + f.name
		if f.required {
			if f.problem != nil {
				return f.problem
			}
			if absent(fv) {
				return &errRequired{name}
			}
		}
		if name != path {
			name += "."
		}
		if err := missingIn(fv, name); err != nil {
			return err
		}
	}
	return nil
}

// absent reports whether a required field is missing or null.
func absent(fv reflect.Value) bool {
	if fv.Kind() == reflect.Struct {
		o, ok := fv.Interface().(observed)
		return ok && (!o.Observed() || o.IsNull())
	}
	return fv.IsZero()
}

// observed is any [Opt].
type observed interface {
	Observed() bool
	IsNull() bool
}

// requiredField is a field that is required, or may hold one that is.
type requiredField struct {
	index    int
	name     string
	required bool
	problem  error
}

var requiredFields sync.Map // of reflect.Type, []requiredField

func requiredIn(t reflect.Type) []requiredField {
	if cached, ok := requiredFields.Load(t); ok {
		return cached.([]requiredField) //nolint:forcetypeassert // what is stored below
	}
	fields := findRequired(t, map[reflect.Type]bool{})
	requiredFields.Store(t, fields)
	return fields
}

func findRequired(t reflect.Type, seen map[reflect.Type]bool) []requiredField {
	seen[t] = true
	defer delete(seen, t)
	var fields []requiredField
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		r := requiredField{index: i, name: wireName(f)}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if f.Tag.Get("wire") == "required" {
			r.required = true
			switch f.Type.Kind() {
			case reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface, reflect.String:
			case reflect.Struct:
				if _, ok := reflect.Zero(f.Type).Interface().(observed); ok {
					break
				}
				fallthrough
			default:
				r.problem = fmt.Errorf("the field %s of %s cannot be required: its zero is a value; make it a pointer or an Opt", f.Name, t)
			}
		}
		if r.required || inner.Kind() == reflect.Struct && !seen[inner] && len(findRequired(inner, seen)) > 0 {
			fields = append(fields, r)
		}
	}
	return fields
}

// wireName is the field's name in the answer.
func wireName(f reflect.StructField) string {
	for _, tag := range []string{"json", "xml"} {
		if name, _, _ := strings.Cut(f.Tag.Get(tag), ","); name != "" && name != "-" {
			return strings.ReplaceAll(name, ">", ".")
		}
	}
	if f.Anonymous {
		return ""
	}
	return f.Name
}
