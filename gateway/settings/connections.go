package settings

import (
	"cmp"
	"math"
	"time"
)

// minSendBuffer is about the least send buffer in bytes that the kernel has.
const minSendBuffer = 4 << 10

// checkConnects names what is wrong with the rates and limits of connections.
func (c *Config) checkConnects(errs *OptionErrors) {
	for _, p := range c.TrustedProxies {
		if !p.IsValid() {
			errs.add("TrustedProxies", "has an invalid network")
		}
	}
	switch {
	case int(c.ProxyHeader) >= len(proxyHeaderNames):
		errs.add("ProxyHeader", "is %v, which does not exist", c.ProxyHeader)
	case c.ProxyHeader != NoProxyHeader && len(c.TrustedProxies) == 0:
		errs.add("ProxyHeader", "is %v, and no proxy is trusted to send it", c.ProxyHeader)
	}
	if n := c.SendBuffer; n != 0 && (n < minSendBuffer || n > math.MaxInt32/2) {
		errs.add("SendBuffer", "is %d, must be 0 or from %d to %d", n, minSendBuffer, math.MaxInt32/2)
	}
	if d := c.SendTimeout; d != 0 && (d < minSendTimeout || d > maxSendTimeout) {
		errs.add("SendTimeout", "is %v, must be 0s or from %v to %v", d, minSendTimeout, maxSendTimeout)
	}
}

// The kernel counts a send timeout in milliseconds, in 31 bits; 0 would be none.
const (
	minSendTimeout = time.Millisecond
	maxSendTimeout = math.MaxInt32 * time.Millisecond
)

// SendTimeoutOrDefault is SendTimeout, or its default, up to what the kernel can count.
func (c *Config) SendTimeoutOrDefault() time.Duration {
	return min(max(cmp.Or(c.SendTimeout, c.PingInterval+c.PongTimeout), minSendTimeout), maxSendTimeout)
}
