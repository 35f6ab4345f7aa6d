package websocket_test

import (
	"strings"
	"testing"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
)

// deflating agrees to permessage-deflate, with the client's context.
var deflating = websocket.Upgrader{Path: "/ws", Deflate: &deflate.Policy{ClientContextBits: 12}}

// TestUpgradeDeflate offers extensions to servers (RFC 6455, 4.2.2, 5.8, 9, 9.1
// and 11.3.2; RFC 7692, 5, 7, 7.1.1.1, 7.1.1.2, 7.1.2.1 and 7.1.2.2).
func TestUpgradeDeflate(t *testing.T) {
	plain := websocket.Upgrader{Path: "/ws", Deflate: &deflate.Policy{}}
	tests := []struct {
		name    string
		offers  []string // one header field each
		answer  string   // by a server that takes no context from clients; "": declined
		context string   // by one that does from those that it can bound to a window of 12 bits
	}{
		{"nothing", nil, "", ""},
		{"bare", []string{"permessage-deflate"}, "; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_no_context_takeover"},
		{"a browser", []string{"permessage-deflate; client_max_window_bits"},
			"; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_max_window_bits=12"},
		{"smaller client window", []string{"permessage-deflate; client_max_window_bits=9"},
			"; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_max_window_bits=9"},
		{"larger client window", []string{"permessage-deflate; client_max_window_bits=15"},
			"; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_max_window_bits=12"},
		{"server window", []string{"permessage-deflate; server_max_window_bits=10"},
			"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"},
		{"smallest and quoted", []string{`permessage-deflate;server_max_window_bits="8"; client_max_window_bits = "8"`},
			"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8", "; server_no_context_takeover; server_max_window_bits=8; client_max_window_bits=8"},
		{"quoted and escaped", []string{`permessage-deflate; server_max_window_bits="1\0"`},
			"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"},
		{"no context", []string{"permessage-deflate; client_no_context_takeover; server_no_context_takeover; client_max_window_bits"},
			"; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_no_context_takeover"},
		{"the first of several", []string{"permessage-deflate; server_max_window_bits=9, permessage-deflate"},
			"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9"},
		{"the first that is right", []string{"permessage-deflate; server_max_window_bits=7, permessage-deflate; x, permessage-deflate"},
			"; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_no_context_takeover"},
		{"in several fields", []string{"x-webkit-deflate-frame", "permessage-bzip2; a=1", "permessage-deflate"},
			"; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_no_context_takeover"},
		{"empty elements", []string{" , ,permessage-deflate,, ", ""}, "; server_no_context_takeover; client_no_context_takeover", "; server_no_context_takeover; client_no_context_takeover"},
		{"others only", []string{"permessage-bzip2, x; y"}, "", ""},
		{"another case", []string{"Permessage-Deflate"}, "", ""}, // extension names are tokens, compared as they are
	}
	for _, bad := range []string{
		"server_max_window_bits", "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=08", "server_max_window_bits=0x8",
		"client_max_window_bits=7", "client_max_window_bits=16", `client_max_window_bits="16"`, "server_no_context_takeover=1", "client_no_context_takeover=true",
		"unknown", "unknown=1", "server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
		"server_max_window_bits=9; server_max_window_bits=9", "client_max_window_bits; client_max_window_bits", "SERVER_NO_CONTEXT_TAKEOVER",
	} {
		tests = append(tests, struct {
			name            string
			offers          []string
			answer, context string
		}{bad, []string{"permessage-deflate; " + bad}, "", ""})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var fields []string
			for _, offer := range tt.offers {
				fields = append(fields, "Sec-WebSocket-Extensions: "+offer)
			}
			request := []byte(head(get, fields...))
			checkAnswer(t, &plain, request, tt.answer)
			checkAnswer(t, &deflating, request, tt.context)
			if len(tt.offers) == 1 && tt.offers[0] == "permessage-deflate" {
				any := websocket.Upgrader{Path: "/ws", Deflate: &deflate.Policy{ClientContextBits: deflate.MaxWindowBits}}
				checkAnswer(t, &any, request, "; server_no_context_takeover")
			}
			checkAnswer(t, upgrader, request, "")
		})
	}
}

// checkAnswer upgrades request and compares the extension's parameters.
func checkAnswer(t *testing.T, u *websocket.Upgrader, request []byte, want string) {
	t.Helper()
	out, hs, err := u.Upgrade(nil, request)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(out), "Sec-WebSocket-Extensions: permessage-deflate")
	got, _, _ := strings.Cut(rest, "\r\n")
	if found != (want != "") || got != want || hs.Deflates != found || strings.Contains(rest, "Sec-WebSocket-Extensions") {
		t.Errorf("got %q, %v; want %q", got, hs.Deflates, want)
	}
}

// TestUpgradeMalformedExtensions refuses what does not follow the grammar (RFC
// 6455, 4.3 and 9.1).
func TestUpgradeMalformedExtensions(t *testing.T) {
	for _, field := range []string{
		";", "x;", "x;;y", "x; =1", "x; y=", "x; y=,", `x; y="`, `x; y="1`, `x; y=""`, `x; y="a b"`, `x; y=" 1"`, `x; y="\`, `x; y="1\"`,
		"x y", "x; y z", "x; y=1 2", `x; y="1"2`, "x/y", "=", `"x"`, "permessage-deflate; server_max_window_bits=(9)", "x, ;",
	} {
		out, _, err := deflating.Upgrade(nil, []byte(head(get, "Sec-WebSocket-Extensions: "+field)))
		if err == nil || !strings.HasPrefix(string(out), "HTTP/1.1 400 ") || !strings.Contains(string(out), "Sec-WebSocket-Extensions") {
			t.Errorf("%q: %v, %.40q", field, err, out)
		}
	}
}

// TestRequestCheckDeflate answers offers of permessage-deflate (RFC 6455, 4.1,
// 9 and 9.1; RFC 7692, 5, 7, 7.1.1.1, 7.1.2.1 and 7.1.2.2).
func TestRequestCheckDeflate(t *testing.T) {
	none := &deflate.Params{}
	any := &deflate.Params{ClientBits: deflate.AnyBits}
	bounded := &deflate.Params{ClientBits: 10, ServerBits: 10, ServerNoContext: true}
	tests := []struct {
		name   string
		offer  *deflate.Params
		answer string
		ok     bool
		want   deflate.Params
	}{
		{"declined", any, "", true, deflate.Params{}},
		{"bare", none, "permessage-deflate", true, deflate.Params{}},
		{"no context", none, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", true,
			deflate.Params{ServerNoContext: true, ClientNoContext: true}},
		{"a smaller server window than any", none, "permessage-deflate; server_max_window_bits=9", true, deflate.Params{ServerBits: 9}},
		{"client window", any, "permessage-deflate; client_max_window_bits=9", true, deflate.Params{ClientBits: 9}},
		{"client window as bounded", bounded, "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10", true,
			deflate.Params{ServerNoContext: true, ServerBits: 10, ClientBits: 10}},
		{"not offered", nil, "permessage-deflate", false, deflate.Params{}},
		{"another extension", any, "x", false, deflate.Params{}},
		{"twice", any, "permessage-deflate, permessage-deflate", false, deflate.Params{}},
		{"twice, once wrong", any, "permessage-deflate; x, permessage-deflate", false, deflate.Params{}},
		{"client window not offered", none, "permessage-deflate; client_max_window_bits=9", false, deflate.Params{}},
		{"client window without a value", any, "permessage-deflate; client_max_window_bits", false, deflate.Params{}},
		{"client window over the bound", bounded, "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=11", false, deflate.Params{}},
		{"server window over the bound", bounded, "permessage-deflate; server_no_context_takeover; server_max_window_bits=11", false, deflate.Params{}},
		{"server window left out", bounded, "permessage-deflate; server_no_context_takeover", false, deflate.Params{}},
		{"context all the same", bounded, "permessage-deflate; server_max_window_bits=10", false, deflate.Params{}},
		{"unknown parameter", any, "permessage-deflate; x", false, deflate.Params{}},
		{"bad value", any, "permessage-deflate; server_max_window_bits=7", false, deflate.Params{}},
		{"repeated", any, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", false, deflate.Params{}},
		{"malformed", any, "permessage-deflate;", false, deflate.Params{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			response := answer()
			if tt.answer != "" {
				response = answer("Sec-WebSocket-Extensions: " + tt.answer)
			}
			request := websocket.Request{Deflate: tt.offer}
			hs, err := request.Check([]byte(response), sampleKey)
			if (err == nil) != tt.ok || hs.Deflates != (tt.ok && tt.answer != "") || hs.Deflate != tt.want {
				t.Errorf("got %+v, %v", hs, err)
			}
		})
	}
}

// TestDeflateOffers has both sides agree (RFC 6455, 9.1).
func TestDeflateOffers(t *testing.T) {
	for _, offer := range []deflate.Params{
		{}, {ClientBits: deflate.AnyBits}, {ClientBits: 8}, {ServerBits: 15}, {ServerNoContext: true, ClientNoContext: true, ServerBits: 9, ClientBits: 15},
	} {
		for _, policy := range []deflate.Policy{{}, {ClientContextBits: 15}, {ClientContextBits: 10}} {
			u := websocket.Upgrader{Deflate: &policy}
			request := websocket.Request{Host: "a", Path: "/", Deflate: &offer}
			out, server, err := u.Upgrade(nil, request.Append(nil, sampleKey))
			if err != nil {
				t.Fatal(err)
			}
			client, err := request.Check(out, sampleKey)
			if err != nil || !client.Deflates || client.Deflate != server.Deflate {
				t.Errorf("%+v, %+v: the server has %+v, the client %+v, %v", offer, policy, server.Deflate, client.Deflate, err)
			}
		}
	}
}
