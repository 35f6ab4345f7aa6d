package options

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"fleetcast/gateway/token"
)

// The keys of an entry of issuers and of connect-hook.
const (
	memberIssuer     = "issuer"
	memberSecret     = "secret"
	memberKeys       = "keys"
	memberJWKS       = "jwks"
	memberAlgorithms = "algorithms"
	memberAudience   = "audience"
	memberClaim      = "claim"
	memberUserClaim  = "user-claim"

	memberURL     = "url"
	memberForward = "forward"
	memberTimeout = "timeout"
	memberAtOnce  = "at-once"
	memberQueue   = "queue"
	memberPlain   = "plain"
	memberRoots   = "roots"
)

var (
	issuerMembers = []string{memberIssuer, memberSecret, memberKeys, memberJWKS, memberAlgorithms, memberAudience, memberClaim, memberUserClaim}
	hookMembers   = []string{memberURL, memberSecret, memberForward, memberTimeout, memberAtOnce, memberQueue, memberPlain, memberRoots}

	subscribeHookMembers = append([]string{keyName}, hookMembers...)
)

// issuerEntry is one that signs tokens.
type issuerEntry struct {
	entry
	issuer token.Issuer
}

// UnmarshalText reads what String writes. An empty text is no issuer.
func (i *issuerEntry) UnmarshalText(text []byte) error {
	next := issuerEntry{}
	err := readEntry(string(text), "an issuer", memberIssuer, issuerMembers, &next)
	*i = next
	return err
}

func (i issuerEntry) String() string { return i.text(memberIssuer) }
func (i issuerEntry) shown() string  { return i.shownText(memberIssuer) }

func (i *issuerEntry) setMember(name, value string) (err error) {
	if err := oneLine(name, value); err != nil {
		return err
	}
	to := &i.issuer
	switch name {
	case memberIssuer:
		to.Issuer = value
	case memberSecret:
		to.Secret, err = i.secret(value)
	case memberKeys:
		to.Keys, err = i.elsewhere(value)
	case memberJWKS:
		to.JWKS, err = value, checkQuery(value)
	case memberAlgorithms:
		to.Algorithms = strings.Fields(value)
	case memberAudience:
		to.Audience = strings.Fields(value)
	case memberClaim:
		to.Claim = value
	case memberUserClaim:
		to.UserClaim = value
	default:
		return noMember(name, "an issuer", issuerMembers)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	i.note(name, value)
	return nil
}

// listMember tells which members may be lists.
func (i *issuerEntry) listMember(name string) bool {
	return name == memberAlgorithms || name == memberAudience
}

func (i *issuerEntry) checkMembers() error { return i.issuer.Check() }

// tokenSecret is a secret, or off.
type tokenSecret struct{ Secret }

// UnmarshalText reads off, and else a secret.
func (s *tokenSecret) UnmarshalText(text []byte) error {
	if *s = (tokenSecret{}); string(text) == "off" || len(text) == 0 {
		return nil
	}
	if err := s.Secret.UnmarshalText(text); err != nil {
		return err
	}
	return (&token.Issuer{Secret: s.Value()}).Check()
}

func (s tokenSecret) String() string { return cmp.Or(s.Secret.String(), "off") }

// nameOrOff is the name of a cookie, a folder or a file, or empty.
type nameOrOff string

// UnmarshalText takes any name. The gateway's configuration says which can be.
func (n *nameOrOff) UnmarshalText(text []byte) error {
	*n = nameOrOff(text)
	if *n == "off" {
		*n = ""
	}
	return nil
}

func (n nameOrOff) String() string { return cmp.Or(string(n), "off") }

// issuers are the gateway's issuers: those of the option, and that of the secret alone.
func (o *Options) issuers() (list []token.Issuer) {
	for _, i := range o.Issuers {
		list = append(list, i.issuer)
	}
	if o.TokenSecret.Given() {
		list = append(list, token.Issuer{Secret: o.TokenSecret.Value()})
	}
	return list
}

// ticketKeys are the keys of resume tickets.
func (o *Options) ticketKeys() (list [][]byte) {
	for _, s := range o.TicketKeys {
		list = append(list, []byte(s.Value()))
	}
	return list
}

// Identifies tells whether clients can say who they are.
func (o *Options) Identifies() bool { return len(o.issuers()) > 0 || len(o.ConnectHook) > 0 }

// checkIdentity names what cannot be said of who clients are.
func (o *Options) checkIdentity() (errs []error) {
	if n := len(o.ConnectHook); n > 1 {
		errs = append(errs, fmt.Errorf("%s has %d entries; one hook is asked", o.named("connect-hook"), n))
	}
	names := map[string]bool{}
	for _, h := range o.SubscribeHooks {
		if names[h.name] {
			errs = append(errs, fmt.Errorf("%s has the name %s twice", o.named("subscribe-hooks"), h.name))
		}
		names[h.name] = true
	}
	const shownByPS = "stands on the command line, where every user of this machine can read it; write file:PATH or env:NAME, or set the environment variable"
	for _, name := range []string{"token-secret", "ticket-keys"} {
		s := o.find(name)
		if !s.source.flag {
			continue
		}
		for _, v := range s.values() {
			if v.(interface{ holdsSecret() bool }).holdsSecret() {
				errs = append(errs, fmt.Errorf("%s %s %s", o.named(name), shownByPS, VariableOf(name)))
				break
			}
		}
	}
	return errs
}

// dropEmptyIdentity removes what an empty flag or variable has set.
func (o *Options) dropEmptyIdentity() {
	o.Issuers = slices.DeleteFunc(o.Issuers, func(i issuerEntry) bool { return len(i.given) == 0 })
	o.ConnectHook = slices.DeleteFunc(o.ConnectHook, func(h hookEntry) bool { return len(h.given) == 0 })
	o.SubscribeHooks = slices.DeleteFunc(o.SubscribeHooks, func(h subscribeHook) bool { return len(h.given) == 0 })
	o.TicketKeys = slices.DeleteFunc(o.TicketKeys, func(s Secret) bool { return !s.Given() })
}
