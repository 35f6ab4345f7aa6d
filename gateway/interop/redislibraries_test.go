package interop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// redisLibrary is a client library of Redis in another language. Its program in testdata/redis publishes, from a
// connection without and one with a user and a password, then a transaction, one that fails, and a pipeline.
type redisLibrary struct {
	file, install string
	// command runs the program; nil: it is not installed.
	command func(t *testing.T, file string) *exec.Cmd
}

// interpreted runs a program if one of the interpreters can do probe, its arguments.
func interpreted(interpreters []string, probe ...string) func(*testing.T, string) *exec.Cmd {
	return func(_ *testing.T, file string) *exec.Cmd {
		for _, name := range interpreters {
			if path, err := exec.LookPath(name); err == nil && nodeCommand(path, probe...).Run() == nil {
				return nodeCommand(path, file)
			}
		}
		return nil
	}
}

// nodeCommand is a command that finds the modules of Debian's node and of npm install --global.
func nodeCommand(path string, arguments ...string) *exec.Cmd {
	cmd := exec.Command(path, arguments...)
	modules := []string{os.Getenv("NODE_PATH"), "/usr/share/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules"}
	cmd.Env = append(os.Environ(), "NODE_PATH="+strings.Join(modules, ":"))
	return cmd
}

func compiled(t *testing.T, file string) *exec.Cmd {
	program := filepath.Join(t.TempDir(), "program")
	if output, err := exec.Command("gcc", "-o", program, file, "-lhiredis").CombinedOutput(); err != nil {
		t.Logf("gcc: %v\n%s", err, output)
		return nil
	}
	return exec.Command(program)
}

var redisLibraries = map[string]redisLibrary{
	"redis-py":   {"redis_py.py", "python3-redis", interpreted([]string{"/usr/bin/python3", "python3"}, "-c", "import redis")},
	"redis-rb":   {"redis_rb.rb", "ruby-redis", interpreted([]string{"ruby"}, "-e", `require "redis"`)},
	"phpredis":   {"phpredis.php", "php-cli and php-redis", interpreted([]string{"php"}, "-r", `new Redis();`)},
	"predis":     {"predis.php", "php-cli and php-predis", interpreted([]string{"php"}, "-r", `require "Predis/autoload.php";`)},
	"hiredis":    {"hiredis.c", "gcc and libhiredis-dev", compiled},
	"ioredis":    {"ioredis.cjs", "npm install --global ioredis", interpreted([]string{"node"}, "-e", `require("ioredis")`)},
	"node-redis": {"node_redis.cjs", "npm install --global redis", interpreted([]string{"node"}, "-e", `require("redis").createClient`)},
}

func TestRedisLibraries(t *testing.T) {
	t.Parallel() // it waits most of the time
	for name, library := range redisLibraries {
		t.Run(name, func(t *testing.T) {
			cmd := library.command(t, filepath.Join("testdata/redis", library.file))
			if cmd == nil {
				t.Skipf("%s is not installed (%s)", name, library.install)
			}
			s := startGateway(t)
			subscriber := dialGorilla(t, options{URL: s.url("127.0.0.1", "")})
			expect(t, subscriber, "welcome", nil)
			say(t, subscriber, `{"type":"subscribe","channel":"news"}`)
			expect(t, subscriber, "subscribed", nil)
			address := s.PublishAddrs()[0]
			cmd.Args = append(cmd.Args, address.Addr().String(), fmt.Sprint(address.Port()))
			output, err := cmd.CombinedOutput()
			t.Logf("%s", output)
			if err != nil {
				t.Fatalf("the program fails: %v", err)
			}
			for _, data := range []string{`"plain"`, `"password"`, "1", "2", "3", "4", "5"} {
				expect(t, subscriber, "event", []byte(data))
			}
		})
	}
}
