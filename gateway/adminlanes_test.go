package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestPipelinedRequests sends one connection's requests at once: they are answered
// at the lane's rate, and health does not wait for them.
func TestPipelinedRequests(t *testing.T) {
	o := start(t).operator()
	p := dial(t, o.web.Listener.Addr().String(), 0)
	const requests, burst, perSecond = 400, 200, 200
	began := time.Now()
	go io.WriteString(p, strings.Repeat("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n", requests)) // it is read below
	in := bufio.NewReader(p)
	for n := range requests {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusNotFound {
			t.Fatalf("request %d is answered with %s, %v", n, response.Status, err)
		}
	}
	if took := time.Since(began); took < (requests-burst)*time.Second/perSecond*9/10 {
		t.Errorf("%d requests were answered in %v", requests, took)
	}
	if status, body := asksAdmin(t, o, "GET /healthz HTTP/1.1", "Host: localhost"); status != http.StatusOK {
		t.Errorf("health is answered with %d %s", status, body)
	}
}
