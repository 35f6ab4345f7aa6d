package gateway_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/rules"
)

// TestChannelRules lets clients publish by the table of rules, and changes the table
// while they do.
func TestChannelRules(t *testing.T) {
	on, off := true, false
	var config gateway.Config
	s := start(t, func(c *gateway.Config) {
		c.Channels = []rules.Entry{{Match: "chat.locked", ClientPublish: &off}}
		c.ClientPublish = gateway.Patterns{"chat.**"} // behind the table
		config = *c
	})
	p := dialCoder(s, nil, nil)
	p.welcome()
	p.subscribe("chat.joined")
	offset := 0
	publishes := func(channel string, may bool) {
		t.Helper()
		p.says(fmt.Sprintf(`{"type":"publish","channel":%q,"data":1}`, channel))
		if may {
			offset++
			p.wants(fmt.Sprintf(`{"type":"published","channel":%q,"offset":%d}`, channel, offset))
			return
		}
		p.wants(fmt.Sprintf(`{"type":"error","code":"permission_denied","message":"publish \"%s\": clients may not publish to this channel"}`, channel))
	}
	for range 2 { // the second time the rule is known
		publishes("chat.a", true)
		publishes("chat.locked", false)
	}
	config.Channels = []rules.Entry{{Match: "chat.a", ClientPublish: &off}, {Match: "chat.joined", ClientPublish: &off}, {Match: "chat.locked", Final: true}}
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	publishes("chat.a", false)
	publishes("chat.joined", false)
	publishes("chat.locked", false)
	config.Channels = []rules.Entry{{Match: "**", ClientPublish: &on}}
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	publishes("chat.a", true)
	config.Channels = []rules.Entry{{Match: ""}}
	if err := s.Reconfigure(config); err == nil {
		t.Error("an entry without a pattern is accepted")
	}
}

// TestShorthandsOfRules has the short forms make entries behind those of the table.
func TestShorthandsOfRules(t *testing.T) {
	c := gateway.DefaultConfig(10_000)
	c.Channels = []rules.Entry{{Match: "a", Slow: new(gateway.SlowPolicy), Source: "channels[1]"}}
	c.SlowRules = []gateway.SlowRule{{Pattern: "**", Policy: gateway.SlowConflate}}
	c.Compress, c.ClientPublish = nil, gateway.Patterns{"a*"}
	c.HistoryRules = []gateway.HistoryRule{{Pattern: "a", History: gateway.History{}}}
	explained := func(channel string) (texts []string) {
		for _, d := range c.Explain(channel) {
			by := "default"
			if d.By != nil {
				by = d.By.Source + " " + d.By.Match
			}
			texts = append(texts, d.Key+" "+d.Value+" "+by)
		}
		return texts
	}
	for channel, want := range map[string][]string{
		"a":  {"slow disconnect channels[1] a", "compress off default", "subscribe anyone default", "publish anyone ClientPublish a*", "history off HistoryRules a"},
		"ab": {"slow conflate SlowRules **", "compress off default", "subscribe anyone default", "publish anyone ClientPublish a*", "history 100,5m default"},
	} {
		if got := explained(channel); !reflect.DeepEqual(got, want) {
			t.Errorf("%s has %q, want %q", channel, got, want)
		}
	}
}

// TestFinalRuleLeavesDefaults has a final rule cut off the short forms, not the
// defaults.
func TestFinalRuleLeavesDefaults(t *testing.T) {
	c := gateway.DefaultConfig(10_000) // which compresses all
	c.SlowPolicy = gateway.SlowConflate
	c.SlowRules = []gateway.SlowRule{{Pattern: "**", Policy: gateway.SlowDropOldest}}
	c.ClientPublish = gateway.Patterns{"**"}
	c.History, c.HistoryRules = gateway.History{Events: 7, Age: time.Hour}, []gateway.HistoryRule{{Pattern: "**"}}
	c.Channels = []rules.Entry{{Match: "**", Final: true}}
	for i, want := range []string{"conflate", "on", "anyone", "nobody", "7,1h"} {
		if d := c.Explain("a")[i]; d.Value != want || d.By != nil || d.Final == nil {
			t.Errorf("%s is %s by %+v, want %s by default", d.Key, d.Value, d.By, want)
		}
	}
	c.Channels = []rules.Entry{{Match: "a b", Source: "channels[1]"}}
	var problems gateway.OptionErrors
	if !errors.As(c.Check(), &problems) || len(problems) != 1 || problems[0].Field != "Channels" {
		t.Errorf("problems %+v", problems)
	}
}
