package gateway_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway"
)

const (
	bareOffer    = "permessage-deflate"
	browserOffer = "permessage-deflate; client_max_window_bits"
)

// connectDeflating makes a client that offers an extension, and returns the
// answer.
func (s *server) connectDeflating(p *peer, offer string) (_ *peer, agreed string) {
	s.Helper()
	p.sends(head + "Sec-WebSocket-Extensions: " + offer + "\r\n\r\n")
	_, agreed, _ = strings.Cut(p.upgraded(), "Sec-WebSocket-Extensions: ")
	agreed, _, _ = strings.Cut(agreed, "\r\n")
	p.text() // welcome
	return p, agreed
}

// deflating makes a client that compression was agreed on with.
func (s *server) deflating(offer string) *peer {
	s.Helper()
	p, agreed := s.connectDeflating(s.dialRaw(), offer)
	if !strings.HasPrefix(agreed, "permessage-deflate; server_no_context_takeover") {
		s.Fatalf("%q was answered with %q", offer, agreed)
	}
	return p
}

// takes reads the next message, compressed or not; pings before it are skipped. wire is the size of its
// payload as it came.
func (p *peer) takes() (text string, wire int, compressed bool) {
	p.Helper()
	f, err := readFrame(p.in)
	for err == nil && f.Header.OpCode == ws.OpPing {
		f, err = readFrame(p.in)
	}
	if err != nil {
		p.Fatalf("reading a frame: %v", err)
	}
	const rsv1 = 4
	if f.Header.OpCode != ws.OpText || !f.Header.Fin || f.Header.Masked || f.Header.Rsv&^rsv1 != 0 {
		p.Fatalf("received %+v %.100q, want a text", f.Header, f.Payload)
	}
	if f.Header.Rsv == 0 {
		return string(f.Payload), len(f.Payload), false
	}
	return inflate(p, f.Payload), len(f.Payload), true
}

// inflate undoes what a sender without context has compressed.
func inflate(tb testing.TB, payload []byte) string {
	tb.Helper()
	text, err := new(inflater).inflate(payload)
	if err != nil {
		tb.Fatalf("inflating %.100q: %v", payload, err)
	}
	return string(text)
}

// inflater does so for one message after the other.
type inflater struct{ reader io.ReadCloser }

func (i *inflater) inflate(payload []byte) ([]byte, error) {
	whole := bytes.NewReader(append(bytes.Clone(payload), "\x00\x00\xff\xff\x01\x00\x00\xff\xff"...))
	if i.reader == nil {
		i.reader = flate.NewReader(whole)
	} else if err := i.reader.(flate.Resetter).Reset(whole, nil); err != nil {
		return nil, err
	}
	return io.ReadAll(i.reader)
}

// deflater compresses a client's messages.
type deflater struct {
	out     bytes.Buffer
	w       *flate.Writer
	context bool // from message to message
}

func newDeflater(context bool) *deflater {
	d := &deflater{context: context}
	d.w, _ = flate.NewWriter(&d.out, 9)
	return d
}

// frame is a masked frame with the message compressed.
func (d *deflater) frame(op ws.OpCode, message string) string {
	d.out.Reset()
	if !d.context {
		d.w.Reset(&d.out)
	}
	io.WriteString(d.w, message)
	d.w.Flush()
	return compressedFrame(op, strings.TrimSuffix(d.out.String(), "\x00\x00\xff\xff"))
}

// compressedFrame is a masked frame with RSV1.
func compressedFrame(op ws.OpCode, payload string) string {
	f := []byte(clientFrame(op, true, payload))
	f[0] |= 0x40
	return string(f)
}

// rows is JSON that compresses well, of about n bytes.
func rows(n int) string {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	text := []byte("[")
	for len(text) < n {
		text = fmt.Appendf(text, `{"symbol":"EURUSD","bid":%.5f,"volume":%d},`, random.Float64(), random.IntN(1e6))
	}
	return string(text) + "null]"
}

// TestCompressedEvents gives events of all sizes to clients with every window
// (RFC 7692, 6.1 and 7.2.1).
func TestCompressedEvents(t *testing.T) {
	s := start(t, oneShard, func(c *gateway.Config) { c.MaxEvent = 1 << 20 })
	plain, upstream := s.connect(), s.publisher()
	plain.subscribe("news")
	offers := []string{
		bareOffer, browserOffer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"x-other, permessage-deflate; server_max_window_bits=15; client_max_window_bits=9",
		"permessage-deflate; server_max_window_bits=14", "permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=11",
		"permessage-deflate; server_max_window_bits=10", "permessage-deflate; server_max_window_bits=9", `permessage-deflate; server_max_window_bits="8"`,
	}
	var clients []*peer
	for _, offer := range offers {
		p := s.deflating(offer)
		p.subscribe("news")
		clients = append(clients, p)
	}
	if got := s.stats().Total.CompressedClients; got != int64(len(clients)) {
		t.Errorf("%d clients are counted as compressed", got)
	}
	offset := uint64(0)
	for _, n := range []int{2, 100, 240, 300, 1000, 5000, 7000, 20_000, 65_000, 500_000} {
		data := rows(n)
		offset++
		upstream.publishes("news", data)
		want := event("news", offset, data)
		plain.wants(want)
		for i, p := range clients {
			text, wire, compressed := p.takes()
			if text != want || compressed != (len(want) >= gateway.DefaultCompressFrom) || compressed && wire > len(want)*3/4 {
				t.Fatalf("%s: %d bytes of data came as %d bytes, compressed: %t; equal: %t", offers[i], n, wire, compressed, text == want)
			}
		}
	}
	for _, p := range clients {
		p.says(ping)
		if text, _, compressed := p.takes(); compressed || text != pong {
			t.Errorf("a ping was answered with %s, compressed: %t", text, compressed)
		}
	}
}

// TestCompressedOnce publishes to many compressed subscribers on several shards:
// one compression an event, be it small or large.
func TestCompressedOnce(t *testing.T) {
	count := scaled(1000, 5)
	s := start(t, func(c *gateway.Config) { c.Shards = 4 }, noPings)
	upstream := s.publisher()
	clients := make([]*peer, count)
	for i := range clients {
		clients[i] = s.deflating(browserOffer)
		clients[i].subscribe("news")
	}
	for i, shard := range s.stats().Shards {
		if shard.CompressedClients == 0 {
			t.Fatalf("shard %d has no client", i)
		}
	}
	for i, data := range []string{rows(1000), rows(60_000), rows(400), rows(30_000)} {
		offset := uint64(i + 1)
		upstream.publishes("news", data)
		want := event("news", offset, data)
		for _, p := range clients {
			if text, _, compressed := p.takes(); text != want || !compressed {
				t.Fatalf("received %.100s, compressed: %t", text, compressed)
			}
		}
		if got := s.stats().Compression.Events; got != offset {
			t.Errorf("%d compressions after %d events", got, offset)
		}
	}
	if c := s.stats().Compression; c.BytesIn < 91_400 || c.BytesOut > c.BytesIn/2 || c.BytesOut == 0 {
		t.Errorf("compressed %+v", c)
	}
}

// TestCompressedMixed has plain clients and three windows on two shards get the
// same events in order, small and large ones mixed and pipelined.
func TestCompressedMixed(t *testing.T) {
	s := start(t)
	upstream := s.publisher()
	offers := []string{"", bareOffer, "permessage-deflate; server_max_window_bits=12", "permessage-deflate; server_max_window_bits=9"}
	var clients []*peer
	for i := range 40 {
		p := s.dialRaw()
		if offer := offers[i%len(offers)]; offer == "" {
			s.upgrade(p)
		} else {
			p, _ = s.connectDeflating(p, offer)
		}
		p.subscribe("news")
		clients = append(clients, p)
	}
	random := rand.New(rand.NewPCG(2, 3))
	var lines strings.Builder
	var events []string
	for i := range 60 {
		data := rows([]int{10, 300, 2000, 12_000, 50_000}[random.IntN(5)])
		fmt.Fprintf(&lines, `{"channel":"news","data":%s}`+"\n", data)
		events = append(events, event("news", uint64(i+1), data))
	}
	sent := make(chan struct{})
	go func() { defer close(sent); io.WriteString(upstream.TCPConn, lines.String()) }()
	for i, p := range clients {
		for _, want := range events {
			text, _, compressed := p.takes()
			if text != want || compressed != (i%len(offers) > 0 && len(want) >= gateway.DefaultCompressFrom) {
				t.Fatalf("client %d received %.100s (%d bytes), compressed: %t, want %.100s", i, text, len(text), compressed, want)
			}
		}
	}
	<-sent
}

func TestCompressionByPattern(t *testing.T) {
	var config gateway.Config
	s := start(t, oneShard, func(c *gateway.Config) { c.Compress = gateway.Patterns{"big.**"}; config = *c })
	p, plain := s.deflating(bareOffer), s.connect()
	for _, channel := range []string{"big.a", "small"} {
		p.subscribe(channel)
		plain.subscribe(channel)
	}
	data := rows(2000)
	check := func(channel string, offset uint64, want bool) {
		t.Helper()
		s.publish(channel, data)
		plain.wants(event(channel, offset, data))
		if text, _, compressed := p.takes(); text != event(channel, offset, data) || compressed != want {
			t.Errorf("%s: compressed is %t", channel, compressed)
		}
	}
	check("big.a", 1, true)
	check("small", 1, false)
	config.Compress = nil
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	check("big.a", 2, false)
	if _, agreed := s.connectDeflating(s.dialRaw(), bareOffer); agreed != "" {
		t.Errorf("an offer was answered with %q", agreed)
	}
	// Who had agreed may go on sending compressed messages.
	p.sends(newDeflater(false).frame(ws.OpText, ping))
	p.wants(pong)
	config.Compress = gateway.Patterns{"**"}
	if err := s.Reconfigure(config); err != nil {
		t.Fatal(err)
	}
	check("small", 2, true)
}

// TestCompressedCommands has clients compress what they say (RFC 7692, 6,
// 7.1.1.2, 7.1.2.2 and 7.2.2).
func TestCompressedCommands(t *testing.T) {
	withContext := func(c *gateway.Config) { c.ClientContext = 4096 }
	tests := []struct {
		name    string
		set     func(*gateway.Config)
		offer   string
		agreed  string
		context bool
	}{
		{"each for itself", func(*gateway.Config) {}, browserOffer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", false},
		{"with context", withContext, browserOffer, "permessage-deflate; server_no_context_takeover; client_max_window_bits=12", true},
		{"a window that cannot be bounded", withContext, bareOffer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", false},
		{"context in the largest window", func(c *gateway.Config) { c.ClientContext = 32 << 10 }, bareOffer, "permessage-deflate; server_no_context_takeover", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, oneShard, tt.set)
			p, agreed := s.connectDeflating(s.dialRaw(), tt.offer)
			if agreed != tt.agreed {
				t.Fatalf("agreed on %q", agreed)
			}
			d := newDeflater(tt.context)
			for i := range 50 {
				p.sends(d.frame(ws.OpText, fmt.Sprintf(`{"type":"subscribe","channel":"channel.%d"}`, i)))
				if reply := decode[message](p, p.text()); reply.Type != "subscribed" {
					t.Fatalf("%+v", reply)
				}
			}
			p.sends(clientFrame(ws.OpText, true, ping) + d.frame(ws.OpText, ping))
			p.wants(pong, pong)
		})
	}
}

// TestContextsAreBounded lets two windows fit into the memory: a third client may
// compress without context, until one of the others is gone.
func TestContextsAreBounded(t *testing.T) {
	const window, without = 32 << 10, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	s := start(t, func(c *gateway.Config) {
		c.ClientContext, c.InputMemory, c.MaxMessage, c.MaxEvent = window, 2*window+window/2, 16<<10, 8<<10
	})
	connect := func(offer string) (*peer, string) { return s.connectDeflating(s.dialRaw(), offer) }
	small := "permessage-deflate; client_max_window_bits=10" // takes less than may be
	first, agreed := connect(small)
	if got := s.stats().ClientContexts; agreed != "permessage-deflate; server_no_context_takeover; client_max_window_bits=10" || got != 1<<10 {
		t.Errorf("agreed on %q, the windows count %d bytes", agreed, got)
	}
	second, _ := connect(bareOffer)
	for _, offer := range []string{bareOffer + "; client_no_context_takeover", ""} { // which take nothing
		if offer != "" {
			connect(offer)
		} else {
			s.connect()
		}
	}
	if got := s.stats().ClientContexts; got != 1<<10+window {
		t.Errorf("the windows count %d bytes", got)
	}
	if _, agreed := connect(bareOffer); agreed != "permessage-deflate; server_no_context_takeover" {
		t.Errorf("the second whole window: agreed on %q", agreed)
	}
	p, agreed := connect(bareOffer)
	if agreed != without {
		t.Errorf("without room, agreed on %q", agreed)
	}
	p.sends(newDeflater(false).frame(ws.OpText, ping))
	p.wants(pong)
	second.Close()
	first.Close()
	s.eventually("room", func(g gateway.GatewayStats) bool { return g.ClientContexts == window })
	if _, agreed := connect(bareOffer); agreed != "permessage-deflate; server_no_context_takeover" {
		t.Errorf("with room again, agreed on %q", agreed)
	}
}

// TestCompressionWithSafari has a client that compresses with context whatever was
// agreed on, as Safari does: it is not given the chance, or may.
func TestCompressionWithSafari(t *testing.T) {
	const (
		macOS   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.1 Safari/605.1.15"
		iOS     = "Mozilla/5.0 (iPhone; CPU iPhone OS 15_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.0 Mobile/15E148 Safari/604.1"
		webView = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
		app     = "News/7 CFNetwork/1408.0.4 Darwin/22.5.0"
		chrome  = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
		firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
	)
	const reset = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for _, tt := range []struct {
		agent, offer string
		context      int
		agreed       string
	}{
		{macOS, bareOffer, 0, ""}, {iOS, bareOffer, 0, ""}, {webView, bareOffer, 0, ""}, {app, bareOffer, 0, ""},
		{macOS, bareOffer, 4096, ""}, // it does not know how to keep within that
		{macOS, bareOffer, 32 << 10, "permessage-deflate; server_no_context_takeover"},
		{iOS, bareOffer, 32 << 10, "permessage-deflate; server_no_context_takeover"},
		{chrome, bareOffer, 0, reset}, {firefox, bareOffer, 0, reset}, {"", bareOffer, 0, reset},
	} {
		t.Run(fmt.Sprintf("%.60s with %d", tt.agent, tt.context), func(t *testing.T) {
			s := start(t, oneShard, func(c *gateway.Config) { c.ClientContext = tt.context })
			p, agreed := s.connectDeflating(s.dialRaw(), tt.offer+"\r\nUser-Agent: "+tt.agent)
			if agreed != tt.agreed {
				t.Fatalf("agreed on %q, want %q", agreed, tt.agreed)
			}
			d := newDeflater(agreed != reset) // Safari's context goes on whenever it compresses
			for range 20 {
				if agreed == "" {
					p.says(ping)
				} else {
					p.sends(d.frame(ws.OpText, ping))
				}
				p.wants(pong)
			}
		})
	}
}

// TestCompressedViolationsClose sends bombs and what does not inflate, and RSV1
// where it must not be (RFC 7692, 6.1).
func TestCompressedViolationsClose(t *testing.T) {
	bomb := newDeflater(false).frame(ws.OpText, strings.Repeat(" ", gateway.DefaultMaxMessage+1))
	tests := []struct {
		name, frame string
		code        ws.StatusCode
		reason      string
	}{
		{"bomb", bomb, 1009, "message is larger than this endpoint takes"},
		{"never ending", compressedFrame(ws.OpText, "")[:1] + "\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", 1009, "message is larger than this endpoint takes"},
		{"corrupt", compressedFrame(ws.OpText, "\xff\xff"), 1007, "compressed message does not inflate"},
		{"cut off", compressedFrame(ws.OpText, "\xf2\x48"), 1007, "compressed message does not inflate"},
		{"context that was not agreed on", newDeflater(false).frame(ws.OpText, "Hello") + compressedFrame(ws.OpText, "\xf2\x00\x11\x00\x00"), 1007, "compressed message does not inflate"},
		{"not UTF-8", newDeflater(false).frame(ws.OpText, "\xff"), 1007, "text message is not UTF-8"},
		{"RSV1 of a ping", compressedFrame(ws.OpPing, ""), 1002, "reserved bit set without an extension"},
	}
	s := start(t)
	witness := s.connect()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := s.deflating(bareOffer)
			p.TB = t
			p.sends(tt.frame)
			if strings.HasPrefix(tt.name, "context") {
				p.text() // Hello is no command
			}
			p.closes(tt.code, tt.reason)
		})
	}
	witness.says(ping)
	witness.wants(pong)
}

// TestManyBombs sends messages that are large once inflated, but within the limit:
// others have their turn between them, and each is answered.
func TestManyBombs(t *testing.T) {
	const count = 2000
	s := start(t, oneShard)
	p, witness := s.deflating(bareOffer), s.connect()
	d := newDeflater(false)
	message := d.frame(ws.OpText, `{"type":"ping"`+strings.Repeat(" ", gateway.DefaultMaxMessage-15)+"}")
	sent := make(chan struct{})
	go func() { defer close(sent); io.WriteString(p.TCPConn, strings.Repeat(message, count)) }()
	witness.says(ping)
	witness.wants(pong)
	for range count {
		p.wants(pong)
	}
	<-sent
	if cuts := s.stats().Total.ReadCuts; cuts < count*gateway.DefaultMaxMessage/(512<<10) {
		t.Errorf("the input was cut %d times", cuts)
	}
	p.says(ping)
	p.wants(pong)
}

// TestTinyCompressedMessages sends messages that become nothing, but are work: a
// turn handles only so many of them, too.
func TestTinyCompressedMessages(t *testing.T) {
	const count = 4000
	s := start(t, oneShard, noRates)
	p := s.deflating(bareOffer)
	empty := compressedFrame(ws.OpText, strings.Repeat("\x03\x00", 15)+"\x00")
	sent := make(chan struct{})
	go func() { defer close(sent); io.WriteString(p.TCPConn, strings.Repeat(empty, count)) }()
	for range count {
		if reply := decode[message](p, p.text()); reply.Code != "bad_request" {
			t.Fatalf("%+v", reply)
		}
	}
	<-sent
	if cuts := s.stats().Total.ReadCuts; cuts < 10 {
		t.Errorf("the input was cut %d times", cuts)
	}
}

// TestCompressedBacklog lets a compressed client lag and catch up.
func TestCompressedBacklog(t *testing.T) {
	s := start(t, oneShard, neverSlow)
	slow, _ := s.connectDeflating(dial(t, s.clientAddr(), 4<<10), bareOffer)
	quick, upstream := s.deflating(bareOffer), s.publisher()
	slow.subscribe("news")
	quick.subscribe("news")
	var events []string
	for i := uint64(1); s.stats().Total.BacklogBytes < 256<<10; i++ {
		data := rows(500 + int(i)%7*3000)
		upstream.publishes("news", data)
		events = append(events, event("news", i, data))
		if text, _, _ := quick.takes(); text != events[i-1] {
			t.Fatalf("received %.100s", text)
		}
	}
	for _, want := range events {
		if text, _, compressed := slow.takes(); text != want || !compressed {
			t.Fatalf("received %.100s, compressed: %t", text, compressed)
		}
	}
	s.eventually("the end of the backlog", func(g gateway.GatewayStats) bool { return g.Total.BacklogBytes == 0 })
	if got := s.stats().Compression.Events; got != uint64(len(events)) {
		t.Errorf("%d compressions of %d events", got, len(events))
	}
}

// TestDrainWaitsForCompression drains behind a large event: it still arrives.
func TestDrainWaitsForCompression(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) { c.MaxEvent = 8 << 20; c.CompressLevel = 9 })
	p := s.deflating(bareOffer)
	p.subscribe("news")
	data := rows(2 << 20)
	s.publish("news", data)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(t.Context()) }()
	if text, _, compressed := p.takes(); text != event("news", 1, data) || !compressed {
		t.Fatalf("received %.100s, compressed: %t", text, compressed)
	}
	if goodbye := decode[message](p, p.text()); goodbye.Type != "goodbye" {
		t.Errorf("received %+v", goodbye)
	}
	p.closes(1001, "draining")
	p.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
