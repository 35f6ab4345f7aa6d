package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"fleetcast/cmd/internal/credential"
	"fleetcast/cmd/internal/options"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// tokenCommand makes a client's token, or explains one.
type tokenCommand struct {
	User      string        `placeholder:"NAME" help:"Whose token it is. Without it the token is nobody's in particular."`
	Subscribe []string      `sep:" " placeholder:"PATTERN" help:"Let the client subscribe to channels of this name; * stands for any characters within a segment, ** for any, {user} for the user. May be repeated."`
	Publish   []string      `sep:" " placeholder:"PATTERN" help:"Let it publish to them."`
	Presence  []string      `sep:" " placeholder:"PATTERN" help:"Let it see who has subscribed to them."`
	History   []string      `sep:" " placeholder:"PATTERN" help:"Let it read what was published to them before."`
	Auto      []string      `placeholder:"CHANNEL,..." help:"Channels to which it is subscribed when it connects."`
	TTL       time.Duration `name:"ttl" default:"1h" placeholder:"TIME" help:"How long the token is good (${default})."`
	Issuer    string        `placeholder:"NAME" help:"The issuer of the gateway's configuration (iss)."`
	Audience  []string      `placeholder:"NAME" help:"Whom the token is for (aud). May be repeated."`

	Subscription string `placeholder:"PATTERN" help:"Make a token for subscriptions to these channels instead, which a client of the same user shows when it subscribes."`

	Secret    credential.Reference `placeholder:"file:PATH|env:NAME" help:"The secret to sign with (HMAC), of at least 32 bytes."`
	Key       credential.Reference `placeholder:"file:PATH|env:NAME" help:"The private key to sign with, as PEM. With --explain a public one does, as PEM or JSON Web Key."`
	Alg       string               `placeholder:"ALG" help:"How to sign, such as HS512, PS256 or ES256. Without it, the usual algorithm of the secret (HS256) or key."`
	KeyID     string               `placeholder:"ID" help:"The key's id (kid)."`
	Claim     string               `placeholder:"NAME" help:"The claim with the grants, if it is not fleetcast."`
	UserClaim string               `placeholder:"NAME" help:"The claim with the user, if it is not sub."`

	Explain   *string `placeholder:"TOKEN|-|file:PATH|env:NAME" help:"Say what is in a token instead, and with --secret or --key whether a gateway would take it."`
	NewSecret bool    `help:"Print a new secret for --secret and the gateway instead: 32 random bytes as base64."`
}

// Help is shown below the command's help.
func (*tokenCommand) Help() string {
	return "The token goes to the standard output, and nothing else does. For example: fleetcast token --new-secret > token.secret, then " +
		"fleetcast token --user alice --subscribe 'chat.*' --secret file:token.secret. Services make their own tokens with any library for JSON Web Tokens; this is for trying things out."
}

// Validate is called by the parser.
func (c *tokenCommand) Validate() error {
	signs := c.User != "" || c.Subscription != "" || c.grants()
	switch {
	case c.NewSecret && (c.Explain != nil || signs || c.Secret != "" || c.Key != ""):
		return errors.New("--new-secret goes with no other flag")
	case c.Explain != nil && signs:
		return errors.New("--explain is for a token that there is already; leave out what it should grant")
	case c.Explain != nil || c.NewSecret:
		return nil
	case c.Secret == "" && c.Key == "":
		return errors.New("say what to sign with: --secret file:PATH, --secret env:NAME or --key file:PATH; fleetcast token --new-secret makes a secret")
	case c.Subscription != "" && c.grants():
		return errors.New("--subscription makes a token for a subscription, which grants nothing else: make two tokens")
	}
	var bad outOfRange
	if c.TTL < time.Second || c.TTL > maxTTL {
		bad.add("--ttl is %v, must be from 1s to %v", options.Period(c.TTL), options.Period(maxTTL))
	}
	return errors.Join(bad...)
}

// maxTTL is the longest life of a token: whoever wants one for ever has it for ten years.
const maxTTL = 10 * 365 * 24 * time.Hour

// newSecretBytes is how many random bytes a new secret has.
const newSecretBytes = 32

func (c *tokenCommand) grants() bool {
	return len(c.Subscribe)+len(c.Publish)+len(c.Presence)+len(c.History)+len(c.Auto) > 0
}

// Run makes or explains a token, or makes a secret.
func (c *tokenCommand) Run(std streams) error {
	for _, from := range []credential.Reference{c.Secret, c.Key} {
		if path := from.Exposed(); path != "" && c.Explain == nil {
			fmt.Fprintf(std.err, "fleetcast token: every user of this machine can read %s; chmod o= helps\n", path)
		}
	}
	switch {
	case c.NewSecret:
		random := make([]byte, newSecretBytes)
		rand.Read(random) // never fails
		fmt.Fprintln(std.out, base64.StdEncoding.EncodeToString(random))
		return nil
	case c.Explain != nil:
		return c.explain(std, time.Now())
	}
	text, err := c.sign(time.Now())
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintln(std.out, text)
	return nil
}

func (c *tokenCommand) sign(now time.Time) (string, error) {
	key, err := credential.SigningKey(c.Secret, c.Key, "--secret", "--key")
	if err != nil {
		return "", err
	}
	key.Algorithm, key.ID = c.Alg, c.KeyID
	signer, err := token.NewSigner(key)
	if err != nil {
		return "", err
	}
	// The text is read as a gateway reads it, with the bounds of its lists.
	grants, err := identity.GrantsOf(identity.Lists{Subscribe: c.Subscribe, Publish: c.Publish, Presence: c.Presence, History: c.History, Auto: c.Auto})
	if err != nil {
		return "", err
	}
	return signer.Sign(token.Claims{
		Issuer: c.Issuer, Audience: c.Audience, User: c.User, Grants: grants, Channels: c.Subscription,
		Issued: now, Expires: now.Add(c.TTL), Claim: c.Claim, UserClaim: c.UserClaim,
	})
}
