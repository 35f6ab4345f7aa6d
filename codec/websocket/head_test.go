package websocket_test

import (
	"slices"
	"strings"
	"testing"

	"fleetcast/codec/websocket"
)

func TestHeadLength(t *testing.T) {
	for _, h := range []string{head(get), "\r\n", "\n", "a\n\n", "a\r\n\n", "a\n\r\n", "a\r\rb\r\n\r\n"} {
		for i := range len(h) {
			if n := websocket.HeadLength([]byte(h[:i])); n != 0 {
				t.Errorf("%q: %d", h[:i], n)
			}
		}
		for _, behind := range []string{"", "x", "\r\n\r\n"} {
			if n := websocket.HeadLength([]byte(h + behind)); n != len(h) {
				t.Errorf("%q: %d, want %d", h+behind, n, len(h))
			}
		}
	}
}

// TestRequestLength has each request come in small pieces.
func TestRequestLength(t *testing.T) {
	sized := func(size int) string { // in its last field
		const field = "Cookie: "
		return head(get, field+strings.Repeat("c", size-len(head(get, field))))
	}
	long := func(size int) string { // in its target
		return head("GET /ws?" + strings.Repeat("q", size-len(head("GET /ws? HTTP/1.1"))) + " HTTP/1.1")
	}
	for _, tt := range []struct {
		name, in string
		want     int // 0: as long as in
		status   int // 0: it is not refused for its length
	}{
		{"plain", head(get), 0, 0},
		{"frames behind it", head(get) + "\x81\x80\x00\n\n\x00", len(head(get)), 0},
		{"request behind it", head(get) + head(get), len(head(get)), 0},
		{"empty line before it", "\r\n" + head(get), 0, 0},
		{"two empty lines before it", "\r\n\r\n" + head(get), len("\r\n\r\n"), 0},
		{"line feeds", "\n\n", 1, 0},
		{"longest", sized(websocket.MaxHandshake), 0, 0},
		{"longest with an empty line", "\r\n" + sized(websocket.MaxHandshake-2), 0, 0},
		{"longest target", long(websocket.MaxHandshake), 0, 0},
		{"one byte too long", sized(websocket.MaxHandshake + 1), 0, 431},
		{"too long with an empty line", "\r\n" + sized(websocket.MaxHandshake-1), 0, 431},
		{"much too long", sized(1 << 20), 0, 431},
		{"without end", head(get)[:100] + strings.Repeat("c", websocket.MaxHandshake-100), 0, 431},
		{"target without end", "GET /" + strings.Repeat("q", websocket.MaxHandshake-5), 0, 414},
		{"target much too long", long(1 << 20), 0, 414},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0, 400},
		{"PROXY protocol", "PROXY TCP4 192.0.2.1 192.0.2.2 1111 80\r\n" + head(get), 0, 400},
		{"PROXY protocol, binary", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", 0, 400},
		{"zeros", "\x00\x00", 0, 400},
		{"byte above ASCII", "\xff", 0, 400},
		{"space", " GET", 0, 400},
		{"TLS behind an empty line", "\r\n\x16\x03\x01", 0, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const undecided = "\r\n\r\n" // a header of the PROXY protocol may begin like this
			want := tt.want
			if want == 0 && tt.status == 0 {
				want = len(tt.in)
			}
			seen := 0
			for i := 0; i <= len(tt.in); i = min(i+1+i/100, max(len(tt.in), i+1)) {
				n, refused := websocket.RequestLength([]byte(tt.in[:i]), seen, websocket.MaxHandshake)
				switch {
				case refused != nil && refused.Status != tt.status:
					t.Fatalf("%d bytes are refused with %v", i, refused)
				case refused == nil && n != 0 && n != want, n == 0 && want > 0 && i >= want && tt.in[:i] != undecided:
					t.Fatalf("%d for %d bytes, want %d", n, i, want)
				case i == len(tt.in) && refused == nil && tt.status != 0:
					t.Fatalf("not refused, want %d", tt.status)
				case i >= websocket.MaxHandshake && n == 0 && refused == nil:
					t.Fatalf("%d bytes are not enough", i)
				}
				if n == 0 && refused == nil {
					seen = i
				}
			}
		})
	}
}

func TestFieldValues(t *testing.T) {
	for _, test := range []struct {
		head string
		want []string
	}{
		{"GET / HTTP/1.1\r\nA: 1\r\nx-forwarded-FOR:  a, b \r\nX-Forwarded-For: c\r\nX-Forwarded-For2: d\r\n\r\n", []string{"a, b", "c"}},
		{"\r\nGET / HTTP/1.1\r\nX-Forwarded-For:\r\n\r\n", []string{""}},
		{"GET / HTTP/1.1\r\nA: b\r\n\r\n", nil},
		{"X-Forwarded-For: request line\r\n\r\n", nil},
		{"GET / HTTP/1.1\r\nX-Forwarded-For: a\r\n folded\r\nX-Forwarded-For: b\r\n\r\n", []string{"a"}},
		{"GET / HTTP/1.1\r\nX-Forwarded-For: a\n\n", nil},
		{"", nil},
	} {
		var got []string
		for _, value := range websocket.FieldValues(nil, []byte(test.head), "x-forwarded-for") {
			got = append(got, string(value))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q has %q, want %q", test.head, got, test.want)
		}
	}
}
