package interop_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// connectSequences are what libraries send until they are connected, by their sources, for those that
// TestRedisLibraries cannot run. Then they publish.
var connectSequences = map[string][]string{
	"Lettuce, RESP3": {"HELLO 3 AUTH default secret SETNAME me", "CLIENT SETINFO lib-name Lettuce", "CLIENT SETINFO lib-ver 6.5.0",
		"CLIENT MAINT_NOTIFICATIONS on moving-endpoint-type internal-ip"},
	"Lettuce, no password":        {"HELLO 3 SETNAME me", "SELECT 1", "READONLY", "CLIENT SETINFO lib-name Lettuce", "CLIENT SETINFO lib-ver 6.5.0"},
	"Lettuce, RESP2, no password": {"PING", "CLIENT SETNAME me", "CLIENT SETINFO lib-name Lettuce", "CLIENT SETINFO lib-ver 6.5.0"},
	"Lettuce, RESP2":              {"AUTH default secret", "CLIENT SETNAME me", "CLIENT SETINFO lib-name Lettuce", "CLIENT SETINFO lib-ver 6.5.0"},
	"Jedis":                       {"AUTH default secret", "CLIENT SETNAME me", "CLIENT SETINFO lib-name jedis(spring-data-redis_v3.4.0)", "CLIENT SETINFO lib-ver 5.2.0"},
	"Jedis, RESP3, no user":       {"HELLO 3", "SELECT 1", "CLIENT SETNAME me", "CLIENT SETINFO LIB-NAME jedis", "CLIENT SETINFO LIB-VER 5.2.0"},
	"Jedis, RESP3":                {"HELLO 3 AUTH default secret SETNAME me", "SELECT 1", "CLIENT SETINFO lib-name jedis", "CLIENT SETINFO lib-ver 5.2.0"},
	"StackExchange.Redis": {"AUTH default secret", "CLIENT SETNAME me", "CLIENT SETINFO lib-name SE.Redis", "CLIENT SETINFO lib-ver 2.8.0", "CLIENT ID",
		"CONFIG GET timeout", "CONFIG GET slave-read-only", "CONFIG GET databases", "INFO replication", "INFO server", "CLUSTER NODES", "ECHO 0123456789abcdef"},
	"StackExchange.Redis, RESP3": {"HELLO 3 AUTH default secret SETNAME me", "CLIENT ID", "CONFIG GET timeout", "INFO replication", "CLUSTER NODES", "ECHO 0123"},
	"redis-rs":                   {"AUTH default secret", "SELECT 1", "CLIENT SETINFO LIB-NAME redis-rs", "CLIENT SETINFO LIB-VER 0.27.0"},
	"redis-rs, RESP3":            {"HELLO 3 AUTH default secret", "SELECT 1", "CLIENT SETINFO LIB-NAME redis-rs", "CLIENT SETINFO LIB-VER 0.27.0", "CLIENT TRACKING ON OPTIN"},
}

// TestConnectSequences answers an error where Redis does and nowhere else, and then takes an event.
func TestConnectSequences(t *testing.T) {
	s := startGateway(t)
	real := startRedis(t)
	for name, sequence := range connectSequences {
		t.Run(name, func(t *testing.T) {
			ours, theirs := dialRESP(t, "tcp", s.PublishAddrs()[0].String()), dialRESP(t, "unix", real)
			for _, command := range sequence {
				got, want := ours.ask(command), theirs.ask(command)
				newer := strings.HasPrefix(want, "-ERR unknown subcommand 'SETINFO'") // since Redis 7.2
				if strings.HasPrefix(got, "-") != strings.HasPrefix(want, "-") && !newer || got[0] != want[0] && !newer {
					t.Errorf("%s is answered with %q, by Redis with %q", command, got, want)
				}
			}
			if got := ours.ask("PUBLISH news 1"); got != ":0\r\n" {
				t.Errorf("PUBLISH is answered with %q", got)
			}
		})
	}
}

// TestBesideRedis has the gateway and Redis answer the same, to the letter.
func TestBesideRedis(t *testing.T) {
	s := startGateway(t)
	real := startRedis(t)
	for _, conversation := range []string{
		"AUTH x|AUTH default x|AUTH bob x|AUTH a b c|AUTH|HELLO 3 AUTH bob x|HELLO 3 AUTH x|CLIENT GETNAME|HELLO 2 SETNAME me|CLIENT GETNAME|HELLO 4|HELLO x",
		"HELLO 3 AUTH default x SETNAME her|CLIENT GETNAME|HELLO 2 AUTH default x|RESET|CLIENT GETNAME",
		"CLIENT TRACKING|CLIENT TRACKING ON|CLIENT TRACKINGINFO|CLIENT GETREDIR|CLIENT TRACKING OFF|CLIENT TRACKINGINFO|CLIENT GETREDIR|CLIENT CACHING YES|" +
			"CLIENT TRACKING ON OPTIN|CLIENT CACHING YES|CLIENT CACHING x|CLIENT TRACKING x|CLIENT TRACKING ON OPTIN OPTOUT|CLIENT TRACKING ON PREFIX a|CLIENT TRACKING ON REDIRECT 9999",
		"HELLO 3|CLIENT TRACKING ON OPTOUT|CLIENT TRACKINGINFO|CONFIG GET slave-read-only|CONFIG GET nosuch|COMMAND DOCS nosuch|COMMAND INFO nosuch|INFO cluster|PUBSUB NUMSUB a b",
		"CLIENT NO-EVICT ON|CLIENT NO-EVICT x|CLIENT NO-EVICT|CLIENT INFO x|CLIENT SETNAME|CLIENT foo|CLIENT",
		"CLUSTER INFO|CLUSTER SLOTS|CLUSTER SHARDS|CLUSTER|READONLY|READWRITE|ASKING|SENTINEL MASTERS|ROLE|ROLE x|TIME x|ACL WHOAMI|ACL foo|ACL",
		"COMMAND INFO nosuch|COMMAND DOCS nosuch|COMMAND foo|CONFIG GET slave-read-only|CONFIG GET nosuch|CONFIG GET|CONFIG foo|CONFIG|CONFIG GET timeout nosuch",
		"PUBSUB NUMSUB a b|PUBSUB NUMSUB|PUBSUB NUMPAT|PUBSUB SHARDNUMSUB a|PUBSUB foo|PUBSUB|SPUBLISH a 1|SPUBLISH a|PUBLISH a 1|INFO nosuch|INFO cluster",
		"MULTI|MULTI|PUBLISH a 1|NOSUCH x|EXEC|EXEC",
		"MULTI|SELECT 0|PING|PUBLISH a 1|ECHO x|HELLO 3|CLIENT SETNAME x|CLIENT GETNAME|AUTH default x|UNWATCH|EXEC",
		"EXEC|DISCARD|DISCARD x|MULTI x|WATCH|WATCH a b|UNWATCH|UNWATCH x|MULTI|WATCH a|EXEC",
		"MULTI|PUBLISH a|PUBLISH a 1|EXEC|MULTI|NOSUCH a|DISCARD|MULTI|PUBLISH a b|RESET|EXEC|MULTI|CLIENT foo|EXEC|MULTI|CLIENT TRACKING|EXEC|MULTI|AUTH a b c|EXEC",
		"SELECT 15|PUBLISH a 1|SELECT 16|SELECT -1|SELECT|CONFIG GET databases|HELLO 3|CONFIG GET databases",
		"CLIENT REPLY x|CLIENT REPLY ON|CLIENT REPLY|PING|SELECT x|ECHO|PING a b",
	} {
		t.Run(strings.ReplaceAll(conversation[:min(len(conversation), 30)], "|", ", "), func(t *testing.T) {
			ours, theirs := dialRESP(t, "tcp", s.PublishAddrs()[0].String()), dialRESP(t, "unix", real)
			for _, command := range strings.Split(conversation, "|") {
				if got, want := comparable(ours.ask(command)), comparable(theirs.ask(command)); got != want {
					t.Errorf("%s is answered with\n%q, by Redis with\n%q", command, got, want)
				}
			}
		})
	}
}

// versionAndID are what differs in any case.
var versionAndID = regexp.MustCompile(`\$\d+\r\nversion\r\n\$\d+\r\n[\d.]+\r\n|\$2\r\nid\r\n:\d+\r\n`)

func comparable(reply string) string { return versionAndID.ReplaceAllString(reply, "") }

// startRedis starts the real Redis and returns its socket.
func startRedis(t *testing.T) string {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	socket := filepath.Join(t.TempDir(), "redis.sock")
	server := exec.Command(path, "--port", "0", "--unixsocket", socket, "--save", "", "--loglevel", "warning")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); _ = server.Wait() })
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return socket
		} else if time.Now().After(deadline) {
			t.Fatalf("redis-server does not listen: %v", err)
		}
	}
}

// respConn is a connection that asks one command after the other.
type respConn struct {
	*testing.T
	net.Conn
	in *bufio.Reader
}

func dialRESP(t *testing.T, network, address string) *respConn {
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &respConn{t, conn, bufio.NewReader(conn)}
}

// ask sends words and returns the reply's bytes.
func (c *respConn) ask(command string) string {
	c.Helper()
	words := strings.Fields(command)
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(c.Conn, request); err != nil {
		c.Fatal(err)
	}
	reply, err := readRESP(c.in)
	if err != nil {
		c.Fatalf("the reply to %s: %v behind %q", command, err, reply)
	}
	return reply
}

// readRESP reads a reply of either version.
func readRESP(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	if err != nil || len(line) < 3 {
		return line, errors.Join(err, io.ErrUnexpectedEOF)
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$', '=':
		if n < 0 {
			return line, nil
		}
		text := make([]byte, n+2)
		_, err := io.ReadFull(in, text)
		return line + string(text), err
	case '%':
		n *= 2
	case '*', '~':
	default:
		return line, nil
	}
	for range n {
		part, err := readRESP(in)
		if line += part; err != nil {
			return line, err
		}
	}
	return line, nil
}
