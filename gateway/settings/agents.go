package settings

import "bytes"

// keepsContext tells whether a client compresses each message with the context of
// those before, even if the handshake forbids it (client_no_context_takeover).
// WebSocket in Safari since version 15, and in whatever else uses Apple's
// URLSession, is known to; from which version on it no longer does is not known.
// All browsers on iOS are Safari in this. Those that are not WebKit but name it,
// as Chrome does, have a version of it before 600.
func keepsContext(userAgent []byte) bool {
	if bytes.Contains(userAgent, []byte("CFNetwork/")) {
		return true
	}
	_, version, found := bytes.Cut(userAgent, []byte("AppleWebKit/"))
	return found && len(version) > 3 && version[0] >= '6' && version[0] <= '9' && version[3] == '.'
}
