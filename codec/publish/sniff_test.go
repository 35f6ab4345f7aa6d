package publish_test

import (
	"testing"

	"fleetcast/codec/publish"
)

func TestSniff(t *testing.T) {
	tests := []struct {
		bytes string
		want  publish.Protocol
		skip  int
	}{
		{"", publish.Undecided, 0},
		{" \r\n", publish.Undecided, 3},
		{`{"id":1}`, publish.NDJSON, 0},
		{"\r\n {", publish.NDJSON, 3},
		{"*1\r\n", publish.RESP, 0},
		{" PING", publish.RESP, 1},
		{"zap", publish.RESP, 0},
		{"Zap", publish.RESP, 0},
		{"a", publish.RESP, 0},
		{"A", publish.RESP, 0},
		{"[1]", publish.Unknown, 0},
		{"@", publish.Unknown, 0}, {"`", publish.Unknown, 0},
		{"1", publish.Unknown, 0}, {"$", publish.Unknown, 0}, {"\"", publish.Unknown, 0},
		{"\t{", publish.Unknown, 0},
		{"\x16\x03\x01", publish.TLS, 0},
		{"\xff", publish.UTF16, 0}, {"\xff\xfe{\x00", publish.UTF16, 0}, {"\xfe\xff\x00{", publish.UTF16, 0},
		{"{\x00\"\x00", publish.UTF16, 0}, {"\x00{\x00\"", publish.UTF16, 0}, {"*\x001\x00", publish.UTF16, 0}, {"\x00P", publish.UTF16, 0},
		{"\x00\x00", publish.Unknown, 0}, {"\x00\n", publish.Unknown, 0}, {"\x01\x00", publish.Unknown, 0},
		{"\xef", publish.Undecided, 0}, {"\xef\xbb", publish.Undecided, 0}, {"\xef\xbb\xbf", publish.Undecided, 3}, {" \xef\xbb", publish.Undecided, 1},
		{"\xef\xbb\xbf{", publish.NDJSON, 3}, {"\r\n\xef\xbb\xbf\n*1", publish.RESP, 6}, {"\xef\xbb\xbf\xef\xbb\xbfPING", publish.RESP, 6},
		{"\xef{", publish.Unknown, 0}, {"\xef\xbbx", publish.Unknown, 0}, {"\xef\xbb\xbf\xef\xbb[", publish.Unknown, 3},
		{"\x00", publish.Unknown, 0},
		{"\n", publish.Undecided, 1},
	}
	for _, tt := range tests {
		if got, skip := publish.Sniff([]byte(tt.bytes)); got != tt.want || skip != tt.skip {
			t.Errorf("Sniff(%q) = %d, %d, want %d, %d", tt.bytes, got, skip, tt.want, tt.skip)
		}
	}
}

func TestIsHTTP(t *testing.T) {
	for _, line := range []string{
		"GET / HTTP/1.1", "get / HTTP/1.1\r\n", "HEAD /", "POST / HTTP/1.1", "PUT /x", "DELETE /", "CONNECT a:1", "OPTIONS * HTTP/1.1",
		"TRACE /", "PATCH /", "POST", " POST /", "POST\t/", "Host: localhost:8082", "HOST:x", "host:", "host: a\r\n",
		"PRI * HTTP/2.0", "PUBLISH /news HTTP/1.1\r\n", "publish x http/1.0", "MULTI / HTTP/1.1", "x HTTP/9.9\n",
	} {
		if !publish.IsHTTP([]byte(line)) {
			t.Errorf("IsHTTP(%q) = false", line)
		}
	}
	for _, line := range []string{"", "PING", "PUBLISH news POST", "HELLO 3", "GETX", "POSTS a", "hostname", "host", "ECHO Host:", "P",
		"HTTP/1.1", "PUBLISH news HTTP/x.1", "PUBLISH news HTTP/1.1x", "PUBLISH news xHTTP/1.1", "PUBLISH HTTP/1.1 news"} {
		if publish.IsHTTP([]byte(line)) {
			t.Errorf("IsHTTP(%q) = true", line)
		}
	}
}
