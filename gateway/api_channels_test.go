package gateway_test

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"fleetcast/gateway"
)

type channelPage struct {
	Channels []result `json:"channels"`
	Next     string   `json:"next"`
}

// channels asks for one page.
func (o *operator) channels(query url.Values) channelPage {
	o.Helper()
	return answered[channelPage](o, o.get("/api/channels?"+query.Encode()), 200)
}

// allChannels follows the pages and returns the names in the order in which they
// come.
func (o *operator) allChannels(prefix string, limit int) (names []string) {
	o.Helper()
	query := url.Values{"prefix": {prefix}, "limit": {fmt.Sprint(limit)}}
	for {
		page := o.channels(query)
		for _, c := range page.Channels {
			names = append(names, c.Channel)
		}
		if page.Next == "" {
			return names
		}
		if len(page.Channels) != limit || page.Next != names[len(names)-1] {
			o.Fatalf("a page of %d ends with %q and names %q as the next", len(page.Channels), names[len(names)-1], page.Next)
		}
		query.Set("after", page.Next)
	}
}

func TestChannels(t *testing.T) {
	s := start(t)
	o := s.operator()
	if page := o.channels(nil); len(page.Channels) != 0 || page.Next != "" {
		t.Errorf("a gateway without channels answers with %+v", page)
	}
	one, two, upstream := s.connect(), s.connect(), s.publisher()
	one.subscribe("news")
	two.subscribe("news")
	two.subscribe("sport")
	first := upstream.publishes("news", "1")
	upstream.publishes("news", "2")
	quiet := upstream.publishes("a/quiet&100%?é", "1")

	page := o.channels(nil)
	want := []result{
		{Channel: "a/quiet&100%?é", Epoch: quiet.Epoch, Offset: 1},
		{Channel: "news", Epoch: first.Epoch, Offset: 2, Subscribers: 2},
		{Channel: "sport", Epoch: page.Channels[2].Epoch, Subscribers: 1},
	}
	if !slices.Equal(page.Channels, want) || page.Next != "" {
		t.Errorf("the channels are %+v, want %+v", page, want)
	}
	for limit := 1; limit <= 4; limit++ {
		if names := o.allChannels("", limit); !slices.Equal(names, []string{want[0].Channel, "news", "sport"}) {
			t.Errorf("in pages of %d the channels are %q", limit, names)
		}
	}
	if names := o.allChannels("a/quiet&100%?é", 10); len(names) != 1 {
		t.Errorf("with that prefix are %q", names)
	}
	if names := o.allChannels("ne", 10); !slices.Equal(names, []string{"news"}) {
		t.Errorf("with that prefix are %q", names)
	}
	largest := func(query string) (names []string) {
		page := answered[channelPage](t, o.get("/api/channels?order=subscribers"+query), 200)
		for _, c := range page.Channels {
			names = append(names, c.Channel)
		}
		if page.Next != "" {
			t.Errorf("the largest have a next page, %q", page.Next)
		}
		return names
	}
	if names := largest(""); !slices.Equal(names, []string{"news", "sport", want[0].Channel}) {
		t.Errorf("by subscribers the channels are %q", names)
	}
	if names := largest("&limit=1"); !slices.Equal(names, []string{"news"}) {
		t.Errorf("the largest is %q", names)
	}
}

func TestBadChannelQueries(t *testing.T) {
	o := start(t).operator()
	for query, message := range map[string]string{
		"limit=0":                           "limit must be",
		"limit=1001":                        "limit must be",
		"limit=":                            "limit must be",
		"limit=-1":                          "limit must be",
		"limit=1e2":                         "limit must be",
		"limit=99999999999999999999":        "limit must be",
		"limit=1&limit=2":                   "limit is repeated",
		"Limit=1":                           `no query parameter "Limit"`,
		"%00=1":                             `no query parameter "\x00"`,
		"order=":                            "order",
		"order=name":                        "order",
		"order=subscribers&after=news":      "after",
		"order=subscribers&after=":          "after",
		"prefix=%zz":                        "ill formed",
		"prefix=a;b":                        "ill formed",
		"prefix=%ff":                        "prefix cannot be",
		"prefix=%00":                        "prefix cannot be",
		"prefix=a%20b":                      "prefix cannot be",
		"after=%0a":                         "after cannot be",
		"after=" + strings.Repeat("x", 256): "after cannot be",
	} {
		o.refused(o.get("/api/channels?"+query), 400, "bad_request", message)
	}
}

// TestPagesWhileChannelsComeAndGo pages through channels of which half stay, and
// the others appear and disappear without pause. Those that stay must be there
// each time, once.
func TestPagesWhileChannelsComeAndGo(t *testing.T) {
	const stay = 700
	s := start(t, func(c *gateway.Config) { c.ClientChannels = 2 * stay })
	o, keeper, mover := s.operator(), s.connect(), s.connect()
	staying := make(map[string]bool)
	for i := range stay {
		name := fmt.Sprintf("%d.stays", i*7919%stay)
		keeper.subscribe(name)
		staying[name] = true
	}
	done := make(chan struct{})
	var moves sync.WaitGroup
	moves.Go(func() {
		for round := 0; ; round++ {
			select {
			case <-done:
				return
			default:
			}
			for _, verb := range []string{"subscribe", "unsubscribe"} {
				for i := range 50 {
					mover.says(fmt.Sprintf(`{"type":%q,"channel":"%d.moves"}`, verb, round%7*50+i))
					mover.text()
				}
			}
		}
	})
	for range 10 {
		names := o.allChannels("", 97)
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("the names are not in order, each once: %q", names)
		}
		missing := maps.Clone(staying)
		for _, name := range names {
			delete(missing, name)
		}
		if len(missing) > 0 {
			t.Errorf("missing are %v", missing)
		}
	}
	close(done)
	moves.Wait()
}
