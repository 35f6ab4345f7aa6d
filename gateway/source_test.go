package gateway_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
)

// proxyAddress is where trusted proxies of tests connect from. All of 127.0.0.0/8
// is this machine's, so that others can come from other addresses.
const proxyAddress, otherAddress = "127.0.0.1", "127.0.0.9"

// behind trusts proxyAddress, and 10.0.0.0/8 behind it.
func behind(header gateway.ProxyHeader) func(*gateway.Config) {
	return func(c *gateway.Config) {
		c.ProxyHeader = header
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(proxyAddress + "/32"), netip.MustParsePrefix("10.0.0.0/8")}
	}
}

// dialFrom connects to the client port from an address of this machine.
func (s *server) dialFrom(address string) *peer {
	s.Helper()
	from := net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 0))
	conn, err := net.DialTCP("tcp", from, net.TCPAddrFromAddrPort(s.ClientAddrs()[0]))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return newPeer(s.TB, conn)
}

// knows awaits the handshake's answer and returns the address that the API shows
// of the client.
func (s *server) knows(o *operator, p *peer) string {
	s.Helper()
	p.upgraded()
	return o.client(decode[message](s, p.text()).Client).Address
}

// headerV2 is a PROXY protocol header of version 2.
func headerV2(command, family byte, payload string) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(payload)))) + payload
}

const (
	headerV1 = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n"
	pairV4   = "\xc0\x00\x02\x01\xc0\x00\x02\x02\xc3\x50\x01\xbb"
	clientV1 = "192.0.2.1:50000"
)

func TestProxyProtocol(t *testing.T) {
	s := start(t, behind(gateway.ProxyProtocol))
	o := s.operator()
	own := "" // the socket's
	for _, test := range []struct{ name, header, address string }{
		{"v1", headerV1, clientV1},
		{"v1 IPv6", "PROXY TCP6 2001:db8::1 ::1 50000 443\r\n", "[2001:db8::1]:50000"},
		{"v1 unknown", "PROXY UNKNOWN\r\n", own},
		{"v2", headerV2(1, 0x11, pairV4), clientV1},
		{"v2 with TLVs", headerV2(1, 0x11, pairV4+strings.Repeat("\x04\x00\x05hello", 100)), clientV1},
		{"v2 local", headerV2(0, 0, ""), own},
		{"v2 Unix", headerV2(1, 0x31, strings.Repeat("/run/x\x00", 31)), own},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialFrom(proxyAddress)
			p.sends(test.header + head + "\r\n") // in one segment
			want := test.address
			if want == own {
				want = p.LocalAddr().String()
			}
			if got := s.knows(o, p); got != want {
				t.Errorf("the address is %s, want %s", got, want)
			}
		})
	}
	// Others are served as they are, and may not say where they come from.
	p := s.dialFrom(otherAddress)
	p.sends(head + "\r\n")
	if got, want := s.knows(o, p), p.LocalAddr().String(); got != want {
		t.Errorf("the address is %s, want %s", got, want)
	}
	for _, header := range []string{headerV1, headerV2(1, 0x11, pairV4)} {
		forger := s.dialFrom(otherAddress)
		forger.sends(header + head + "\r\n")
		forger.refused(400, "", "")
	}
	if n := s.stats().Total.AddressesUnknown; n != 3 {
		t.Errorf("%d clients were not named", n)
	}
	if failures := s.stats().Total.HandshakeFailures; failures["proxy_header"] != 2 || failures["bad_proxy_header"] != 0 {
		t.Errorf("the failures are %v", failures)
	}
}

func TestProxyProtocolInPieces(t *testing.T) {
	s := start(t, behind(gateway.ProxyProtocol))
	o := s.operator()
	for _, header := range []string{headerV1, headerV2(1, 0x11, pairV4+"\x04\x00\x00")} {
		request := header + head + "\r\n"
		for at := range len(header) + 3 {
			p := s.dialFrom(proxyAddress)
			before := s.stats().Total.BytesIn
			p.sends(request[:at])
			s.eventually("the first half", func(g gateway.GatewayStats) bool { return g.Total.BytesIn == before+uint64(at) })
			p.sends(request[at:])
			if got := s.knows(o, p); got != clientV1 {
				t.Fatalf("split at %d: the address is %s", at, got)
			}
			p.Close()
		}
		p := s.dialFrom(proxyAddress)
		for i := range request {
			p.sends(request[i : i+1])
		}
		if got := s.knows(o, p); got != clientV1 {
			t.Fatalf("byte by byte: the address is %s", got)
		}
	}
}

func TestProxyProtocolRefusals(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, behind(gateway.ProxyProtocol), func(c *gateway.Config) { c.HandshakeTimeout = 300 * time.Millisecond })
	for _, test := range []struct{ name, sends, body string }{
		{"missing", head + "\r\n", "does not begin with a header"},
		{"malformed", "PROXY TCP4 x\r\n" + head + "\r\n", "malformed"},
		{"over-long", "PROXY " + strings.Repeat("x", 200), "too long"},
		{"over-long v2", headerV2(1, 0x11, strings.Repeat("x", 10_000)), "too long"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := s.dialFrom(proxyAddress)
			p.sends(test.sends)
			p.refused(400, test.body, "")
		})
	}
	for _, endless := range []string{"", headerV1[:20], headerV2(1, 0x11, pairV4)[:20], headerV1} {
		p := s.dialFrom(proxyAddress)
		p.sends(endless)
		p.refused(408, "in time", "")
	}
	stats := s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if failures := stats.Total.HandshakeFailures; failures["bad_proxy_header"] != 4 || failures["too_slow"] != 4 {
		t.Errorf("the failures are %v", failures)
	}
}

func TestForwardedAddress(t *testing.T) {
	t.Parallel() // it waits most of the time
	const none = ""
	for _, test := range []struct {
		name    string
		header  gateway.ProxyHeader
		from    string
		fields  string
		address string // none: the socket's
		unknown bool   // it is counted that the proxy names no client
	}{
		{"one", gateway.XForwardedFor, proxyAddress, "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1", false},
		{"forged", gateway.XForwardedFor, proxyAddress, "X-Forwarded-For: 198.51.100.1, 192.0.2.1:7, 10.1.2.3\r\n", "192.0.2.1:7", false},
		{"several fields", gateway.XForwardedFor, proxyAddress, "X-Forwarded-For: 192.0.2.1\r\nA: b\r\nx-forwarded-for: 10.0.0.1\r\n", "192.0.2.1", false},
		{"from an untrusted peer", gateway.XForwardedFor, otherAddress, "X-Forwarded-For: 192.0.2.1\r\n", none, false},
		{"missing", gateway.XForwardedFor, proxyAddress, "Forwarded: for=192.0.2.1\r\n", none, true},
		{"malformed", gateway.XForwardedFor, proxyAddress, "X-Forwarded-For: 192.0.2.1, nonsense\r\n", none, true},
		{"forwarded", gateway.Forwarded, proxyAddress, "Forwarded: for=198.51.100.1, for=\"[2001:db8::1]:7\";proto=https\r\n", "[2001:db8::1]:7", false},
		{"hidden", gateway.Forwarded, proxyAddress, "Forwarded: for=_secret\r\n", none, true},
		{"the other field", gateway.Forwarded, proxyAddress, "X-Forwarded-For: 192.0.2.1\r\n", none, true},
		{"off", gateway.NoProxyHeader, proxyAddress, "X-Forwarded-For: 192.0.2.1\r\n", none, false},
		{"PROXY protocol wanted", gateway.ProxyProtocol, otherAddress, "X-Forwarded-For: 192.0.2.1\r\n", none, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, oneShard, behind(test.header))
			p := s.dialFrom(test.from)
			p.sends(head + test.fields + "\r\n")
			want := test.address
			if want == none {
				want = p.LocalAddr().String()
			}
			if got := s.knows(s.operator(), p); got != want {
				t.Errorf("the address is %s, want %s", got, want)
			}
			if n := s.stats().Total.AddressesUnknown; n == 1 != test.unknown || n > 1 {
				t.Errorf("%d unknown addresses are counted", n)
			}
		})
	}
}

// A plain request is its client's too, and what is behind the header reaches the
// HTTP server.
func TestPlainHTTPBehindAProxy(t *testing.T) {
	show := withHTTP(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s from %s", r.URL.Path, r.RemoteAddr) })
	for _, test := range []struct {
		header       gateway.ProxyHeader
		sends, shown string
	}{
		{gateway.ProxyProtocol, headerV1 + "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n", "/x from 192.0.2.1:50000"},
		{gateway.XForwardedFor, "GET /x HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", "/x from 192.0.2.1:0"},
		{gateway.XForwardedFor, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", "/health from " + proxyAddress},
	} {
		s := start(t, show, behind(test.header))
		p := s.dialFrom(proxyAddress)
		p.sends(test.sends)
		p.responds(200, test.shown)
		if n := s.stats().Total.AddressesUnknown; n != 0 {
			t.Errorf("%d clients were not named", n)
		}
	}
}

// The log has the client's address, and that of those who are turned away.
func TestLoggedAddress(t *testing.T) {
	t.Parallel() // it waits most of the time
	config := gateway.DefaultConfig(100)
	behind(gateway.ProxyProtocol)(&config)
	config.ConnectionLog, config.AddressClients = 100, 1
	var log lines
	g, err := gateway.New(config, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	s := run(t, g)
	for range 2 {
		p := s.dialFrom(proxyAddress)
		p.sends(headerV1 + head + "\r\n")
		p.responseHead()
	}
	direct := s.dialFrom(otherAddress)
	direct.sends(head + "\r\n")
	direct.upgraded()
	again := s.dialFrom(otherAddress)
	again.refused(429, "from your address", "")
	text := log.String()
	for _, want := range []string{
		`msg="client connected" client=`, " address=" + clientV1 + " ", `msg="handshake refused" reason=address_full address=` + clientV1 + "\n",
		`msg="handshake refused" reason=address_full address=` + again.LocalAddr().String() + "\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// admin.retryAfter is comesBack for a client behind whose answer the connection ends.
func (p *peer) retryAfter(status int, body string) int {
	p.Helper()
	seconds := p.comesBack(status, body)
	p.ends()
	p.Close()
	return seconds
}

// comesBack reads a refusal and returns its Retry-After in seconds.
func (p *peer) comesBack(status int, body string) int {
	p.Helper()
	response, err := http.ReadResponse(p.in, nil)
	if err != nil {
		p.Fatalf("reading a response: %v", err)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil || response.StatusCode != status || !strings.Contains(text.String(), body) {
		p.Fatalf("the answer is %s %q (%v), want %d %q", response.Status, &text, err, status, body)
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 1 {
		p.Errorf("Retry-After is %q", response.Header.Get("Retry-After"))
	}
	return seconds
}

func TestAddressClients(t *testing.T) {
	s := start(t, behind(gateway.ProxyProtocol), func(c *gateway.Config) { c.AddressClients = 2 })
	connect := func(from, header string) *peer {
		p := s.dialFrom(from)
		p.sends(header + head + "\r\n")
		return p
	}
	const six, sixToo, sixNot = "PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "PROXY TCP6 2001:db8::ffff:1 ::1 1 2\r\n", "PROXY TCP6 2001:db8:0:1::1 ::1 1 2\r\n"
	direct := connect(otherAddress, "")
	direct.upgraded()
	connect(otherAddress, "").upgraded()
	if after := connect(otherAddress, "").retryAfter(429, "too many connections from your address"); after > 10 {
		t.Errorf("Retry-After is %d", after)
	}
	connect("127.0.0.8", "").upgraded()
	connect(proxyAddress, six).upgraded()
	connect(proxyAddress, sixToo).upgraded()
	connect(proxyAddress, six).retryAfter(429, "from your address")
	connect(proxyAddress, sixNot).upgraded()
	for range 4 { // the proxy itself stands for many
		connect(proxyAddress, "PROXY UNKNOWN\r\n").upgraded()
		connect(proxyAddress, "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n").upgraded()
	}
	stats := s.stats()
	if n := stats.Total.HandshakeFailures["address_full"]; n != 2 || stats.ClientAddresses != 4 {
		t.Errorf("%d are refused, %d addresses are counted", n, stats.ClientAddresses)
	}
	direct.Close()
	s.eventually("room", func(g gateway.GatewayStats) bool { return g.Total.Disconnects["client_vanished"] == 1 })
	connect(otherAddress, "").upgraded()
	s.Gateway.Close()
	s.awaitEnd()
}

func TestAddressesAreForgotten(t *testing.T) {
	s := start(t, func(c *gateway.Config) { c.AddressClients = 1 })
	var peers []*peer
	for i := range 50 {
		p := s.dialFrom(fmt.Sprint("127.0.1.", i))
		p.sends(head + "\r\n")
		p.upgraded()
		peers = append(peers, p)
	}
	if n := s.stats().ClientAddresses; n != 50 {
		t.Errorf("%d addresses are counted", n)
	}
	for _, p := range peers {
		p.Close()
	}
	s.eventually("the end of all", func(g gateway.GatewayStats) bool { return g.Total.Connections == 0 })
	if n := s.stats().ClientAddresses; n != 0 {
		t.Errorf("%d addresses are counted when all are gone", n)
	}
}

// An address that has no connection any more is forgotten soon after its rate has
// nothing to say of it, however long channels are kept.
func TestAddressesAreForgottenBehindTheirRate(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, func(c *gateway.Config) {
		c.AddressConnects, c.ChannelRetention = gateway.Rate{PerSecond: 1, Burst: 1}, 1000*time.Hour
	})
	p := s.connect()
	p.Close()
	s.eventually("the end", func(g gateway.GatewayStats) bool { return g.Total.Accepted == 1 && g.Total.Connections == 0 })
	s.eventually("no address", func(g gateway.GatewayStats) bool { return g.ClientAddresses == 0 })
}

func TestAddressConnects(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := start(t, behind(gateway.XForwardedFor), func(c *gateway.Config) {
		c.AddressConnects = gateway.Rate{PerSecond: 1. / 3600, Burst: 2}
	})
	connect := func(from, field string) *peer {
		p := s.dialFrom(from)
		p.sends(head + field + "\r\n")
		return p
	}
	for _, test := range []struct{ from, field string }{{otherAddress, ""}, {proxyAddress, "X-Forwarded-For: 192.0.2.1\r\n"}} {
		connect(test.from, test.field).upgraded()
		p := connect(test.from, test.field)
		p.upgraded()
		p.Close()
		if after := connect(test.from, test.field).retryAfter(429, "too many new connections from your address"); after < 3500 || after > 3620 {
			t.Errorf("Retry-After is %d", after)
		}
	}
	if n := s.stats().Total.HandshakeFailures["address_rate"]; n != 2 {
		t.Errorf("%d are refused", n)
	}
}

// Who is refused for the address that a proxy names takes no turn of others.
func TestAddressRefusalsTakeNoTurn(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, header := range map[string]gateway.ProxyHeader{"in the request": gateway.XForwardedFor, "before it": gateway.ProxyProtocol} {
		t.Run(name, func(t *testing.T) {
			s := start(t, behind(header), connectRate(seldom, 4, 0), func(c *gateway.Config) { c.AddressClients = 1 })
			connect := func(client int) *peer {
				p := s.dialFrom(proxyAddress)
				if header == gateway.ProxyProtocol {
					p.sends(fmt.Sprintf("PROXY TCP4 192.0.2.%d 192.0.2.2 50000 443\r\n", client) + head + "\r\n")
				} else {
					p.sends(head + fmt.Sprintf("X-Forwarded-For: 192.0.2.%d\r\n\r\n", client))
				}
				return p
			}
			connect(1).upgraded()
			for range 10 {
				connect(1).retryAfter(429, "too many connections from your address")
			}
			for client := 2; client <= 4; client++ {
				connect(client).upgraded()
			}
			connect(5).retryAfter(503, "too many clients connect")
		})
	}
}
