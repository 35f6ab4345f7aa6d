package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// liveOptions has a test of the effect of every option that a reload changes.
var liveOptions = map[string]liveOption{
	"console": {"on", "off", "", (*liveGateway).lookAtFrontPage, "console", "text", false},

	"allow-host":     {"", "*.a.test", "", (*liveGateway).lookAtHost, "421", "200", false},
	"allow-origin":   {"", "https://*.test", "", handshakes(1, "Origin: https://a.test"), "403", "101", false},
	"client-publish": {"", "ch**", "", asks(1, `{"type":"publish","channel":"chat","data":1}`), "permission_denied", "published", false},

	"channels": {"ch** client-publish=off", "ch** client-publish=on", "--client-publish=**", asks(1, `{"type":"publish","channel":"chat","data":1}`), "permission_denied", "published", false},

	"token-secret":    {"env:" + secretVariable + "_OLD", "env:" + secretVariable, "", handshakes(1, "Authorization: Bearer "+tokenOf("alice")), "401", "101", false},
	"issuers":         {"secret=env:" + secretVariable + " audience=other", "secret=env:" + secretVariable, "", handshakes(1, "Authorization: Bearer "+tokenOf("alice")), "401", "101", false},
	"connect-hook":    {"", "http://127.0.0.1:9/hook timeout=1s", "", handshakes(1), "101", "503", false},
	"subscribe-hooks": {"rooms url=http://127.0.0.1:9/", "rooms url=" + allowingHook(), "--channels=a subscribe-hook=rooms", asks(1, `{"type":"subscribe","channel":"a"}`), "not_available", "subscribed", false},
	"token-cookie":    {"off", "session", "--allow-origin=https://a.test --token-secret=env:" + secretVariable, (*liveGateway).lookAtCookie, "", "alice", false},
	"user-clients":    {"1", "9", "--token-secret=env:" + secretVariable, handshakes(2, "Authorization: Bearer "+tokenOf("bob")), "101 429", "101 101", false},
	"user-connects":   {"1/h", "1000/s", "--token-secret=env:" + secretVariable, handshakes(2, "Authorization: Bearer "+tokenOf("carol")), "101 429", "101 101", false},
	"ticket-keys":     {"", "env:" + secretVariable, "--token-secret=env:" + secretVariable, (*liveGateway).lookAtTicket, "401", "101", false},

	"patterns":     {"segments", "checked", "--client-publish=ch*", (*liveGateway).lookAtStars, "taken", "refused", true},
	"publish-keys": {"", "a sha256=" + anyDigest + " channels=**", "", publishes(`"channel":"a","data":1`), "results", "authentication_required", false},
	"admin-keys":   {"", "a sha256=" + anyDigest + " access=read", "", (*liveGateway).lookAtAdmin, "200", "401", false},

	"max-clients":       {"1", "4", "", handshakes(2), "101 503", "101 101", false},
	"max-publishers":    {"1", "4", "", (*liveGateway).lookAtPublishers, "served refused", "served served", false},
	"max-channels":      {"1", "2", "", asks(1, `{"type":"subscribe","channel":"a"}`, `{"type":"subscribe","channel":"b"}`), "subscribed limit_exceeded", "subscribed subscribed", false},
	"client-channels":   {"1", "2", "", asks(1, `{"type":"subscribe","channel":"a"}`, `{"type":"subscribe","channel":"b"}`), "subscribed limit_exceeded", "subscribed subscribed", false},
	"max-head":          {"1KiB", "64KiB", "", handshakes(1, "Cookie: "+strings.Repeat("c", 60<<10)), "431", "101", false},
	"max-message":       {"128", "1KiB", "", asks(1, `{"type":"ping","pad":"`+strings.Repeat("x", 500)+`"}`), "1009", "pong", false},
	"max-event":         {"100", "1000", "", publishes(`"channel":"a","data":"` + strings.Repeat("x", 500) + `"`), "limit_exceeded", "results", false},
	"max-subscriptions": {"1", "10", "", asks(1, `{"type":"subscribe","channel":"a"}`, `{"type":"subscribe","channel":"b"}`), "subscribed limit_exceeded", "subscribed subscribed", false},
	"max-channel-name":  {"3", "6", "", asks(1, `{"type":"subscribe","channel":"abcdef"}`), "bad_channel", "subscribed", false},
	"client-commands":   {"1/h burst 2", "1000/s", "", asks(3, `{"type":"ping"}`), "pong pong rate_limited", "pong pong pong", false},
	"client-publishes":  {"1/h burst 1", "1000/s", "--client-publish=**", asks(2, `{"type":"publish","channel":"a","data":1}`), "published rate_limited", "published published", false},
	"publisher-rate":    {"1/h burst 1", "1000/s", "", publishes(`"channel":"a","data":1`, `"channel":"a","data":1`), "results rate_limited", "results results", false},
	"slow-after":        {"5m", "100ms", "", (*liveGateway).lookAtPatience, "", "cut", false},
	"backlog":           {"64MiB", "64KiB", "--slow-policy=drop_oldest", (*liveGateway).lookAtSlowClient, "all", "gap", false},
	"backlog-messages":  {"0", "2", "--slow-policy=drop_oldest --backlog=64MiB", (*liveGateway).lookAtSlowClient, "all", "gap", false},
	"backlog-memory":    {"64MiB", "64KiB", "", (*liveGateway).lookAtSlowClient, "all", "cut", false},
	"slow-policy":       {"disconnect", "drop_oldest", "--backlog=64KiB", (*liveGateway).lookAtSlowClient, "all", "gap", false},
	"slow-channels":     {"", "slow=conflate", "--backlog=64KiB", (*liveGateway).lookAtSlowClient, "all", "gap", false},
	"history":           {"off", "chat.*=20,1m", "", (*liveGateway).lookAtHistory, "nothing", "kept", false},
	"history-memory":    {"64MiB", "1MiB", "", (*liveGateway).lookAtLongHistory, "all", "some", false},
	"input-memory":      {"64MiB", "66KiB", "--max-event=1KiB", (*liveGateway).lookAtHalfMessages, "kept", "1013", true},
	"credits":           {"64MiB", "64KiB", "--publisher-credits=64MiB", (*liveGateway).lookAtPushBack, "", "pushed back", true},
	"publisher-credits": {"64MiB", "64KiB", "--credits=64MiB", (*liveGateway).lookAtPushBack, "", "pushed back", true},
	"trusted-proxies":   {"192.0.2.0/24", "127.0.0.0/8", "--proxy-header=x-forwarded-for", (*liveGateway).lookAtAddress, "127.0.0.1", "192.0.2.7", false},
	"proxy-header":      {"forwarded", "x-forwarded-for", "--trusted-proxies=127.0.0.0/8", (*liveGateway).lookAtAddress, "127.0.0.1", "192.0.2.7", false},
	"address-clients":   {"1", "9", "", handshakes(2), "101 429", "101 101", false},
	"address-connects":  {"1/h", "1000/s", "", handshakes(2), "101 429", "101 101", false},
	"connects":          {"1/h", "1000/s", "--connect-queue=0", handshakes(2), "101 503", "101 101", false},
	"connect-queue":     {"0", "9", "--connects=1/h --handshake-timeout=24h", (*liveGateway).lookAtQueue, "refused", "waits", true},
	"compression":       {"on", "off", "", (*liveGateway).lookAtExtensions, "permessage-deflate, no context", "", false},
	"compress-channels": {"a", "b", "", (*liveGateway).lookAtEvent, "plain", "compressed", false},
	"compression-from":  {"100KiB", "10", "", (*liveGateway).lookAtEvent, "plain", "compressed", false},
	"compression-level": {"1", "9", "", (*liveGateway).lookAtCompressedSize, "first", "smaller", false},
	"client-context":    {"0", "32KiB", "", (*liveGateway).lookAtExtensions, "permessage-deflate, no context", "permessage-deflate, context", false},
	"drain-window":      {"1s", "0s", "", drains(` over=(\w+)`), "", "0s", false},
	"retry-window":      {"0s", "1h", "", (*liveGateway).lookAtReturns, "", "spread", false},
	"shutdown-delay":    {"24h", "0s", "", (*liveGateway).lookAtDelay, "", "drained", false},
	"drain-timeout":     {"24h", "20ms", "--drain-window=0s --handshake-timeout=24h", (*liveGateway).lookAtDrainOfUnfinished, "", "ended", false},
	"log-level":         {"error", "info", "--log-connections=100", (*liveGateway).lookAtLog, "silent", "connected", true},
	"log-connections":   {"0", "100", "", (*liveGateway).lookAtLog, "silent", "connected", true},
}

// anyDigest is that of a key that nobody has.
var anyDigest = strings.Repeat("0123456789abcdef", 4)

// lookAtAdmin asks the admin port without a key.
func (g *liveGateway) lookAtAdmin() string {
	status, _ := fetch(g.T, g.admin+"/api/channels")
	return fmt.Sprint(status)
}

// handshakes makes connections that stay and tells how each is answered.
func handshakes(n int, headers ...string) func(*liveGateway) string {
	return func(g *liveGateway) string {
		var statuses []string
		for range n {
			_, response := g.handshake(headers...)
			statuses = append(statuses, fmt.Sprint(response.StatusCode))
		}
		return strings.Join(statuses, " ")
	}
}

// asks sends texts as a new client, several times, and tells what answers each.
func asks(times int, texts ...string) func(*liveGateway) string {
	return func(g *liveGateway) string {
		p := g.connect()
		var answers []string
		for range times {
			for _, text := range texts {
				p.says(text)
				answers = append(answers, p.answer())
			}
		}
		return strings.Join(answers, " ")
	}
}

// publishes sends requests on a new connection and tells what answers each.
func publishes(requests ...string) func(*liveGateway) string {
	return func(g *liveGateway) string {
		p := g.publisher()
		var answers []string
		for _, request := range requests {
			p.sends(`{"id":1,` + request + "}\n")
			answers = append(answers, word(p.line(), `"(results|code":"\w+)`))
		}
		return strings.Join(answers, " ")
	}
}

func (g *liveGateway) lookAtFrontPage() string {
	_, text := fetch(g.T, httpOf(g.url)+"/")
	if strings.Contains(text, "<title>fleetcast console</title>") {
		return "console"
	}
	return "text"
}

// lookAtStars tells whether a reload has refused a pattern with a single *.
func (g *liveGateway) lookAtStars() string {
	if strings.Contains(g.err.String(), "the configuration was not reloaded") && strings.Contains(g.err.String(), "* now ends at") {
		return "refused"
	}
	return "taken"
}

// lookAtHost asks for the page by another name.
func (g *liveGateway) lookAtHost() string {
	request, err := http.NewRequest(http.MethodGet, httpOf(g.url), nil)
	if err != nil {
		g.Fatal(err)
	}
	request.Host = "gateway.a.test"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		g.Fatal(err)
	}
	response.Body.Close()
	return fmt.Sprint(response.StatusCode)
}

func (g *liveGateway) lookAtPublishers() string {
	var answers []string
	for range 2 {
		p := g.publisher()
		p.sends(`{"id":1,"channel":"a","data":1}` + "\n")
		if strings.Contains(p.line(), `"results"`) {
			answers = append(answers, "served")
		} else {
			answers = append(answers, "refused")
		}
	}
	return strings.Join(answers, " ")
}

// lookAtSlowClient publishes more than the kernel holds before a client reads,
// and tells whether the client gets all, is told of a gap, or is cut off.
func (g *liveGateway) lookAtSlowClient() string {
	const events = 200
	p := g.connectNarrow()
	p.says(`{"type":"subscribe","channel":"slow"}`)
	p.text()
	upstream := g.publisher()
	data := strings.Repeat("x", 40_000)
	for range events {
		upstream.sends(`{"id":1,"channel":"slow","data":"` + data + `"}` + "\n")
		upstream.line()
	}
	g.settled()
	for n := 0; n < events; n++ {
		f, err := readServerFrame(p.in)
		switch {
		case err != nil, f.Header.OpCode == ws.OpClose:
			return "cut"
		case f.Header.OpCode == ws.OpPing:
			n--
		case strings.HasPrefix(string(f.Payload), `{"type":"gap"`):
			return "gap"
		}
	}
	return "all"
}

// lookAtPatience publishes more than the kernel holds to a client that does not
// read, and tells whether it is cut off.
func (g *liveGateway) lookAtPatience() string {
	p := g.connectNarrow()
	p.says(`{"type":"subscribe","channel":"slow"}`)
	p.text()
	upstream := g.publisher()
	for range 20 {
		upstream.sends(`{"id":1,"channel":"slow","data":"` + strings.Repeat("x", 40_000) + `"}` + "\n")
		upstream.line()
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if g.stats().Total.Disconnects["slow_consumer"] > 0 {
			return "cut"
		}
	}
	return "kept"
}

// lookAtHistory publishes an event and tells whether it is kept.
func (g *liveGateway) lookAtHistory() string {
	upstream := g.publisher()
	upstream.sends(`{"id":1,"channel":"chat.a","data":1}` + "\n")
	upstream.line()
	if g.stats().Publish.HistoryEvents > 0 {
		return "kept"
	}
	return "nothing"
}

// lookAtLongHistory publishes 4 MB and tells whether all of it is kept.
func (g *liveGateway) lookAtLongHistory() string {
	const events = 100
	upstream := g.publisher()
	for range events {
		upstream.sends(`{"id":1,"channel":"a","data":"` + strings.Repeat("x", 40_000) + `"}` + "\n")
		upstream.line()
	}
	if g.stats().Publish.HistoryEvents >= events {
		return "all"
	}
	return "some"
}

// lookAtHalfMessages has two clients send the most of a long message, and tells what
// becomes of them.
func (g *liveGateway) lookAtHalfMessages() string {
	one, other := g.connect(), g.connect()
	for _, p := range []*livePeer{one, other} {
		var fragment bytes.Buffer
		if err := ws.WriteFrame(&fragment, ws.MaskFrame(ws.NewFrame(ws.OpText, false, make([]byte, 60<<10)))); err != nil {
			g.Fatal(err)
		}
		p.sends(fragment.String())
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		stats := g.stats()
		switch {
		case stats.Total.Clients < 2:
			return "1013"
		case stats.ClientInput > 2*60<<10:
			return "kept"
		}
	}
	return "neither"
}

// lookAtPushBack publishes a burst to many subscribers and tells whether the
// publisher had to wait for them.
func (g *liveGateway) lookAtPushBack() string {
	for g.stored < 200 {
		p := g.connect()
		p.says(`{"type":"subscribe","channel":"busy"}`)
		p.text()
		go func() { // until it is closed
			for buffer := make([]byte, 64<<10); ; {
				if _, err := p.conn.Read(buffer); err != nil {
					return
				}
			}
		}()
		g.stored++
	}
	upstream := g.publisher()
	go fmt.Fprint(upstream.conn, strings.Repeat(`{"channel":"busy","data":1}`+"\n", 1000)+`{"id":1,"channel":"busy","data":1}`+"\n")
	answered := make(chan struct{})
	go func() { upstream.line(); close(answered) }()
	for {
		if g.stats().Publish.Paused > 0 {
			<-answered
			return "pushed back"
		}
		select {
		case <-answered:
			return "not pushed back"
		default:
		}
	}
}

// lookAtAddress tells whose address a client has that comes through a proxy.
func (g *liveGateway) lookAtAddress() string {
	p, _ := g.handshake("X-Forwarded-For: 192.0.2.7")
	id := word(p.text(), `"client":"(\w+)"`)
	_, text := fetch(g.T, g.admin+"/api/clients/"+id)
	return word(text, `"address": *"([\d.]+)`)
}

// lookAtQueue makes clients come faster than they are admitted.
func (g *liveGateway) lookAtQueue() string {
	for range 2 { // the first may be the one that is admitted
		p := g.dial()
		p.sends(handshakeHead + "\r\n")
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		stats := g.stats()
		switch {
		case stats.Total.ConnectsQueued > 0:
			return "waits"
		case stats.Total.HandshakeFailures["connect_rate"] > 0:
			return "refused"
		}
	}
	return "neither"
}

// lookAtExtensions tells what is negotiated with a client that offers to
// compress.
func (g *liveGateway) lookAtExtensions() string {
	_, response := g.handshake(offer)
	given := response.Header.Get("Sec-WebSocket-Extensions")
	name, parameters, _ := strings.Cut(given, ";")
	switch {
	case given == "":
		return ""
	case strings.Contains(parameters, "client_no_context_takeover"):
		return name + ", no context"
	}
	return name + ", context"
}

// compressedEvent has a new client receive an event on channel b.
func (g *liveGateway) compressedEvent() ws.Frame {
	p, _ := g.handshake(offer)
	p.text()
	p.says(`{"type":"subscribe","channel":"b"}`)
	p.text()
	var data strings.Builder
	for i := range 400 {
		fmt.Fprintf(&data, "%d and %d; ", i*i%97, i*7%31)
	}
	upstream := g.publisher()
	upstream.sends(`{"id":1,"channel":"b","data":"` + data.String() + `"}` + "\n")
	upstream.line()
	return p.frame()
}

func (g *liveGateway) lookAtEvent() string {
	if f := g.compressedEvent(); f.Header.Rsv1() {
		return "compressed"
	}
	return "plain"
}

func (g *liveGateway) lookAtCompressedSize() string {
	size := len(g.compressedEvent().Payload)
	defer func() { g.stored = size }()
	switch {
	case g.stored == 0:
		return "first"
	case size < g.stored:
		return "smaller"
	}
	return "no smaller"
}

// drains stops the gateway and takes a word from the log.
func drains(pattern string) func(*liveGateway) string {
	return func(g *liveGateway) string {
		g.connect()
		g.stop()
		return g.err.await(g.T, `"clients are sent away".*?`+pattern)[1]
	}
}

// lookAtReturns stops the gateway and tells whether its clients are to come back
// later than those of a gateway without a window. Five random times of an hour
// are not all within ten seconds.
func (g *liveGateway) lookAtReturns() string {
	var clients []*livePeer
	for range 5 {
		clients = append(clients, g.connect())
	}
	g.stop()
	for _, p := range clients {
		if word(p.text(), `"retry_after_ms":(\d{5,})`) != "" {
			return "spread"
		}
	}
	return "at once"
}

// lookAtDelay stops the gateway, which drains when its delay is over.
func (g *liveGateway) lookAtDelay() string {
	g.stop()
	g.err.await(g.T, "msg=stopped")
	return "drained"
}

// lookAtDrainOfUnfinished stops the gateway while a client has sent half of its
// handshake.
func (g *liveGateway) lookAtDrainOfUnfinished() string {
	p := g.dial()
	p.sends(handshakeHead)
	for g.stats().Total.Connections == 0 {
	}
	g.stop()
	g.err.await(g.T, "stopped before everyone was gone")
	return "ended"
}

// lookAtLog tells whether the log has a line about a client. The line may come a
// little later.
func (g *liveGateway) lookAtLog() string {
	p := g.connect()
	if regexp.MustCompile(`level=INFO msg="client connected"`).MatchString(g.err.String()) {
		return "connected"
	}
	p.conn.Close()
	return "silent"
}

// word is the first group of the pattern in text, or "".
func word(text, pattern string) string {
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return strings.TrimPrefix(match[1], `code":"`)
}

// dial connects to the client port.
func (g *liveGateway) dial() *livePeer {
	g.Helper()
	return g.dialTo(strings.TrimSuffix(strings.TrimPrefix(g.url, "ws://"), "/ws"), net.Dialer{Timeout: patience})
}

// publisher connects to the publish port.
func (g *liveGateway) publisher() *livePeer {
	g.Helper()
	return g.dialTo(g.publish, net.Dialer{Timeout: patience})
}
