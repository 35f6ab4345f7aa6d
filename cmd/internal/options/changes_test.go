package options

import (
	"fmt"
	"strings"
	"testing"
)

// A change of very many rules is logged in a line that can be read.
func TestManyRulesAreShortInTheLog(t *testing.T) {
	var text strings.Builder
	text.WriteString("channels:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "- match: shop.%d.**\n  slow: conflate\n", i)
	}
	fileHere(t, text.String())
	before, err := parseOptions()
	if err != nil {
		t.Fatal(err)
	}
	after, err := parseOptions("--config=fleetcast.yaml")
	if err != nil {
		t.Fatal(err)
	}
	live, _ := before.Differences(after)
	if len(live) != 1 || len(live[0]) > 1000 || !strings.HasPrefix(live[0], "channels: none -> shop.0.** slow=conflate; shop.1.**") || !strings.HasSuffix(live[0], " and 980 more") {
		t.Errorf("changed %q", live)
	}
}
