package echo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"fleetcast/gateway/echo"
)

// TestConformanceClose: one close frame answers the first, with its code, and
// what comes behind it counts no more (RFC 6455, 5.5.1, 5.5.2, 6.1,
// 7.1.2, 7.1.5 and 7.1.6).
func TestConformanceClose(t *testing.T) {
	big := strings.Repeat("BAsd7&jh23", 26<<10)
	closes := func(body string) string { return frame(ws.OpClose, body) }
	bye := closes("\x03\xe8")
	tests := []exchange{
		{"7.1.1, behind a message", []string{frame(ws.OpText, "Hello World!"), bye}, echoed("Hello World!"), 1000},
		{"7.1.2, twice", []string{bye, bye}, nil, 1000},
		{"7.1.3, ping behind it", []string{bye, frame(ws.OpPing, "")}, nil, 1000},
		{"7.1.4, text behind it", []string{bye, frame(ws.OpText, "late")}, nil, 1000},
		{"7.1.5, within a message", []string{part(ws.OpText, false, "a"), bye, part(ws.OpContinuation, true, "b")}, nil, 1000},
		{"invalid frames behind it", []string{bye, "\xff\xff\xff", closes("\x03")}, nil, 1000},
		{"7.3.1, empty", []string{closes("")}, nil, 1005},
		{"7.3.2, one byte", []string{closes("\x03")}, nil, 1002},
		{"7.3.3, a code", []string{bye}, nil, 1000},
		{"7.3.4, a code and a reason", []string{closes("\x03\xe8Hello World!")}, nil, 1000},
		{"7.3.5, the longest reason", []string{closes("\x03\xe8" + strings.Repeat("*", 123))}, nil, 1000},
		{"7.3.6, a reason too long", []string{"\x88\xfe\x00\x7emask" + strings.Repeat("*", 126)}, nil, 1002},
		{"7.5.1, a reason that is not UTF-8", []string{closes("\x03\xe8\xce\xba\xed\xa0\x80edited")}, nil, 1007},
		{"a reason that ends within a character", []string{closes("\x03\xe8\xe2\x82")}, nil, 1007},
		{"an invalid code and reason", []string{closes("\x03\xec\xff")}, nil, 1002},
	}
	run(t, tests)

	// Of the size of a message only whole delivery is to the point.
	t.Run("7.1.6, behind a large message", func(t *testing.T) {
		c := connect(t, serve(t, echo.Config{}))
		c.send([]byte(frame(ws.OpText, big) + frame(ws.OpText, "Hello World!") + bye + frame(ws.OpPing, "")))
		c.hears(exchange{hears: []heard{{ws.OpText, big}, {ws.OpText, "Hello World!"}}, ends: 1000})
	})
}

// TestConformanceCloseCodes: a code that may be sent comes back, any other is
// answered with 1002 (RFC 6455, 7.4, 7.4.1 and 7.4.2).
func TestConformanceCloseCodes(t *testing.T) {
	var exchanges []exchange
	add := func(number string, answer func(code ws.StatusCode) ws.StatusCode, codes ...ws.StatusCode) {
		for _, code := range codes {
			for _, reason := range []string{"", "why"} {
				body := string([]byte{byte(code >> 8), byte(code)}) + reason
				exchanges = append(exchanges, exchange{fmt.Sprintf("%s, %d %s", number, code, reason),
					[]string{frame(ws.OpClose, body)}, nil, answer(code)})
			}
		}
	}
	same := func(code ws.StatusCode) ws.StatusCode { return code }
	refused := func(ws.StatusCode) ws.StatusCode { return 1002 }
	add("7.7", same, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
	add("7.9", refused, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999)
	add("7.13", refused, 5000, 32768, 65535)
	run(t, exchanges)
}

// TestCrossingCloses has clients and the server close at the same time: each
// client gets one close frame, the answer to its own or the server's, and then
// the FIN (RFC 6455, 5.5.1, 7.1.1 and 7.1.3).
func TestCrossingCloses(t *testing.T) {
	const clients = 60
	server := serve(t, echo.Config{Loops: 2})
	var all []*rawClient
	for range clients {
		all = append(all, connect(t, server))
	}
	var result <-chan error
	for i, c := range all {
		if i == clients/2 {
			result = shutdown(server, echo.CloseTimeout)
		}
		if i == clients*3/4 { // these know of the server's close frame
			if _, err := all[clients-1].in.Peek(1); err != nil {
				t.Fatal(err)
			}
		}
		// Nobody answers what comes behind a close frame.
		_, _ = c.Write(join(rawClose(4001), masked(ws.OpPing, ""), rawClose(4002)))
	}
	crossed := 0
	for _, c := range all {
		_, body, err := c.frame()
		switch code, _ := ws.ParseCloseFrameData(body); {
		case err != nil || code != 4001 && code != ws.StatusGoingAway:
			t.Errorf("code %d, error %v", code, err)
		case code == ws.StatusGoingAway:
			crossed++
		}
		c.expectEnd()
		c.Close()
	}
	if crossed == 0 || crossed == clients {
		t.Errorf("%d of %d closes crossed", crossed, clients)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}
