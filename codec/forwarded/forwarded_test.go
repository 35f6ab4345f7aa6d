package forwarded_test

import (
	"net/netip"
	"testing"

	"fleetcast/codec/forwarded"
)

// trusted are the proxies of the tests.
func trusted(a netip.Addr) bool {
	return netip.MustParsePrefix("10.0.0.0/8").Contains(a) || a == netip.MustParseAddr("2001:db8::1")
}

func lists(values ...string) (lists [][]byte) {
	for _, v := range values {
		lists = append(lists, []byte(v))
	}
	return lists
}

func TestClient(t *testing.T) {
	const x, f = forwarded.XForwardedFor, forwarded.Forwarded
	for _, test := range []struct {
		name   string
		field  forwarded.Field
		lists  [][]byte
		client string // "": not known
	}{
		{"one", x, lists("192.0.2.1"), "192.0.2.1:0"},
		{"with a port", x, lists("192.0.2.1:80"), "192.0.2.1:80"},
		{"IPv6", x, lists("2001:db8::2"), "[2001:db8::2]:0"},
		{"IPv6 in brackets", x, lists("[2001:db8::2]"), "[2001:db8::2]:0"},
		{"IPv6 with a port", x, lists("[2001:db8::2]:80"), "[2001:db8::2]:80"},
		{"mapped", x, lists("::ffff:192.0.2.1"), "192.0.2.1:0"},
		{"behind two proxies", x, lists("192.0.2.1, 10.0.0.2"), "192.0.2.1:0"},
		{"behind a proxy with IPv6", x, lists("192.0.2.1,2001:db8::1"), "192.0.2.1:0"},
		{"forged", x, lists("198.51.100.9, 192.0.2.1, 10.0.0.2"), "192.0.2.1:0"},
		{"forged as a proxy", x, lists("10.0.0.9, 192.0.2.1"), "192.0.2.1:0"},
		{"forged nonsense", x, lists(`"<x>, 192.0.2.1`), "192.0.2.1:0"},
		{"two fields", x, lists("198.51.100.9", "192.0.2.1\t, 10.0.0.2", "10.0.0.3"), "192.0.2.1:0"},
		{"all trusted", x, lists("10.0.0.9, 10.0.0.8"), "10.0.0.9:0"},
		{"none", x, nil, ""},
		{"empty", x, lists(""), ""},
		{"ends empty", x, lists("192.0.2.1,"), ""},
		{"an empty field behind", x, lists("192.0.2.1", " "), ""},
		{"unknown", x, lists("unknown"), ""},
		{"a name", x, lists("host.test"), ""},
		{"a zone", x, lists("fe80::1%eth0"), ""},
		{"a port too large", x, lists("192.0.2.1:65536"), ""},
		{"no port", x, lists("192.0.2.1:"), ""},
		{"no end", x, lists("[2001:db8::2"), ""},
		{"no colon", x, lists("[2001:db8::2]80"), ""},
		{"IPv4 in brackets", x, lists("[192.0.2.1]"), ""},

		{"one", f, lists("for=192.0.2.1"), "192.0.2.1:0"},
		{"case", f, lists("FOR=192.0.2.1"), "192.0.2.1:0"},
		{"quoted", f, lists(`for="192.0.2.1:80"`), "192.0.2.1:80"},
		{"escaped", f, lists(`for="192.0.\2.1"`), "192.0.2.1:0"},
		{"IPv6", f, lists(`for="[2001:db8::2]:80"`), "[2001:db8::2]:80"},
		{"hidden port", f, lists(`for="192.0.2.1:_x"`), "192.0.2.1:0"},
		{"parameters", f, lists(`proto=https;for=192.0.2.1;host="a;b,c"`), "192.0.2.1:0"},
		{"spaces", f, lists(` proto=https ; for = 192.0.2.1 , for=10.0.0.2`), "192.0.2.1:0"},
		{"behind two", f, lists("for=198.51.100.9, for=192.0.2.1;by=10.0.0.1", "for=10.0.0.3"), "192.0.2.1:0"},
		{"forged with an odd quotation mark", f, lists(`for=", for=192.0.2.1`), "192.0.2.1:0"},
		{"forged with a backslash", f, lists(`for="\, for="192.0.2.1"`), "192.0.2.1:0"},
		{"forged with a parameter", f, lists(`for=198.51.100.9;x=", for=192.0.2.1`), "192.0.2.1:0"},
		{"hidden", f, lists("for=_hidden"), ""},
		{"unknown", f, lists("for=unknown"), ""},
		{"no for", f, lists("proto=https"), ""},
		{"no value", f, lists("for="), ""},
		{"no name", f, lists("=192.0.2.1"), ""},
		{"quotation mark within", f, lists(`for=192.0.2.1"`), ""},
		{"no end of the quotation", f, lists(`for="192.0.2.1`), ""},
		{"an escape without what", f, lists(`for="192.0.2.1\`), ""},
		{"empty", f, lists(","), ""},
	} {
		t.Run(test.field.Name()+"/"+test.name, func(t *testing.T) {
			client, ok := test.field.Client(test.lists, trusted)
			if want, _ := netip.ParseAddrPort(test.client); client != want || ok != (test.client != "") {
				t.Errorf("the client of %q is %v, %v, want %q", test.lists, client, ok, test.client)
			}
		})
	}
}

// FuzzClient puts what anyone may have sent before what a proxy appends: the
// answer is the proxy's.
func FuzzClient(f *testing.F) {
	for _, s := range []string{"", "192.0.2.9", `for="x`, `for="\`, `"`, `\`, "10.0.0.1", "for=10.0.0.1;x="} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		forwarded.XForwardedFor.Client([][]byte{sent}, trusted)
		forwarded.Forwarded.Client([][]byte{sent}, trusted)
		for field, appended := range map[forwarded.Field]string{
			forwarded.XForwardedFor: "192.0.2.1, 10.0.0.2",
			forwarded.Forwarded:     `for=192.0.2.1, proto=https;for="10.0.0.2:80";by="a,b"`,
		} {
			for _, list := range [][][]byte{{[]byte(string(sent) + ", " + appended)}, {sent, []byte(appended)}} {
				if client, ok := field.Client(list, trusted); !ok || client.Addr().String() != "192.0.2.1" {
					t.Fatalf("%s: the client of %q is %v, %v", field.Name(), list, client, ok)
				}
			}
		}
	})
}
