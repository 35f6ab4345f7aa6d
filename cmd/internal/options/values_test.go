package options

import (
	"net/netip"
	"testing"

	"fleetcast/gateway"
)

func TestOrigin(t *testing.T) {
	for text, want := range map[string]origin{
		"*":                           "*",
		"https://example.com":         "https://example.com",
		"HTTPS://Example.COM:8443":    "https://example.com:8443",
		"http://[::1]:3000":           "http://[::1]:3000",
		"chrome-extension://abcdefg":  "chrome-extension://abcdefg",
		"":                            "",
		"null":                        "null",
		"example.com":                 "",
		"localhost:3000":              "",
		"https://":                    "",
		"https://:80":                 "",
		"https://example.com:":        "",
		"https://example.com/":        "",
		"https://example.com:443":     "",
		"http://example.com:80":       "",
		"http://example.com:443":      "http://example.com:443",
		"https://*.example.com":       "https://*.example.com",
		"http://*.LOCALHOST:3000":     "http://*.localhost:3000",
		"https://*.example.com:443":   "",
		"https://*.example.com/":      "",
		"https://*.192.0.2.1":         "",
		"https://*.":                  "",
		"https://*":                   "",
		"https://a.*.example.com":     "",
		"https://*.*.example.com":     "",
		"https://*example.com":        "",
		"https://bücher.example":      "",
		"https://example.com/app":     "",
		"https://example.com?q":       "",
		"https://example.com#f":       "",
		"https://me@example.com":      "",
		"https://a.com,https://b.com": "",
		"https://*.example.com:x":     "",
	} {
		var got origin
		if err := got.UnmarshalText([]byte(text)); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, error %v; want %q", text, got, err, want)
		}
	}
}

func TestShareConnections(t *testing.T) {
	on := Endpoint{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}}
	off := Endpoint{Off: true}
	tests := []struct {
		name                        string
		publish                     Endpoint
		clients, publishers         count
		wantClients, wantPublishers int
		refused                     bool
	}{
		{"defaults", on, 0, 0, 700, 100, false},
		{"no publish port", off, 0, 0, 800, 0, false},
		{"no publish port, all clients", off, 800, 50, 800, 0, false},
		{"no publish port, too many", off, 801, 0, 0, 0, true},
		{"publishers", on, 0, 300, 500, 300, false},
		{"nearly all publishers", on, 0, 799, 1, 799, false},
		{"all publishers", on, 0, 800, 0, 0, true},
		{"clients", on, 10, 0, 10, 100, false},
		{"too many together", on, 701, 0, 0, 0, true},
		{"both", on, 750, 50, 750, 50, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := Options{Publish: test.publish, MaxClients: test.clients, MaxPublishers: test.publishers}
			config := gateway.DefaultConfig(800)
			err := o.shareConnections(&config, 800)
			if test.refused != (err != nil) {
				t.Fatalf("error %v", err)
			}
			if err == nil && (config.MaxClients != test.wantClients || config.MaxPublishers != test.wantPublishers) {
				t.Errorf("%d clients and %d publishers, want %d and %d", config.MaxClients, config.MaxPublishers, test.wantClients, test.wantPublishers)
			}
		})
	}
}

func TestRateText(t *testing.T) {
	for _, tt := range []struct {
		text, want string // "": refused
	}{
		{"off", "off"},
		{"0", "off"},
		{"100/s", "100/s"},
		{"100/s burst 500", "100/s burst 500"},
		{"30/m", "30/m"},
		{"600/m", "10/s"},
		{"1/h", "1/h"},
		{"7/m burst 3", "7/m burst 3"},
		{"100/s burst 100", "100/s"},
		{"100", ""},
		{"0/s", ""},
		{"-1/s", ""},
		{"1.5/s", ""},
		{"100/d", ""},
		{"100/s burst 0", ""},
		{"100/s burst", ""},
		{"99999999999/s", ""},
	} {
		var r rate
		err := r.UnmarshalText([]byte(tt.text))
		if (err != nil) != (tt.want == "") || err == nil && r.String() != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.text, r, err, tt.want)
		}
		if err != nil {
			continue
		}
		var again rate
		if err := again.UnmarshalText([]byte(r.String())); err != nil || again.String() != r.String() {
			t.Errorf("%q is written as %q, which reads as %q, %v", tt.text, r, again, err)
		}
	}
}
