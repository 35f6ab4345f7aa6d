package options

import (
	"fmt"
	"log/slog"
	"strings"
)

// openPorts are the ports that others may reach without a key, by an explicit word.
type openPorts struct{ Publish, Admin bool }

// UnmarshalText reads names of ports with commas or blanks between them, or off.
func (p *openPorts) UnmarshalText(text []byte) error {
	var next openPorts
	words := strings.FieldsFunc(string(text), func(c rune) bool { return c == ',' || c == ' ' })
	for _, word := range words {
		switch word {
		case "publish":
			next.Publish = true
		case "admin":
			next.Admin = true
		case "off", "false":
			if len(words) == 1 {
				continue
			}
			fallthrough
		default:
			return fmt.Errorf("%s is no port that can be open without keys; write publish, admin, both with a comma between them, or off", Shown([]byte(word)))
		}
	}
	*p = next
	return nil
}

func (p openPorts) String() string {
	switch {
	case p.Publish && p.Admin:
		return "publish,admin"
	case p.Publish:
		return "publish"
	case p.Admin:
		return "admin"
	}
	return "off"
}

// guard is what must hold for a port that other machines can reach.
type guard struct {
	option  string // that says where the port is
	at      *Endpoint
	closed  bool   // it does not serve everybody
	allowed bool   // that it does is said in so many words
	can     string // what everybody can do otherwise
	needs   string // the option that closes it
	example string // how to make a key for it
}

// guards are those of all ports that must not serve everybody by mistake. The rule of the
// client port belongs here too: an issuer, a key, a hook or a rule for anonymous clients.
func (o *Options) guards() []guard {
	return []guard{
		{"publish", &o.Publish, len(o.PublishKeys) > 0, o.Insecure.Publish, "publish to every channel", "publish-keys", "--publish '**'"},
		{"admin", &o.Admin, len(o.AdminKeys) > 0, o.Insecure.Admin, "see statistics and profiles, disconnect clients and stop the gateway", "admin-keys", "--admin write"},
	}
}

// exposed is the error for a port that other machines can reach at an address.
func (g *guard) exposed(named, at string) error {
	return fmt.Errorf("%s is %s, which other machines can reach, and needs no key: whoever reaches it can %s. Do one of these:\n"+
		"  require a key: fleetcast key new %s prints one, and the entry for %s\n"+
		"  keep it on this machine: %s: localhost:PORT, or off\n"+
		"  say that the network in front keeps others out: --insecure=%s",
		named, at, g.can, g.example, g.needs, g.option, g.option)
}

// exposures names the ports that are open to other machines without a key.
func (o *Options) exposures() (errs []error) {
	for _, g := range o.guards() {
		if g.at.Public() && !g.closed && !g.allowed {
			errs = append(errs, g.exposed(o.named(g.option), g.at.Text))
		}
	}
	return errs
}

// CheckInherited is the check of exposures for a port whose sockets another process has
// opened: the option of that name does not count for it. at are its addresses.
func (o *Options) CheckInherited(option string, at Endpoint) error {
	for _, g := range o.guards() {
		if g.option == option && at.Public() && !g.closed && !g.allowed {
			return g.exposed("the socket that systemd passed as "+option, at.Text)
		}
	}
	return nil
}

// Unguarded tells whether the port of an option serves everybody who reaches it, and what
// they can do. Other names than those of the guards are not known here.
func (o *Options) Unguarded(option string) (can string, open bool) {
	for _, g := range o.guards() {
		if g.option == option && !g.closed {
			return g.can, true
		}
	}
	return "", false
}

// warnOfInsecure says where --insecure has no effect.
func (o *Options) warnOfInsecure(logger *slog.Logger) {
	for _, g := range o.guards() {
		if g.allowed && g.closed {
			logger.Warn("insecure names a port that needs keys all the same", "port", g.option, "keys", g.needs)
		}
	}
}
