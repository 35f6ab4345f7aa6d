package rules

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	on, off := true, false
	conflate, dropOldest := SlowConflate, SlowDropOldest
	table := NewTable([]Entry{
		{Match: "prices.vip.**", Compress: &off},
		{Match: "prices.**", Slow: &conflate, Compress: &on, Source: "prices"},
		{Match: "chat.quiet.**", Final: true},
		{Match: "chat.**", ClientPublish: &on},
		{Match: "**.1", Slow: &dropOldest},
	}, Values{Publish: Nobody})
	for channel, want := range map[string]Values{
		"news":         {Publish: Nobody},
		"prices.a":     {Slow: SlowConflate, Compress: true, Publish: Nobody},
		"prices.1":     {Slow: SlowConflate, Compress: true, Publish: Nobody}, // the first that sets it
		"prices.vip.a": {Slow: SlowConflate, Publish: Nobody},                 // key by key
		"chat.a":       {Publish: Anyone},
		"chat.1":       {Slow: SlowDropOldest, Publish: Anyone},
		"chat.quiet.1": {Publish: Nobody}, // nothing behind a final one
		"prices":       {Publish: Nobody},
	} {
		rule := table.For(channel)
		if rule.Values != want || rule.Of != table {
			t.Errorf("%s has %+v, want %+v", channel, rule.Values, want)
		}
		if again := table.ForName([]byte(channel)); again != rule {
			t.Errorf("%s has two rules", channel)
		}
		for i, decision := range table.Explain(channel) {
			if text := keys[i].text(&want); decision.Key != keys[i].name || decision.Value != text {
				t.Errorf("%s is explained as %+v, want %s", channel, decision, text)
			}
		}
	}
	if by := table.Explain("prices.vip.a")[0].By; by == nil || by.Source != "prices" {
		t.Errorf("the policy of prices.vip.a comes from %+v", by)
	}
	if by := table.Explain("news")[0].By; by != nil {
		t.Errorf("a default comes from %+v", by)
	}
	if table.For("a.prices") != table.For("news") {
		t.Error("channels for which the same holds have two rules")
	}
	if by := table.Explain("chat.quiet.1")[0]; by.By != nil || by.Final == nil || by.Final.Match != "chat.quiet.**" {
		t.Errorf("the policy of chat.quiet.1 comes from %+v", by)
	}
}

func TestTableCompresses(t *testing.T) {
	on, off := true, false
	for name, test := range map[string]struct {
		entries  []Entry
		defaults bool
		want     bool
	}{
		"nothing":              {nil, false, false},
		"default":              {nil, true, true},
		"on":                   {[]Entry{{Match: "a", Compress: &on}}, false, true},
		"off":                  {[]Entry{{Match: "**", Compress: &off}}, false, false},
		"off, default on":      {[]Entry{{Match: "a", Compress: &off}}, true, true},
		"all off, default on":  {[]Entry{{Match: "**", Compress: &off}}, true, false},
		"on behind all off":    {[]Entry{{Match: "**", Compress: &off}, {Match: "a", Compress: &on}}, true, false},
		"on before all off":    {[]Entry{{Match: "a", Compress: &on}, {Match: "**", Compress: &off}}, false, true},
		"on behind a final":    {[]Entry{{Match: "**", Final: true}, {Match: "a", Compress: &on}}, false, false},
		"default, all final":   {[]Entry{{Match: "**", Final: true}}, true, true},
		"on behind some final": {[]Entry{{Match: "b**", Final: true}, {Match: "a", Compress: &on}}, false, true},
	} {
		if got := NewTable(test.entries, Values{Compress: test.defaults}).Compresses(); got != test.want {
			t.Errorf("%s: Compresses is %v", name, got)
		}
	}
}

// The first grant that matches a channel says what its rule says.
func TestTableGrants(t *testing.T) {
	on, off, tokens, users := true, false, Tokens, Users
	table := NewTable([]Entry{
		{Match: "inbox.{user}", Publish: &users}, // for no client without a user
		{Match: "chat.locked", ClientPublish: &off, Final: true},
		{Match: "chat.**", Compress: &on},
		{Match: "chat.a**", ClientPublish: &on},
		{Match: "chat.**", Final: true},
		{Match: "**.open", Publish: &tokens},
		{Match: "**", ClientPublish: &on},
	}, Values{Publish: Nobody})
	grants := table.Grants()
	for _, channel := range []string{"chat.locked", "chat.a1", "chat.b", "news", "news.open", "inbox.alice"} {
		may := false
		for _, g := range grants {
			if (Patterns{g.Match}).Match([]byte(channel)) {
				may = g.Clients
				break
			}
		}
		if want := table.For(channel).Publish == Anyone; may != want {
			t.Errorf("clients may publish to %s: %v by the grants, %v by the table", channel, may, want)
		}
	}
	if len(grants) != 5 {
		t.Errorf("grants %+v", grants)
	}
}

// What an entry says of itself can be set.
func TestEntryFields(t *testing.T) {
	on, off, drop, users, tokens, rooms := true, false, SlowDropOldest, Users, Tokens, "rooms"
	for text, entry := range map[string]Entry{
		"a":                                     {Match: "a"},
		"{user}.* subscribe=user publish=token": {Match: "{user}.*", Subscribe: &users, Publish: &tokens},
		"room.* subscribe=user subscribe-hook=rooms":                   {Match: "room.*", Subscribe: &users, SubscribeHook: &rooms},
		"old.* history=20,1m":                                          {Match: "old.*", History: &History{Events: 20, Age: time.Minute}},
		"new.* history=off":                                            {Match: "new.*", History: new(History)},
		"a=b slow=drop_oldest compress=on client-publish=off final=on": {Match: "a=b", Slow: &drop, Compress: &on, ClientPublish: &off, Final: true},
	} {
		if got := entry.String(); got != text {
			t.Errorf("%q, want %q", got, text)
		}
		var again Entry
		for _, f := range entry.Fields() {
			if err := again.Set(f.Key, f.Value); err != nil {
				t.Error(err)
			}
		}
		if !reflect.DeepEqual(again, entry) {
			t.Errorf("%+v after it was set, want %+v", again, entry)
		}
	}
	for _, bad := range []Field{{"match", ""}, {"match", "a b"}, {"slow", "never"}, {"slow", ""}, {"compress", "1"}, {"client-publish", ""}, {"subscribe", ""}, {"subscribe", "on"}, {"publish", "users"}, {"subscribe-hook", ""}, {"subscribe-hook", "https://a"}, {"history", ""}, {"history", "many"}, {"final", "maybe"}, {"source", "x"}, {"", ""}} {
		if err := new(Entry).Set(bad.Key, bad.Value); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	for _, key := range Keys() {
		if _, known := map[string]bool{"match": true, "slow": true, "compress": true, "subscribe": true, "publish": true, "client-publish": true, "subscribe-hook": true, "history": true, "final": true}[key]; !known {
			t.Errorf("key %s", key)
		}
	}
}

func TestEntryCheck(t *testing.T) {
	none, nobodyElse, on, tokens, nobody, rooms, noName := slowPolicyCount, audienceCount, true, Tokens, Nobody, "rooms", "Rooms"
	for _, bad := range []Entry{
		{}, {Match: "a b"}, {Match: "a***"}, {Match: "a", Slow: &none}, {Match: "a", Subscribe: &nobodyElse}, {Match: "a", Publish: &nobodyElse},
		{Match: "a", Publish: &tokens, ClientPublish: &on}, {Match: "a", SubscribeHook: &noName}, {Match: "a", Subscribe: &nobody, SubscribeHook: &rooms},
	} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if err := (&Entry{Match: "a.**"}).Check(); err != nil {
		t.Error(err)
	}
}

// BenchmarkTable is what the first subscriber to a channel costs: a table of a
// thousand entries is looked through.
func BenchmarkTable(b *testing.B) {
	for name, pattern := range map[string]string{"prefixes": "shop.%d.**", "suffixes": "**.%d.prices", "infixes": "shop.**.%d.**"} {
		b.Run(name, func(b *testing.B) {
			var entries []Entry
			conflate := SlowConflate
			for i := range 1000 {
				entries = append(entries, Entry{Match: fmt.Sprintf(pattern, i), Slow: &conflate})
			}
			table := NewTable(entries, Values{})
			b.ReportAllocs()
			for b.Loop() {
				table.For("shop.europe.clothes.shoes")
			}
		})
	}
}
