package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// Every field of gateway.Config says whether a reload changes it, and the
// options that set it say the same.
func TestLiveOptionsAreLiveFields(t *testing.T) {
	// Fields that several options, or options of other names, make up.
	madeOf := map[string][]string{"Compress": {"compression", "compress-channels"}, "DefaultSubscribe": {"listen"}, "HistoryRules": {"history"}}
	// Fields that are no options: what the process itself hands over.
	handedOver := map[string]bool{"ListenFiles": true, "PublishFiles": true, "HTTP": true, "Decider": true, "Dialects": true, "Clock": true}
	options := map[string]string{} // names to live marks
	setBy := map[string][]string{} // fields to options
	for _, f := range serveFlags(t) {
		options[f.Name] = f.Tag.Get("live")
		for _, field := range reflect.VisibleFields(reflect.TypeFor[gateway.Config]()) {
			if f.Tag.Get("field") == field.Name || strings.EqualFold(strings.ReplaceAll(f.Name, "-", ""), field.Name) {
				setBy[field.Name] = append(setBy[field.Name], f.Name)
			}
		}
	}
	want := map[string]string{"live": "yes", "restart": "no"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[gateway.Config]()) {
		tag := field.Tag.Get("reload")
		live, known := want[tag]
		if !known {
			t.Errorf("gateway.Config.%s: the tag reload is %q, must be live or restart", field.Name, tag)
		}
		names := append(setBy[field.Name], madeOf[field.Name]...)
		if len(names) == 0 && !handedOver[field.Name] {
			t.Errorf("gateway.Config.%s: no option sets it", field.Name)
		}
		for _, name := range names {
			if options[name] != live {
				t.Errorf("gateway.Config.%s is tagged %s, and --%s has live:%q", field.Name, tag, name, options[name])
			}
		}
	}
}

// liveOption is a change of one live option in the file, and what it changes.
type liveOption struct {
	from, to string // the option's value in the file; none is the default
	flags    string // that go with it
	// look tells what the gateway does; it is to tell before and after. It is
	// asked again until patience ends if again is set, and only after the change
	// if before is empty.
	look          func(g *liveGateway) string
	before, after string
	again         bool
}

// splitFlags are the flags in a text, whose values may have blanks.
func splitFlags(text string) (flags []string) {
	for flag := range strings.SplitSeq(text, "--") {
		if flag = strings.TrimSpace(flag); flag != "" {
			flags = append(flags, "--"+flag)
		}
	}
	return flags
}

// liveGateway is a gateway that a test reconfigures.
type liveGateway struct {
	*testing.T
	*invocation
	url, publish, admin string
	stored              int // what a look remembers for the next
}

// startLive runs serve with a file, and returns how to change the file and have
// it read.
func startLive(t *testing.T, text string, flags ...string) (g *liveGateway, reload func(text string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fleetcast.yaml")
	writeConfig(t, file, text)
	hangups := make(chan os.Signal, 1)
	g = &liveGateway{T: t}
	args := []string{"--config=" + file, "--listen=127.0.0.1:0", "--publish=127.0.0.1:0", "--admin=127.0.0.1:0", "--shards=1"}
	g.invocation = startWith(t, nil, hangups, append(args, flags...)...)
	g.url = g.out.await(t, `clients connect to +(ws://\S+)`)[1]
	g.publish = g.out.await(t, `publish to +(\S+)`)[1]
	g.admin = g.out.await(t, `look inside at +(http://[^/]+)/`)[1]
	g.out.await(t, `stop with`)
	t.Cleanup(func() { g.stop(); g.wait(t) })
	return g, func(text string) {
		t.Helper()
		writeConfig(t, file, text)
		hangups <- os.Interrupt // any value is a hangup
		// The next hangup is taken when this one has been dealt with.
		hangups <- os.Interrupt
		hangups <- os.Interrupt
	}
}

// TestLiveOptions changes every live option by a reload and looks at its effect.
func TestLiveOptions(t *testing.T) {
	setSecrets(t)
	for _, f := range serveFlags(t) {
		if _, tested := liveOptions[f.Name]; tested != (f.Tag.Get("live") == "yes") {
			t.Errorf("--%s has live:%q, and a test of its effect in liveOptions: %v", f.Name, f.Tag.Get("live"), tested)
		}
	}
	for name, test := range liveOptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			setting := func(value string) string {
				if value == "" {
					return "# the default\n"
				}
				return fmt.Sprintf("%s: %q\n", name, value)
			}
			g, reload := startLive(t, setting(test.from), splitFlags(test.flags)...)
			if test.before != "" {
				g.sees(test, test.before)
			}
			reload(setting(test.to))
			g.sees(test, test.after)
		})
	}
}

// sees looks once, or until the test wants no more.
func (g *liveGateway) sees(test liveOption, want string) {
	g.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := test.look(g)
		if got == want {
			return
		}
		if !test.again || time.Now().After(deadline) {
			g.Fatalf("the effect is %q, want %q; log:\n%s", got, want, g.err)
		}
	}
}

// TestLiveRules reloads a file whose rules are mappings: compression that is off
// counts before them, and after it is on again they count.
func TestLiveRules(t *testing.T) {
	const rules = "channels:\n- match: b\n  compress: on\n- match: \"**\"\n  compress: off\n"
	g, reload := startLive(t, "compression: off\n"+rules)
	extensions := liveOption{look: (*liveGateway).lookAtExtensions}
	event := liveOption{look: (*liveGateway).lookAtEvent}
	g.sees(extensions, "")
	reload(rules)
	g.sees(extensions, "permessage-deflate, no context")
	g.sees(event, "compressed")
	reload("channels:\n- match: b\n  compress: off\n")
	g.sees(event, "plain")
	reload("channels:\n- match: b\n  compress: perhaps\n")
	g.err.await(t, `the configuration was not reloaded, nothing has changed.*fleetcast.yaml:3: channels: compress: .{1,3}perhaps.{1,3} is neither on nor off`)
	g.sees(event, "plain")
	reload("compression: off\n" + rules)
	g.sees(extensions, "")
	g.sees(event, "plain")
}
