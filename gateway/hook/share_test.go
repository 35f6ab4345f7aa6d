package hook_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"fleetcast/gateway/hook"
)

// TestQueueIsShared has one address fill the queue. Others find room all the same, and each
// has its turn after one call of the first at most.
func TestQueueIsShared(t *testing.T) {
	t.Parallel()
	const crowd, others = 1 + 1024, 100
	release := make(chan struct{})
	turns := make(chan string, crowd+others)
	server := func(w http.ResponseWriter, r *http.Request) {
		var q struct{ Address, Channel string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		turns <- q.Address
		<-release
		_, _ = io.WriteString(w, `{"allow":true}`)
	}
	h := serveWith(t, server, func(o *hook.Options) { o.AtOnce = 1 })
	outcomes := make(chan string, crowd+others)
	ask := func(address string, outcomes chan<- string) {
		go func() {
			outcomes <- reasonOf(h.Subscribe(t.Context(), hook.SubscribeRequest{Address: netip.MustParseAddr(address), Channel: "a"}))
		}()
	}
	for range crowd + 1 {
		ask("203.0.113.7", outcomes)
	}
	if got := <-outcomes; got != "hook_busy" {
		t.Fatalf("one more than the queue holds: %s", got)
	}
	good := make(chan string, others)
	for i := range others {
		ask(fmt.Sprintf("198.51.100.%d", i), good)
		if got := <-outcomes; got != "hook_busy" { // of the crowd's, whose place it takes
			t.Fatalf("the crowd: %s", got)
		}
	}
	if s := h.Stats(); s.InFlight != 1 || s.Waiting != 1024 || s.Requests["hook_busy"] != 1+others {
		t.Errorf("counted %+v", s)
	}
	close(release)
	for range others {
		if got := <-good; got != "allowed" {
			t.Errorf("another address: %s", got)
		}
	}
	for range crowd - others {
		if got := <-outcomes; got != "allowed" {
			t.Errorf("the crowd that is left: %s", got)
		}
	}
	first := 0
	for range 2 + others { // the call in flight, and one turn of each address
		if <-turns == "203.0.113.7" {
			first++
		}
	}
	if first != 2 {
		t.Errorf("the crowd has %d turns in the first round", first)
	}
}
