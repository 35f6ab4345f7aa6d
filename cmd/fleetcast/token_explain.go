package main

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/stdio"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// explain says what is in a token and, if there are keys, whether a gateway with these
// would take it. It fails if it would not.
func (c *tokenCommand) explain(std streams, now time.Time) error {
	text, err := c.explained(std.in)
	if err != nil {
		return usageError{fmt.Errorf("--explain: %w", err)}
	}
	if strings.HasPrefix(text, identity.TicketPrefix) {
		return errors.New("this is a resume ticket of a gateway, which stands for a token for up to five minutes; only the gateway can tell whether it is good")
	}
	contents, refusal := token.Inspect([]byte(text), c.Claim, c.UserClaim)
	if contents != nil {
		tell(std.out, contents, refusal == nil, now)
	}
	if refusal != nil {
		return refusal
	}
	issuer, err := c.issuer()
	if err != nil {
		return usageError{err}
	}
	if issuer == nil {
		line(std.out, "signature", "not verified, because neither --secret nor --key was given: anybody could have written this")
		return nil
	}
	if err := issuer.CheckSignature([]byte(text)); err == nil {
		line(std.out, "signature", "right: it was made with this key")
	} else if mistake := mistaken(issuer.Secret, text); mistake != "" {
		line(std.out, "signature", "wrong: it was made with %s", mistake)
	} else {
		line(std.out, "signature", "wrong: %v", err)
	}
	return c.judge(std.out, issuer, text, contents, now)
}

// mistaken says what a program signs with in place of a secret by mistake, if that is how
// the token was made.
func mistaken(secret, text string) string {
	const (
		lineEnd = "this secret and the line end behind it: have your program leave that out"
		decoded = "what this secret is as %s: have your program sign with its text as it stands"
	)
	if secret == "" {
		return ""
	}
	if token.SignedWith([]byte(secret+"\n"), []byte(text)) || token.SignedWith([]byte(secret+"\r\n"), []byte(text)) {
		return lineEnd
	}
	for _, with := range []struct {
		name string
		by   func(string) ([]byte, error)
	}{
		{"base64", base64.StdEncoding.DecodeString}, {"base64", base64.RawStdEncoding.DecodeString},
		{"base64", base64.URLEncoding.DecodeString}, {"base64", base64.RawURLEncoding.DecodeString},
		{"hexadecimal digits", hex.DecodeString},
	} {
		if bytes, err := with.by(secret); err == nil && token.SignedWith(bytes, []byte(text)) {
			return fmt.Sprintf(decoded, with.name)
		}
	}
	return ""
}

// explained is the text of the token.
func (c *tokenCommand) explained(in io.Reader) (text string, err error) {
	switch given := *c.Explain; {
	case given == credential.StandardInput:
		text, err = credential.ReadToken(in)
	case credential.IsReference(given):
		text, err = credential.Reference(given).Read()
	default:
		text = strings.TrimSpace(given)
	}
	if err == nil && text == "" {
		err = errors.New("there is no token")
	}
	return text, err
}

// issuer is one that has the keys that were given, nil if none were.
func (c *tokenCommand) issuer() (*token.Issuer, error) {
	key, err := credential.SigningKey(c.Secret, c.Key, "--secret", "--key")
	if err != nil {
		return nil, err
	}
	i := &token.Issuer{Secret: key.Secret}
	switch text := key.Private; {
	case text == "" && key.Secret == "":
		return nil, nil
	case text == "":
	case strings.Contains(text, "PRIVATE KEY-----"):
		signer, err := token.NewSigner(token.SigningKey{Private: text})
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		*i = signer.Verifies()
	case strings.Contains(text, "-----BEGIN") || strings.HasPrefix(text, "{"):
		i.Keys = text
	default:
		return nil, errors.New("--key: it is neither PEM nor a JSON Web Key")
	}
	if c.Alg != "" {
		i.Algorithms = []string{c.Alg}
	}
	i.Issuer, i.Audience, i.Claim, i.UserClaim = c.Issuer, c.Audience, c.Claim, c.UserClaim
	return i, i.Check()
}

// judge says what a gateway with the issuer would answer.
func (c *tokenCommand) judge(out io.Writer, issuer *token.Issuer, text string, contents *token.Contents, now time.Time) error {
	v, err := token.New(token.Options{Issuers: []token.Issuer{*issuer}, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }})
	if err != nil {
		return err
	}
	defer v.Close()
	var refusal *token.Refusal
	if contents.Channels != "" {
		refusal = v.VerifySubscription(context.Background(), netip.Addr{}, []byte(text)).Refusal
	} else {
		refusal = v.Verify(context.Background(), netip.Addr{}, []byte(text)).Refusal
	}
	if refusal != nil {
		line(out, "verdict", "a gateway with this key refuses it: %v", refusal)
		return errSilentFailure
	}
	if contents.Expires <= now.Unix() {
		line(out, "verdict", "a gateway with this key takes it until %v behind its end, because clocks may differ", token.DefaultLeeway)
		return nil
	}
	line(out, "verdict", "a gateway with this key takes it")
	return nil
}

// line prints a line of the explanation. What comes from a token is made printable.
func line(out io.Writer, name, format string, args ...any) {
	fmt.Fprintf(out, "%-11s %s\n", name, stdio.Printable(fmt.Sprintf(format, args...)))
}

// orNone is a text, or what stands for an empty one.
func orNone(text, none string) string {
	if text == "" {
		return none
	}
	return text
}

// tell says what is in a token. whole tells that all of it could be read.
func tell(out io.Writer, c *token.Contents, whole bool, now time.Time) {
	line(out, "algorithm", "%s", c.Algorithm)
	line(out, "key id", "%s", orNone(c.KeyID, "none"))
	line(out, "issuer", "%s", orNone(c.Issuer, "none"))
	line(out, "audience", "%s", orNone(strings.Join(c.Audience, ", "), "none"))
	if whole {
		line(out, "user", "%s", orNone(c.User, "nobody in particular"))
		tellPurpose(out, c)
	}
	line(out, "issued", "%s", moment(c.Issued, now, "it does not say"))
	if c.NotBefore != 0 {
		line(out, "begins", "%s", moment(c.NotBefore, now, ""))
	}
	line(out, "ends", "%s", moment(c.Expires, now, "never, so that no gateway takes it"))
}

// tellPurpose says what its client may do with a token.
func tellPurpose(out io.Writer, c *token.Contents) {
	if c.Channels != "" {
		line(out, "for", "subscriptions to %s", c.Channels)
		return
	}
	line(out, "for", "a connection")
	var lists identity.Lists
	if json.Unmarshal([]byte(c.Grants.Text()), &lists) != nil {
		return // it is what ParseGrants reads
	}
	some := false
	for _, list := range []struct {
		name string
		of   []string
	}{{"subscribe", lists.Subscribe}, {"publish", lists.Publish}, {"presence", lists.Presence}, {"history", lists.History}, {"auto", lists.Auto}} {
		if len(list.of) > 0 {
			some = true
			line(out, list.name, "%s", strings.Join(list.of, " "))
		}
	}
	if !some {
		line(out, "grants", "none: its client may do what the gateway's rules let everybody, or every user, do")
	}
	if c.NoGrants != "" {
		line(out, "", "%s", c.NoGrants)
	}
}

// inMilliseconds is a time in seconds that nobody means, in the year 5138. As milliseconds it
// was in 1973.
const inMilliseconds = 1e11

// moment is a time in Unix seconds, and how far it is from now.
func moment(seconds int64, now time.Time, none string) string {
	if seconds == 0 {
		return none
	}
	at := time.Unix(seconds, 0).UTC()
	text := at.Format(time.RFC3339)
	if seconds >= inMilliseconds {
		return text + "; the token perhaps counts milliseconds, where seconds are meant"
	}
	if d := at.Sub(now.Truncate(time.Second)); d > 0 {
		return text + ", in " + spoken(d)
	}
	return text + ", " + spoken(now.Truncate(time.Second).Sub(at)) + " ago"
}

// spoken is a duration, in days if it is long.
func spoken(d time.Duration) string {
	if days := d / (24 * time.Hour); days >= 2 {
		return fmt.Sprintf("%d days", days)
	}
	return d.String()
}
