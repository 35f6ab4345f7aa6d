package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetcast/codec/command"
	"fleetcast/gateway/rules"
)

// pageTest are streams that keep as many events as the default value says.
type pageTest struct {
	streams *Streams
	wakes   WakeSet
	page    command.Page
	scratch []byte
}

func newPageTest(keep rules.History) *pageTest {
	p := &pageTest{streams: NewStreams(10, v1), wakes: NewWakeSet(0)}
	p.streams.SetHistory(rules.NewTable(nil, rules.Values{History: keep}), 1<<30)
	return p
}

func (p *pageTest) publish(at time.Duration, channel string, data ...string) {
	for _, text := range data {
		r := NewRequest(p.streams, &p.wakes, new(uint64))
		r.Begin(nil, unlimited(), at)
		r.Submit([]byte(channel), nil, []byte(text))
	}
}

// ask returns the page as text: its events, the latest offset, and "more" if there are more.
func (p *pageTest) ask(t *testing.T, channel string, q PageQuery, now time.Duration) string {
	t.Helper()
	epoch, _, ok := p.streams.Page([]byte(channel), q, now, &p.page, &p.scratch)
	if !ok {
		if len(p.page.Events) > 0 || p.page.Latest != 0 || p.page.More || epoch != (Epoch{}) {
			t.Errorf("a channel that there is not has %+v, epoch %s", p.page, epoch)
		}
		return "no channel"
	}
	if epoch != p.epoch(channel) {
		t.Errorf("the epoch is %s, want %s", epoch, p.epoch(channel))
	}
	var says []string
	for i, e := range p.page.Events {
		if want := p.page.Events[0].Offset + uint64(i); e.Offset != want {
			t.Errorf("offset %d, want %d", e.Offset, want)
		}
		says = append(says, fmt.Sprintf("%d=%.20s", e.Offset, e.Data))
	}
	says = append(says, fmt.Sprint("latest ", p.page.Latest))
	if p.page.More {
		says = append(says, "more")
	}
	return strings.Join(says, " ")
}

func (p *pageTest) epoch(channel string) Epoch {
	return p.streams.stripe([]byte(channel)).byName[channel].epoch
}

// TestPage has a channel whose events 4 to 10 are kept, 4 and 5 from second 0, the others from
// second 60, and others of which nothing is kept.
func TestPage(t *testing.T) {
	tests := map[string]struct {
		query   string // since of the channel's own epoch, "other " for another one, or before, and limit
		channel string
		now     time.Duration
		want    string
	}{
		"latest":                     {want: "4=a4 5=a5 6=a6 7=a7 8=a8 9=a9 10=a10 latest 10"},
		"latest, fewer":              {query: "limit 2", want: "9=a9 10=a10 latest 10 more"},
		"latest, just all":           {query: "limit 7", want: "4=a4 5=a5 6=a6 7=a7 8=a8 9=a9 10=a10 latest 10"},
		"since, all kept":            {query: "since 7", want: "8=a8 9=a9 10=a10 latest 10"},
		"since, fewer":               {query: "since 4 limit 3", want: "5=a5 6=a6 7=a7 latest 10 more"},
		"since, just all":            {query: "since 7 limit 3", want: "8=a8 9=a9 10=a10 latest 10"},
		"since, trimmed":             {query: "since 1 limit 2", want: "4=a4 5=a5 latest 10 more"},
		"since the beginning":        {query: "since 0 limit 1", want: "4=a4 latest 10 more"},
		"since the latest":           {query: "since 10", want: "latest 10"},
		"since beyond the latest":    {query: "since 9007199254740991", want: "latest 10"},
		"since of another epoch":     {query: "other since 9 limit 2", want: "4=a4 5=a5 latest 10 more"},
		"before":                     {query: "before 7", want: "4=a4 5=a5 6=a6 latest 10"},
		"before, fewer":              {query: "before 7 limit 2", want: "5=a5 6=a6 latest 10 more"},
		"before, just all":           {query: "before 7 limit 3", want: "4=a4 5=a5 6=a6 latest 10"},
		"before the first kept":      {query: "before 4", want: "latest 10"},
		"before the first of all":    {query: "before 1", want: "latest 10"},
		"before beyond the latest":   {query: "before 9007199254740991 limit 1", want: "10=a10 latest 10 more"},
		"aged":                       {now: 70 * time.Second, want: "6=a6 7=a7 8=a8 9=a9 10=a10 latest 10"},
		"aged, since":                {now: 70 * time.Second, query: "since 3 limit 1", want: "6=a6 latest 10 more"},
		"aged, before":               {now: 70 * time.Second, query: "before 8 limit 2", want: "6=a6 7=a7 latest 10"},
		"aged, before what is shown": {now: 70 * time.Second, query: "before 6", want: "latest 10"},
		"all aged":                   {now: time.Hour, want: "latest 10"},
		"purged":                     {channel: "purged", want: "latest 3"},
		"purged, since":              {channel: "purged", query: "since 1", want: "latest 3"},
		"purged, before":             {channel: "purged", query: "before 3", want: "latest 3"},
		"purged, then one":           {channel: "again", want: "4=b4 latest 4"},
		"no event yet":               {channel: "empty", want: "latest 0"},
		"no event yet, since":        {channel: "empty", query: "since 0", want: "latest 0"},
		"no event yet, before":       {channel: "empty", query: "before 1", want: "latest 0"},
		"unknown":                    {channel: "unknown", want: "no channel"},
	}
	p := newPageTest(rules.History{Events: 7, Age: time.Minute})
	p.publish(0, "news", "a1", "a2", "a3", "a4", "a5")
	p.publish(time.Minute, "news", "a6", "a7", "a8", "a9", "a10")
	for _, channel := range []string{"purged", "again"} {
		p.publish(time.Minute, channel, "b1", "b2", "b3")
		if n, ok := p.streams.Purge([]byte(channel), time.Minute); n != 3 || !ok {
			t.Errorf("%d events of %s were purged (%t), want 3", n, channel, ok)
		}
	}
	p.publish(time.Minute, "again", "b4")
	if _, err := p.streams.Join(&Interest{Name: "empty", Port: NewPort(0)}); err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.channel == "" {
				test.channel = "news"
			}
			if test.now == 0 {
				test.now = time.Minute
			}
			q := p.query(t, test.channel, test.query)
			if got := p.ask(t, test.channel, q, test.now); got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
	if n := p.streams.count.Load(); n != 4 {
		t.Errorf("there are %d channels, want 4: to ask for one must not make it", n)
	}
}

func (p *pageTest) query(t *testing.T, channel, text string) (q PageQuery) {
	t.Helper()
	words := strings.Fields(text)
	other := len(words) > 0 && words[0] == "other"
	if other {
		words = words[1:]
	}
	for ; len(words) > 0; words = words[2:] {
		var n uint64
		if _, err := fmt.Sscan(words[1], &n); err != nil {
			t.Fatal(err)
		}
		switch words[0] {
		case "since":
			epoch := p.epoch(channel)
			q.HasSince, q.Since = true, command.Since{Epoch: epoch[:], Offset: n}
			if other {
				q.Since.Epoch = []byte("other")
			}
		case "before":
			q.Before = n
		case "limit":
			q.Limit = int(n)
		}
	}
	return q
}

// TestPageBounds: a page has at most so many events, and so many bytes of data, but at least
// one event.
func TestPageBounds(t *testing.T) {
	large, half, small := strings.Repeat("l", MaxPageBytes+1), strings.Repeat("h", MaxPageBytes/2), strings.Repeat("s", 100)
	many := slices.Repeat([]string{small}, 2*command.MaxHistory)
	tests := map[string]struct {
		data  []string
		query string
		first uint64
		count int
		more  bool
	}{
		"default":                      {many, "", 1901, DefaultPage, true},
		"default, since":               {many, "since 5", 6, DefaultPage, true},
		"the most":                     {many, "limit 1000", 1001, 1000, true},
		"beyond the most":              {many, "limit 2000", 1001, 1000, true},
		"beyond the most, since":       {many, "since 0 limit 2000", 1, 1000, true},
		"as many bytes as fit":         {[]string{half, half}, "", 1, 2, false},
		"a byte too many":              {[]string{half, "1", half}, "", 2, 2, true},
		"a byte too many, before":      {[]string{half, half, "1", "2"}, "before 4", 2, 2, true},
		"a byte too many, since":       {[]string{half, "1", half}, "since 0", 1, 2, true},
		"a large one, latest":          {[]string{small, large}, "", 2, 1, true},
		"a large one, since":           {[]string{large, small}, "since 0", 1, 1, true},
		"a large one, before":          {[]string{large, small}, "before 2", 1, 1, false},
		"a large one before it":        {[]string{large, small}, "", 2, 1, true},
		"a large one behind it, since": {[]string{small, large}, "since 0", 1, 1, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPageTest(rules.History{Events: 10_000, Age: time.Minute})
			p.publish(0, "news", test.data...)
			q := p.query(t, "news", test.query)
			for range 2 { // with new memory, then with that of the first time
				p.ask(t, "news", q, 0)
				if n := len(p.page.Events); n != test.count || p.page.Events[0].Offset != test.first || p.page.More != test.more {
					t.Fatalf("got %d events from %d on, more %t; want %d from %d on, %t", n, p.page.Events[0].Offset, p.page.More, test.count, test.first, test.more)
				}
				for i, e := range p.page.Events {
					if want := test.data[test.first-1+uint64(i)]; string(e.Data) != want {
						t.Fatalf("event %d has %d bytes %.20q, want %d, %.20q", e.Offset, len(e.Data), e.Data, len(want), want)
					}
				}
			}
		})
	}
}

// TestPageInParts: a page of a channel whose events are of all sizes, and those behind or
// before it, have every event that is kept, once.
func TestPageInParts(t *testing.T) {
	p := newPageTest(rules.History{Events: 700, Age: time.Minute})
	for i := range 1000 {
		p.publish(0, "news", strings.Repeat(fmt.Sprint(i%10), 1+i*i%5000))
	}
	epoch := p.epoch("news")
	up, down := uint64(300), uint64(1001)
	for more := true; more; more = p.page.More {
		p.ask(t, "news", PageQuery{HasSince: true, Since: command.Since{Epoch: epoch[:], Offset: up}, Limit: 90}, 0)
		if p.page.Events[0].Offset != up+1 {
			t.Fatalf("behind %d comes %d", up, p.page.Events[0].Offset)
		}
		p.check(t)
		up += uint64(len(p.page.Events))
	}
	for more := true; more; more = p.page.More {
		p.ask(t, "news", PageQuery{Before: down, Limit: 90}, 0)
		p.check(t)
		if down -= uint64(len(p.page.Events)); p.page.Events[0].Offset != down {
			t.Fatalf("the page begins with %d, want %d", p.page.Events[0].Offset, down)
		}
	}
	if up != 1000 || down != 301 {
		t.Errorf("the pages end with %d and begin with %d", up, down)
	}
}

// check looks at the data of a page of TestPageInParts.
func (p *pageTest) check(t *testing.T) {
	t.Helper()
	for _, e := range p.page.Events {
		i := int(e.Offset - 1)
		if want := strings.Repeat(fmt.Sprint(i%10), 1+i*i%5000); string(e.Data) != want {
			t.Fatalf("event %d has %d bytes %.10q, want %d", e.Offset, len(e.Data), e.Data, len(want))
		}
	}
}

// TestPurgeCountsWhatIsShown: the log may still have events that are too many or too old.
func TestPurgeCountsWhatIsShown(t *testing.T) {
	for name, test := range map[string]struct {
		now  time.Duration
		want int
	}{
		"those in the rule's bounds": {time.Minute, 5},
		"some aged":                  {61 * time.Second, 2},
		"all aged":                   {time.Hour, 0},
	} {
		p := newPageTest(rules.History{Events: 5, Age: time.Minute})
		p.publish(0, "news", "1", "2", "3", "4", "5", "6")
		p.publish(time.Minute, "news", "7", "8")
		if n, ok := p.streams.Purge([]byte("news"), test.now); n != test.want || !ok {
			t.Errorf("%s: %d events were purged (%t), want %d", name, n, ok, test.want)
		}
		if n, ok := p.streams.Purge([]byte("news"), test.now); n != 0 || !ok {
			t.Errorf("%s: %d events were purged again (%t), want 0", name, n, ok)
		}
	}
	if n, ok := newPageTest(rules.History{}).streams.Purge([]byte("news"), 0); n != 0 || ok {
		t.Errorf("%d events were purged of a channel that there is not (%t)", n, ok)
	}
}

// TestPageOff: of a channel whose rule keeps nothing any more, nothing is shown.
func TestPageOff(t *testing.T) {
	p := newPageTest(rules.History{Events: 10, Age: time.Minute})
	p.publish(0, "news", "1", "2")
	p.streams.SetHistory(rules.NewTable(nil, rules.Values{}), 1<<30)
	if got, want := p.ask(t, "news", PageQuery{}, 0), "latest 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestPageAllocatesNothing with memory from the last time.
func TestPageAllocatesNothing(t *testing.T) {
	p := newPageTest(rules.History{Events: 100, Age: time.Minute})
	for range 100 {
		p.publish(0, "news", strings.Repeat("x", 300))
	}
	channel := []byte("news")
	if n := testing.AllocsPerRun(10, func() { p.streams.Page(channel, PageQuery{}, 0, &p.page, &p.scratch) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if len(p.page.Events) != 100 {
		t.Errorf("%d events, want 100", len(p.page.Events))
	}
}

// TestPagePasses has a history of many small events, of which one page passes many and the
// other none.
func TestPagePasses(t *testing.T) {
	p := newPageTest(rules.History{Events: 100_000, Age: time.Minute})
	for range 100_000 {
		p.publish(0, "a", "1")
	}
	most := 0
	for n := range uint64(4000) {
		_, passed, _ := p.streams.Page([]byte("a"), PageQuery{Before: 99_000 - n, Limit: 1}, 0, &p.page, &p.scratch)
		most = max(most, passed)
		_, passed, _ = p.streams.Page([]byte("a"), PageQuery{Since: command.Since{Epoch: []byte("other")}, HasSince: true, Limit: 1}, 0, &p.page, &p.scratch)
		if passed != 0 {
			t.Fatalf("the first page passes %d events", passed)
		}
	}
	if most < 1000 || most > 4*(32<<10)/9 {
		t.Errorf("a page passes %d events", most)
	}
}
