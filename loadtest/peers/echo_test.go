package peers

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestEcho checks the servers that echo, up to the longest message that they
// are measured with.
func TestEcho(t *testing.T) {
	for _, name := range []string{"gorilla", "gws"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := start(t, filepath.Join(bin, name), "echo")
			one, other := dial(t, fmt.Sprintf("ws://%s/", address)), dial(t, fmt.Sprintf("ws://%s/", address))
			one.conn.SetReadLimit(16<<20 + 1)
			for _, message := range []string{"", "P", "Pälä", strings.Repeat("x", 64<<10), strings.Repeat("y", 16<<20), "z"} {
				one.send(websocket.MessageText, message)
				one.expect(message)
			}
			// Only who sent it got it.
			other.send(websocket.MessageText, "mine")
			other.expect("mine")
		})
	}
}
