package main

import (
	"testing"
)

// TestGatewayURL proves RFC 6455, 3 and 4.1.
func TestGatewayURL(t *testing.T) {
	for text, good := range map[string]bool{
		"ws://localhost:8080/ws":   true,
		"wss://example.com/ws?a=b": true,
		"ws://[::1]:8080/ws":       true,
		"ws://example.com":         true,
		"":                         false,
		"localhost:8080":           false,
		"http://localhost:8080/ws": false,
		"ws:///ws":                 false,
		"ws://:8080/ws":            false,
		"ws://localhost:/ws":       false,
		"ws://localhost:0/ws":      false,
		"ws://localhost:99999/ws":  false,
		"ws://localhost/ws#part":   false,
		"ws://localhost/ws?a=\xff": false,
	} {
		if err := new(gatewayURL).UnmarshalText([]byte(text)); (err == nil) != good {
			t.Errorf("%q: error %v", text, err)
		}
	}
}
