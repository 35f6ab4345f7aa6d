package shard

import (
	"math"
	"net/http"
	"net/netip"
	"time"

	"fleetcast/codec/forwarded"
	"fleetcast/codec/proxyproto"
	"fleetcast/codec/websocket"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/limits"
	"fleetcast/gateway/mem"
	"fleetcast/gateway/settings"
	"fleetcast/poller"
)

// Refusals of clients for where they come from.
var (
	ErrAddressFull = &websocket.HandshakeError{
		Status: http.StatusTooManyRequests, Reason: "address_full", Message: "too many connections from your address; close some, or try again later",
	}
	ErrAddressRate = &websocket.HandshakeError{
		Status: http.StatusTooManyRequests, Reason: "address_rate", Message: "too many new connections from your address; try again later",
	}
)

// ReasonBadProxyHeader counts connections of trusted proxies without a PROXY
// protocol header.
const ReasonBadProxyHeader = "bad_proxy_header"

// refusal is why a client is refused, and after how many seconds it may come back. The
// zero value is no refusal.
type refusal struct {
	err        *websocket.HandshakeError
	retryAfter int
}

// source is where a client comes from, and who it is. Many sessions have none: nothing is
// counted, the address is the socket's, and the client is nobody in particular.
type source struct {
	client netip.AddrPort            // as a trusted proxy says; zero: the socket's peer. Its port is 0 if unknown
	used   *limits.Quota[netip.Addr] // nil: not counted
	header settings.ProxyHeader      // which a trusted proxy has still to send
	relays bool                      // the socket's peer is a trusted proxy, which says for whom

	identity *identity.Identity    // nil: it has shown nothing
	user     *limits.Quota[string] // nil: not counted
}

// sourceOf finds out where a socket comes from, as far as that is known before anything
// was read, and counts it there.
func (s *Shard) sourceOf(fd int) (*source, refusal) {
	set := s.shared.Settings.Load()
	if set.Config.ProxyHeader == settings.NoProxyHeader && !set.Counts() {
		return nil, refusal{}
	}
	peer := poller.RemoteAddr(fd).Addr().Unmap()
	if set.Trusts(peer) {
		if set.Config.ProxyHeader == settings.NoProxyHeader {
			return nil, refusal{}
		}
		return &source{header: set.Config.ProxyHeader, relays: true}, refusal{}
	}
	used, refused := s.count(peer)
	if used == nil {
		return nil, refused
	}
	return &source{used: used}, refusal{}
}

// count counts a connection of an address. Trusted proxies are not counted:
// each stands for many clients.
func (s *Shard) count(addr netip.Addr) (*limits.Quota[netip.Addr], refusal) {
	set := s.shared.Settings.Load()
	if !set.Counts() || !addr.IsValid() || set.Trusts(addr) {
		return nil, refusal{}
	}
	used, outcome, wait := s.shared.Addresses.Open(limits.Network(addr), set.PerAddress, s.Loop.Now())
	switch outcome {
	case limits.QuotaFull:
		return nil, refusal{ErrAddressFull, s.retryLater()}
	case limits.QuotaOften:
		// Clients that share the address must not come back in the same second.
		return nil, refusal{ErrAddressRate, seconds32(wait) + s.retryLater() - 1}
	}
	return used, refusal{}
}

// seconds32 rounds up, to at least 1.
func seconds32(d time.Duration) int {
	return int(min(max(math.Ceil(d.Seconds()), 1), math.MaxInt32))
}

// minRetrySpread is the least time over which refused clients are told to come back,
// however short the RetryWindow is. The RetryWindow may be 0 if another gateway takes
// over, but a refused client comes back to a gateway without room.
const minRetrySpread = 10 * time.Second

// retryLater is a random number of seconds, from 1 to the time over which refused
// clients are told to come back.
func (s *Shard) retryLater() int {
	spread := max(s.shared.Settings.Config().RetryWindow, minRetrySpread)
	return 1 + int(s.random.Uint64()%uint64(spread/time.Second))
}

// uncount ends the counting of a connection.
func (s *Shard) uncount(from *source) {
	if from == nil {
		return
	}
	if from.used != nil {
		s.shared.Addresses.Close(from.used, s.Loop.Now())
		from.used = nil
	}
	s.uncountUser(from)
}

// awaitsProxyHeader tells whether the connection must begin with a header of
// the PROXY protocol that is not there yet.
func (c *session) awaitsProxyHeader() bool {
	return c.source != nil && c.source.header == settings.ProxyProtocol
}

// proxyHeader gathers that header, then goes on with the request.
func (c *session) proxyHeader(p []byte) {
	if c.held != nil {
		c.hold(p)
		p = c.held.rest.B
	}
	client, n, err := proxyproto.Parse(p)
	switch {
	case err != nil:
		c.refuseHandshake(&websocket.HandshakeError{Status: http.StatusBadRequest, Reason: ReasonBadProxyHeader, Message: err.Error()})
		return
	case n == 0:
		if c.held == nil {
			c.hold(p)
		}
		return
	}
	c.source.header = settings.NoProxyHeader
	gathered := c.held
	c.held = nil
	if c.comesFrom(client) && n < len(p) {
		c.handshake(p[n:])
	}
	if gathered != nil {
		mem.GiveBuffer(gathered.rest)
	}
}

// readForwarded looks for the client's address in the request's head, if that is
// where a trusted proxy puts it. ok is false if the client was refused.
func (c *session) readForwarded(head []byte) (ok bool) {
	if c.source == nil {
		return true
	}
	var field forwarded.Field
	switch c.source.header {
	case settings.XForwardedFor:
		field = forwarded.XForwardedFor
	case settings.Forwarded:
		field = forwarded.Forwarded
	default:
		return true
	}
	c.source.header = settings.NoProxyHeader
	set := c.shard.shared.Settings.Load()
	client, _ := field.Client(websocket.FieldValues(nil, head, field.Name()), set.Trusts)
	return c.comesFrom(client)
}

// comesFrom notes the address that a trusted proxy has named, and counts the client
// there. ok is false if it was refused.
func (c *session) comesFrom(client netip.AddrPort) (ok bool) {
	c.source.client = client
	var refused refusal
	if c.source.used, refused = c.shard.count(client.Addr()); refused.err != nil {
		set := c.shard.shared.Settings.Load()
		set.Connects.GiveShared(&c.shard.shared.Admission.due, 1) // for whoever comes next
		c.shard.replies = websocket.AppendRefusalRetry(c.shard.replies, refused.err, refused.retryAfter)
		c.handshakeRefused(refused.err)
		return false
	}
	return true
}

// unnamed tells whether the client came through a trusted proxy that did not say
// whose connection it is.
func (c *session) unnamed() bool {
	return c.source != nil && c.source.relays && !c.source.client.IsValid()
}

// forwardedFrom is the address that a trusted proxy has named, or zero.
func (c *session) forwardedFrom() netip.AddrPort {
	if c.source == nil {
		return netip.AddrPort{}
	}
	return c.source.client
}

// remote is the client's address, or zero if it is gone. The port is 0 if a proxy did
// not name it.
func (c *session) remote() netip.AddrPort {
	if client := c.forwardedFrom(); client.IsValid() {
		return client
	}
	addr := c.conn.RemoteAddr()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

// address is the client's as text, or empty if it is gone.
func (c *session) address() string { return limits.AddressText(c.remote()) }
