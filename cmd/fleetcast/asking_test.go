package main

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestSubscribeToMany: more channels than the gateway's rate allows at once, on a
// gateway with short messages, are asked for several in a message. What is refused is
// tried again once for each message, and told once.
func TestSubscribeToMany(t *testing.T) {
	t.Parallel() // it waits most of the time
	const channels = 600
	gateway, url, _, admin := startGateway(t, "--client-channels=600", "--client-commands=1000/s burst 100", "--max-message=1KiB")
	defer gateway.stop()
	args := []string{"subscribe", "--url=" + url}
	for i := range channels {
		args = append(args, fmt.Sprint("room:", i))
	}
	c := start(t, nil, args...)
	c.err.await(t, `subscribed to room:599,`)
	c.stop()
	c.wait(t)
	if n := strings.Count(c.err.String(), "subscribed to"); n != channels {
		t.Errorf("%d channels were subscribed, want %d", n, channels)
	}
	if n := strings.Count(c.err.String(), "rate_limited"); n != 1 {
		t.Errorf("the rate was told %d times, want once", n)
	}
	if n := strings.Count(c.err.String(), "connecting again"); n != 0 {
		t.Errorf("it connected again %d times", n)
	}
	response, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`client_command_errors_total\{code="rate_limited"\} (\d+)`).FindSubmatch(text)
	if match == nil {
		t.Fatalf("no count of refusals in %s", text)
	}
	if refused, _ := strconv.Atoi(string(match[1])); refused > channels {
		t.Errorf("%d names were refused, want at most one refusal for each of %d", refused, channels)
	}
}
