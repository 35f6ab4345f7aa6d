// Package credential reads the secrets and tokens that a command's flags name, and has
// commands make tokens. A secret is never an argument itself, because every user of a
// machine can see those (ps): a flag names a file or a variable. The package keeps no
// state; any goroutine may call it.
package credential

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"fleetcast/gateway/token"
)

// The forms of a reference.
const (
	FilePrefix = "file:"
	EnvPrefix  = "env:"
	// StandardInput stands for the standard input, where that is taken.
	StandardInput = "-"
)

// MaxFile is the length of the longest file with a secret, in bytes. A set of public keys
// fits.
const MaxFile = 64 << 10

// Reference is where a secret stands: file:PATH or env:NAME. It may be printed.
type Reference string

// UnmarshalText takes a reference only. The error never has what else was given, which
// may be the secret.
func (r *Reference) UnmarshalText(text []byte) error {
	given := string(text)
	if !IsReference(given) {
		return errLiteral
	}
	*r = Reference(given)
	return nil
}

var errLiteral = errors.New("must be file:PATH or env:NAME; a secret on the command line can be read by every user of this machine (ps) and stays in the shell's history")

// IsReference tells whether a text has the form of one.
func IsReference(text string) bool {
	return strings.HasPrefix(text, FilePrefix) || strings.HasPrefix(text, EnvPrefix)
}

// Read returns what the reference names, without white space around it.
func (r Reference) Read() (string, error) {
	if path, ok := strings.CutPrefix(string(r), FilePrefix); ok {
		return ReadFile(path)
	}
	if name, ok := strings.CutPrefix(string(r), EnvPrefix); ok {
		return ReadVariable(name)
	}
	return "", errLiteral
}

// Exposed is the file of the reference if every user of this machine can read it, and
// otherwise empty.
func (r Reference) Exposed() string {
	const others = 0o004
	path, ok := strings.CutPrefix(string(r), FilePrefix)
	if info, err := os.Stat(path); !ok || err != nil || info.Mode().Perm()&others == 0 {
		return ""
	}
	return path
}

// variableNames are those that an environment variable can have in a shell.
var variableNames = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ReadVariable is the value of an environment variable, without white space around it.
func ReadVariable(name string) (string, error) {
	if !variableNames.MatchString(name) {
		return "", errors.New("env: names no variable; write for example env:FLEETCAST_TOKEN_SECRET")
	}
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return "", fmt.Errorf("the environment variable %s is not set, or is empty", name)
	}
	return value, nil
}

// seenFrom says from where a relative path counts: it is not the folder of the file that
// names it.
func seenFrom(path string) string {
	if here, err := os.Getwd(); err == nil && path != "" && !filepath.IsAbs(path) {
		return ", seen from " + here
	}
	return ""
}

// ReadFile is the content of a regular file of at most MaxFile bytes, without white space
// around it. A pipe, such as that of <(...) in a shell, is refused and not waited for.
func ReadFile(path string) (string, error) {
	text, err := token.ReadRegular(path, MaxFile)
	var unreadable *fs.PathError
	switch value := strings.TrimSpace(string(text)); {
	case errors.As(err, &unreadable):
		return "", fmt.Errorf("read the secret: %w%s", err, seenFrom(path))
	case err != nil:
		return "", fmt.Errorf("read the secret: %w", err)
	case value == "":
		return "", fmt.Errorf("read the secret: %s is empty", path)
	default:
		return value, nil
	}
}
