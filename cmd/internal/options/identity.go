package options

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fleetcast/gateway/keys"
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

// entry is what an element of a list has that is a mapping in the file. As a text it is
// its first member's value, if it has that, and key=value for the rest; a value with
// blanks stands in quotes.
type entry struct {
	given [][2]string // as the file has them
	files []string    // that hold secrets
	exact string      // tells apart what files and variables had
}

// note keeps a member as it was given.
func (e *entry) note(name, value string) { e.given = append(e.given, [2]string{name, value}) }

func (e entry) members() [][2]string  { return e.given }
func (e entry) secretFiles() []string { return e.files }
func (e entry) fingerprint() string   { return fmt.Sprint(e.given, " ", e.exact) }

// elsewhere reads a member that must not stand in the configuration itself, which more
// people see, or which it makes hard to read.
func (e *entry) elsewhere(value string) (string, error) {
	var s Secret
	if err := s.UnmarshalText([]byte(value)); err != nil {
		return "", err
	}
	if s.reference == "" {
		return "", errors.New("write file:PATH or env:NAME, where it is; it must not stand in the configuration itself")
	}
	e.exact += s.fingerprint() + " "
	return s.Value(), nil
}

// secret is elsewhere for what nobody else may read.
func (e *entry) secret(value string) (string, error) {
	text, err := e.elsewhere(value)
	e.files = append(e.files, Secret{reference: value}.secretFiles()...)
	return text, err
}

// oneLine refuses a value that its entry's text cannot have.
func oneLine(name, value string) error {
	if strings.ContainsAny(value, "\"\r\n") {
		return fmt.Errorf("%s: a quote or the end of a line cannot be in it", shownKey(name))
	}
	return nil
}

// text is the entry as a text. first is the member that stands at its start without its
// name.
func (e entry) text(first string) string {
	var words []string
	for _, m := range e.given {
		value := m[1]
		if value == "" || strings.ContainsAny(value, " \t") {
			value = `"` + value + `"`
		}
		if m[0] == first {
			words = slices.Insert(words, 0, value)
		} else {
			words = append(words, m[0]+"="+value)
		}
	}
	return strings.Join(words, " ")
}

// readEntry reads the text of an entry into its members. what is its name in errors.
func readEntry(text, what, first string, members []string, into mappingValue) error {
	words, err := splitWords(text)
	if err != nil || len(words) == 0 {
		return err
	}
	seen := []string{}
	for i, word := range words {
		name, value, found := strings.Cut(word, "=")
		if i == 0 && (!found || !slices.Contains(members, name)) {
			name, value, found = first, word, true
		}
		switch {
		case !found:
			return fmt.Errorf("%s in %s has no =; write a value with blanks in quotes: %s=\"a b\"", Shown([]byte(keys.Shown(word))), what, members[len(members)-1])
		case slices.Contains(seen, name):
			return fmt.Errorf("%s is given twice in %s", shownKey(name), what)
		}
		if err := into.setMember(name, value); err != nil {
			return err
		}
		seen = append(seen, name)
	}
	return into.checkMembers()
}

// noMember refuses a key that an entry cannot have.
func noMember(name, what string, members []string) error {
	if near := Nearest(strings.ToLower(strings.ReplaceAll(name, "_", "-")), members); near != "" {
		return fmt.Errorf("%s: %s has no such entry; did you mean %s?", shownKey(name), what, near)
	}
	last := len(members) - 1
	return fmt.Errorf("%s: %s has no such entry; there are %s and %s", shownKey(name), what, strings.Join(members[:last], ", "), members[last])
}

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
		to.JWKS = value
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
	return s.Secret.UnmarshalText(text)
}

func (s tokenSecret) String() string { return cmp.Or(s.Secret.String(), "off") }

// cookieName is the name of a cookie, or empty.
type cookieName string

// UnmarshalText takes any name. The gateway's configuration says which can be.
func (c *cookieName) UnmarshalText(text []byte) error {
	*c = cookieName(text)
	if *c == "off" {
		*c = ""
	}
	return nil
}

func (c cookieName) String() string { return cmp.Or(string(c), "off") }

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

// identifies tells whether clients can say who they are.
func (o *Options) identifies() bool { return len(o.issuers()) > 0 || len(o.ConnectHook) > 0 }

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
