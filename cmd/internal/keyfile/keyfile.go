// Package keyfile finds the key that a command shows to a gateway. A key is never an
// argument, because every user of a machine can see those (ps). The package keeps no
// state; any goroutine may call it.
package keyfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// The variables of the environment that hold the key, or name the file with it.
const (
	Variable     = "FLEETCAST_KEY"
	FileVariable = "FLEETCAST_KEY_FILE"
)

// maxFile is the length of the longest file with a key, in bytes.
const maxFile = 4 << 10

// Flag is the flag of commands that publish.
type Flag struct {
	KeyFile string `placeholder:"FILE" help:"File with the key to show to the gateway, which fleetcast key new makes. Without it, the environment variable FLEETCAST_KEY is the key, or FLEETCAST_KEY_FILE names the file."`
}

// Source returns what reads the key, or nil if there is none. A file is read each time, so
// that a new key in it counts for the next connection. The first reading is made at once,
// so that a mistake is told early.
func (f Flag) Source() (func() (string, error), error) {
	path := f.KeyFile
	if path == "" {
		if key := strings.TrimSpace(os.Getenv(Variable)); key != "" {
			if err := check(key); err != nil {
				return nil, fmt.Errorf("%s %w", Variable, err)
			}
			return func() (string, error) { return key, nil }, nil
		}
		path = strings.TrimSpace(os.Getenv(FileVariable))
	}
	if path == "" {
		return nil, nil
	}
	read := func() (string, error) { return Read(path) }
	_, err := read()
	return read, err
}

// Path is the file with the key, or empty.
func (f Flag) Path() string {
	if f.KeyFile == "" && strings.TrimSpace(os.Getenv(Variable)) != "" {
		return ""
	}
	return cmp.Or(f.KeyFile, strings.TrimSpace(os.Getenv(FileVariable)))
}

// Exposed tells whether every user of this machine can read a file.
func Exposed(path string) bool {
	const others = 0o004
	info, err := os.Stat(path)
	return path != "" && err == nil && info.Mode().Perm()&others != 0
}

// Read returns the key in a file, without the line end behind it.
func Read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	if len(text) > maxFile {
		return "", fmt.Errorf("read the key: %s is longer than %d bytes", path, maxFile)
	}
	key := strings.TrimSpace(string(text))
	if err := check(key); err != nil {
		return "", fmt.Errorf("read the key: %s %w", path, err)
	}
	return key, nil
}

// check tells whether a text can be a key, without saying what it is.
func check(key string) error {
	const longest = 255
	switch {
	case key == "":
		return errors.New("is empty")
	case len(key) > longest || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }):
		return errors.New("has no key: a key is one word, as fleetcast key new prints it")
	}
	return nil
}
