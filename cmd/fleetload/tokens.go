package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/keyfile"
	"fleetcast/loadtest"
)

// applyTokens adds the tokens that clients show.
func (f *clientFlags) applyTokens(c *loadtest.Common) error {
	one, many := f.TokenFlags.Given(), f.ManyFlags.Given()
	c.ResumeTickets = f.ResumeTickets
	switch err := f.TokenFlags.Check(); {
	case err != nil:
		return err
	case one && many:
		return errors.New("--token and --token-command give all clients one token, --token-secret and --token-key one to each: choose")
	case one:
		c.OneToken = true
		c.Token = func(int, int) (string, error) { return f.Get(context.Background(), os.Stdin, os.Stderr) }
	case many:
		c.Token, err = f.Maker(time.Now())
		return err
	case f.TokenAlg != "":
		return errors.New("--token-alg is for --token-secret and --token-key")
	case f.ResumeTickets:
		return errors.New("--resume-tickets is for clients with tokens")
	}
	return nil
}

// shownArguments is the command line for the report, without what may hold a secret.
func shownArguments(arguments []string) []string {
	const flag, hidden = "--token-command", "(hidden)"
	var shown []string
	hide := false
	for _, a := range arguments {
		switch {
		case hide:
			a, hide = hidden, false
		case a == flag:
			hide = true
		case strings.HasPrefix(a, flag+"="):
			a = flag + "=" + hidden
		}
		shown = append(shown, a)
	}
	return shown
}

// warn tells of secrets that others can read: in their files, and on the way. clients may be
// nil.
func (f *commonFlags) warn(std streams, clients *clientFlags, hasKey bool) {
	var warnings []string
	to := f.Publish
	if clients != nil {
		to = cmp.Or(to, clients.URL)
		warnings = slices.Concat(clients.TokenFlags.Warnings(clients.URL), clients.ManyFlags.Warnings(clients.URL))
	}
	if path := f.Path(); keyfile.Exposed(path) {
		warnings = append(warnings, credential.ExposedWarning("the key", path))
	}
	if text := credential.ClearTextWarning("the key", to); hasKey && text != "" {
		warnings = append(warnings, text)
	}
	for _, text := range warnings {
		fmt.Fprintf(std.err, "fleetload: %s\n", text)
	}
}
