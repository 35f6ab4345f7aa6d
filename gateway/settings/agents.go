package settings

import "bytes"

// keepsContext tells whether a client compresses each message with the context of those
// before, even if the handshake forbids it (client_no_context_takeover). Safari since
// version 15, and all that uses Apple's URLSession, is known to do so. It is not known
// whether a later version stops doing so. All browsers on iOS behave as Safari does.
// Browsers that are not WebKit but name it, as Chrome does, name a version before 600.
func keepsContext(userAgent []byte) bool {
	if bytes.Contains(userAgent, []byte("CFNetwork/")) {
		return true
	}
	_, version, found := bytes.Cut(userAgent, []byte("AppleWebKit/"))
	return found && len(version) > 3 && version[0] >= '6' && version[0] <= '9' && version[3] == '.'
}
