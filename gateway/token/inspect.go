package token

import (
	"cmp"
	"fmt"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/identity"
)

// Contents are what a token says of itself. Nothing of it is verified: everybody can
// write such a token.
type Contents struct {
	Algorithm, KeyID string   // of its head
	Issuer           string   // empty if it names none
	Audience         []string // none if it names none
	User             string   // empty if it names none
	Grants           *identity.Grants
	// Channels is the pattern of a token for a subscription, and empty in one for a
	// connection.
	Channels string
	// Times in Unix seconds; 0 where the token does not have the claim.
	Issued, NotBefore, Expires int64
	// NoGrants says why Grants are none, where that is perhaps a mistake.
	NoGrants string
}

// Inspect reads a token without verifying it. The names of the claims are as in
// [Issuer]. If the token cannot be read, both contents, as far as they are known, and the
// refusal are returned; the contents are nil if the text is no token.
func Inspect(text []byte, claim, userClaim string) (*Contents, *Refusal) {
	if len(text) > MaxToken {
		return nil, refuse(TooLarge, "the token has %d bytes, may have %d", len(text), MaxToken)
	}
	p := new(parsed)
	if refusal := p.parse(text, nil); refusal != nil {
		return nil, refusal
	}
	c := &Contents{Algorithm: p.alg, KeyID: p.kid, Grants: identity.Anonymous().Grants}
	if refusal := c.readHeadClaims(p); refusal != nil {
		return c, refusal
	}
	i := &issuer{config: Issuer{Claim: cmp.Or(claim, DefaultClaim), UserClaim: cmp.Or(userClaim, DefaultUserClaim)}}
	i.claim, i.user = claimPath(i.config.Claim), claimPath(i.config.UserClaim)
	reader := &Verifier{interner: &identity.Interner{}}
	a, refusal := reader.read(i, p, c.Expires)
	if refusal != nil {
		return c, refusal
	}
	c.User, c.Grants = a.identity.User, a.identity.Grants
	if c.Grants.Text() == identity.Anonymous().Grants.Text() {
		c.NoGrants = noGrants(p, i)
	}
	if len(a.channels) > 0 {
		c.Channels = a.channels[0]
	}
	return c, nil
}

// noGrants says why a token grants nothing, where that is perhaps a mistake.
func noGrants(p *parsed, i *issuer) string {
	if raw, _ := p.claims.find(i.claim); raw != nil {
		return fmt.Sprintf("the claim %s has none of subscribe, publish, presence, history and auto", i.config.Claim)
	}
	// Beside those of fleetcast, channels is what other servers have.
	for _, name := range []string{"subscribe", "publish", "presence", "history", "auto", "channels"} {
		if _, found := p.claims.get(name); found {
			return fmt.Sprintf("the claim %s is not read; grants are in the claim %s, for example {%[2]q: {\"subscribe\": [\"news\"]}}", name, i.config.Claim)
		}
	}
	return ""
}

// readHeadClaims reads the claims that JSON Web Tokens have in common.
func (c *Contents) readHeadClaims(p *parsed) (refusal *Refusal) {
	if raw, found := p.claims.get("iss"); found {
		iss, err := jsonscan.Unquote(raw)
		if err != nil {
			return refuse(Malformed, "the token's issuer (iss) is not a text")
		}
		c.Issuer = string(iss)
	}
	if c.Audience, _, refusal = p.audiences(); refusal != nil {
		return refusal
	}
	for _, t := range []struct {
		name string
		to   *int64
	}{{"iat", &c.Issued}, {"nbf", &c.NotBefore}, {"exp", &c.Expires}} {
		raw, found := p.claims.get(t.name)
		if !found {
			continue
		}
		var ok bool
		if *t.to, ok = numericDate(raw); !ok {
			return refuse(Malformed, "the token's %s is not a number of seconds", t.name)
		}
	}
	return nil
}

// CheckSignature tells whether the secret or one of the keys of i has signed a token,
// whatever the token's issuer, times, audience and claims are. Keys of a URL (JWKS) are
// not fetched. It returns nil if one has, or why none has.
func (i *Issuer) CheckSignature(text []byte) error {
	set, err := i.load()
	if err != nil {
		return err
	}
	p := new(parsed)
	if refusal := p.parse(text, nil); refusal != nil {
		return refusal
	}
	alg := algorithms[p.alg]
	keys := set.candidates(alg, p.kid)
	switch {
	case len(keys) == 0 && p.kid != "" && set.names(p.kid):
		return refuse(Invalid, "the key %.80q is not one for the token's algorithm %s", p.kid, p.alg)
	case len(keys) == 0:
		return refuse(Invalid, "the token says that it is signed with %s, for which there is no key", p.alg)
	}
	for _, k := range keys {
		if k.verifies(alg, p) {
			return nil
		}
	}
	return refuse(Invalid, "the token was made with another key, or was changed since")
}

// SignedWith tells whether a token is signed with a secret (HMAC), also with one that no
// issuer can have. It is for finding out what a program has signed with.
func SignedWith(secret, text []byte) bool {
	p := new(parsed)
	if refusal := p.parse(text, nil); refusal != nil {
		return false
	}
	alg := algorithms[p.alg]
	return alg.kind == secretKey && alg.method.Verify(string(p.signed), p.signature, secret) == nil
}
