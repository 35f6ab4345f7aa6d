package loadtest

import (
	"net/http"
	"testing"
)

// Requests do not go by a proxy that the environment names: it would see the
// profile's header fields.
func TestHTTPClientUsesNoProxy(t *testing.T) {
	if newHTTPClient().Transport.(*http.Transport).Proxy != nil {
		t.Error("it asks the environment for a proxy")
	}
}
