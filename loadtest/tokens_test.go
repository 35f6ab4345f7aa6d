package loadtest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/rules"
	"fleetcast/gateway/token"
	"fleetcast/loadtest"
)

// tokenMaker makes a token for each client, of a user of its own.
func tokenMaker(t *testing.T, key token.SigningKey) (issuer token.Issuer, of func(client, nth int) (string, error)) {
	t.Helper()
	s, err := token.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	grants, err := identity.GrantsOf(identity.Lists{Subscribe: rules.Patterns{"**"}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return s.Verifies(), func(n, nth int) (string, error) {
		return s.Sign(token.Claims{User: fmt.Sprint("load-", n), Grants: grants, Issued: now.Add(time.Duration(nth) * time.Minute), Expires: now.Add(time.Hour)})
	}
}

// TestTokensOfClients gives clients tokens that a gateway demands, which takes one
// connection of each user only. No result has a token.
func TestTokensOfClients(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 3} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			t.Parallel()
			issuer, of := tokenMaker(t, token.SigningKey{Secret: testrun.Secret + "0123456789abcdef"})
			common := startGateway(t, func(c *gateway.Config) { c.Issuers, c.UserClients = []token.Issuer{issuer}, 1 })
			common.Token = of
			common.Member, _ = memberCommand(t)
			common.Processes = processes
			r := scenario(t, loadtest.RunFanout, loadtest.Fanout{Common: common, Clients: 20, Traffic: loadtest.Traffic{Channels: 2, Events: 50}})
			if r.Clients != 20 || r.Delivered != 20*25 || r.Detail.Refused != 0 {
				t.Errorf("%d clients, %d delivered, %d refused", r.Clients, r.Delivered, r.Detail.Refused)
			}
			text, err := json.Marshal(r)
			if one, _ := of(0, 0); err != nil || bytes.Contains(text, []byte(one[:30])) {
				t.Errorf("the result has a token, or %v", err)
			}
		})
	}
}

// TestOneToken has all clients show the same.
func TestOneToken(t *testing.T) {
	t.Parallel()
	issuer, of := tokenMaker(t, token.SigningKey{Secret: testrun.Secret + "0123456789abcdef"})
	common := startGateway(t, func(c *gateway.Config) { c.Issuers = []token.Issuer{issuer} })
	calls := 0
	common.OneToken, common.Token = true, func(n, nth int) (string, error) {
		calls++
		return of(n, nth)
	}
	r := scenario(t, loadtest.RunConnect, loadtest.Connect{Common: common, Clients: 5, Hold: time.Millisecond})
	if r.Detail.Connected != 5 || calls != 1 {
		t.Errorf("%d connected with %d tokens", r.Detail.Connected, calls)
	}
}

// TestTokensThatAreRefused: the error says why, without the token.
func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	issuer, _ := tokenMaker(t, token.SigningKey{Secret: testrun.Secret + "0123456789abcdef"})
	_, of := tokenMaker(t, token.SigningKey{Secret: testrun.Secret + "another of that length"})
	common := startGateway(t, func(c *gateway.Config) { c.Issuers = []token.Issuer{issuer} })
	common.Token = of
	_, err := loadtest.RunConnect(t.Context(), loadtest.Connect{Common: common, Clients: 2})
	if err == nil || !strings.Contains(err.Error(), "401") || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("%v", err)
	}
	common.Token = func(int, int) (string, error) { return "", io.ErrUnexpectedEOF }
	if _, err = loadtest.RunConnect(t.Context(), loadtest.Connect{Common: common, Clients: 2}); err == nil || !strings.Contains(err.Error(), "the token of client 0: unexpected EOF") {
		t.Errorf("%v", err)
	}
}

// recorder passes connections on, and keeps what clients show in their handshakes.
type recorder struct {
	mu    sync.Mutex
	shown []string
}

func record(t *testing.T, to string) (r *recorder, addr string) {
	t.Helper()
	r = &recorder{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.pass(client, to)
		}
	}()
	return r, listener.Addr().String()
}

func (r *recorder) pass(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	var head []byte
	for buffer := make([]byte, 4096); !bytes.Contains(head, []byte("\r\n\r\n")); {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		head = append(head, buffer[:n]...)
	}
	_, shown, _ := strings.Cut(string(head), "\r\nAuthorization: Bearer ")
	shown, _, _ = strings.Cut(shown, "\r\n")
	r.mu.Lock()
	r.shown = append(r.shown, shown)
	r.mu.Unlock()
	_, _ = server.Write(head)
	go func() {
		_, _ = io.Copy(server, client)
		server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// privateKey is a key whose tokens take long to verify, and have a signature of their own
// only where their claims differ.
func privateKey(t *testing.T) token.SigningKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	body, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return token.SigningKey{Private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: body}))}
}

// TestResumeTickets has a fleet come back with the tickets that it got for its tokens.
func TestResumeTickets(t *testing.T) {
	t.Parallel()
	issuer, of := tokenMaker(t, privateKey(t))
	for _, tickets := range []bool{false, true} {
		common := startGateway(t, func(c *gateway.Config) { c.Issuers = []token.Issuer{issuer} })
		common.Token, common.ResumeTickets, common.PID = of, tickets, loadtest.NoProcess
		address := strings.TrimSuffix(strings.TrimPrefix(common.URL, "ws://"), gateway.Path)
		r, addr := record(t, address)
		common.URL = "ws://" + addr + gateway.Path
		result := scenario(t, loadtest.RunStorm, loadtest.Storm{Common: common, Traffic: loadtest.Traffic{Rate: 50}, Clients: 10, Witnesses: 1, Calm: 100 * time.Millisecond})
		if err := result.Fault(); err != nil || figure(t, result, "back") != 10 {
			t.Errorf("fault: %v, notes %q", err, result.Detail.Notes)
		}
		r.mu.Lock()
		count, different := map[string]int{}, map[string]bool{}
		for _, shown := range r.shown {
			count[shown[:min(4, len(shown))]]++
			different[shown] = true
		}
		r.mu.Unlock()
		if tickets && (count["eyJh"] != 11 || count["fct1"] != 10 || len(different) != 21) || !tickets && (count["eyJh"] != 21 || len(different) != 11) {
			t.Errorf("tickets %v: shown are %v, %d different ones", tickets, count, len(different))
		}
	}
}

// TestNewTokens has a fleet come back with tokens that the gateway does not know: it verifies
// two of each client. Those who stay show theirs once.
func TestNewTokens(t *testing.T) {
	t.Parallel()
	const witnesses, fleet = 3, 12
	for name, test := range map[string]struct {
		processes int
		renews    bool
		verified  uint64
	}{
		"new":                  {1, true, witnesses + 2*fleet},
		"new, three processes": {3, true, witnesses + 2*fleet},
		"the same":             {1, false, witnesses + fleet},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer, of := tokenMaker(t, privateKey(t))
			g, common := startSeenGateway(t, func(c *gateway.Config) { c.Issuers = []token.Issuer{issuer} })
			common.Token, common.PID, common.Processes = of, loadtest.NoProcess, test.processes
			common.Member, _ = memberCommand(t)
			r := scenario(t, loadtest.RunStorm, loadtest.Storm{
				Common: common, Traffic: loadtest.Traffic{Rate: 50}, Clients: fleet, Witnesses: witnesses, Calm: 100 * time.Millisecond, NewTokens: test.renews,
			})
			if err := r.Fault(); err != nil || figure(t, r, "back") != fleet {
				t.Errorf("fault: %v, notes %q", err, r.Detail.Notes)
			}
			stats, err := g.Stats(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := stats.Tokens; got.Verifications != test.verified || got.Accepted != witnesses+2*fleet {
				t.Errorf("%d verifications, want %d; %d tokens accepted", got.Verifications, test.verified, got.Accepted)
			}
		})
	}
}
