package websocket_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

const v1 = "fleetcast.v1"

var upgrader = &websocket.Upgrader{Path: "/ws", Subprotocols: []string{v1, "other", "third"}}

// head makes a request head of lines. Those of need that no line stands for are
// added, unless a line says "-Name".
func head(first string, lines ...string) string {
	need := []string{"Host: example.com", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	s := first + "\r\n"
	for _, line := range need {
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

func containsField(lines []string, name string) bool {
	for _, line := range lines {
		got, _, _ := strings.Cut(strings.TrimPrefix(line, "-"), ":")
		if strings.EqualFold(strings.TrimSpace(got), name) {
			return true
		}
	}
	return false
}

const get = "GET /ws HTTP/1.1"

// TestUpgradeRefusals has what a server must refuse, and with which status (RFC
// 6455, 4.2.1, 4.2.2, 4.3, 4.4, 9.1, 10.2, 10.7, 11.3.1 and 11.3.5).
func TestUpgradeRefusals(t *testing.T) {
	tests := []struct {
		name   string
		head   string
		status int
		reason string
	}{
		{"not HTTP", "hello\r\n\r\n", 400, "malformed_request"},
		{"empty first line", "\r\n", 400, "malformed_request"},
		{"two words", head("GET /ws"), 400, "malformed_request"},
		{"no target", head("GET  HTTP/1.1"), 400, "malformed_request"},
		{"space in the target", head("GET /ws x HTTP/1.1"), 400, "malformed_request"},
		{"control byte in the target", head("GET /w\x01s HTTP/1.1"), 400, "malformed_request"},
		{"fragment in the target", head("GET /ws#a HTTP/1.1"), 400, "malformed_request"},
		{"byte above ASCII in the target", head("GET /w\xc3\xa9 HTTP/1.1"), 400, "malformed_request"},
		{"bad method", head("G(T /ws HTTP/1.1"), 400, "malformed_request"},
		{"bad version", head("GET /ws HTTP/1.x"), 400, "malformed_request"},
		{"long version", head("GET /ws HTTP/1.10"), 400, "malformed_request"},
		{"lower-case protocol", head("GET /ws http/1.1"), 400, "malformed_request"},
		{"other protocol", head("GET /ws RTSP/1.1"), 400, "malformed_request"},
		{"space before the line", head(" GET /ws HTTP/1.1"), 400, "malformed_request"},
		{"HTTP/1.0", head("GET /ws HTTP/1.0"), 505, "bad_http_version"},
		{"HTTP/1.2", head("GET /ws HTTP/1.2"), 505, "bad_http_version"},
		{"HTTP/1.9 elsewhere", head("GET / HTTP/1.9", "-Upgrade"), 505, "bad_http_version"},
		{"HTTP/0.9", head("GET /ws HTTP/0.9"), 505, "bad_http_version"},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\n", 505, "bad_http_version"},
		{"bare LF", strings.ReplaceAll(head(get), "\r\n", "\n"), 400, "malformed_request"},
		{"one bare LF", strings.Replace(head(get), "\r\n", "\n", 1), 400, "malformed_request"},
		{"last line bare LF", strings.TrimSuffix(head(get), "\r\n") + "\n", 400, "malformed_request"},
		{"bare CR", head(get, "X: a\rb"), 400, "malformed_request"},
		{"folded line", head(get, "X: a", " b"), 400, "malformed_request"},
		{"folded first header", head(get + "\r\n folded: x"), 400, "malformed_request"},
		{"space before the colon", head(get, "X : a"), 400, "malformed_request"},
		{"no colon", head(get, "X"), 400, "malformed_request"},
		{"no name", head(get, ": a"), 400, "malformed_request"},
		{"bad name", head(get, "X\x7f: a"), 400, "malformed_request"},
		{"NUL", head(get, "X: a\x00b"), 400, "malformed_request"},
		{"DEL", head(get, "X: a\x7fb"), 400, "malformed_request"},
		{"something behind the head", head(get) + "x", 400, "malformed_request"},
		{"no end", strings.TrimSuffix(head(get), "\r\n"), 400, "malformed_request"},
		{"POST", head("POST /ws HTTP/1.1"), 405, "bad_method"},
		{"lower-case get", head("get /ws HTTP/1.1"), 405, "bad_method"},
		{"POST elsewhere", head("POST /x HTTP/1.1"), 404, "not_found"},
		{"OPTIONS *", head("OPTIONS * HTTP/1.1"), 405, "bad_method"},
		{"GET *", head("GET * HTTP/1.1"), 400, "malformed_request"},
		{"relative target", head("GET ws HTTP/1.1"), 400, "malformed_request"},
		{"authority", head("GET example.com:80 HTTP/1.1"), 400, "malformed_request"},
		{"other scheme", head("GET ftp://example.com/ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute without host", head("GET http:///ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute with user", head("GET http://a@b/ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute with bad port", head("GET http://b:x/ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute with user and password", head("GET http://example.com:80@b/ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute with two authorities", head("GET http://a,b/ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute with a backslash", head("GET http://a\\@b/ws HTTP/1.1"), 400, "malformed_request"},
		{"absolute of the WebSocket scheme", head("GET ws://example.com/ws HTTP/1.1"), 400, "malformed_request"},
		{"query alone", head("GET ?/ws HTTP/1.1"), 400, "malformed_request"},
		{"CONNECT", head("CONNECT example.com:80 HTTP/1.1"), 405, "bad_method"},
		{"NUL in the target", head("GET /ws\x00 HTTP/1.1"), 400, "malformed_request"},
		{"CR in the target", head("GET /ws\rX HTTP/1.1"), 400, "malformed_request"},
		{"tab for a space", head("GET\t/ws HTTP/1.1"), 400, "malformed_request"},
		{"two spaces", head("GET  /ws HTTP/1.1"), 400, "malformed_request"},
		{"space behind the line", head("GET /ws HTTP/1.1 "), 400, "malformed_request"},
		{"two empty lines before the line", "\r\n\r\n" + head(get), 400, "malformed_request"},
		{"bare LF before the line", "\n" + head(get), 400, "malformed_request"},
		{"bare CR before the line", "\r" + head(get), 400, "malformed_request"},
		{"another path, dots", head("GET /ws/../ws HTTP/1.1"), 404, "not_found"},
		{"another path, dot", head("GET /./ws HTTP/1.1"), 404, "not_found"},
		{"another path, two slashes", head("GET //ws HTTP/1.1"), 404, "not_found"},
		{"another path, parameter", head("GET /ws;a=b HTTP/1.1"), 404, "not_found"},
		{"another path, escaped NUL", head("GET /ws%00 HTTP/1.1"), 404, "not_found"},
		{"another path, case", head("GET /WS HTTP/1.1"), 404, "not_found"},
		{"other path", head("GET / HTTP/1.1"), 404, "not_found"},
		{"longer path", head("GET /ws/ HTTP/1.1"), 404, "not_found"},
		{"escaped path", head("GET /%77s HTTP/1.1"), 404, "not_found"},
		{"absolute, other path", head("GET http://example.com?/ws HTTP/1.1"), 404, "not_found"},
		{"path before its fields", head("GET /x HTTP/1.1", "-Connection", "-Upgrade", "-Sec-WebSocket-Key"), 404, "not_websocket"},
		{"no Host", head(get, "-Host"), 400, "bad_host"},
		{"empty Host", head(get, "Host:"), 400, "bad_host"},
		{"two Hosts", head(get, "Host: example.com", "Host: example.com"), 400, "bad_host"},
		{"joined Hosts", head(get, "Host: a, b"), 400, "bad_host"},
		{"Host with a path", head(get, "Host: a/b"), 400, "bad_host"},
		{"Host with a user", head(get, "Host: a@b"), 400, "bad_host"},
		{"Host with a bad port", head(get, "Host: a:b"), 400, "bad_host"},
		{"Host with a port without a colon", head(get, "Host: [::1]x80"), 400, "bad_host"},
		{"Host with an open bracket", head(get, "Host: [::1"), 400, "bad_host"},
		{"Host missing beside an absolute target", head("GET http://a/ws HTTP/1.1", "-Host"), 400, "bad_host"},
		{"no Host elsewhere", head("GET / HTTP/1.1", "-Host", "-Upgrade"), 400, "bad_host"},
		{"two Hosts elsewhere", head("GET / HTTP/1.1", "Host: a", "hOsT: b", "-Upgrade"), 400, "bad_host"},
		{"two Hosts in HTTP/1.0", head("GET / HTTP/1.0", "Host: a", "Host: b", "-Upgrade"), 400, "bad_host"},
		{"no Host in HTTP/1.0", head("GET / HTTP/1.0", "-Host", "-Upgrade"), 404, "not_websocket"},
		{"empty Host beside an absolute target", head("GET http://a/ws HTTP/1.1", "Host:"), 400, "bad_host"},
		{"Host with white space", head(get, "Host: a b"), 400, "bad_host"},
		{"Host with a scheme", head(get, "Host: http://a"), 400, "bad_host"},
		{"Host with an escape", head(get, "Host: a%00b"), 400, "bad_host"},
		{"no Upgrade", head(get, "-Upgrade"), 426, "no_upgrade"},
		{"other Upgrade", head(get, "Upgrade: h2c"), 426, "no_upgrade"},
		{"no Connection", head(get, "-Connection"), 426, "no_upgrade"},
		{"other Connection", head(get, "Connection: keep-alive"), 426, "no_upgrade"},
		{"Connection like upgrade", head(get, "Connection: upgrader, xupgrade"), 426, "no_upgrade"},
		{"no version", head(get, "-Sec-WebSocket-Version"), 426, "bad_version"},
		{"version 8", head(get, "Sec-WebSocket-Version: 8"), 426, "bad_version"},
		{"two versions, one of them 13", head(get, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 400, "malformed_request"},
		{"empty version", head(get, "Sec-WebSocket-Version:"), 426, "bad_version"},
		{"version list", head(get, "Sec-WebSocket-Version: 13, 8"), 426, "bad_version"},
		{"version 013", head(get, "Sec-WebSocket-Version: 013"), 426, "bad_version"},
		{"two versions", head(get, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"), 400, "malformed_request"},
		{"no key", head(get, "-Sec-WebSocket-Key"), 400, "bad_key"},
		{"short key", head(get, "Sec-WebSocket-Key: dGhlIHNhbXBsZQ=="), 400, "bad_key"},
		{"key of 17 bytes", head(get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE="), 400, "bad_key"},
		{"key of 18 bytes", head(get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTEy"), 400, "bad_key"},
		{"empty key", head(get, "Sec-WebSocket-Key:"), 400, "bad_key"},
		{"key list", head(get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), 400, "bad_key"},
		{"key not base64", head(get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ!=="), 400, "bad_key"},
		{"two keys", head(get, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "malformed_request"},
		{"empty extensions", head(get, "Sec-WebSocket-Extensions:"), 400, "malformed_request"},
		{"extensions without one", head(get, "Sec-WebSocket-Extensions: , ,"), 400, "malformed_request"},
		{"empty subprotocol", head(get, "Sec-WebSocket-Protocol:"), 400, "malformed_request"},
		{"subprotocols without one", head(get, "Sec-WebSocket-Protocol: ,", "Sec-WebSocket-Protocol: , "), 400, "malformed_request"},
		{"subprotocol with a space", head(get, "Sec-WebSocket-Protocol: fleetcast.v1, a b"), 400, "malformed_request"},
		{"quoted subprotocol", head(get, "Sec-WebSocket-Protocol: \"fleetcast.v1\""), 400, "malformed_request"},
		{"subprotocol with a separator", head(get, "Sec-WebSocket-Protocol: fleetcast/v1"), 400, "malformed_request"},
		{"Content-Length", head(get, "Content-Length: 5"), 400, "unexpected_body"},
		{"two Content-Lengths", head(get, "Content-Length: 0", "Content-Length: 5"), 400, "malformed_request"},
		{"two Content-Lengths of 0", head(get, "Content-Length: 0", "Content-Length: 0"), 400, "malformed_request"},
		{"joined Content-Lengths", head(get, "Content-Length: 0, 0"), 400, "malformed_request"},
		{"empty Content-Length", head(get, "Content-Length:"), 400, "malformed_request"},
		{"signed Content-Length", head(get, "Content-Length: +0"), 400, "malformed_request"},
		{"Transfer-Encoding", head(get, "Transfer-Encoding: chunked"), 400, "unexpected_body"},
		{"empty Transfer-Encoding", head(get, "Transfer-Encoding:"), 400, "malformed_request"},
		{"oddly spelled chunked", head(get, "tRANSFER-eNCODING:\t xchunked"), 400, "malformed_request"},
		{"chunked in capitals", head(get, "Transfer-Encoding: CHUNKED"), 400, "unexpected_body"},
		{"chunked behind another coding", head(get, "Transfer-Encoding: gzip ,\tchunked "), 400, "unexpected_body"},
		{"chunked before another coding", head(get, "Transfer-Encoding: chunked, gzip"), 400, "malformed_request"},
		{"chunked before nothing", head(get, "Transfer-Encoding: chunked,"), 400, "malformed_request"},
		{"longest Content-Length", head(get, "Content-Length: "+strings.Repeat("9", 18)), 400, "unexpected_body"},
		{"longer Content-Length", head(get, "Content-Length: "+strings.Repeat("9", 19)), 400, "malformed_request"},
		{"hexadecimal Content-Length", head("POST / HTTP/1.1", "Content-Length: 0x1"), 400, "malformed_request"},
		{"vertical tab in Transfer-Encoding", head(get, "Transfer-Encoding: \x0bchunked"), 400, "malformed_request"},
		{"space behind Transfer-Encoding", head(get, "Transfer-Encoding : chunked"), 400, "malformed_request"},
		{"folded Transfer-Encoding", head(get, "Transfer-Encoding:", " chunked"), 400, "malformed_request"},
		{"Transfer-Encoding behind a bare CR", head(get, "X: a\rTransfer-Encoding: chunked"), 400, "malformed_request"},
		{"Transfer-Encoding behind a bare LF", head(get, "X: a\nTransfer-Encoding: chunked"), 400, "malformed_request"},
		{"Transfer-Encoding beside Content-Length", head(get, "Transfer-Encoding: chunked", "Content-Length: 0"), 400, "malformed_request"},
		{"two Transfer-Encodings", head(get, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"), 400, "malformed_request"},
		{"framing in dispute elsewhere", head("POST / HTTP/1.1", "Transfer-Encoding: chunked", "Content-Length: 3"), 400, "malformed_request"},
		{"Transfer-Encoding in HTTP/1.0", head("POST / HTTP/1.0", "Transfer-Encoding: chunked"), 400, "malformed_request"},
		{"foreign origin", head(get, "Origin: http://evil.example"), 403, "forbidden_origin"},
		{"null origin", head(get, "Origin: null"), 403, "forbidden_origin"},
		{"empty origin", head(get, "Origin:"), 403, "forbidden_origin"},
		{"two origins", head(get, "Origin: http://example.com", "Origin: http://example.com"), 403, "forbidden_origin"},
		{"origin of Host beside an absolute target", head("GET http://a/ws HTTP/1.1", "Origin: http://example.com"), 403, "forbidden_origin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, _, err := upgrader.Upgrade([]byte("before"), []byte(tt.head))
			var refused *websocket.HandshakeError
			if !errors.As(err, &refused) || refused.Status != tt.status || refused.Reason != tt.reason {
				t.Fatalf("got %v, want %d %s", err, tt.status, tt.reason)
			}
			checkRefusal(t, bytes.TrimPrefix(out, []byte("before")), refused, http.MethodGet)
		})
	}
}

// checkRefusal reads the response with net/http.
func checkRefusal(t *testing.T, out []byte, refused *websocket.HandshakeError, method string) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(out))
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || in.Buffered() != 0 {
		t.Errorf("body: %v, %d bytes behind it", err, in.Buffered())
	}
	if want := refused.Message + "\n"; method != http.MethodHead && string(body) != want {
		t.Errorf("body %q, want %q", body, want)
	}
	if res.StatusCode != refused.Status || !res.Close || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("response %d, close %t, %v", res.StatusCode, res.Close, res.Header)
	}
	wantFields := map[string]string{}
	switch refused.Status {
	case http.StatusMethodNotAllowed:
		wantFields["Allow"] = "GET"
	case http.StatusUpgradeRequired:
		wantFields["Upgrade"] = "websocket"
		wantFields["Sec-Websocket-Version"] = "13"
	}
	for name, want := range wantFields {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestUpgradeRefusesHeadWithoutBody(t *testing.T) {
	out, _, err := upgrader.Upgrade(nil, []byte(head("HEAD /ws HTTP/1.1")))
	var refused *websocket.HandshakeError
	if !errors.As(err, &refused) || !bytes.HasSuffix(out, []byte("\r\n\r\n")) {
		t.Fatalf("%v: %q", err, out)
	}
	checkRefusal(t, out, refused, http.MethodHead)
}

func TestAppendRefusal(t *testing.T) {
	for _, refused := range []*websocket.HandshakeError{
		websocket.ErrTooSlow, websocket.ErrFull,
		{Status: 403, Reason: "own", Message: "the caller's own"},
	} {
		checkRefusal(t, websocket.AppendRefusal(nil, refused), refused, http.MethodGet)
	}
}

// TestUpgradeAccepts has requests that a server must take, and its answers, whole
// (RFC 6455, 4.2.1, 4.2.2, 9 and 11.3.2, 11.3.3 and 11.3.4).
func TestUpgradeAccepts(t *testing.T) {
	tests := []struct {
		name, head, subprotocol, host, query string
	}{
		{"plain", head(get), "", "example.com", ""},
		{"query", head("GET /ws?token=a?b&c HTTP/1.1"), "", "example.com", "token=a?b&c"},
		{"absolute", head("GET http://Other:81/ws?q HTTP/1.1"), "", "Other:81", "q"},
		{"absolute, its own origin", head("GET HTTPS://other/ws HTTP/1.1", "Origin: https://other"), "", "other", ""},
		{"any case", head(get, "hOST: a", "upgrade: WebSocket", "CONNECTION: upGRADE", "sec-websocket-version:13"), "", "a", ""},
		{"space around values", head(get, "Host: \t a:8080\t ", "Sec-WebSocket-Version:\t13 "), "", "a:8080", ""},
		{"Connection list", head(get, "Connection: keep-alive, Upgrade"), "", "example.com", ""},
		{"Connection twice", head(get, "Connection: keep-alive", "Connection: ,Upgrade ,x"), "", "example.com", ""},
		{"Upgrade list", head(get, "Upgrade: h2c , websocket"), "", "example.com", ""},
		{"IPv6", head(get, "Host: [::1]:8080", "Origin: http://[::1]:8080"), "", "[::1]:8080", ""},
		{"Content-Length 0", head(get, "Content-Length: 0"), "", "example.com", ""},
		{"empty line before the line", "\r\n" + head(get), "", "example.com", ""},
		{"absolute against Host", head("GET http://a/ws HTTP/1.1", "Host: b", "Origin: http://a"), "", "a", ""},
		{"absolute with an empty port", head("GET http://a:/ws HTTP/1.1"), "", "a:", ""},
		{"query with a slash", head("GET /ws?/../x HTTP/1.1"), "", "example.com", "/../x"},
		{"empty query", head("GET /ws? HTTP/1.1"), "", "example.com", ""},
		{"Upgrade twice", head(get, "Upgrade: h2c", "Upgrade: websocket"), "", "example.com", ""},
		{"empty Upgrade and Connection beside others", head(get, "Upgrade:", "Upgrade: websocket", "Connection:", "Connection: upgrade"), "", "example.com", ""},
		{"Connection that closes", head(get, "Connection: close, Upgrade"), "", "example.com", ""},
		{"Sec-WebSocket-Accept", head(get, "Sec-WebSocket-Accept: a", "Sec-WebSocket-Accept: b"), "", "example.com", ""},
		{"expectation", head(get, "Expect: 100-continue"), "", "example.com", ""},
		{"field of no value", head(get, "X:"), "", "example.com", ""},
		{"as many fields as fit", head(get, slices.Repeat([]string{"a:"}, 1900)...), "", "example.com", ""},
		{"extensions", head(get, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"), "", "example.com", ""},
		{"obs-text", head(get, "X: caf\xe9"), "", "example.com", ""},
		{"subprotocol", head(get, "Sec-WebSocket-Protocol: fleetcast.v1"), v1, "example.com", ""},
		{"server's order", head(get, "Sec-WebSocket-Protocol: other, fleetcast.v1"), v1, "example.com", ""},
		{"client's order is the server's", head(get, "Sec-WebSocket-Protocol: fleetcast.v1, other"), v1, "example.com", ""},
		{"server's order over two fields", head(get, "Sec-WebSocket-Protocol: x,other", "Sec-WebSocket-Protocol: ,fleetcast.v1 "), v1, "example.com", ""},
		{"second choice", head(get, "Sec-WebSocket-Protocol: x, other"), "other", "example.com", ""},
		{"client's order of the rest", head(get, "Sec-WebSocket-Protocol: other, third"), "other", "example.com", ""},
		{"unknown subprotocol", head(get, "Sec-WebSocket-Protocol: Fleetcast.v1"), "", "example.com", ""},
		{"own origin", head(get, "Origin: http://EXAMPLE.com"), "", "example.com", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, hs, err := upgrader.Upgrade([]byte("before"), []byte(tt.head))
			if err != nil {
				t.Fatal(err)
			}
			if hs.Subprotocol != tt.subprotocol || string(hs.Host) != tt.host || string(hs.Query) != tt.query {
				t.Errorf("got %q %q %q", hs.Subprotocol, hs.Host, hs.Query)
			}
			want := "beforeHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
				"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" // the example of RFC 6455, 1.3
			if tt.subprotocol != "" {
				want += "Sec-WebSocket-Protocol: " + tt.subprotocol + "\r\n"
			}
			if string(out) != want+"\r\n" {
				t.Errorf("got %q", out)
			}
		})
	}
}

func TestUpgradeAnySubprotocol(t *testing.T) {
	u := &websocket.Upgrader{Subprotocols: []string{v1}, AnySubprotocol: true}
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{nil, ""},
		{[]string{"Sec-WebSocket-Protocol: a"}, "a"},
		{[]string{"Sec-WebSocket-Protocol: , a, b", "Sec-WebSocket-Protocol: c"}, "a"},
		{[]string{"Sec-WebSocket-Protocol: ,", "Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: c"}, "c"},
		{[]string{"Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b, " + v1}, v1},
	} {
		out, hs, err := u.Upgrade(nil, []byte(head(get, tt.fields...)))
		if err != nil || hs.Subprotocol != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.fields, hs.Subprotocol, err, tt.want)
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
		if err != nil || res.Header.Get("Sec-WebSocket-Protocol") != tt.want || len(res.Header.Values("Sec-WebSocket-Protocol")) > 1 {
			t.Errorf("%q: answered with %v, %v", tt.fields, res, err)
		}
	}
}

func TestUpgradeCheckOrigin(t *testing.T) {
	var gotOrigin, gotHost []byte
	allow := true
	u := &websocket.Upgrader{Path: "/", CheckOrigin: func(origin, host []byte) bool {
		gotOrigin, gotHost = origin, host
		return allow
	}}
	if _, hs, err := u.Upgrade(nil, []byte(head("GET / HTTP/1.1", "Origin: null"))); err != nil || string(gotOrigin) != "null" || string(gotHost) != "example.com" || string(hs.Origin) != "null" {
		t.Errorf("%q %q %v", gotOrigin, gotHost, err)
	}
	allow = false
	if _, _, err := u.Upgrade(nil, []byte(head("GET / HTTP/1.1"))); err == nil || gotOrigin != nil {
		t.Errorf("without Origin: %q %v", gotOrigin, err)
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		origin, host string
		want         bool
	}{
		{"http://a", "a", true},
		{"http://a", "A", true},
		{"HTTP://A.b", "a.B", true},
		{"http://a:80", "a", true},
		{"http://a", "a:80", true},
		{"http://a:", "a", true},
		{"https://a", "a:443", true},
		{"https://a:443", "a", true},
		{"http://a:8080", "a:8080", true},
		{"http://[::1]:8080", "[::1]:8080", true},
		{"http://[::A]", "[::a]:80", true},
		{"http://a", "b", false},
		{"http://a", "a.b", false},
		{"http://a:8080", "a", false},
		{"http://a", "a:8080", false},
		{"http://a", "a:443", false},
		{"https://a", "a:80", false},
		{"http://a:443", "a", false},
		{"http://a.evil", "a", false},
		{"http://evil/a", "a", false},
		{"http://evil@a", "a", false},
		{"http://a@evil", "a", false},
		{"http://a/", "a", false},
		{"http://\u212a", "k", false}, // the Kelvin sign
		{"ftp://a", "a", false},
		{"file://", "a", false},
		{"null", "null", false},
		{"a", "a", false},
		{"http://", "a", false},
		{"://a", "a", false},
		{"", "a", false},
		{"http://[a]", "a", false},
	}
	for _, tt := range tests {
		if got := websocket.SameOrigin([]byte(tt.origin), []byte(tt.host)); got != tt.want {
			t.Errorf("SameOrigin(%q, %q) = %t", tt.origin, tt.host, got)
		}
	}
	if !websocket.SameOrigin(nil, []byte("a")) {
		t.Error("a request without Origin is refused")
	}
}

func TestUpgradeAllocations(t *testing.T) {
	request := []byte(head(get, "Origin: http://example.com", "Sec-WebSocket-Protocol: "+v1))
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(1000, func() {
		if _, _, err := upgrader.Upgrade(dst, request[:websocket.HeadLength(request)]); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("an accepted request allocates %v times", n)
	}
}

// pipe is a server that answers what a client wrote when the client reads.
type pipe struct {
	written bytes.Buffer
	answer  func(request []byte) []byte
	out     bytes.Reader
}

func (p *pipe) Write(b []byte) (int, error) { return p.written.Write(b) }

func (p *pipe) Read(b []byte) (int, error) {
	if p.written.Len() > 0 {
		p.out.Reset(p.answer(p.written.Bytes()))
		p.written.Reset()
	}
	return p.out.Read(b)
}

// TestUpgradeWithGobwasDialer lets another client talk to the Upgrader.
func TestUpgradeWithGobwasDialer(t *testing.T) {
	p := &pipe{answer: func(request []byte) []byte {
		out, _, err := upgrader.Upgrade(nil, request)
		if err != nil {
			t.Errorf("%v for %q", err, request)
		}
		return out
	}}
	u, err := url.Parse("ws://localhost:8080/ws?a=b")
	if err != nil {
		t.Fatal(err)
	}
	_, hs, err := ws.Dialer{Protocols: []string{"x", v1}}.Upgrade(p, u)
	if err != nil || hs.Protocol != v1 {
		t.Errorf("%+v, %v", hs, err)
	}
}
