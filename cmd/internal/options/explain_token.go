package options

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"fleetcast/cmd/internal/stdio"
	"fleetcast/gateway"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// ExplainToken prints what holds for a channel and a client with a token, and whether the
// client may subscribe and publish, and why. The error is why the gateway refuses the
// token. It waits for key sets that are fetched until ctx ends.
func (o *Options) ExplainToken(ctx context.Context, to io.Writer, channel, text string) error {
	issuers := o.issuers()
	if len(issuers) == 0 {
		return errors.New("no issuer of tokens is configured; see token-secret and issuers")
	}
	verifier, err := token.New(token.Options{Issuers: issuers, Interner: new(identity.Interner), Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		return fmt.Errorf("set up issuers: %w", err)
	}
	defer verifier.Close()
	verdict := verifier.Verify(ctx, netip.Addr{}, []byte(text))
	if refusal := verdict.Refusal; refusal != nil {
		return fmt.Errorf("the gateway refuses the token: %s: %s", refusal.Reason, refusal.Message)
	}
	who := verdict.Identity
	if err := o.ExplainChannel(to, who.User, channel); err != nil {
		return err
	}
	config := o.unshared(manyConnections)
	values := map[string]string{}
	for _, d := range config.ExplainUser(who.User, channel) {
		values[d.Key] = d.Value
	}
	name := []byte(channel)
	fmt.Fprintf(to, "\nA client with this token (%s):\n", userOf(who))
	for _, may := range []struct {
		action, allowed string
		grants          gateway.Patterns
		hook            string
	}{
		{"subscribe", values["subscribe"], who.Grants.Subscribe, values["subscribe-hook"]},
		{"publish", values["publish"], who.Grants.Publish, ""},
	} {
		fmt.Fprintf(to, "  %s\n", stdio.Printable(verdictOn(may.action, may.allowed, may.hook, may.grants, who.User, name)))
	}
	return nil
}

func userOf(who *identity.Identity) string {
	if who.User == "" {
		return "without a user"
	}
	return "user " + stdio.Printable(who.User)
}

// lacking says why no grant is for a channel. Mostly a star was meant to go further, or the
// grants are not where the gateway looks for them.
func lacking(grants gateway.Patterns, user string, channel []byte) string {
	if len(grants) == 0 {
		return "its token does not grant the channel, nor any other"
	}
	for _, pattern := range grants {
		wider := strings.ReplaceAll(strings.ReplaceAll(pattern, "**", "*"), "*", "**")
		if wider != pattern && (gateway.Patterns{wider}).MatchUser(user, channel) {
			return "its token does not grant the channel; " + pattern + " stays within a segment (the separators are . : and /), " + wider + " would match"
		}
	}
	return "its token does not grant the channel, only " + shownPatterns(grants)
}

// shownPatterns lists patterns, a long list cut short.
func shownPatterns(patterns gateway.Patterns) string {
	const most = 8
	if more := len(patterns) - most; more > 0 {
		return strings.Join(patterns[:most], " ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(patterns, " ")
}

// verdictOn says whether a client may do something with a channel, and why.
func verdictOn(action, allowed, hook string, grants gateway.Patterns, user string, channel []byte) string {
	grant := ""
	for _, pattern := range grants {
		if (gateway.Patterns{pattern}).MatchUser(user, channel) {
			grant = pattern
			break
		}
	}
	reason := ""
	switch {
	case allowed == "anyone":
		reason = "every client may"
	case allowed == "nobody":
		return "may not " + action + ": no client may"
	case allowed == "user" && user != "":
		reason = "it has a user"
	case grant != "":
		reason = "its token grants " + grant
	case allowed == "user":
		return "may not " + action + ": it has no user, and " + lacking(grants, user, channel)
	default:
		return "may not " + action + ": " + lacking(grants, user, channel)
	}
	if hook != "" {
		reason += ", and the hook " + hook + " decides"
	}
	return "may " + action + ": " + reason
}
