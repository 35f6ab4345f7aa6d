package options

import (
	"strings"
	"testing"

	"fleetcast/gateway"
)

func TestNetworkText(t *testing.T) {
	for text, want := range map[string]string{ // "": refused
		"192.0.2.7": "192.0.2.7", "192.0.2.7/32": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"10.0.0.0/8": "10.0.0.0/8", "2001:db8::/32": "2001:db8::/32", "0.0.0.0/0": "0.0.0.0/0",
		"10.0.0.1/8": "", "::ffff:10.0.0.0/104": "", "10.0.0.0/33": "", "fe80::1%eth0": "", "localhost": "", "": "", "/8": "",
	} {
		var n network
		if err := n.UnmarshalText([]byte(text)); (err != nil) != (want == "") || err == nil && n.String() != want {
			t.Errorf("%q: %q, %v; want %q", text, n, err, want)
		}
	}
}

func TestProxyHeaderText(t *testing.T) {
	for _, want := range []string{"off", "proxy-protocol", "x-forwarded-for", "forwarded"} {
		var h gateway.ProxyHeader
		if err := h.UnmarshalText([]byte(want)); err != nil || h.String() != want {
			t.Errorf("%q: %q, %v", want, h, err)
		}
	}
	if err := new(gateway.ProxyHeader).UnmarshalText([]byte("proxy")); err == nil || !strings.Contains(err.Error(), "choose off, proxy-protocol") {
		t.Errorf("error %v", err)
	}
}

// What does not go together is refused in the options' own names.
func TestConnectionOptionsOutOfRange(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--proxy-header=forwarded"}, "--proxy-header is forwarded, and no proxy is trusted to send it"},
		{[]string{"--send-buffer=100"}, "--send-buffer is 100, must be 0, or from 4KiB to 1GiB"},
		{[]string{"--connects=1/h burst 1000000000"}, "--connects has a burst that takes longer than a lifetime to be allowed again"},
	} {
		if _, err := parseOptions(test.args...); err == nil || err.Error() != test.want {
			t.Errorf("%q: error %v, want %s", test.args, err, test.want)
		}
	}
	o, err := parseOptions("--connects=100/s", "--trusted-proxies=10.0.0.0/8 192.0.2.1", "--proxy-header=forwarded")
	if err != nil {
		t.Fatal(err)
	}
	config := o.unshared(100)
	if config.Connects != (gateway.Rate{PerSecond: 100, Burst: 100}) || len(config.TrustedProxies) != 2 || config.ProxyHeader != gateway.Forwarded {
		t.Errorf("the configuration is %+v", config)
	}
}
