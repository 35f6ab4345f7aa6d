package proxyproto_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	peer "github.com/pires/go-proxyproto"

	"fleetcast/codec/proxyproto"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// v2 is a header of version 2.
func v2(command, family byte, payload string) string {
	b := append([]byte(signature), 0x20|command, family)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(payload)))) + payload
}

const (
	addresses4 = "\xc0\x00\x02\x01\xc0\x00\x02\x02\xc3\x50\x01\xbb"
	tlv        = "\x04\x00\x03abc"
	longest    = proxyproto.MaxLength - len(signature) - 4
)

var addresses6 = string(netip.MustParseAddr("2001:db8::1").AsSlice()) + string(netip.MustParseAddr("2001:db8::2").AsSlice()) + "\xc3\x50\x01\xbb"

// whole are headers that are accepted, with the client that they name.
var whole = []struct{ name, header, client string }{
	{"v1 IPv4", "PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n", "192.0.2.1:50000"},
	{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 50000 443\r\n", "[2001:db8::1]:50000"},
	{"v1 longest addresses", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"v1 mapped", "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1:1"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", ""},
	{"v1 unknown with more", "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", ""},
	{"v2 IPv4", v2(1, 0x11, addresses4), "192.0.2.1:50000"},
	{"v2 IPv6", v2(1, 0x21, addresses6), "[2001:db8::1]:50000"},
	{"v2 with TLVs", v2(1, 0x11, addresses4+tlv), "192.0.2.1:50000"},
	{"v2 of a QUIC client", v2(1, 0x12, addresses4), "192.0.2.1:50000"},
	{"v2 local", v2(0, 0, ""), ""},
	{"v2 local with addresses", v2(0, 0x11, addresses4), ""},
	{"v2 local with anything", v2(0, 0xff, tlv), ""},
	{"v2 unspecified", v2(1, 0, tlv), ""},
	{"v2 Unix", v2(1, 0x31, strings.Repeat("x", 216)), ""},
	{"v2 longest", v2(1, 0x11, addresses4+strings.Repeat("x", longest-len(addresses4))), "192.0.2.1:50000"},
}

func TestParse(t *testing.T) {
	for _, test := range whole {
		t.Run(test.name, func(t *testing.T) {
			for n := range test.header { // every split is incomplete
				if client, length, err := proxyproto.Parse([]byte(test.header[:n])); length != 0 || err != nil || client.IsValid() {
					t.Fatalf("the first %d bytes are %v, %d, %v", n, client, length, err)
				}
			}
			client, length, err := proxyproto.Parse([]byte(test.header + "GET /"))
			if got := text(client); got != test.client || length != len(test.header) || err != nil {
				t.Errorf("parsed as %s, %d, %v", got, length, err)
			}
		})
	}
}

func text(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct {
		name, header string
		err          error
		after        int // bytes after which it is refused
	}{
		{"HTTP", "GET / HTTP/1.1\r\n", proxyproto.ErrMissing, 1},
		{"method with the same letter", "POST / HTTP/1.1\r\n", proxyproto.ErrMissing, 2},
		{"empty lines", "\r\n\r\nGET", proxyproto.ErrMissing, 5},
		{"v1 endless", "PROXY TCP4 " + strings.Repeat("1", 200), proxyproto.ErrTooLong, 107},
		{"v1 line feed", "PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\n", proxyproto.ErrMalformed, 41},
		{"v1 carriage return", "PROXY UNKNOWN \r \r\n", proxyproto.ErrMalformed, 18},
		{"v1 empty", "PROXY \r\n", proxyproto.ErrMalformed, 8},
		{"v1 family", "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", proxyproto.ErrMalformed, 36},
		{"v1 short", "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", proxyproto.ErrMalformed, 34},
		{"v1 more", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", proxyproto.ErrMalformed, 38},
		{"v1 two spaces", "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", proxyproto.ErrMalformed, 37},
		{"v1 address of the other family", "PROXY TCP4 ::1 ::1 1 2\r\n", proxyproto.ErrMalformed, 24},
		{"v1 no address", "PROXY TCP4 localhost 192.0.2.2 1 2\r\n", proxyproto.ErrMalformed, 36},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", proxyproto.ErrMalformed, 33},
		{"v1 port", "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", proxyproto.ErrMalformed, 40},
		{"v1 port with zeros", "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", proxyproto.ErrMalformed, 37},
		{"v1 other port", "PROXY TCP4 192.0.2.1 192.0.2.2 1 x\r\n", proxyproto.ErrMalformed, 36},
		{"v2 version", signature + "\x11\x11\x00\x00", proxyproto.ErrMalformed, 13},
		{"v2 command", signature + "\x22\x11\x00\x00", proxyproto.ErrMalformed, 13},
		{"v2 family", v2(1, 0x41, addresses4), proxyproto.ErrMalformed, 16},
		{"v2 transport", v2(1, 0x13, addresses4), proxyproto.ErrMalformed, 16},
		{"v2 short addresses", v2(1, 0x11, addresses4[1:]), proxyproto.ErrMalformed, 16},
		{"v2 IPv4 for IPv6", v2(1, 0x21, addresses4), proxyproto.ErrMalformed, 16},
		{"v2 long", v2(1, 0x11, strings.Repeat("x", longest+1)), proxyproto.ErrTooLong, 16},
		{"v2 local and long", v2(0, 0, strings.Repeat("x", 65535)), proxyproto.ErrTooLong, 16},
	} {
		t.Run(test.name, func(t *testing.T) {
			for n := range min(len(test.header), test.after+100) + 1 {
				_, length, err := proxyproto.Parse([]byte(test.header[:n]))
				var want error
				if n >= test.after {
					want = test.err
				}
				if length != 0 || !errors.Is(err, want) {
					t.Fatalf("the first %d bytes are %d, %v, want %v", n, length, err, want)
				}
			}
		})
	}
}

// FuzzParse compares the parser with one that others use, which is laxer in
// version 1 and takes lengths without limit in version 2.
func FuzzParse(f *testing.F) {
	for _, test := range whole {
		f.Add([]byte(test.header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, length, err := proxyproto.Parse(b)
		for n := range min(len(b), 200) { // a result once reached does not change
			part, partLength, partErr := proxyproto.Parse(b[:n])
			switch {
			case partErr != nil && !errors.Is(err, partErr),
				partLength > 0 && (partLength != length || part != client),
				length > 0 && n >= length && partLength != length,
				length > 0 && n < length && partLength != 0:
				t.Fatalf("%q is %v, %d, %v, and its first %d bytes %v, %d, %v", b, client, length, err, n, part, partLength, partErr)
			}
		}
		if length == 0 {
			if err == nil && len(b) >= proxyproto.MaxLength {
				t.Fatalf("%d bytes are incomplete", len(b))
			}
			return
		}
		header, err := peer.Read(bufio.NewReaderSize(bytes.NewReader(b[:length]), proxyproto.MaxLength))
		if err != nil {
			if client.IsValid() {
				t.Fatalf("%q is %v here, and for others %v", b[:length], client, err)
			}
			return
		}
		want := ""
		if host, ok := header.SourceAddr.(interface{ AddrPort() netip.AddrPort }); ok && header.Command.IsProxy() {
			want = text(netip.AddrPortFrom(host.AddrPort().Addr().Unmap(), host.AddrPort().Port()))
		}
		if text(client) != want {
			t.Fatalf("%q is %s here, and for others %s", b[:length], text(client), want)
		}
	})
}

// What others write is read here.
func TestParseWhatOthersWrite(t *testing.T) {
	for _, version := range []byte{1, 2} {
		for _, source := range []string{"192.0.2.1", "2001:db8::1"} {
			from := &net.TCPAddr{IP: net.ParseIP(source), Port: 50000}
			header := peer.HeaderProxyFromAddrs(version, from, from)
			b, err := header.Format()
			if err != nil {
				t.Fatal(err)
			}
			client, length, err := proxyproto.Parse(b)
			want := netip.AddrPortFrom(netip.MustParseAddr(source), 50000)
			if client != want || length != len(b) || err != nil {
				t.Errorf("%q is %v, %d, %v", b, client, length, err)
			}
		}
	}
}
