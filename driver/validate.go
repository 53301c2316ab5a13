package driver

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"
)

// Validate checks a normalized record (a [Resource], [Transaction], [Media] or [Day], or a pointer to one) against what this package
// says of its fields. The error names every field that is wrong and the rule it breaks; its text holds no value.
func Validate(record any) error {
	v := reflect.ValueOf(record)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	var kind Kind
	switch v.Kind() {
	case reflect.Struct:
		switch v.Interface().(type) {
		case Resource:
			kind = KindResource
		case Transaction:
			kind = KindTransaction
		case Media:
			kind = KindMedia
		case Day:
			kind = KindDay
		}
	}
	if kind == "" {
		return fmt.Errorf("driver: a %T is no record", record)
	}
	err := records().Struct(v.Interface())
	if err == nil {
		return nil
	}
	fields, ok := errors.AsType[validator.ValidationErrors](err)
	if !ok {
		return fmt.Errorf("driver: the %s cannot be validated: %T", kind, err)
	}
	problems := make([]string, len(fields))
	for i, f := range fields {
		problems[i] = problem(f)
	}
	slices.Sort(problems)
	return fmt.Errorf("driver: invalid %s: %s", kind, strings.Join(problems, "; "))
}

// problem returns "stays[0].party.adults: gte=0".
func problem(f validator.FieldError) string {
	_, path, _ := strings.Cut(f.Namespace(), ".")
	path = strings.TrimPrefix(path, "Record.")
	if f.Param() != "" {
		return path + ": " + f.Tag() + "=" + f.Param()
	}
	return path + ": " + f.Tag()
}

// records is the one validator. It is complete before it is first used, because registering is not safe after that.
var records = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			return ""
		}
		return name
	})
	v.RegisterCustomTypeFunc(optional, optTypes()...)
	rule := func(tag string, f func(reflect.Value) bool) {
		if err := v.RegisterValidation(tag, func(fl validator.FieldLevel) bool { return f(fl.Field()) }); err != nil {
			panic(err) // the name of the tag is wrong; every test fails
		}
	}
	rule("currency", func(f reflect.Value) bool { _, ok := MinorDigits(f.String()); return ok })
	rule("status", func(f reflect.Value) bool { return slices.Contains(statuses[f.Type()], f.String()) })
	rule("timeofday", func(f reflect.Value) bool {
		_, err := time.Parse("15:04", f.String())
		return err == nil || f.String() == ""
	})
	rule("finite", func(f reflect.Value) bool { return !math.IsNaN(f.Float()) && !math.IsInf(f.Float(), 0) })
	rule("weburl", func(f reflect.Value) bool {
		return f.String() == "" || v.Var(f.String(), "http_url") == nil
	})
	v.RegisterStructValidation(func(sl validator.StructLevel) {
		if d := sl.Current().Interface().(Date); d != (Date{}) && !d.Valid() {
			sl.ReportError(d, "day", "Day", "date", "")
		}
	}, Date{})
	v.RegisterStructValidation(func(sl validator.StructLevel) {
		t := sl.Current().Interface().(Transaction)
		start, ok1 := t.Start.Get()
		end, ok2 := t.End.Get()
		if ok1 && ok2 && start.Days(end) < 0 {
			sl.ReportError(end, "end", "End", "not_before_start", "")
		}
	}, Transaction{})
	v.RegisterStructValidation(func(sl validator.StructLevel) {
		if s := sl.Current().Interface().(Stay); s.Start != (Date{}) && s.End != (Date{}) && s.Start.Days(s.End) < 0 {
			sl.ReportError(s.End, "end", "End", "not_before_start", "")
		}
	}, Stay{})
	v.RegisterStructValidation(func(sl validator.StructLevel) {
		d := sl.Current().Interface().(Day)
		if most := d.MaxStay.Or(0); most > 0 && d.MinStay.Or(0) > most {
			sl.ReportError(most, "max_stay", "MaxStay", "not_below_min_stay", "")
		}
	}, Day{})
	return v
})

var statuses = map[reflect.Type][]string{
	reflect.TypeFor[ResourceStatus](): {string(ResourceActive), string(ResourceInactive)},
	reflect.TypeFor[TransactionStatus](): {
		string(StatusInquiry), string(StatusPending), string(StatusConfirmed), string(StatusCheckedIn), string(StatusCheckedOut), string(StatusNoShow),
		string(StatusCanceled), string(StatusDeclined), string(StatusExpired), string(StatusClosed), string(StatusOther),
	},
	reflect.TypeFor[DayStatus](): {string(DayAvailable), string(DayBooked), string(DayReserved), string(DayBlocked), string(DayOther)},
}

// optional gives the validator what an Opt holds: a pointer, so that a value that is there is checked although it is zero, or nil.
func optional(f reflect.Value) any {
	v := f.Interface().(interface{ value() any }).value()
	if v == nil {
		return nil
	}
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

// optTypes returns a zero value of each type of Opt that the records have.
func optTypes() []any {
	seen := map[reflect.Type]bool{}
	var types []any
	for _, rec := range []reflect.Type{
		reflect.TypeFor[Record](), reflect.TypeFor[Resource](), reflect.TypeFor[Transaction](), reflect.TypeFor[Media](), reflect.TypeFor[Day](),
	} {
		for f := range rec.Fields() {
			if _, ok := reflect.Zero(f.Type).Interface().(interface{ value() any }); ok && !seen[f.Type] {
				seen[f.Type] = true
				types = append(types, reflect.Zero(f.Type).Interface())
			}
		}
	}
	return types
}
