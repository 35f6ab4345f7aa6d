package options

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"fleetcast/gateway"
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
		case listenOption, "clients":
			return fmt.Errorf("%s: the client port has no keys; say to which channels anyone may subscribe, by rules such as --%s='%s' for all", word, channelsOption, ruleForAll)
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

// The options that say where ports are.
const (
	listenOption  = "listen"
	publishOption = "publish"
	adminOption   = "admin"
)

// ruleForAll is the rule that lets anyone subscribe to every channel.
const ruleForAll = "** subscribe=anyone"

// guard is what must hold for a port that other machines can reach.
type guard struct {
	option   string // that says where the port is
	socket   string // what systemd calls it
	at       Endpoint
	closed   bool   // it does not serve everybody
	said     bool   // what everybody can do is said in so many words
	insecure bool   // the same, by --insecure
	can      string // what everybody can do
	lacks    string // why it is refused
	needs    string // the option that closes it
	close    string // how to close it
	word     string // how to say that it is open
}

// guards are those of all ports that must not serve everybody by mistake.
func (o *Options) guards() []guard {
	publish, admin := o.Insecure, o.Insecure
	publish.Publish, admin.Admin = true, true
	const (
		canPublish = "publish to every channel"
		canOperate = "see statistics and profiles, disconnect clients and stop the gateway"
		needsNoKey = "needs no key: whoever reaches it can "
	)
	return []guard{o.clientGuard(), {
		option: publishOption, socket: publishOption, at: o.at(publishOption, o.Publish),
		closed: len(o.PublishKeys) > 0, insecure: o.Insecure.Publish, needs: "publish-keys", can: canPublish, lacks: needsNoKey + canPublish,
		close: "require a key: fleetcast key new --publish '**' prints one, and the entry for " + o.called("publish-keys", publishOption),
		word:  o.insecurely(publishOption, publish),
	}, {
		option: adminOption, socket: adminOption, at: o.at(adminOption, o.Admin),
		closed: len(o.AdminKeys) > 0, insecure: o.Insecure.Admin, needs: "admin-keys", can: canOperate, lacks: needsNoKey + canOperate,
		close: "require a key: fleetcast key new --admin write prints one, and the entry for " + o.called("admin-keys", adminOption),
		word:  o.insecurely(adminOption, admin),
	}}
}

// clientGuard is that of the client port. It has no keys: clients show who they are, or
// rules say to which channels anyone may subscribe. To other channels nobody may, see
// [Options.unshared].
func (o *Options) clientGuard() guard {
	said := slices.ContainsFunc(o.Channels, channelRule.forAnyone)
	return guard{
		option: listenOption, socket: "clients", at: o.at(listenOption, o.Listen),
		closed: o.Identifies() || said && len(o.OpenChannels()) == 0, said: said,
		can:   "subscribe to the channels that rules open to anyone",
		lacks: "nothing says who clients are, or which channels are for anyone",
		close: fmt.Sprintf("let clients show tokens: %s, or %s, or %s; fleetcast token --new-secret prints a secret",
			o.written("token-secret", "file:PATH", listenOption), o.called("issuers", listenOption), o.called("connect-hook", listenOption)),
		word: "say to which channels anyone may subscribe: " + o.written(channelsOption, ruleForAll, listenOption) +
			" for all, or rules for some; to others nobody may",
	}
}

func (o *Options) insecurely(option string, ports openPorts) string {
	return "say that the network in front keeps others out: " + o.written("insecure", ports.String(), option)
}

// forAnyone tells whether clients without an identity may subscribe by the rule, all of them
// or those that its hook allows.
func (r channelRule) forAnyone() bool { return (*gateway.ChannelRule)(&r).ForAnyone() }

// OpenChannels are the patterns of the rules by which anyone may subscribe, and no hook is
// asked.
func (o *Options) OpenChannels() (patterns []string) {
	for _, r := range o.Channels {
		if r.forAnyone() && r.SubscribeHook == nil {
			patterns = append(patterns, r.Match)
		}
	}
	return patterns
}

// Inherit says where a port of that option listens whose sockets another process has
// opened. The option's own addresses do not count for it.
func (o *Options) Inherit(option string, at Endpoint) {
	if o.inherited == nil {
		o.inherited = make(map[string]Endpoint)
	}
	o.inherited[option] = at
}

// InheritFrom has o listen where running does, as after a restart.
func (o *Options) InheritFrom(running *Options) { o.inherited = running.inherited }

// at is where a port listens whose option has that endpoint.
func (o *Options) at(option string, configured Endpoint) Endpoint {
	if at, inherits := o.inherited[option]; inherits {
		return at
	}
	return configured
}

// reachable tells whether other machines can reach the client port.
func (o *Options) reachable() bool {
	at := o.at(listenOption, o.Listen)
	return at.Public()
}

// exposed is the error for a port that other machines can reach.
func (o *Options) exposed(g *guard) error {
	named, local := o.named(g.option), o.written(g.option, "localhost:PORT", g.option)
	switch _, inherits := o.inherited[g.option]; {
	case inherits:
		named, local = "the socket that systemd passed as "+g.socket, "ListenStream=127.0.0.1:PORT in its .socket unit"
	case o.find(g.option).source.variable != "":
		local += " (in a container, with --network=host)"
	}
	return fmt.Errorf("%s is %s, which other machines can reach, and %s. Do one of these:\n  %s\n  keep it on this machine: %s\n  %s",
		named, g.at.Text, g.lacks, g.close, local, g.word)
}

// exposures names the ports that are open to other machines by mistake.
func (o *Options) exposures() (errs []error) {
	for _, g := range o.guards() {
		if g.at.Public() && !g.closed && !g.said && !g.insecure {
			errs = append(errs, o.exposed(&g))
		}
	}
	return errs
}

// CheckExposure names the ports that are open to other machines by mistake, those of
// inherited sockets included. Parsing has checked the addresses of options already.
func (o *Options) CheckExposure() error { return errors.Join(o.exposures()...) }

// Unguarded tells whether the port of an option asks nobody who he is, and what everybody
// can do there.
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
		if g.insecure && g.closed {
			logger.Warn("insecure names a port that needs keys all the same", "port", g.option, "keys", g.needs)
		}
	}
}
