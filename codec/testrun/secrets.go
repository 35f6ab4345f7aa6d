package testrun

import (
	"log/slog"
	"regexp"
	"testing"
)

// Secret is what each secret begins with that a test chooses itself: one that signs tokens,
// a password, the query of a URL. So it is known wherever it is written. With 15 bytes more
// it is as long as HMAC demands.
const Secret = "5ecret-of-a-test-"

// secretForms are the secrets of tests, private keys as PEM, and what is secret by its form:
// keys of publishers and operators, JSON Web Tokens and resume tickets, whole.
var secretForms = regexp.MustCompile(regexp.QuoteMeta(Secret) + `|PRIVATE KEY-----[\s\\n]+[A-Za-z0-9+/]{16}` +
	`|fck_[A-Za-z0-9_-]{43}|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|fct1\.[A-Za-z0-9_.-]{20}`)

// FindSecret returns the first secret in a text; empty: there is none.
func FindSecret(text string) string { return secretForms.FindString(text) }

// Log is the log of what a test runs: it drops all lines, and fails the test if a secret is
// in one. Any goroutine may write to it, until the test ends.
func Log(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(guard{tb}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type guard struct{ testing.TB }

// Write implements io.Writer.
func (g guard) Write(line []byte) (int, error) {
	if FindSecret(string(line)) != "" {
		g.Errorf("a secret is in the log: %s", line)
	}
	return len(line), nil
}
