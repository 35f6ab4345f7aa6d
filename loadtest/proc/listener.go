package proc

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Listener returns the processes that a connection to a TCP address could
// reach, in ascending order: those that hold a socket listening on it, as seen
// in this network namespace. None is found for an address that is not this
// machine's, and none that the caller may not look into.
func Listener(addr netip.AddrPort) (pids []int, err error) {
	host := addr.Addr().Unmap().WithZone("")
	// Linux takes the unspecified address, as a destination, for this machine.
	switch host {
	case netip.IPv4Unspecified():
		host = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case netip.IPv6Unspecified():
		host = netip.IPv6Loopback()
	}
	local, err := isLocal(host)
	if err != nil || !local {
		return nil, err
	}
	sockets, err := listeningSockets()
	if err != nil {
		return nil, err
	}
	inodes := reached(sockets, netip.AddrPortFrom(host, addr.Port()))
	if pids, err = holders(inodes); len(pids) < 2 {
		return pids, err
	}
	// A process that has just been forked has all files of its parent, until it runs
	// another program.
	time.Sleep(forkedFor)
	return slices.DeleteFunc(pids, func(pid int) bool { return !holdsOne(pid, inodes) }), nil
}

// forkedFor is by when a forked process usually runs its program.
const forkedFor = 20 * time.Millisecond

// isLocal tells whether an address is one of this machine's.
func isLocal(host netip.Addr) (bool, error) {
	if host.IsLoopback() {
		return true, nil
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false, fmt.Errorf("list this machine's addresses: %w", err)
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().WithZone("") == host
	}), nil
}

func listeningSockets() (all []listening, err error) {
	for _, name := range []string{"tcp", "tcp6"} {
		path := filepath.Join(root, "net", name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // there may be no IPv6
		}
		if err != nil {
			return nil, err
		}
		sockets, err := parseTCP(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, sockets...)
	}
	return all, nil
}

// reached returns the inodes of the sockets that the kernel would choose from
// for a connection to an address: those that fit it best.
func reached(sockets []listening, to netip.AddrPort) map[int64]bool {
	best, inodes := 0, map[int64]bool{}
	for _, s := range sockets {
		f := fit(s.addr, to)
		if f > best {
			best = f
			clear(inodes)
		}
		if f > 0 && f == best {
			inodes[s.inode] = true
		}
	}
	return inodes
}

// fit tells how well a listening socket fits an address that is not mapped; 0
// if not at all.
func fit(socket, to netip.AddrPort) int {
	if socket.Port() != to.Port() {
		return 0
	}
	switch host := socket.Addr().Unmap(); {
	case host == to.Addr():
		return 3
	case host.IsUnspecified() && host.Is4() == to.Addr().Is4():
		return 2
	case host == netip.IPv6Unspecified():
		return 1 // it takes IPv4 as well, unless it was told not to
	}
	return 0
}

// holders returns the processes that hold one of the sockets.
func holders(inodes map[int64]bool) (pids []int, err error) {
	if len(inodes) == 0 {
		return nil, nil
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil && holdsOne(pid, inodes) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// holdsOne tells whether a process holds one of the sockets; not if it may not
// be looked into or has ended.
func holdsOne(pid int, inodes map[int64]bool) bool {
	dir, err := os.Open(process{pid: pid}.path("fd"))
	if err != nil {
		return false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names, func(name string) bool {
		target, err := os.Readlink(filepath.Join(dir.Name(), name))
		if err != nil {
			return false
		}
		text, isSocket := strings.CutPrefix(target, "socket:[")
		inode, err := parseCount([]byte(strings.TrimSuffix(text, "]")))
		return isSocket && err == nil && inodes[inode]
	})
}
