package limits

import (
	"net/netip"
	"testing"
)

// enters counts how many of one address find room, until one does not.
func (c *Crowd) enters(from netip.Addr, limit int) (n int) {
	for c.Enter(from, limit) {
		n++
	}
	return n
}

// TestCrowd fills a crowd from some addresses, one after the other as far as each can.
func TestCrowd(t *testing.T) {
	for _, test := range []struct {
		name  string
		limit int
		froms string // a letter for each address
		want  []int
	}{
		{"none may wait", 0, "a", []int{0}},
		{"one may wait", 1, "ab", []int{1, 0}},
		{"a small limit has no shares", 8, "ab", []int{8, 0}},
		{"a share", 64, "ab", []int{57, 7}},
		{"without an address", 64, "-a", []int{57, 7}},
		{"the usual limit", 8192, "abcd", []int{7169, 896, 112, 14}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c Crowd
			total := 0
			for i, want := range test.want {
				got := c.enters(address(test.froms[i]), test.limit)
				if got != want {
					t.Errorf("%d of address %c find room, want %d", got, test.froms[i], want)
				}
				total += got
			}
			if n := c.Len(); n != int64(total) {
				t.Errorf("%d are counted, want %d", n, total)
			}
			for i, n := range test.want {
				for range n {
					c.Leave(address(test.froms[i]))
				}
			}
			if c.all != 0 || len(c.froms) != 0 {
				t.Errorf("when all have left, there are %d of %v", c.all, c.froms)
			}
		})
	}
}

// TestCrowdNetworks has the addresses of one network share, as they share limits elsewhere.
func TestCrowdNetworks(t *testing.T) {
	var c Crowd
	for _, text := range []string{"2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "192.0.2.1", "::ffff:192.0.2.1"} {
		c.Enter(netip.MustParseAddr(text), 100)
	}
	if len(c.froms) != 3 || c.froms[netip.MustParseAddr("192.0.2.1")] != 2 {
		t.Errorf("counted are %v", c.froms)
	}
	c.Leave(netip.MustParseAddr("2001:db8::ffff"))
	c.Leave(netip.MustParseAddr("::ffff:192.0.2.1"))
	if c.froms[netip.MustParseAddr("2001:db8::")] != 1 || c.froms[netip.MustParseAddr("192.0.2.1")] != 1 {
		t.Errorf("counted are %v", c.froms)
	}
}
