package websocket_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

var sampleKey = websocket.Key([]byte("dGhlIHNhbXBsZSBub25jZQ=="))

// TestRequest reads the client's request with others' eyes (RFC 6455, 3, 4.1,
// 11.3.1 and 11.3.5).
func TestRequest(t *testing.T) {
	request := websocket.Request{
		Host: "example.com:8080", Path: "/ws?a=b", Subprotocols: []string{v1, "other"},
		Headers: []websocket.Header{{Name: "Origin", Value: "http://example.com:8080"}, {Name: "X", Value: "y"}},
	}
	b := request.Append([]byte("before"), sampleKey)
	b = bytes.TrimPrefix(b, []byte("before"))
	if n := websocket.HeadLength(b); n != len(b) {
		t.Errorf("the head has %d bytes of %d", n, len(b))
	}
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	if q.Method != "GET" || q.Host != "example.com:8080" || q.URL.String() != "/ws?a=b" || q.Header.Get("X") != "y" ||
		q.Header.Get("Sec-WebSocket-Key") != string(sampleKey[:]) {
		t.Errorf("%+v", q)
	}
	if _, hs, err := upgrader.Upgrade(nil, b); err != nil || hs.Subprotocol != v1 {
		t.Errorf("%+v, %v", hs, err)
	}
}

// TestNewKey: the nonce is 16 bytes in base64, a new one each time (RFC 6455, 4.1).
func TestNewKey(t *testing.T) {
	a, b := websocket.NewKey(), websocket.NewKey()
	if a == b {
		t.Error("two keys are equal")
	}
	for _, key := range []websocket.Key{a, b} {
		request := websocket.Request{Host: "a", Path: "/ws"}
		if _, _, err := upgrader.Upgrade(nil, request.Append(nil, key)); err != nil {
			t.Error(err)
		}
	}
}

// TestHandshakeWithGobwasUpgrader lets another server answer.
func TestHandshakeWithGobwasUpgrader(t *testing.T) {
	key := websocket.NewKey()
	request := websocket.Request{Host: "localhost:8080", Path: "/ws", Subprotocols: []string{"x", v1}}
	var answer bytes.Buffer
	u := ws.Upgrader{Protocol: func(name []byte) bool { return string(name) == v1 }}
	if _, err := u.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(request.Append(nil, key)), &answer}); err != nil {
		t.Fatal(err)
	}
	hs, err := request.Check(answer.Bytes(), key)
	if err != nil || hs.Subprotocol != v1 {
		t.Errorf("%+v, %v", hs, err)
	}
}

// answer is the good response to sampleKey, with a line put in the place of
// the one of the same name, or added.
func answer(lines ...string) string {
	s := "HTTP/1.1 101 Switching Protocols\r\n"
	for _, line := range []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="} {
		name, _, _ := strings.Cut(line, ":")
		if !containsField(lines, name) {
			s += line + "\r\n"
		}
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "-") {
			s += line + "\r\n"
		}
	}
	return s + "\r\n"
}

// TestRequestCheck has the client's demands on the server's answer (RFC 6455,
// 4.1, 4.2.2, 7.2.1, 9.1, 10.7, 11.3.2, 11.3.3 and 11.3.4).
func TestRequestCheck(t *testing.T) {
	accept := "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	tests := []struct {
		name, response string
		subprotocol    string
		status         int    // of the error
		message        string // part of the error; empty: none
	}{
		{"good", answer(), "", 0, ""},
		{"frames behind it", answer() + "\x81\x05hello", "", 0, ""},
		{"any case", answer("upgrade: WebSocket", "connection: x, UPGRADE"), "", 0, ""},
		{"without a phrase", strings.Replace(answer(), "101 Switching Protocols", "101 ", 1), "", 0, ""},
		{"subprotocol", answer("Sec-WebSocket-Protocol: fleetcast.v1"), v1, 0, ""},
		{"space around the accept", answer("Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= "), "", 0, ""},
		{"empty", "", "", 0, "not an HTTP"},
		{"incomplete", strings.TrimSuffix(answer(), "\r\n"), "", 0, "not an HTTP"},
		{"not HTTP", "SSH-2.0-x\r\n\r\n", "", 0, `"SSH-2.0-x"`},
		{"HTTP/1.0", strings.Replace(answer(), "1.1", "1.0", 1), "", 0, "HTTP/1.1"},
		{"bad status", strings.Replace(answer(), "101", "1x1", 1), "", 0, "HTTP/1.1"},
		{"long status", strings.Replace(answer(), "101", "1010", 1), "", 0, "HTTP/1.1"},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n", "", 403, `"HTTP/1.1 403 Forbidden": "no"`},
		{"redirected", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", "", 302, `"HTTP/1.1 302 Found"`},
		{"terminal codes", "HTTP/1.1 500 \x1b[31m\r\n\r\n", "", 500, `\x1b[31m`},
		{"bare LF", strings.ReplaceAll(answer(), "\r\n", "\n"), "", 0, "not an HTTP"},
		{"one bare LF", answer("X: y\nZ: z"), "", 101, "CR LF"},
		{"malformed line", answer("X : y"), "", 101, "malformed"},
		{"no Upgrade", answer("-Upgrade"), "", 101, "does not switch"},
		{"other Upgrade", answer("Upgrade: h2c"), "", 101, "does not switch"},
		{"two Upgrades", answer("Upgrade: h2c", "Upgrade: websocket"), "", 101, "does not switch"},
		{"no Connection", answer("-Connection"), "", 101, "does not switch"},
		{"no accept", answer("-Sec-WebSocket-Accept"), "", 101, "Sec-WebSocket-Accept"},
		{"wrong accept", answer("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOa="), "", 101, "Sec-WebSocket-Accept"},
		{"two accepts", answer(accept, accept), "", 101, "Sec-WebSocket-Accept"},
		{"extension", answer("Sec-WebSocket-Extensions: permessage-deflate"), "", 101, "extension"},
		{"empty extensions", answer("Sec-WebSocket-Extensions:"), "", 101, "malformed"},
		{"two extensions", answer("Sec-WebSocket-Extensions: x", "Sec-WebSocket-Extensions: y"), "", 101, "extension"},
		{"empty subprotocol", answer("Sec-WebSocket-Protocol:"), "", 101, "subprotocol"},
		{"empty accept", answer("Sec-WebSocket-Accept:"), "", 101, "Sec-WebSocket-Accept"},
		{"accept in another case", answer("Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "", 101, "Sec-WebSocket-Accept"},
		{"Connection like upgrade", answer("Connection: upgraded"), "", 101, "does not switch"},
		{"Upgrade like websocket", answer("Upgrade: websockets"), "", 101, "does not switch"},
		{"status 200", strings.Replace(answer(), "101", "200", 1), "", 200, "refused"},
		{"status 426 with a version", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 25\r\n\r\n", "", 426, "refused"},
		{"subprotocol not offered", answer("Sec-WebSocket-Protocol: x"), "", 101, "subprotocol"},
		{"two subprotocols in one", answer("Sec-WebSocket-Protocol: fleetcast.v1, other"), "", 101, "subprotocol"},
		{"two subprotocols", answer("Sec-WebSocket-Protocol: other", "Sec-WebSocket-Protocol: fleetcast.v1"), "", 101, "subprotocol"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := websocket.Request{Subprotocols: []string{"other", v1}}
			hs, err := request.Check([]byte(tt.response), sampleKey)
			if tt.message == "" {
				if err != nil || hs.Subprotocol != tt.subprotocol {
					t.Errorf("%+v, %v", hs, err)
				}
				return
			}
			var failed *websocket.ResponseError
			if !errors.As(err, &failed) || failed.Status != tt.status || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("got %v, want %d and %q", err, tt.status, tt.message)
			}
		})
	}
}

func TestClientAllocations(t *testing.T) {
	request := websocket.Request{Host: "localhost:8080", Path: "/ws", Subprotocols: []string{v1}, Deflate: &deflate.Params{ClientBits: deflate.AnyBits}}
	dst := make([]byte, 0, 1024)
	response := []byte(answer("Sec-WebSocket-Protocol: "+v1, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"))
	if n := testing.AllocsPerRun(1000, func() {
		dst = request.Append(dst[:0], sampleKey)
		if _, err := request.Check(response, sampleKey); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a client's handshake allocates %v times", n)
	}
}
