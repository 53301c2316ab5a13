package auth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a string that does not print: fmt with any verb, slog, encoding/json and encoding/text all see
// "[redacted]". Convert it with string(s) where its value is needed. Reading "[redacted]" back from text is an error,
// so that a configuration that lost its secrets by being printed is not taken for one that has some.
type Secret string

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]".
func (Secret) GoString() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" in quotes.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// UnmarshalText takes text as the secret, unless it is what a secret prints as.
func (s *Secret) UnmarshalText(text []byte) error {
	if string(text) == redacted {
		return errors.New("auth: this secret was redacted when it was written; its value is not here")
	}
	*s = Secret(text)
	return nil
}

// What holds secrets in fields that fmt would print with some verb or other prints as its type's name.

// Format writes the type's name whatever the verb.
func (APIKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.APIKey") }

// Format writes the type's name whatever the verb.
func (Basic) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.Basic") }

// Format writes the type's name whatever the verb.
func (Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.Signer") }

// Format writes the type's name whatever the verb.
func (CodeFlow) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.CodeFlow") }

// Format writes the type's name whatever the verb.
func (Keys) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.Keys") }

// Format writes the type's name and the key of its token, whatever the verb.
func (s *Source) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.Source("+s.c.Key+")") }

// problem says what makes a secret unusable, "" if nothing does.
func (s Secret) problem() string {
	switch s {
	case "":
		return "is empty"
	case redacted:
		return "was redacted when it was written; its value is not here"
	}
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return "holds a control character" // a newline at the end of a file, most often
		}
	}
	return ""
}
