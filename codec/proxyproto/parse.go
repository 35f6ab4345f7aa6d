package proxyproto

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// MaxLength is how long a header may be, in bytes. Version 1 has a limit of its own.
// Version 2 may have more than the addresses (TLVs), usually some hundred bytes, which
// are skipped.
const MaxLength = 4 << 10

const (
	prefixV1    = "PROXY "
	maxLengthV1 = 107 // with its CRLF; section 2.1

	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
	fixedV2     = len(signatureV2) + 4 // version and command, family, length
)

// Errors of Parse, for whoever configures the proxy.
var (
	ErrMissing   = errors.New("the connection does not begin with a header of the PROXY protocol")
	ErrTooLong   = errors.New("the PROXY protocol header is too long")
	ErrMalformed = errors.New("the PROXY protocol header is malformed")
)

// Parse reads the header at the start of b and returns its length, which is 0 while
// more of it is to come, and the client's address. The address is the zero value if the
// connection is the proxy's own (LOCAL, as for health checks) or the proxy cannot name
// an address (UNKNOWN, UNSPEC, a Unix socket's). Then the client's address is the
// sender's. err is set as soon as no header can begin like b.
func Parse(b []byte) (client netip.AddrPort, length int, err error) {
	switch {
	case begins(b, prefixV1):
		return parseV1(b)
	case begins(b, signatureV2):
		return parseV2(b)
	}
	return client, 0, ErrMissing
}

// begins tells whether b begins with prefix, or is the beginning of it.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// parseV1 reads one line: "PROXY TCP4 192.0.2.1 192.0.2.2 50000 443".
func parseV1(b []byte) (client netip.AddrPort, length int, err error) {
	line, _, found := bytes.Cut(b[:min(len(b), maxLengthV1)], []byte("\n"))
	if !found {
		if len(b) >= maxLengthV1 {
			err = ErrTooLong
		}
		return client, 0, err
	}
	length = len(line) + 1
	text, ok := strings.CutSuffix(string(line), "\r")
	words := strings.Split(text, " ")
	switch {
	case !ok || len(words) < 2 || strings.ContainsAny(text, "\r"):
		return client, 0, ErrMalformed
	case words[1] == "UNKNOWN":
		return client, length, nil // the rest is ignored
	case len(words) != 6:
		return client, 0, ErrMalformed
	}
	client, ok = endpoint(words[1], words[2], words[4])
	if _, other := endpoint(words[1], words[3], words[5]); !ok || !other {
		return netip.AddrPort{}, 0, ErrMalformed
	}
	return client, length, nil
}

// endpoint reads an address of a family and a port.
func endpoint(family, address, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil, portErr != nil, port != strconv.FormatUint(n, 10), ip.Zone() != "",
		family != "TCP4" && family != "TCP6", ip.Is4() != (family == "TCP4"):
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), true
}

// Of version 2: commands, in the low half of a byte whose high half is the
// version, and address families, in the high half of another.
const (
	version2 = 0x2

	commandLocal = 0x0
	commandProxy = 0x1

	familyUnspec = 0x0
	familyINET   = 0x1
	familyINET6  = 0x2
	familyUnix   = 0x3

	transportDatagram = 0x2 // the last that is defined
)

// addressLengths are how many bytes of addresses each family has.
var addressLengths = [...]int{familyUnspec: 0, familyINET: 2 * (4 + 2), familyINET6: 2 * (16 + 2), familyUnix: 2 * 108}

func parseV2(b []byte) (client netip.AddrPort, length int, err error) {
	if len(b) <= len(signatureV2) {
		return client, 0, nil
	}
	version, command := b[12]>>4, b[12]&0xf
	if version != version2 || command > commandProxy {
		return client, 0, ErrMalformed
	}
	if len(b) < fixedV2 {
		return client, 0, nil
	}
	family, transport := int(b[13]>>4), b[13]&0xf
	length = fixedV2 + int(binary.BigEndian.Uint16(b[14:]))
	switch {
	case length > MaxLength:
		return client, 0, ErrTooLong
	case command == commandLocal:
		// The rest is ignored, whatever it is.
	case family >= len(addressLengths) || transport > transportDatagram || length < fixedV2+addressLengths[family]:
		return client, 0, ErrMalformed
	}
	if len(b) < length {
		return client, 0, nil
	}
	if command == commandProxy && transport != 0 {
		client = source(family, b[fixedV2:length])
	}
	return client, length, nil
}

// source is the first of both addresses.
func source(family int, b []byte) netip.AddrPort {
	switch family {
	case familyINET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:]))
	case familyINET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[32:]))
	}
	return netip.AddrPort{}
}
