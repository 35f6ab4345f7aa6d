package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// SocketUse is what the TCP sockets of the machine take together.
type SocketUse struct {
	InUse int64 // sockets of IPv4 and IPv6, without those in TIME-WAIT
	// BufferKB is what the kernel has set aside for their buffers, in whole
	// pages. Each processor keeps an account of its own of up to 1 MB, which
	// may be missing here.
	BufferKB int64
}

// Sockets reads what the TCP sockets take now.
func Sockets() (SocketUse, error) {
	use, err := readSockstat("sockstat", "TCP")
	if err != nil {
		return SocketUse{}, err
	}
	// The kernel keeps one account of memory for both families.
	six, err := readSockstat("sockstat6", "TCP6")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // there may be no IPv6
		return SocketUse{}, err
	}
	use.InUse += six.InUse
	return use, nil
}

func readSockstat(name, protocol string) (SocketUse, error) {
	path := filepath.Join(root, "net", name)
	text, err := os.ReadFile(path)
	if err != nil {
		return SocketUse{}, err
	}
	use, err := parseSockstat(text, protocol, int64(os.Getpagesize()))
	if err != nil {
		return SocketUse{}, fmt.Errorf("%s: %w", path, err)
	}
	return use, nil
}

// maxPages keeps the product with any page size in range.
const maxPages = 1 << 40

// parseSockstat reads the line of a protocol: "TCP: inuse 1 orphan 0 mem 44".
func parseSockstat(text []byte, protocol string, pageSize int64) (use SocketUse, err error) {
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if string(key) != protocol {
			continue
		}
		fields := bytes.Fields(value)
		if len(fields)%2 != 0 {
			return SocketUse{}, fmt.Errorf("%s: %q is not a list of names and numbers", protocol, bytes.TrimSpace(value))
		}
		for ; len(fields) > 0; fields = fields[2:] {
			n, err := parseCount(fields[1])
			if err == nil && n > maxPages {
				err = fmt.Errorf("%d is out of range", n)
			}
			if err != nil {
				return SocketUse{}, fmt.Errorf("%s %s: %w", protocol, fields[0], err)
			}
			switch string(fields[0]) {
			case "inuse":
				use.InUse = n
			case "mem":
				use.BufferKB = n * pageSize / 1024
			}
		}
		return use, nil
	}
	return SocketUse{}, fmt.Errorf("no line for %s", protocol)
}
