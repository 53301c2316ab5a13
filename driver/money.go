package driver

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in the minor unit of its currency: {1050, "EUR"} is 10.50 €, {1050, "JPY"} is 1050 ¥.
type Money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency" validate:"currency"` // ISO 4217, upper case
}

// Errors of [ParseMoney], to be tested with errors.Is.
var (
	ErrDecimal  = errors.New("driver: not a decimal number")
	ErrCurrency = errors.New("driver: not an ISO 4217 currency")
	ErrRange    = errors.New("driver: amount out of range")
)

const (
	maxLiteral  = 400 // bytes of a decimal literal that are looked at
	maxExponent = 400
)

// ParseMoney reads a decimal literal in major units, as it stands in the partner's text ("10.5", "-3", ".99", "1e3"),
// without going through a binary fraction. Digits beyond the minor unit are rounded half away from zero. The currency may be in
// lower case. It returns an error for anything that is not a decimal number (there are no thousands separators), for an
// unknown currency and for an amount beyond int64. The error's text does not hold the amount.
func ParseMoney(decimal, currency string) (Money, error) {
	code := strings.ToUpper(currency)
	digits, ok := MinorDigits(code)
	if !ok {
		return Money{}, ErrCurrency
	}
	amount, err := parseDecimal(decimal, digits)
	if err != nil {
		return Money{}, err
	}
	return Money{amount, code}, nil
}

// parseDecimal returns the literal times 10 to the power of shift, rounded half away from zero.
func parseDecimal(s string, shift int) (int64, error) {
	if len(s) > maxLiteral {
		return 0, ErrDecimal
	}
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(s[i+1:]); err != nil || exponent > maxExponent || exponent < -maxExponent {
			return 0, ErrDecimal
		}
		mantissa = s[:i]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, ErrDecimal
	}
	shift += exponent - len(fraction)
	roundUp := false
	if shift < 0 {
		cut := len(digits) + shift // digits[cut:] is below the minor unit
		roundUp = cut >= 0 && digits[cut] >= '5'
		digits = digits[:max(cut, 0)]
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		digits, shift = "0", 0
	}
	if shift > 0 {
		if len(digits)+shift > 19 {
			return 0, ErrRange
		}
		digits += strings.Repeat("0", shift)
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, ErrRange
	}
	if roundUp {
		n++ // at most 19 digits were parsed, or n is far beyond the bound below
	}
	switch {
	case negative && n <= math.MaxInt64+1:
		return -int64(n), nil
	case !negative && n <= math.MaxInt64:
		return int64(n), nil
	}
	return 0, ErrRange
}

// String returns "10.50 EUR"; of an unknown currency, whose minor unit nobody knows, "1050 minor units of ABC".
func (m Money) String() string {
	digits, ok := MinorDigits(m.Currency)
	if !ok {
		return fmt.Sprintf("%d minor units of %q", m.Amount, m.Currency)
	}
	s := strconv.FormatInt(m.Amount, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	if digits > 0 {
		if len(s) <= digits {
			s = strings.Repeat("0", digits-len(s)+1) + s
		}
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	return sign + s + " " + m.Currency
}

// MinorDigits returns how many digits the minor unit of an ISO 4217 currency (upper case) has: 2 for EUR, 0 for JPY, 3 for KWD. It
// returns false for what is not a currency in circulation, or was none in the last years.
func MinorDigits(currency string) (int, bool) {
	d, ok := minorDigits[currency]
	return d, ok
}

// minorDigits is list one of ISO 4217 (as of amendment 177), without metals, units of account that have no minor unit and
// codes for testing, and with the codes withdrawn since 2020, which old records still have. CLDR's digits, as in golang.org/x/text/currency, are those in use (ALL 0), not those amounts are expressed in.
var minorDigits = func() map[string]int {
	m := make(map[string]int, 180)
	for n, codes := range [...]string{
		0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
		2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW " +
			"CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS " +
			"INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN " +
			"NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC " +
			"SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG " +
			"CUC HRK SLL ZWL",
		3: "BHD IQD JOD KWD LYD OMR TND",
		4: "CLF UYW",
	} {
		for _, c := range strings.Fields(codes) {
			m[c] = n
		}
	}
	return m
}()
