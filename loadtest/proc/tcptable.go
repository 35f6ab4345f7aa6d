package proc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
)

// listening is a socket that waits for connections.
type listening struct {
	addr  netip.AddrPort
	inode int64
}

// stateListen is the kernel's TCP_LISTEN.
const stateListen = "0A"

// Columns of /proc/net/tcp and tcp6.
const (
	columnLocal = 1
	columnState = 3
	columnInode = 9
)

// parseTCP returns the listening sockets of /proc/net/tcp or tcp6.
func parseTCP(text []byte) (sockets []listening, err error) {
	_, text, _ = bytes.Cut(text, []byte("\n")) // the headings
	for line := range bytes.Lines(text) {
		fields := bytes.Fields(line)
		if len(fields) <= columnInode {
			return nil, fmt.Errorf("%q has %d columns, want more than %d", bytes.TrimSpace(line), len(fields), columnInode)
		}
		if string(fields[columnState]) != stateListen {
			continue
		}
		addr, err := parseHexAddr(fields[columnLocal])
		if err != nil {
			return nil, err
		}
		inode, err := parseCount(fields[columnInode])
		if err != nil {
			return nil, fmt.Errorf("inode: %w", err)
		}
		sockets = append(sockets, listening{addr, inode})
	}
	return sockets, nil
}

// parseHexAddr reads 0100007F:1F90, which is 127.0.0.1:8080 on a little-endian
// machine: the address is in 32-bit words of the machine's byte order.
func parseHexAddr(text []byte) (netip.AddrPort, error) {
	host, portText, found := bytes.Cut(text, []byte(":"))
	port, err := strconv.ParseUint(string(portText), 16, 16)
	if !found || err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address with port", text)
	}
	raw, err := hex.AppendDecode(nil, host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("address %q: %w", text, err)
	}
	for word := raw; len(word) >= 4; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("address %q has %d bytes", text, len(raw))
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
