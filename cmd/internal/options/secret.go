package options

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"fleetcast/cmd/internal/credential"
)

// hidden is shown in place of a secret.
const hidden = "(hidden)"

// Secret is a text that only the gateway itself may see. It is given as file:PATH, of
// which the gateway reads the content, as env:NAME, of which it reads the variable, or as
// it is. It shows and prints itself as the reference, or as (hidden).
type Secret struct {
	reference string // file:... or env:..., or empty
	value     string
}

// UnmarshalText reads a secret where it is. The error never has it.
func (s *Secret) UnmarshalText(text []byte) error {
	given := string(text)
	if given == hidden {
		return fmt.Errorf("is %s, as fleetcast config shows a secret; write the secret, or file:PATH or env:NAME", hidden)
	}
	next := Secret{value: given}
	var err error
	if credential.IsReference(given) {
		next.reference = given
		next.value, err = credential.Reference(given).Read()
	}
	if err != nil {
		return err
	}
	*s = next
	return nil
}

// Value is the secret itself.
func (s Secret) Value() string { return s.value }

// Given tells whether there is a secret.
func (s Secret) Given() bool { return s.value != "" }

// String is what may be shown.
func (s Secret) String() string {
	if s.reference == "" && s.value != "" {
		return hidden
	}
	return s.reference
}

// GoString is String, so that no verb of fmt shows the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// fingerprint differs between secrets that show the same.
func (s Secret) fingerprint() string {
	return fmt.Sprintf("%s %x", s.String(), sha256.Sum256([]byte(s.value)))
}

// secretFiles are the files that hold the secret.
func (s Secret) secretFiles() []string {
	if path, ok := strings.CutPrefix(s.reference, credential.FilePrefix); ok {
		return []string{path}
	}
	return nil
}

// holdsSecret tells whether the secret stands in the configuration itself.
func (s Secret) holdsSecret() bool { return s.reference == "" && s.value != "" }

// warnOfReadableSecrets says which files with secrets every user of this machine can read:
// those that options name, and the configuration file if a secret stands in it.
func (o *Options) warnOfReadableSecrets(logger *slog.Logger) {
	warned := map[string]bool{}
	warn := func(path, option string) {
		const others = 0o004
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm()&others == 0 || warned[path] {
			return
		}
		warned[path] = true
		logger.Warn("every user of this machine can read a file with a secret", "file", path, "mode", info.Mode().Perm().String(), "option", option, "advice", "chmod o= "+path)
	}
	for _, s := range o.settings {
		for _, v := range s.values() {
			if of, ok := v.(interface{ secretFiles() []string }); ok {
				for _, path := range of.secretFiles() {
					warn(path, s.name())
				}
			}
			if of, ok := v.(interface{ holdsSecret() bool }); ok && of.holdsSecret() && s.source.file != "" {
				warn(s.source.file, s.name())
			}
		}
	}
}

// values are the elements of a list, or the one value.
func (s setting) values() (all []any) {
	if !s.list() {
		return []any{s.flag.Target.Interface()}
	}
	for i := range s.flag.Target.Len() {
		all = append(all, s.flag.Target.Index(i).Interface())
	}
	return all
}

// compared are texts that are equal only for equal values, to find what has changed. They
// are not for showing.
func (s setting) compared() []string {
	texts := s.texts()
	for i, v := range s.values() {
		if of, ok := v.(interface{ fingerprint() string }); ok {
			texts[i] = of.fingerprint()
		}
	}
	return texts
}
