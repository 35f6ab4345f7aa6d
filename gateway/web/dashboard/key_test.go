package dashboard_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"fleetcast/codec/testrun"
	"fleetcast/gateway"
	"fleetcast/gateway/keys"
)

// startLocked is startGateway with keys of operators.
func startLocked(t *testing.T) (g *gateway.Gateway, read, write string) {
	t.Helper()
	read, write = keys.New(), keys.New()
	config := gateway.DefaultConfig(1000)
	config.AdminKeys = []gateway.Key{
		{Name: "reader", Digest: keys.DigestOf([]byte(read)), Scope: gateway.KeyRead},
		{Name: "writer", Digest: keys.DigestOf([]byte(write)), Scope: gateway.KeyWrite},
	}
	g, err := gateway.New(config, testrun.Log(t))
	if err != nil {
		t.Fatalf("starting a gateway: %v", err)
	}
	var running sync.WaitGroup
	running.Go(g.Run)
	t.Cleanup(func() {
		g.Close()
		running.Wait()
	})
	return g, read, write
}

// The page asks for the key, keeps it in its tab, and sends it with what it asks.
func TestKey(t *testing.T) {
	t.Parallel() // it waits most of the time
	g, read, write := startLocked(t)
	f := newFront(t, g)
	f.set(func(f *front) { clear(f.answers); f.bare = true })
	p := open(t, f, "light", 1280)
	shown := func() bool {
		return ask[bool](p, `getComputedStyle(document.getElementById("key")).display !== "none"`)
	}
	enter := func(text string) {
		t.Helper()
		p.run(fmt.Sprintf(`(document.getElementById("key-text").value = %q, document.querySelector("#key button").click())`, text))
	}
	p.await("#key-words", "this needs a key of --admin-keys")
	if !shown() || ask[bool](p, `getComputedStyle(document.getElementById("verdict")).display !== "none"`) {
		t.Error("the form is not there, or more is")
	}
	if ask[string](p, `document.activeElement.id`) != "key-text" {
		t.Error("the form has not the focus")
	}
	enter(keys.New())
	p.await("#key-words", "there is no such key")
	enter(" " + read + " ")
	p.await("#headline", "All is well")
	if shown() {
		t.Error("the form is still there")
	}
	if stored := ask[string](p, `JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie, location.href])`); stored != fmt.Sprintf(`[{"fleetcast-key":%q},{},"",%q]`, read, f.url+"/") {
		t.Errorf("stored is %s", stored)
	}
	// A key that may only read changes nothing.
	p.run(`document.getElementById("drain").click()`)
	p.run(`document.getElementById("confirm-go").click()`)
	p.await("#confirm-error", "this key may only read")
	p.run(`document.getElementById("confirm-cancel").click()`)
	// It survives a reload of the page, and its end is noticed.
	p.run(`window.gone = true`)
	p.run(`location.reload()`)
	for until := time.Now().Add(time.Minute); !ask[bool](p, `!window.gone && document.readyState === "complete"`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("the page is not loaded again")
		}
	}
	p.await("#headline", "All is well")
	p.run(`document.getElementById("forget").click()`)
	p.await("#key-words", "this needs a key of --admin-keys")
	if left := ask[int](p, `sessionStorage.length`); left != 0 {
		t.Errorf("%d keys are left", left)
	}
	enter(write)
	p.await("#headline", "All is well")
	p.quiet(false)
}
