package rules

import (
	"fmt"
	"testing"
)

func TestTable(t *testing.T) {
	on, off := true, false
	conflate, dropOldest := SlowConflate, SlowDropOldest
	table := NewTable([]Entry{
		{Match: "prices.vip.*", Compress: &off},
		{Match: "prices.*", Slow: &conflate, Compress: &on, Source: "prices"},
		{Match: "chat.quiet.*", Final: true},
		{Match: "chat.*", ClientPublish: &on},
		{Match: "*.1", Slow: &dropOldest},
	}, Values{})
	for channel, want := range map[string]Values{
		"news":         {},
		"prices.a":     {Slow: SlowConflate, Compress: true},
		"prices.1":     {Slow: SlowConflate, Compress: true}, // the first that sets it
		"prices.vip.a": {Slow: SlowConflate},                 // key by key
		"chat.a":       {ClientPublish: true},
		"chat.1":       {Slow: SlowDropOldest, ClientPublish: true},
		"chat.quiet.1": {}, // nothing behind a final one
		"prices":       {},
	} {
		rule := table.For(channel)
		if rule.Values != want || rule.Of != table {
			t.Errorf("%s has %+v, want %+v", channel, rule.Values, want)
		}
		if again := table.For(channel); again != rule {
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
	if !table.Compresses() || NewTable([]Entry{{Match: "*", Compress: &off}}, Values{}).Compresses() {
		t.Error("Compresses is wrong")
	}
}

func TestEntryCheck(t *testing.T) {
	none := slowPolicyCount
	for _, bad := range []Entry{{}, {Match: "a b"}, {Match: "a", Slow: &none}} {
		if err := bad.Check(); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
	if err := (&Entry{Match: "a.*"}).Check(); err != nil {
		t.Error(err)
	}
}

// BenchmarkTable is what the first subscriber to a channel costs: a table of a
// thousand entries is looked through.
func BenchmarkTable(b *testing.B) {
	for name, pattern := range map[string]string{"prefixes": "shop.%d.*", "suffixes": "*.%d.prices", "infixes": "shop.*.%d.*"} {
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
