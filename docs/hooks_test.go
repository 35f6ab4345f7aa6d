package docs_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/hook"
)

// TestHookExamples runs the servers that docs/hooks.md shows, and asks them as the
// gateway does.
func TestHookExamples(t *testing.T) {
	t.Parallel() // it waits most of the time
	text := read(t, "hooks.md")
	example := func(language string) string {
		_, code, found := strings.Cut(text, "```"+language+"\n")
		code, _, closed := strings.Cut(code, "```\n")
		if !found || !closed {
			t.Fatalf("the page has no example in %s", language)
		}
		return code
	}
	write := func(name, code string) (dir string) {
		dir = t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	ports := freePorts(t, 2)
	env := []string{"HOOK_SECRET=" + testrun.Secret}

	t.Run("go", func(t *testing.T) {
		program(t, "fleetcast") // skips the test where other programs do not run
		dir := write("main.go", example("go"))
		build := exec.Command("go", "build", "-o", "server", "main.go")
		build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if output, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build the example: %v\n%s", err, output)
		}
		server := startRunning(t, dir, env, "./server", "127.0.0.1:"+ports[0])
		askExample(t, server, ports[0])
	})
	t.Run("node", func(t *testing.T) {
		program(t, "fleetcast")
		node, err := exec.LookPath("node")
		if err != nil {
			t.Skip("node is not installed: the example is not run")
		}
		server := startRunning(t, write("server.js", example("js")), env, node, "server.js", ports[1])
		askExample(t, server, ports[1])
	})
}

// askExample asks an example about clients and subscriptions.
func askExample(t *testing.T, server *running, port string) {
	until(t, "the port", regexp.MustCompile("open"), func() string {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err.Error() + "\n" + server.String()
		}
		c.Close()
		return "open"
	})
	o := hook.DefaultOptions()
	o.Name, o.URL, o.Timeout, o.Logger = "example", "http://127.0.0.1:"+port+"/hook", patience, testrun.Log(t)
	ask := func(secret string) *hook.Hook {
		o.Header = http.Header{"Authorization": {"Bearer " + secret}}
		h, err := hook.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		return h
	}
	h := ask(testrun.Secret)
	if got := h.Connect(t.Context(), hook.ConnectRequest{Token: "8f14e45f"}); !got.Allowed || got.Identity.User != "alice" || got.Identity.Grants.Text() != `{"subscribe":["chat.*"]}` || got.Expires == 0 {
		t.Errorf("with a session: %+v, %+v", got, got.Refusal)
	}
	if got := h.Connect(t.Context(), hook.ConnectRequest{Token: "constructor"}); got.Allowed || got.Refusal.Reason != "sign_in" || got.Refusal.Message != "Sign in first." || got.Refusal.Temporary {
		t.Errorf("without a session: %+v, %+v", got, got.Refusal)
	}
	for channel, want := range map[string]bool{"room.alice": true, "room.bob": false} {
		if got := h.Subscribe(t.Context(), hook.SubscribeRequest{User: "alice", Channel: channel}); got.Allowed != want || !want && got.Refusal.Temporary {
			t.Errorf("subscribe to %s: %+v, %+v", channel, got, got.Refusal)
		}
	}
	if got := ask("wrong").Connect(t.Context(), hook.ConnectRequest{Token: "8f14e45f"}); got.Allowed || got.Refusal.Reason != hook.ReasonFailed {
		t.Errorf("with another secret: %+v, %+v", got, got.Refusal)
	}
}
