package gateway_test

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

type publisherPage struct {
	Publishers []struct {
		Publisher, Protocol, Name, Library, Address string
		Connected                                   time.Time `json:"connected_at"`
		EventsPerSecond                             float64   `json:"events_per_second"`
		BytesPerSecond                              float64   `json:"bytes_per_second"`
		Events, Bytes, Errors                       uint64
		Paused                                      bool
	}
	Total struct {
		Publishers      int
		EventsPerSecond float64 `json:"events_per_second"`
	}
}

type channelRatePage struct {
	Channels []struct {
		Channel             string
		Subscribers         int
		EventsPerSecond     float64 `json:"events_per_second"`
		BytesPerSecond      float64 `json:"bytes_per_second"`
		DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	}
	Total struct {
		Channels        int
		EventsPerSecond float64 `json:"events_per_second"`
	}
}

func (o *operator) publishers(query string) publisherPage {
	o.Helper()
	return answered[publisherPage](o, o.get("/api/publishers"+query), 200)
}

// waitFor asks again until the condition holds.
func waitFor[T any](tb testing.TB, ask func() T, condition func(T) bool) T {
	tb.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(patience); ; <-poll.C {
		value := ask()
		if condition(value) {
			return value
		}
		if time.Now().After(deadline) {
			tb.Fatalf("it does not come about: %+v", value)
		}
	}
}

// TestPublishers has each kind of publisher send, and finds all in the list.
func TestPublishers(t *testing.T) {
	patterns, err := gateway.ParsePatterns([]string{"**"})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, noRates, func(c *gateway.Config) { c.ClientPublish = patterns })
	o := s.operator()
	if page := o.publishers(""); len(page.Publishers) != 0 || page.Total.Publishers != 0 {
		t.Errorf("before anybody publishes the list is %+v", page)
	}
	lines, resp := s.publisher(), s.publisher()
	lines.publishes("news", `"12345"`)
	resp.sends(array("HELLO", "3", "SETNAME", "billing") + array("CLIENT", "SETINFO", "LIB-NAME", "redis-py") + array("CLIENT", "SETINFO", "LIB-VER", "5.0") +
		array("PUBLISH", "a b", "1") + strings.Repeat(array("PUBLISH", "news", "1234567"), 7))
	client, id := s.connectKnown(0)
	for range 3 {
		client.says(`{"type":"publish","channel":"news","data":1}`)
	}
	quiet, _ := s.connectKnown(0)
	quiet.subscribe("news")
	o.post("/api/publish", `{"channel":"news","data":1}`)
	o.post("/api/publish", `{"channel":"","data":1}`)
	s.publisher() // says nothing

	page := waitFor(t, func() publisherPage { return o.publishers("") }, func(page publisherPage) bool {
		return len(page.Publishers) == 5 && page.Publishers[0].Events == 7 && page.Publishers[1].Events == 3
	})
	if page.Total.Publishers != 5 || page.Total.EventsPerSecond <= 0 {
		t.Errorf("the sum is %+v", page.Total)
	}
	type entry struct {
		protocol, name, library, address string
		events, bytes, errors            uint64
	}
	got := make(map[string]entry)
	for _, p := range page.Publishers {
		if p.Paused || p.Protocol != "http" && time.Since(p.Connected).Abs() > patience || (p.EventsPerSecond > 0) != (p.Events > 0) {
			t.Errorf("the entry is %+v", p)
		}
		if p.Protocol == "http" {
			p.Address = strings.Split(p.Address, ":")[0] // its port is another each time
		}
		got[p.Publisher] = entry{p.Protocol, p.Name, p.Library, p.Address, p.Events, p.Bytes, p.Errors}
	}
	want := map[string]entry{
		"1":   {"ndjson", "", "", lines.LocalAddr().String(), 1, 7, 0},
		"2":   {"resp3", "billing", "redis-py 5.0", resp.LocalAddr().String(), 7, 49, 1},
		"3":   {"undecided", "", "", got["3"].address, 0, 0, 0},
		id:    {"websocket", "", "", client.LocalAddr().String(), 3, 3, 0},
		"api": {"http", "", "", "127.0.0.1", 1, 1, 1},
	}
	for number, wanted := range want {
		if got[number] != wanted {
			t.Errorf("publisher %s is %+v, want %+v", number, got[number], wanted)
		}
	}
	if first := o.publishers("?order=bytes&limit=1").Publishers; len(first) != 1 || first[0].Publisher != "2" {
		t.Errorf("the first by bytes is %+v", first)
	}
	o.refused(o.get("/api/publishers?order=name"), 400, "bad_request", "order may be events or bytes")
	o.refused(o.get("/api/publishers?order="), 400, "bad_request", "order may be")
}

// A publisher that is disconnected is told why, and the others go on.
func TestDisconnectPublisher(t *testing.T) {
	s := start(t)
	o := s.operator()
	lines, resp, other := s.publisher(), s.publisher(), s.publisher()
	other.publishes("news", "1")
	lines.publishes("news", "1")
	resp.sends(array("PING"))
	resp.receives("+PONG\r\n")
	// The numbers are in the order in which the loop has accepted them.
	numbers := make(map[string]string)
	for _, p := range o.publishers("").Publishers {
		numbers[p.Address] = p.Publisher
	}
	path := func(p *peer) string {
		return fmt.Sprintf("/api/publishers/%s/disconnect", numbers[p.LocalAddr().String()])
	}
	if reply := o.post(path(lines), ""); reply.status != 200 {
		t.Errorf("answered with %+v", reply)
	}
	if got, want := lines.line(), `{"line":1,"error":{"code":"not_available","message":"disconnected by an operator"}}`; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
	lines.ends()
	o.post(path(resp), `{"reason":"you\r\nflood"}`)
	resp.receives("-ERR you  flood\r\n")
	resp.ends()
	other.publishes("news", "2")
	client, id := s.connectKnown(0)
	o.post("/api/publishers/"+id+"/disconnect", "{}")
	client.closes(1008, "disconnected by an operator")

	o.refused(o.post(path(lines), ""), 404, "not_found", "no publisher")
	for _, id := range []string{"api", "01", "-1", "x", "99999999999999999999"} {
		o.refused(o.post("/api/publishers/"+id+"/disconnect", ""), 400, "bad_request", "")
	}
}

// TestFloodIsFound has one of many channels flooded by a real redis-cli with a
// name. The API names both within seconds, and what the operator does about it works.
func TestFloodIsFound(t *testing.T) {
	path, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not installed; install it to flood the publish port with it")
	}
	s := start(t)
	o := s.operator()
	usual := s.publisher()
	const channels = 500
	for i := range channels {
		usual.sends(fmt.Sprintf(`{"channel":"usual.%d","data":1}`+"\n", i))
	}
	subscriber := s.connect()
	subscriber.subscribe("usual.7") // more subscribers do not make it loud
	loud := s.connect()
	loud.subscribe("loud")
	go func() { _, _ = io.Copy(io.Discard, loud.in) }()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	addr := s.PublishAddrs()[0]
	flood := exec.CommandContext(ctx, path, "-h", addr.Addr().String(), "-p", fmt.Sprint(addr.Port()))
	input, err := flood.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := flood.Start(); err != nil {
		t.Fatal(err)
	}
	defer flood.Wait()
	defer cancel()
	go func() {
		_, err := io.WriteString(input, "CLIENT SETNAME price-feed\n")
		for err == nil {
			_, err = io.WriteString(input, strings.Repeat("PUBLISH loud 12345678\n", 100))
		}
	}()

	began := time.Now()
	byEvents := waitFor(t, func() channelRatePage {
		return answered[channelRatePage](t, o.get("/api/channels?order=events&limit=3"), 200)
	}, func(page channelRatePage) bool {
		return page.Channels[0].Channel == "loud" && page.Channels[0].EventsPerSecond > page.Total.EventsPerSecond/2
	})
	first := byEvents.Channels[0]
	if byEvents.Total.Channels != channels+1 || len(byEvents.Channels) != 3 || first.DeliveriesPerSecond != first.EventsPerSecond ||
		first.BytesPerSecond < 7.9*first.EventsPerSecond || first.BytesPerSecond > 8.1*first.EventsPerSecond {
		t.Errorf("the channels are %+v", byEvents)
	}
	for _, order := range []string{"bytes", "deliveries"} {
		if page := answered[channelRatePage](t, o.get("/api/channels?limit=1&order="+order), 200); page.Channels[0].Channel != "loud" {
			t.Errorf("by %s the first channel is %+v", order, page.Channels)
		}
	}
	found := waitFor(t, func() publisherPage { return o.publishers("?limit=1") }, func(page publisherPage) bool {
		p := page.Publishers
		return len(p) == 1 && p[0].Name == "price-feed" && p[0].EventsPerSecond > page.Total.EventsPerSecond/2
	}).Publishers[0]
	if took := time.Since(began); found.Protocol != "resp2" || !strings.HasPrefix(found.Address, "127.0.0.1:") || took > patience/2 {
		t.Errorf("after %v the publisher is %+v", took, found)
	}
	o.post("/api/publishers/"+found.Publisher+"/disconnect", `{"reason":"too loud"}`)
	waitFor(t, func() publisherPage { return o.publishers("") }, func(page publisherPage) bool {
		for _, p := range page.Publishers {
			if p.Publisher == found.Publisher {
				return false
			}
		}
		return true
	})
}

// The count of clients that lag is that of the list, also while clients that were
// cut off have not read their last words.
func TestLaggingIsWhatTheListHas(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t)
	o, upstream := s.operator(), s.publisher()
	ids := make(map[string]bool)
	for range 3 {
		p, id := s.connectKnown(4 << 10)
		p.subscribe("news")
		ids[id] = true
	}
	type page struct {
		Laggards []struct{ Client string }
		Total    int64
	}
	laggards := func() page { return answered[page](t, o.get("/api/laggards?limit=2"), 200) }
	for laggards().Total < 3 {
		upstream.publishes("news", `"`+strings.Repeat("x", 60_000)+`"`)
	}
	if list := laggards(); len(list.Laggards) != 2 || s.stats().Total.Lagging != 3 {
		t.Errorf("the list is %+v, %d lag", list, s.stats().Total.Lagging)
	}
	for id := range ids {
		o.post("/api/clients/"+id+"/disconnect", "")
		delete(ids, id)
		if list, lagging := laggards(), s.stats().Total.Lagging; list.Total != int64(len(ids)) || lagging != list.Total || len(list.Laggards) != min(2, len(ids)) {
			t.Errorf("with %d left the list is %+v, and %d lag", len(ids), list, lagging)
		}
	}
	s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 && g.Total.Lagging == 0 })
}
