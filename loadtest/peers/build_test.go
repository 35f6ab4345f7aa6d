package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// bin is where TestMain builds the Go servers.
var bin string

func TestMain(m *testing.M) {
	var err error
	if bin, err = os.MkdirTemp("", "peers-test-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	build := exec.Command("go", "build", "-o", bin+"/", "./gorilla", "./gws", "./netpoll", "./centrifuge", "./nats")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the servers: %v\n%s", err, output)
	} else {
		code = m.Run()
	}
	os.RemoveAll(bin)
	os.Exit(code)
}

// buildFloor returns the floor's binary.
func buildFloor(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("the floor is C++ and there is no g++ here: it is not tested")
	}
	binary := filepath.Join(t.TempDir(), "floor")
	output, err := exec.Command("g++", "-O2", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-o", binary, "floor/floor.cpp").CombinedOutput()
	if err != nil {
		t.Fatalf("building the floor: %v\n%s", err, output)
	}
	return binary
}

// startTimeout is how long a server may take until it accepts.
const startTimeout = 10 * time.Second

// start runs a server until the test ends, and returns its address. SIGTERM
// must end it.
func start(t *testing.T, binary string, arguments ...string) (address string) {
	t.Helper()
	port := freePort(t)
	command := exec.Command(binary, append([]string{strconv.Itoa(port)}, arguments...)...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { command.Wait(); close(ended) }()
	t.Cleanup(func() {
		command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(startTimeout):
			command.Process.Kill()
			t.Error("SIGTERM did not end the server")
		}
		if t.Failed() {
			t.Logf("the server said: %s", output.Bytes())
		}
	})
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := await(t.Context(), address, ended); err != nil {
		t.Fatal(err)
	}
	return address
}

// await returns once something accepts at address.
func await(ctx context.Context, address string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return errors.New("the server ended at once")
		case <-ctx.Done():
			return err
		case <-retry.C:
		}
	}
}

// freePort is a port of loopback below those that the kernel gives away by chance.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if listener, err := net.Listen("tcp4", fmt.Sprint("127.0.0.1:", port)); err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}
