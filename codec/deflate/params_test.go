package deflate_test

import (
	"testing"

	"fleetcast/codec/deflate"
)

// TestAppendParams writes parameters as their grammar wants (RFC 7692, 7.1.2.1
// and 7.1.2.2).
func TestAppendParams(t *testing.T) {
	tests := []struct {
		params deflate.Params
		want   string
	}{
		{deflate.Params{}, "permessage-deflate"},
		{deflate.Params{ClientBits: deflate.AnyBits}, "permessage-deflate; client_max_window_bits"},
		{deflate.Params{ServerNoContext: true, ClientNoContext: true, ServerBits: 8, ClientBits: 15},
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8; client_max_window_bits=15"},
	}
	for _, tt := range tests {
		if got := string(tt.params.Append([]byte("x"))); got != "x"+tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestWindowsAgreedOn(t *testing.T) {
	for _, tt := range []struct {
		params         deflate.Params
		server, client int
	}{
		{deflate.Params{}, 15, 15},
		{deflate.Params{ServerBits: 8, ClientBits: 12}, 8, 12},
		{deflate.Params{ClientBits: deflate.AnyBits}, 15, 15},
	} {
		if got := tt.params; got.ServerWindow() != tt.server || got.ClientWindow() != tt.client {
			t.Errorf("%+v: %d, %d", tt.params, got.ServerWindow(), got.ClientWindow())
		}
	}
}
