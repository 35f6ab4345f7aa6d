package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/stdio"
	"fleetcast/codec/command"
	"fleetcast/gateway/token"
)

const (
	// authenticationID is the id of every authenticate. Those of subscriptions are lower.
	authenticationID = 1 << 40
	// maxExpired is how many tokens in a row the gateway may find expired before subscribe
	// gives up: then the clocks differ, or the command prints old tokens.
	maxExpired = 3
	// lastingLife is how long a connection must have been up for that count to begin anew.
	lastingLife = time.Minute
	// leastRefresh is the shortest time between two tokens, whatever the gateway says.
	leastRefresh = time.Second
	// retryRefresh is after how long a refresh that has failed is tried again. It doubles up
	// to maxRetryRefresh.
	retryRefresh    = 5 * time.Second
	maxRetryRefresh = 5 * time.Minute
)

// tokens are what subscribe shows to the gateway, over all of its connections.
type tokens struct {
	flags *credential.TokenFlags
	std   streams

	mu      sync.Mutex
	text    string    // the last one; empty: none yet
	expired string    // the one that the gateway found expired
	due     time.Time // when the gateway wants another; zero: not known
	count   int       // of expired ones in a row
}

// current is the token for the next connection.
func (t *tokens) current(ctx context.Context) (string, error) {
	if !t.flags.Given() {
		return "", nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	asIs := t.text != "" && t.text != t.expired && (t.due.IsZero() || time.Now().Before(t.due))
	if t.text != "" && (!t.flags.Renews() || asIs && t.flags.TokenCommand != "") {
		return t.text, nil
	}
	first := t.text == ""
	text, err := t.flags.Get(ctx, t.std.in, t.std.err)
	switch {
	case err != nil && first:
		return "", tokenError{err}
	case err != nil:
		return "", err
	case text == t.expired:
		return "", tokenError{fmt.Errorf("the token has expired, and %s gives the same again", t.source())}
	}
	t.text, t.due = text, time.Time{}
	return text, nil
}

// renewed is another token than the last one.
func (t *tokens) renewed(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text, err := t.flags.Get(ctx, t.std.in, t.std.err)
	switch {
	case err != nil:
		return "", err
	case text == t.text:
		return "", fmt.Errorf("the token should be renewed, and %s gives the same again", t.source())
	}
	t.text, t.due = text, time.Time{}
	return text, nil
}

func (t *tokens) source() string {
	if t.flags.TokenCommand != "" {
		return "--token-command"
	}
	return "--token"
}

// taken notes that the gateway has taken the token, and when it wants another.
func (t *tokens) taken(refresh time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.due = (time.Time{}); refresh > 0 {
		t.due = time.Now().Add(refresh)
	}
}

// tokenError ends subscribe, because there is no token that the gateway could take.
type tokenError struct{ error }

// Unwrap returns the error itself.
func (e tokenError) Unwrap() error { return e.error }

// after decides what follows when a connection that lasted for life was refused. It
// returns nil if another token may help, and else the error that ends subscribe.
func (t *tokens) after(refused refusedError, err error, life time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch reason := refused.reason(); {
	case reason == string(command.AuthenticationRequired) && !t.flags.Given():
		return fmt.Errorf("%w\nGive a token with --token or --token-command; fleetcast token makes one", err)
	case reason != token.Expired || !t.flags.Given():
		return err
	case !t.flags.Renews():
		return fmt.Errorf("%w\nAnother token comes with --token file:PATH, if the file is written anew, or with --token-command", err)
	}
	if life >= lastingLife {
		t.count = 0
	}
	if t.count++; t.count > maxExpired {
		return fmt.Errorf("%w\nThat was so with %d tokens in a row; are the clocks right?", err, t.count)
	}
	t.expired = t.text
	return nil
}

// reason is the code of a refusal. If that came as a status or a close code, the message
// begins with it.
func (e refusedError) reason() string {
	if e.code == "" || e.code[0] < '0' || e.code[0] > '9' {
		return e.code
	}
	reason, _, _ := strings.Cut(e.message, ":")
	return reason
}

// refresh says after how long the token should be renewed.
type refresh struct {
	after  time.Duration
	failed bool // the last try has
}

// stands takes what the gateway says about who the client is.
func (s *subscriber) stands(m *command.ServerMessage) {
	switch {
	case m.Kind != command.KindWelcome:
	case len(m.User) > 0:
		fmt.Fprintf(s.std.err, "fleetcast subscribe: connected as %s\n", stdio.Printable(string(m.User)))
	case s.tokens.flags.Given() && m.ExpiresMS == 0 && m.WithinMS == 0 && m.Ticket == nil:
		fmt.Fprintln(s.std.err, "fleetcast subscribe: the gateway does not say who this client is, although it showed a token; has it token-secret, issuers or connect-hook?")
	}
	const longest = 365 * 24 * time.Hour
	after := time.Duration(min(m.RefreshMS, uint64(longest.Milliseconds()))) * time.Millisecond
	s.tokens.taken(after)
	if after > 0 && s.tokens.flags.Renews() {
		s.refreshIn(refresh{after: after})
	}
}

// refreshIn hands over to renew, which takes only the last word.
func (s *subscriber) refreshIn(r refresh) {
	for {
		select {
		case s.due <- r:
			return
		default:
		}
		select {
		case <-s.due:
		default:
		}
	}
}

// renew shows another token whenever the last one is due, until ctx ends with the
// connection.
func (s *subscriber) renew(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case next := <-s.due:
			wait := max(next.after, leastRefresh)
			if failures++; !next.failed {
				failures = 0
			} else {
				wait = max(wait, min(retryRefresh<<min(failures-1, 10), maxRetryRefresh))
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
		}
		text, err := s.tokens.renewed(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fmt.Fprintf(s.std.err, "fleetcast subscribe: %v\n", err)
			s.refreshIn(refresh{failed: true})
			continue
		}
		_ = s.say(command.AppendAuthenticate(nil, command.NewID(authenticationID), text)) // if the connection is gone, the reader reports that
	}
}

// notRenewed takes the refusal of a new token. The client stays who it was.
func (s *subscriber) notRenewed(m *command.ServerMessage) {
	fmt.Fprintf(s.std.err, "fleetcast subscribe: the gateway refuses the new token: %s: %s\n", m.Code, stdio.Printable(string(m.Message)))
	s.refreshIn(refresh{pauseOf(m.RetryAfterMS), true})
}

// withdrawn takes the end of a subscription that the gateway has ended. The channel is not
// asked for again, because that would be refused, unless only a permission for a time is over.
func (s *subscriber) withdrawn(m *command.ServerMessage) error {
	if m.ID.Set {
		return nil
	}
	fmt.Fprintf(s.std.err, "fleetcast subscribe: the gateway has ended the subscription to %s: %s\n", m.Channel, m.Code)
	channel := string(m.Channel)
	if !slices.Contains(s.command.Channels, channel) {
		return nil // one that the token has brought
	}
	if command.Code(m.Code) == command.PermissionExpired {
		if s.asking.again(channel) {
			return s.ask()
		}
		return nil
	}
	s.command.Channels = slices.DeleteFunc(slices.Clone(s.command.Channels), func(name string) bool { return name == channel })
	if len(s.command.Channels) == 0 {
		return refusedError{string(m.Code), "no subscription is left"}
	}
	return nil
}
