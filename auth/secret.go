package auth

// Secret is a string that does not print: fmt, slog, encoding/json and encoding/text all see "[redacted]". Convert it with
// string(s) where its value is needed.
type Secret string
