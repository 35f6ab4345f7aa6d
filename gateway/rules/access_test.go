package rules

import (
	"fmt"
	"strings"
	"testing"
)

// accessTable has entries with and without {user}.
func accessTable() *Table {
	anybody, users, tokens, nobody, conflate, off := Anyone, Users, Tokens, Nobody, SlowConflate, false
	return NewTable([]Entry{
		{Match: "public.**", Subscribe: &anybody},
		{Match: "inbox.{user}", Subscribe: &users, Publish: &users, Slow: &conflate},
		{Match: "inbox.{user}.drafts", Final: true},
		{Match: "inbox.**", Subscribe: &nobody, ClientPublish: &off},
		{Match: "team.*", Subscribe: &tokens},
	}, Values{Subscribe: Tokens, Publish: Tokens})
}

func TestTableAccess(t *testing.T) {
	table := accessTable()
	for _, test := range []struct {
		user, channel      string
		subscribe, publish Audience
	}{
		{"", "public.a", Anyone, Tokens},
		{"alice", "public.a.b", Anyone, Tokens},
		{"", "other", Tokens, Tokens},
		{"alice", "team.a", Tokens, Tokens},
		{"alice", "inbox.alice", Users, Users},
		{"bob", "inbox.alice", Nobody, Nobody},
		{"", "inbox.alice", Nobody, Nobody},
		{"*", "inbox.alice", Nobody, Nobody},
		{"alice", "inbox.alice.x", Nobody, Nobody},
		{"alice", "inbox.alice.drafts", Tokens, Tokens}, // final: the defaults
		{"bob", "inbox.alice.drafts", Nobody, Nobody},
		{"a.b", "inbox.a.b", Users, Users},
	} {
		r := table.For(test.channel)
		name := []byte(test.channel)
		if got, _ := table.Subscribe(r, test.user, name); got != test.subscribe {
			t.Errorf("%q may subscribe to %s if it is %v, want %v", test.user, test.channel, got, test.subscribe)
		}
		if got := table.Publish(r, test.user, name); got != test.publish {
			t.Errorf("%q may publish to %s if it is %v, want %v", test.user, test.channel, got, test.publish)
		}
		for _, d := range table.ExplainUser(test.user, test.channel) {
			if want := map[string]Audience{"subscribe": test.subscribe, "publish": test.publish}; (d.Key == "subscribe" || d.Key == "publish") && d.Value != want[d.Key].String() {
				t.Errorf("%s of %s for %q is explained as %+v", d.Key, test.channel, test.user, d)
			}
		}
		if n := testing.AllocsPerRun(10, func() { table.Subscribe(r, test.user, name); table.ForName(name) }); n > 0 {
			t.Errorf("%q, %s: %v allocations", test.user, test.channel, n)
		}
	}
	// For other keys {user} is any text but none.
	for channel, want := range map[string]SlowPolicy{"inbox.alice": SlowConflate, "inbox.a.b": SlowConflate, "inbox.": SlowDisconnect} {
		if got := table.For(channel).Slow; got != want {
			t.Errorf("%s has %v, want %v", channel, got, want)
		}
	}
}

// Where no entry with {user} matters, the rule alone decides.
func TestRuleIsPersonal(t *testing.T) {
	table := accessTable()
	for channel, want := range map[string]bool{"public.a": false, "team.a": false, "inbox.a": true, "inbox.": false, "inbox.a.drafts": true, "other": false} {
		if got := table.For(channel).personal; got != want {
			t.Errorf("the rule of %s is personal: %v", channel, got)
		}
	}
}

func TestTableOpen(t *testing.T) {
	anybody, tokens, rooms := Anyone, Tokens, "rooms"
	for name, test := range map[string]struct {
		entries  []Entry
		defaults Audience
		want     bool
	}{
		"nothing":                  {nil, Anyone, true},
		"by default":               {nil, Tokens, false},
		"anyone":                   {[]Entry{{Match: "a", Subscribe: &anybody}}, Anyone, true},
		"some channel":             {[]Entry{{Match: "a", Subscribe: &tokens}}, Anyone, false},
		"publish":                  {[]Entry{{Match: "a", Publish: &tokens}}, Anyone, true},
		"all, not by default":      {[]Entry{{Match: "**", Subscribe: &anybody}}, Tokens, true},
		"some, not by default":     {[]Entry{{Match: "a.**", Subscribe: &anybody}}, Tokens, false},
		"all but some":             {[]Entry{{Match: "a", Subscribe: &tokens}, {Match: "**", Subscribe: &anybody}}, Tokens, false},
		"all, some come too late":  {[]Entry{{Match: "**", Subscribe: &anybody}, {Match: "a", Subscribe: &tokens}}, Tokens, true},
		"all, but a hook is asked": {[]Entry{{Match: "**", Subscribe: &anybody, SubscribeHook: &rooms}}, Tokens, false},
		"a hook is asked":          {[]Entry{{Match: "a", SubscribeHook: &rooms}}, Anyone, false},
		"all but final ones":       {[]Entry{{Match: "a", Final: true}, {Match: "**", Subscribe: &anybody}}, Tokens, false},
		"final ones, by default":   {[]Entry{{Match: "a", Final: true}, {Match: "**", Subscribe: &anybody}}, Anyone, true},
	} {
		if got := NewTable(test.entries, Values{Subscribe: test.defaults}).Open(); got != test.want {
			t.Errorf("%s: open is %v", name, got)
		}
	}
}

// BenchmarkSubscribe is what access costs for a subscription, among a thousand entries.
func BenchmarkSubscribe(b *testing.B) {
	users := Users
	entries := []Entry{{Match: "inbox.{user}.**", Subscribe: &users}}
	for i := range 1000 {
		entries = append(entries, Entry{Match: fmt.Sprintf("shop.%d.**", i), Subscribe: &users})
	}
	table := NewTable(entries, Values{Subscribe: Tokens})
	for _, channel := range []string{"inbox.alice.new", "inbox.bob.new", "shop.999.shoes"} {
		name := []byte(channel)
		r := table.ForName(name)
		b.Run(strings.ReplaceAll(channel, ".", "_"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Subscribe(r, "alice", name)
			}
		})
	}
}

// An entry that says who may subscribe says which hook is asked too, be it none.
func TestTableHook(t *testing.T) {
	anybody, users, rooms, own := Anyone, Users, "rooms", "own"
	table := NewTable([]Entry{
		{Match: "room.lobby", Subscribe: &anybody},
		{Match: "room.{user}", SubscribeHook: &own},
		{Match: "room.vip.*", Subscribe: &users, SubscribeHook: &rooms},
		{Match: "room.**", SubscribeHook: &rooms},
		{Match: "room.**", Subscribe: &users},
	}, Values{Subscribe: Tokens, Publish: Tokens})
	if table.Open() || !table.Asks() || NewTable(nil, Values{}).Asks() {
		t.Error("whether a hook is asked is wrong")
	}
	for _, test := range []struct {
		user, channel string
		allowed       Audience
		hook          string
	}{
		{"alice", "room.lobby", Anyone, ""},
		{"alice", "room.alice", Anyone, "own"},
		{"bob", "room.alice", Anyone, "rooms"},
		{"", "room.alice", Anyone, "rooms"},
		{"", "room.vip.1", Users, "rooms"},
		{"alice", "news", Tokens, ""},
	} {
		allowed, hook := table.Subscribe(table.For(test.channel), test.user, []byte(test.channel))
		if allowed != test.allowed || hook != test.hook {
			t.Errorf("%q may subscribe to %s if it is %v and %q allows it, want %v and %q", test.user, test.channel, allowed, hook, test.allowed, test.hook)
		}
		shown := ""
		for _, d := range table.ExplainUser(test.user, test.channel) {
			if d.Key == "subscribe-hook" {
				shown = d.Value
			}
		}
		if shown != test.hook {
			t.Errorf("the hook of %s for %q is explained as %q", test.channel, test.user, shown)
		}
	}
}
