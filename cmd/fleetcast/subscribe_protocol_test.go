package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// TestSubscribeAnswers: subscribe answers pings and close frames with masked
// frames, says what was wrong with a frame before it closes, and prints what a
// close frame says so that no terminal obeys it (RFC 6455, 4.1, 5.1, 5.3,
// 5.5.1, 5.5.2, 7.1.7 and 7.2.1).
func TestSubscribeAnswers(t *testing.T) {
	tests := map[string]struct {
		says    string
		want    []string // opcode and payload
		printed string
	}{
		"ping, then close": {"\x89\x04beat\x88\x09\x03\xe9gone\x1b[1", []string{"a beat", "8 \x03\xe9"}, `1001 "gone\\x1b\[1"`},
		"no code":          {"\x88\x00", []string{"8 "}, `1005 ""`},
		"masked frame":     {"\x81\x81maskx", []string{"8 \x03\xea"}, "broke the protocol.*masked"},
		"text not UTF-8":   {"\x81\x05\xff", []string{"8 \x03\xef"}, "broke the protocol.*UTF-8"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			heard := make(chan []ws.Frame, 10)
			gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				conn, _, _, err := ws.UpgradeHTTP(r, w)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				heard <- converse(conn, test.says)
			}))
			defer gateway.Close()
			c := start(t, nil, "subscribe", "--url=ws"+strings.TrimPrefix(gateway.URL, "http"), "news")
			frames := <-heard
			c.err.await(t, test.printed)
			c.stop()
			c.wait(t)
			if len(frames) != 1+len(test.want) {
				t.Fatalf("heard %d frames, want a subscription and %q", len(frames), test.want)
			}
			for i, f := range frames[1:] {
				if !f.Header.Masked || !f.Header.Fin || f.Header.Mask == frames[0].Header.Mask {
					t.Errorf("subscribe sent %+v", f.Header)
				}
				ws.Cipher(f.Payload, f.Header.Mask, 0)
				if got := string("0123456789abcdef"[f.Header.OpCode]) + " " + string(f.Payload); got != test.want[i] {
					t.Errorf("subscribe answered %q, want %q", got, test.want[i])
				}
			}
		})
	}
}

// scripted is a gateway that does what talk says with each connection.
func scripted(t *testing.T, talk func(conn net.Conn, in *bufio.Reader)) (url string) {
	t.Helper()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		talk(conn, bufio.NewReader(conn))
	}))
	t.Cleanup(gateway.Close)
	return "ws" + strings.TrimPrefix(gateway.URL, "http")
}

// textOf reads a frame of the client and returns its opcode and payload.
func textOf(in *bufio.Reader) string {
	f, err := readFrame(in)
	if err != nil {
		return err.Error()
	}
	ws.Cipher(f.Payload, f.Header.Mask, 0)
	return fmt.Sprintf("%x %s", f.Header.OpCode, f.Payload)
}

// TestSubscribeStops: when it is stopped, subscribe says so with 1000, prints what
// comes before the answer, and waits for that, but not for ever (RFC 6455, 7.1.1 to
// 7.1.4). It has one close frame only, also if the gateway's crosses it.
func TestSubscribeStops(t *testing.T) {
	t.Parallel() // it waits most of the time
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint(answers), func(t *testing.T) {
			heard := make(chan string, 3)
			url := scripted(t, func(conn net.Conn, in *bufio.Reader) {
				textOf(in)
				_ = wsutil.WriteServerText(conn, []byte(`{"type":"subscribed","id":0,"channel":"news","epoch":"x","offset":0}`))
				heard <- textOf(in)
				if answers {
					_ = wsutil.WriteServerText(conn, []byte(`{"type":"event","channel":"news","offset":1,"data":"last"}`))
					_ = ws.WriteFrame(conn, ws.NewPingFrame([]byte("?")))
					_ = ws.WriteFrame(conn, ws.NewCloseFrame([]byte("\x03\xe8")))
				}
				heard <- textOf(in)
			})
			c := start(t, nil, "subscribe", "--data", "--url="+url, "news")
			c.err.await(t, "subscribed")
			c.stop()
			if code := c.wait(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if got := <-heard; got != "8 \x03\xe8" {
				t.Errorf("the gateway heard %q, want a close frame with 1000", got)
			}
			if got := <-heard; got != io.EOF.Error() {
				t.Errorf("behind its close frame comes %q", got)
			}
			if got := c.out.String(); answers && got != "\"last\"\n" {
				t.Errorf("printed %q", got)
			}
		})
	}
}

// TestSubscribeObeys: it asks again for a channel when the gateway says, on the same
// connection, and comes back when it says; and it tells of gaps.
func TestSubscribeObeys(t *testing.T) {
	heard := make(chan string, 10)
	url := scripted(t, func(conn net.Conn, in *bufio.Reader) {
		say := func(text string) { _ = wsutil.WriteServerText(conn, []byte(text)) }
		heard <- textOf(in)
		say(`{"type":"subscribed","id":1,"channel":"a","epoch":"x","offset":0}`)
		say(`{"type":"error","id":1,"code":"rate_limited","message":"too many","retry_after_ms":20}`)
		heard <- textOf(in)
		say(`{"type":"gap","channel":"a","from":3,"to":9}`)
		say(`{"type":"goodbye","reason":"draining","retry_after_ms":1234567}`)
		_ = ws.WriteFrame(conn, ws.NewCloseFrame([]byte("\x03\xe9draining")))
		textOf(in)
	})
	for _, data := range []bool{false, true} {
		c := start(t, nil, "subscribe", fmt.Sprintf("--data=%v", data), "--url="+url, "a", "b")
		for _, want := range []string{`1,"channels":["a","b"]}`, `2,"channel":"b"}`} {
			if got := <-heard; got != `1 {"type":"subscribe","id":`+want {
				t.Errorf("the gateway heard %s, want %s", got, want)
			}
		}
		c.err.await(t, `rate_limited: too many; trying again in 20ms, as the gateway asks`)
		c.err.await(t, `1001 "draining"; connecting again in 20m34\.\d+s, as the gateway asks`)
		if data {
			c.err.await(t, "events 3 to 9 of a were missed")
		} else {
			c.out.await(t, `^{"type":"gap","channel":"a","from":3,"to":9}\n$`)
		}
		c.stop()
		if code := c.wait(t); code != 0 || data && c.out.String() != "" {
			t.Errorf("exit code %d, output %q", code, c.out)
		}
	}
}

// converse waits for the first frame, says its words, and returns all frames up
// to the end.
func converse(conn net.Conn, says string) (frames []ws.Frame) {
	_ = conn.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	for {
		f, err := readFrame(in)
		if err != nil {
			return frames
		}
		if frames = append(frames, f); len(frames) == 1 {
			_, _ = conn.Write([]byte(says))
		}
	}
}

// readFrame reads a frame of at most 64 KiB.
func readFrame(in io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(in); err != nil {
		return f, err
	}
	if f.Header.Length > 64<<10 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(in, f.Payload)
	return f, err
}

// TestSubscribeChecksTheAnswer: a server that answers the handshake wrongly gets
// no frame (RFC 6455, 4.1 and 7.2.1).
func TestSubscribeChecksTheAnswer(t *testing.T) {
	const upgrade, connection = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"
	tests := map[string]struct{ status, fields, said string }{
		"status 200":                 {"200 OK", upgrade + connection + "ACCEPT\r\n", "200"},
		"no Upgrade":                 {"101 Yes", connection + "ACCEPT\r\n", "connecting again"},
		"other Upgrade":              {"101 Yes", "Upgrade: h2c\r\n" + connection + "ACCEPT\r\n", "connecting again"},
		"no Connection":              {"101 Yes", upgrade + "ACCEPT\r\n", "connecting again"},
		"other Connection":           {"101 Yes", upgrade + "Connection: close\r\nACCEPT\r\n", "connecting again"},
		"no accept":                  {"101 Yes", upgrade + connection, "connecting again"},
		"wrong accept":               {"101 Yes", upgrade + connection + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "connecting again"},
		"extension not offered":      {"101 Yes", upgrade + connection + "ACCEPT\r\nSec-WebSocket-Extensions: x\r\n", "connecting again"},
		"subprotocol not offered":    {"101 Yes", upgrade + connection + "ACCEPT\r\nSec-WebSocket-Protocol: x\r\n", "connecting again"},
		"nothing that looks like it": {"101 Yes", "", "connecting again"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			rest := make(chan []byte, 1)
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				listener.Close() // nobody answers a second time
				in := bufio.NewReader(conn)
				request, err := http.ReadRequest(in)
				if err != nil {
					t.Error(err)
					return
				}
				sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				accept := "Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:])
				fmt.Fprintf(conn, "HTTP/1.1 %s\r\n%s\r\n", test.status, strings.ReplaceAll(test.fields, "ACCEPT", accept))
				_ = conn.SetReadDeadline(time.Now().Add(patience))
				if test.status[0] == '2' {
					conn.Close() // an HTTP answer without a length ends so
				}
				all, _ := io.ReadAll(in)
				rest <- all
			}()
			c := start(t, nil, "subscribe", "--timeout=5s", "--url=ws://"+listener.Addr().String(), "news")
			c.err.await(t, test.said)
			if all := <-rest; len(all) > 0 {
				t.Errorf("behind the wrong answer came % x", all)
			}
			c.stop()
			c.wait(t)
		})
	}
}

// authority is a certificate of localhost that vouches for itself. There is one
// for the process, because the system's roots are read once.
var authority = sync.OnceValues(func() (certificate tls.Certificate, err error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return certificate, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(nil, template, template, public, private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
})

// TestSubscribeOverTLS: wss goes through TLS, which names the server, and ends
// where the server cannot be verified (RFC 6455, 4.1 and 10.6).
func TestSubscribeOverTLS(t *testing.T) {
	certificate, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	roots := filepath.Join(t.TempDir(), "roots.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	if err := os.WriteFile(roots, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSL_CERT_FILE", roots)

	var requests atomic.Int32
	var named atomic.Value
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		conn, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		converse(conn, "\x81\x35"+`{"type":"event","channel":"news","offset":1,"data":1}`)
	})
	serve := func(config *tls.Config) (url string) {
		gateway := httptest.NewUnstartedServer(handler)
		gateway.TLS, gateway.Config.ErrorLog = config, log.New(io.Discard, "", 0)
		gateway.StartTLS()
		t.Cleanup(gateway.Close)
		return "wss://localhost:" + gateway.URL[strings.LastIndex(gateway.URL, ":")+1:]
	}

	trusted := serve(&tls.Config{Certificates: []tls.Certificate{certificate}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		named.Store(hello.ServerName)
		return nil, nil
	}})
	c := start(t, nil, "subscribe", "--data", "--url="+trusted, "news")
	c.out.await(t, "^1\n")
	if name := named.Load(); name != "localhost" {
		t.Errorf("the server is named %q in the TLS handshake", name)
	}
	c.stop()
	c.wait(t)

	before := requests.Load()
	c = start(t, nil, "subscribe", "--url="+serve(nil), "news") // its certificate is of example.com
	c.err.await(t, "certificate.*connecting again")
	c.stop()
	c.wait(t)
	if requests.Load() != before {
		t.Error("a server that cannot be verified got a request")
	}
}
