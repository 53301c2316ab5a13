package driver_test

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/integrationkit/integrationkit/driver"
)

func TestParseMoney(t *testing.T) {
	for _, tt := range []struct {
		decimal, currency string
		amount            int64
		text              string
		err               error
	}{
		{"10.5", "EUR", 1050, "10.50 EUR", nil},
		{"10.5", "eur", 1050, "10.50 EUR", nil},
		{"0.29", "USD", 29, "0.29 USD", nil}, // 0.29*100 is 28.999999999999996
		{"-0.05", "USD", -5, "-0.05 USD", nil},
		{".99", "USD", 99, "0.99 USD", nil},
		{"7.", "USD", 700, "7.00 USD", nil},
		{"+7", "USD", 700, "7.00 USD", nil},
		{"0", "USD", 0, "0.00 USD", nil},
		{"-0.00", "USD", 0, "0.00 USD", nil},
		{"1050", "JPY", 1050, "1050 JPY", nil},
		{"0.5", "JPY", 1, "1 JPY", nil},
		{"0.4999", "JPY", 0, "0 JPY", nil},
		{"1.0005", "KWD", 1001, "1.001 KWD", nil},
		{"1.23456", "CLF", 12346, "1.2346 CLF", nil},
		{"1.005", "EUR", 101, "1.01 EUR", nil}, // half away from zero
		{"-1.005", "EUR", -101, "-1.01 EUR", nil},
		{"1.00499999999999999999999999999", "EUR", 100, "1.00 EUR", nil},
		{"1.5e3", "EUR", 150000, "1500.00 EUR", nil},
		{"15E-3", "EUR", 2, "0.02 EUR", nil},
		{"1e-400", "EUR", 0, "0.00 EUR", nil},
		{"000000000000000000000000000001", "EUR", 100, "1.00 EUR", nil},
		{"0e400", "EUR", 0, "0.00 EUR", nil},
		{"92233720368547758.07", "EUR", 9223372036854775807, "92233720368547758.07 EUR", nil},
		{"-92233720368547758.08", "EUR", -9223372036854775808, "-92233720368547758.08 EUR", nil},
		{"92233720368547758.08", "EUR", 0, "", driver.ErrRange},
		{"92233720368547758.075", "EUR", 0, "", driver.ErrRange},
		{"1e30", "EUR", 0, "", driver.ErrRange},
		{"99999999999999999999", "JPY", 0, "", driver.ErrRange},
		{"1", "XXX", 0, "", driver.ErrCurrency},
		{"1", "", 0, "", driver.ErrCurrency},
		{"", "EUR", 0, "", driver.ErrDecimal},
		{"-", "EUR", 0, "", driver.ErrDecimal},
		{".", "EUR", 0, "", driver.ErrDecimal},
		{"e3", "EUR", 0, "", driver.ErrDecimal},
		{"1e", "EUR", 0, "", driver.ErrDecimal},
		{"1e401", "EUR", 0, "", driver.ErrDecimal},
		{"1,000", "EUR", 0, "", driver.ErrDecimal},
		{"1.2.3", "EUR", 0, "", driver.ErrDecimal},
		{" 1", "EUR", 0, "", driver.ErrDecimal},
		{"--1", "EUR", 0, "", driver.ErrDecimal},
		{"NaN", "EUR", 0, "", driver.ErrDecimal},
		{"0x10", "EUR", 0, "", driver.ErrDecimal},
		{"1_0", "EUR", 0, "", driver.ErrDecimal},
		{"٣", "EUR", 0, "", driver.ErrDecimal},
		{strings.Repeat("0", 500), "EUR", 0, "", driver.ErrDecimal},
	} {
		m, err := driver.ParseMoney(tt.decimal, tt.currency)
		if !errors.Is(err, tt.err) || m.Amount != tt.amount {
			t.Errorf("ParseMoney(%q, %q) = %v, %v; want %d, %v", tt.decimal, tt.currency, m.Amount, err, tt.amount, tt.err)
		} else if err == nil && m.String() != tt.text {
			t.Errorf("%q %q prints as %q, want %q", tt.decimal, tt.currency, m, tt.text)
		}
	}
	if got, want := (driver.Money{Amount: 5, Currency: "ABC"}).String(), `5 minor units of "ABC"`; got != want {
		t.Errorf("unknown currency: %q, want %q", got, want)
	}
}

var decimalSyntax = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// FuzzParseMoney holds the parser against exact rational arithmetic.
func FuzzParseMoney(f *testing.F) {
	for _, s := range []string{"0", "1.005", "-1.005", ".5", "5.", "92233720368547758.07", "-92233720368547758.08", "9e18", "1e-3", "0.0049999", "1e400", "e", "."} {
		f.Add(s, uint8(2))
		f.Add(s, uint8(0))
	}
	codes := []string{"JPY", "EUR", "USD", "KWD", "CLF"}
	f.Fuzz(func(t *testing.T, s string, which uint8) {
		code := codes[int(which)%len(codes)]
		digits, _ := driver.MinorDigits(code)
		m, err := driver.ParseMoney(s, code)
		if !decimalSyntax.MatchString(s) {
			if err == nil {
				t.Fatalf("%q was taken as %v", s, m)
			}
			return
		}
		if len(s) > 400 || errors.Is(err, driver.ErrDecimal) {
			_, exp, _ := strings.Cut(strings.ToLower(s), "e")
			n, nerr := strconv.Atoi(exp)
			if len(s) <= 400 && nerr == nil && n >= -400 && n <= 400 || exp == "" && len(s) <= 400 {
				t.Fatalf("%q was refused: %v", s, err)
			}
			return
		}
		r, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("big.Rat does not read %q", s)
		}
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)))
		want, _ := new(big.Int).SetString(r.FloatString(0), 10) // rounds half away from zero
		switch {
		case err != nil && want.IsInt64():
			t.Fatalf("%q %s was refused: %v; want %v", s, code, err, want)
		case err == nil && (!want.IsInt64() || want.Int64() != m.Amount):
			t.Fatalf("%q %s = %d, want %v", s, code, m.Amount, want)
		}
		if err == nil {
			if back, err := driver.ParseMoney(strings.TrimSuffix(m.String(), " "+code), code); err != nil || back != m {
				t.Fatalf("%v comes back as %v, %v", m, back, err)
			}
		}
	})
}

func ExampleParseMoney() {
	m, err := driver.ParseMoney("1234.565", "EUR")
	fmt.Println(m, m.Amount, err)
	m, err = driver.ParseMoney("1234", "JPY")
	fmt.Println(m, m.Amount, err)
	// Output:
	// 1234.57 EUR 123457 <nil>
	// 1234 JPY 1234 <nil>
}
