package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

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
		c.Token = func(int) (string, error) { return f.Get(context.Background(), os.Stdin, os.Stderr) }
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
