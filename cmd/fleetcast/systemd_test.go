package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// asActivated makes TestActivatedChild the process that systemd starts.
const asActivated = "TEST_AS_ACTIVATED"

// activated is what that process says of its sockets.
type activated struct {
	Sockets map[string][]string // addresses by name
	Error   string
	Left    []string // variables of the protocol that its children would see
}

// TestActivatedChild is no test: it is the body of the process that the tests
// below start. It reports its sockets on the standard output, and on each says
// its name to the first client.
func TestActivatedChild(t *testing.T) {
	if os.Getenv(asActivated) == "" {
		t.Skip("runs only as a child of the other tests")
	}
	sockets, err := activatedSockets()
	report := activated{Sockets: make(map[string][]string)}
	if err != nil {
		report.Error = err.Error()
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if _, ok := os.LookupEnv(name); ok {
			report.Left = append(report.Left, name)
		}
	}
	var listeners []named
	for name, files := range sockets {
		for _, file := range files {
			listener, err := net.FileListener(file)
			if err != nil {
				t.Fatal(err)
			}
			listeners = append(listeners, named{listener, name})
			report.Sockets[name] = append(report.Sockets[name], listener.Addr().String())
		}
	}
	json.NewEncoder(os.Stdout).Encode(report)
	var greetings sync.WaitGroup
	for _, listener := range listeners {
		greetings.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprint(conn, listener.name)
			conn.Close()
		})
	}
	greetings.Wait()
}

type named struct {
	net.Listener
	name string
}

// pass starts the child with files as descriptors 3 and up, as systemd does. A
// shell takes the process number before it becomes the child.
func pass(t *testing.T, environment string, files ...*os.File) activated {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", environment+` exec "$0" -test.run='^TestActivatedChild$'`, testBinary(t))
	cmd.Env = append(os.Environ(), asActivated+"=1")
	cmd.ExtraFiles = files
	return startActivated(t, cmd)
}

func startActivated(t *testing.T, cmd *exec.Cmd) (report activated) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if err := json.NewDecoder(stdout).Decode(&report); err != nil {
		t.Fatalf("the child's report: %v", err)
	}
	return report
}

func testBinary(t *testing.T) string {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// listen opens a listening socket and returns its descriptor to pass.
func listen(t *testing.T) (addr string, file *os.File) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err = listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return listener.Addr().String(), file
}

// greeting is what the child says at an address.
func greeting(t *testing.T, addr string) string {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const forChild = `export LISTEN_PID=$$; `

func TestActivatedSockets(t *testing.T) {
	clients4, file1 := listen(t)
	clients6, file2 := listen(t)
	admin, file3 := listen(t)
	got := pass(t, forChild+`export LISTEN_FDS=3 LISTEN_FDNAMES=clients:clients:admin;`, file1, file2, file3)
	if got.Error != "" || len(got.Left) > 0 {
		t.Fatalf("error %q, variables left %v", got.Error, got.Left)
	}
	want := fmt.Sprint(map[string][]string{"clients": {clients4, clients6}, "admin": {admin}})
	if fmt.Sprint(got.Sockets) != want {
		t.Errorf("sockets %v, want %v", got.Sockets, want)
	}
	for addr, name := range map[string]string{clients4: "clients", clients6: "clients", admin: "admin"} {
		if text := greeting(t, addr); text != name {
			t.Errorf("%s says %q, want %q", addr, text, name)
		}
	}
}

func TestActivationIsRefused(t *testing.T) {
	_, tcp := listen(t)
	udpConn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udpConn.Close()
	udp, err := udpConn.File()
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	local, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket")})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	unixSocket, err := local.File()
	if err != nil {
		t.Fatal(err)
	}
	defer unixSocket.Close()
	connected, err := net.Dial("tcp", tcpAddr(t, tcp))
	if err != nil {
		t.Fatal(err)
	}
	defer connected.Close()
	connectedFile, err := connected.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer connectedFile.Close()
	plain, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()

	one := forChild + `export LISTEN_FDS=1; `
	tests := []struct {
		name        string
		environment string
		file        *os.File
		want        string
	}{
		{"no name", one, tcp, `FileDescriptorName= in its .socket unit to clients, publish or admin`},
		{"name of the unit", one + `export LISTEN_FDNAMES=fleetcast.socket;`, tcp, `"fleetcast.socket"`},
		{"datagrams", one + `export LISTEN_FDNAMES=clients;`, udp, "descriptor 3 is not a TCP socket"},
		{"of this machine", one + `export LISTEN_FDNAMES=clients;`, unixSocket, "descriptor 3 is not a TCP socket"},
		{"connected", one + `export LISTEN_FDNAMES=clients;`, connectedFile, "leave Accept= off"},
		{"no socket", one + `export LISTEN_FDNAMES=clients;`, plain, "descriptor 3 is not a socket"},
		{"too many", forChild + `export LISTEN_FDS=1000000000 LISTEN_FDNAMES=clients;`, tcp, "LISTEN_FDS"},
		{"no number", forChild + `export LISTEN_FDS=x LISTEN_FDNAMES=clients;`, tcp, "LISTEN_FDS"},
		{"for another process", `export LISTEN_PID=1 LISTEN_FDS=1;`, tcp, ""},
		{"none", "", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var files []*os.File
			if test.file != nil {
				files = append(files, test.file)
			}
			got := pass(t, test.environment, files...)
			if len(got.Sockets) > 0 || (got.Error == "") != (test.want == "") || !strings.Contains(got.Error, test.want) {
				t.Errorf("sockets %v, error %q, want %q", got.Sockets, got.Error, test.want)
			}
			if test.want == "" && len(got.Left) > 0 {
				t.Errorf("variables left: %v", got.Left)
			}
		})
	}
}

func tcpAddr(t *testing.T, file *os.File) string {
	t.Helper()
	listener, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestSystemdPassesSockets has systemd's own tool open the port, which starts the
// service at the first connection.
func TestSystemdPassesSockets(t *testing.T) {
	tool, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		t.Skip("systemd-socket-activate is not installed")
	}
	// The tool does not say which port the kernel chooses. No other test listens
	// on this address, so the port stays free.
	free, err := net.Listen("tcp", "127.0.0.99:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	cmd := exec.Command(tool, "--listen="+addr, "--fdname=clients", "--setenv="+asActivated+"=1",
		testBinary(t), "-test.run=^TestActivatedChild$")
	cmd.Env = append(os.Environ(), asActivated+"=1")
	stderr := newOutput()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	stderr.await(t, "Listening on")
	if text := greeting(t, addr); text != "clients" {
		t.Errorf("the service says %q", text)
	}
	var got activated
	if err := json.NewDecoder(stdout).Decode(&got); err != nil || got.Error != "" {
		t.Errorf("%+v, %v", got, err)
	}
}
