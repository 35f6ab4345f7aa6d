package credential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// maxToken is the longest text that can be a token, in bytes. It leaves the gateway to
// say that one is too large.
const maxToken = 16 << 10

// commandPatience is how long a command that makes a token may take.
const commandPatience = 30 * time.Second

// TokenFlags are the flags by which a client gets its token.
type TokenFlags struct {
	Token        TokenPlace `placeholder:"file:PATH|env:NAME|-" help:"Token to show to the gateway: a file that has it, an environment variable, or the standard input."`
	TokenCommand string     `placeholder:"CMD" help:"Command for the shell that prints a token. It runs again when the token should be renewed."`
}

// TokenPlace is a Reference, or the standard input.
type TokenPlace string

// UnmarshalText takes a place only. The error never has what else was given, which may be
// the token.
func (p *TokenPlace) UnmarshalText(text []byte) error {
	given := string(text)
	if !IsReference(given) && given != StandardInput {
		return errors.New("must be file:PATH, env:NAME, or - for the standard input; a token on the command line can be read by every user of this machine (ps)")
	}
	*p = TokenPlace(given)
	return nil
}

// Check tells whether the flags go together.
func (f *TokenFlags) Check() error {
	if f.Token != "" && f.TokenCommand != "" {
		return errors.New("--token and --token-command exclude each other")
	}
	return nil
}

// Given tells whether there is a token.
func (f *TokenFlags) Given() bool { return f.Token != "" || f.TokenCommand != "" }

// Renews tells whether there may be another token later: a command makes one, and a file
// may be written anew.
func (f *TokenFlags) Renews() bool {
	return f.TokenCommand != "" || strings.HasPrefix(string(f.Token), FilePrefix)
}

// Exposed is the file with the token if every user of this machine can read it, and
// otherwise empty.
func (f *TokenFlags) Exposed() string { return Reference(f.Token).Exposed() }

// Get returns the token: it reads the file, or runs the command. The standard input can
// be read once. What the command writes to its standard error goes to complaints.
func (f *TokenFlags) Get(ctx context.Context, in io.Reader, complaints io.Writer) (string, error) {
	var text string
	var err error
	switch {
	case f.TokenCommand != "":
		text, err = f.run(ctx, complaints)
	case f.Token == StandardInput:
		text, err = ReadToken(in)
	default:
		text, err = Reference(f.Token).Read()
	}
	if err != nil {
		return "", fmt.Errorf("getting the token: %w", err)
	}
	if err := checkForm(text); err != nil {
		return "", fmt.Errorf("getting the token: what is there %w", err)
	}
	return text, nil
}

// checkForm keeps out what cannot stand in a header, without saying what it is.
func checkForm(text string) error {
	switch {
	case text == "":
		return errors.New("is empty")
	case len(text) > maxToken:
		return fmt.Errorf("is longer than %d bytes", maxToken)
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }):
		return errors.New("is no token: that is one word")
	}
	return nil
}

// ReadToken reads one from the standard input.
func ReadToken(in io.Reader) (string, error) {
	if in == nil {
		return "", errors.New("there is no standard input")
	}
	text, err := io.ReadAll(io.LimitReader(in, maxToken+2)) // with a line end
	if err != nil {
		return "", fmt.Errorf("read the standard input: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// run runs the command. It is a group of its own, so that the programs that a shell has
// started end with it.
func (f *TokenFlags) run(ctx context.Context, complaints io.Writer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandPatience)
	defer cancel()
	var out bounded
	c := exec.CommandContext(ctx, "sh", "-c", f.TokenCommand)
	c.Stdout, c.Stderr = &out, complaints
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	err := c.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return "", fmt.Errorf("--token-command did not end within %v", commandPatience)
	case err != nil:
		return "", fmt.Errorf("--token-command: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}

// bounded keeps so much of what is written that checkForm can say that it is too long.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), max(0, maxToken+3-b.Len()))])
	return len(p), nil
}
