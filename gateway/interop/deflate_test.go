package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"fleetcast/gateway"
	"fleetcast/gateway/echo"
	"fleetcast/gateway/publisher"
)

// offer is one of permessage-deflate (RFC 7692, 7.1).
type offer struct {
	serverNoContext, clientNoContext bool
	serverBits, clientBits           int // 0: absent; anyBits: without a value
}

const anyBits = 16

// offers are all combinations with these windows of the client.
func offers(clientBits ...int) (all []offer) {
	for _, server := range []int{0, 8, 9, 10, 11, 12, 13, 14, 15} {
		for _, client := range clientBits {
			for flags := range 4 {
				all = append(all, offer{flags&1 != 0, flags&2 != 0, server, client})
			}
		}
	}
	return all
}

// answer is what a server must say that takes context from clients in windows of
// up to most bits; 0: none.
func (o offer) answer(most int) string {
	s := "permessage-deflate; server_no_context_takeover"
	context := !o.clientNoContext && most > 0 && (most == 15 || o.clientBits != 0)
	if !context {
		s += "; client_no_context_takeover"
	}
	if o.serverBits != 0 {
		s += fmt.Sprintf("; server_max_window_bits=%d", o.serverBits)
	}
	if context && o.clientBits != 0 {
		s += fmt.Sprintf("; client_max_window_bits=%d", min(o.clientBits, most))
	}
	return s
}

// deflater is a library that can make offers of all kinds, in a script that runs
// a client for each of many.
type deflater struct {
	language
	script     string
	clientBits []int
	options    func(offer) map[string]any // the library's own
}

var deflaters = map[string]deflater{
	// Its zlib takes 9 bits for 8 when it compresses.
	"ws": {node, "ws_deflate.mjs", []int{0, anyBits, 8, 9, 10, 11, 12, 13, 14, 15}, func(o offer) map[string]any {
		m := map[string]any{"serverNoContextTakeover": o.serverNoContext}
		if o.clientNoContext { // false would refuse a server that wants it
			m["clientNoContextTakeover"] = true
		}
		if o.serverBits != 0 {
			m["serverMaxWindowBits"] = o.serverBits
		}
		switch o.clientBits {
		case 0:
			m["clientMaxWindowBits"] = false
		case anyBits:
		default:
			m["clientMaxWindowBits"] = o.clientBits
		}
		return m
	}},
	// Its zlib refuses to compress with 8 bits.
	"websockets": {python, "websockets_deflate.py", []int{0, anyBits, 9, 10, 11, 12, 13, 14, 15}, func(o offer) map[string]any {
		m := map[string]any{"server_no_context_takeover": o.serverNoContext, "client_no_context_takeover": o.clientNoContext}
		if o.serverBits != 0 {
			m["server_max_window_bits"] = o.serverBits
		}
		switch o.clientBits {
		case 0:
			m["client_max_window_bits"] = nil
		case anyBits:
			m["client_max_window_bits"] = true
		default:
			m["client_max_window_bits"] = o.clientBits
		}
		return m
	}},
}

// conversation is what a script's client tells of it.
type conversation struct {
	I              int    `json:"i"` // the offer
	Extensions     string `json:"extensions"`
	Received, Sent int    // bytes
	Code           int
	Problem        string
}

// converse has a client for each offer talk to a server: it sends each text and
// checks that it comes back. most is as in answer. channels, at a gateway, are
// what their names begin with.
func (d deflater) converse(t *testing.T, url, channels string, all []offer, most int, texts []string) {
	t.Helper()
	path := d.interpreter()
	if path == "" {
		t.Skipf("none of %q has the library (Debian: %s): %s is not tested", d.interpreters, d.debian, d.script)
	}
	options := make([]map[string]any, len(all))
	for i, o := range all {
		options[i] = d.options(o)
	}
	job, err := json.Marshal(map[string]any{"url": url, "gateway": channels, "offers": options, "texts": texts})
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(path, "testdata/"+d.script)
	cmd.Stdin = bytes.NewReader(job)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	watchdog := time.AfterFunc(2*patience, func() {
		if cmd.Process != nil {
			cmd.Process.Kill()
		}
	})
	defer watchdog.Stop()
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.Bytes())
	}
	size := len(strings.Join(texts, ""))
	if channels == "" {
		size *= 2 // as text and as bytes
	}
	seen := map[int]bool{}
	for lines := json.NewDecoder(bytes.NewReader(output)); lines.More(); {
		var c conversation
		if err := lines.Decode(&c); err != nil {
			t.Fatal(err)
		}
		o := all[c.I]
		seen[c.I] = true
		switch want := o.answer(most); {
		case c.Problem != "":
			t.Errorf("%+v: %s", o, c.Problem)
		case normal(c.Extensions) != normal(want) || c.Code != 1000:
			t.Errorf("%+v: agreed on %q, want %q; closed with %d", o, c.Extensions, want, c.Code)
		case c.Received > size*4/5 || c.Sent > size*4/5:
			t.Errorf("%+v: %d bytes came and %d went for %d", o, c.Received, c.Sent, size)
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d conversations, want %d", len(seen), len(all))
	}
}

// normal is an extension with its parameters in alphabetical order and without
// quotes or spaces: libraries show them in their own way.
func normal(extension string) string {
	parts := strings.FieldsFunc(extension, func(r rune) bool { return strings.ContainsRune("; \"", r) })
	return strings.Join(parts, ";")
}

// texts are such that compress: text, records and what repeats, with noise
// between, each with parts of those before it.
func texts(sizes ...int) (all []string) {
	random := rand.New(rand.NewPCG(7, 692))
	var b strings.Builder
	for b.Len() < 200<<10 {
		fmt.Fprintf(&b, `{"symbol":"EUR%03d","bid":%.5f,"näme":"%x"},`, random.IntN(50), random.Float64(), random.Uint64())
	}
	for i, size := range sizes {
		switch i % 3 {
		case 0:
			all = append(all, strings.ToValidUTF8(b.String()[i*50:i*50+size], ""))
		case 1:
			all = append(all, strings.Repeat("Τὸ ξίφος ", size/16))
		case 2:
			all = append(all, fmt.Sprintf("%0*d", size, random.Uint64()))
		}
	}
	return all
}

// TestDeflateEchoes has clients make every offer of permessage-deflate to the
// echo server (RFC 7692, 6.1, 6.2, 7.1.1.1, 7.1.2.1, 7.2.1 and 7.2.2), and send
// messages of 16 bytes to 128 KiB, whole and in fragments.
func TestDeflateEchoes(t *testing.T) {
	t.Parallel() // it waits most of the time
	e, err := echo.New(echo.Config{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Loops: 1, Compression: true})
	if err != nil {
		t.Fatal(err)
	}
	go e.Run()
	t.Cleanup(e.Close)
	url := fmt.Sprintf("ws://%s/", e.Addrs()[0])
	for name, d := range deflaters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.converse(t, url, "", offers(d.clientBits...), 15, texts(16, 1000, 3000, 1000, 10_000))
			d.converse(t, url, "", offers(15), 15, texts(16, 16<<10, 64<<10, 128<<10))
		})
	}
}

// TestDeflateEvents has clients make every offer to gateways that take no
// context, some and any (RFC 7692, 7.1.1.2 and 7.1.2.2), subscribe and publish
// with compressed commands, and get events of 1 and 40 KiB.
func TestDeflateEvents(t *testing.T) {
	t.Parallel() // it waits most of the time
	for most, context := range map[int]int{0: 0, 12: 4 << 10, 15: 32 << 10} {
		combinations := offers(0, anyBits, 9, 15)
		if most != 12 {
			// The window for events has nothing to do with the context of clients: one of
			// the gateways meets all windows.
			combinations = slices.DeleteFunc(combinations, func(o offer) bool { return !slices.Contains([]int{0, 8, 15}, o.serverBits) })
		}
		for name, d := range deflaters {
			t.Run(fmt.Sprintf("%s, context of %d", name, context), func(t *testing.T) {
				t.Parallel()
				g := startGateway(t, func(c *gateway.Config) {
					c.ClientContext, c.ClientPublish, c.Shards = context, gateway.Patterns{"**"}, 1
				})
				d.converse(t, g.url("127.0.0.1", ""), name, combinations, most, texts(1<<10, 40<<10))
				if got := g.stats(t).Compression.Events; got != uint64(2*len(combinations)) {
					t.Errorf("%d compressions of %d events", got, 2*len(combinations))
				}
			})
		}
	}
}

// TestDeflateClients has each client compress as it does by default.
func TestDeflateClients(t *testing.T) {
	t.Parallel() // it waits most of the time
	large := texts(40 << 10)[0]
	for _, context := range []int{0, 4096, 32 << 10} {
		g := startGateway(t, func(c *gateway.Config) { c.ClientContext = context })
		publish, err := publisher.Dial(t.Context(), g.PublishAddrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer publish.Close()
		for _, v := range vendors {
			t.Run(fmt.Sprintf("%s, context of %d", v.name, context), func(t *testing.T) {
				dial := v.prepare(t)
				c := dial(t, options{URL: g.url("127.0.0.1", ""), Deflate: true, page: g.page("127.0.0.1")})
				expect(t, c, "welcome", nil)
				if _, extensions := c.negotiated(); !strings.Contains(extensions, "permessage-deflate") {
					t.Errorf("agreed on %q", extensions)
				}
				if got := g.stats(t).Total.CompressedClients; got == 0 {
					t.Errorf("%d clients are compressed", got)
				}
				for i := range 20 {
					say(t, c, fmt.Sprintf(`{"type":"subscribe","channel":"%s.%d.and.some.more.%d"}`, v.name, context, i))
					expect(t, c, "subscribed", nil)
				}
				for _, text := range []string{large[:1000], large} {
					data, _ := json.Marshal(strings.ToValidUTF8(text, ""))
					if _, err := publish.Publish(t.Context(), fmt.Sprintf("%s.%d.and.some.more.7", v.name, context), data); err != nil {
						t.Fatal(err)
					}
					expect(t, c, "event", data)
				}
				if code, err := c.close(); err != nil || code != 1000 {
					t.Errorf("closed with %d, %v", code, err)
				}
			})
		}
	}
}

func (s *gatewayServer) stats(t *testing.T) gateway.GatewayStats {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stats, err := s.Stats(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}
