package deflate

import "strconv"

// Extension is the extension's name in Sec-WebSocket-Extensions (RFC 7692, 7).
const Extension = "permessage-deflate"

// Windows of LZ77, as the power of two of their size in bytes (RFC 7692, 7.1.2).
const (
	MinWindowBits = 8
	MaxWindowBits = 15
)

// Names of the parameters (RFC 7692, 7.1).
const (
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"
)

// Params are the parameters of an offer, of an answer, or of the agreement. The zero
// value has none. Params do not say whether the extension is in use at all.
type Params struct {
	ServerNoContext bool // the server compresses each message for itself
	ClientNoContext bool // so does the client
	// ServerBits and ClientBits bound the windows of the server's and of the
	// client's compressor; 0 if the parameter is absent. AnyBits as ClientBits is
	// an offer's parameter without a value: the client obeys whatever bound the
	// server chooses.
	ServerBits, ClientBits uint8
}

// AnyBits stands for client_max_window_bits without a value (RFC 7692, 7.1.2.2).
const AnyBits = 0xff

// Set takes one parameter. value is nil if there is none; quotes are off
// already. It returns false for what makes an offer one to be declined, and an
// answer one that fails the connection: an unknown parameter, a repeated one, a
// bad value (RFC 7692, 7.1).
func (p *Params) Set(name, value []byte) bool {
	switch string(name) {
	case serverNoContextTakeover:
		return setOnce(&p.ServerNoContext, value)
	case clientNoContextTakeover:
		return setOnce(&p.ClientNoContext, value)
	case serverMaxWindowBits:
		bits := parseBits(value)
		return setBits(&p.ServerBits, bits)
	case clientMaxWindowBits:
		bits := uint8(AnyBits)
		if value != nil {
			bits = parseBits(value)
		}
		return setBits(&p.ClientBits, bits)
	}
	return false
}

func setOnce(flag *bool, value []byte) bool {
	if *flag || value != nil {
		return false
	}
	*flag = true
	return true
}

func setBits(to *uint8, bits uint8) bool {
	if *to != 0 || bits == 0 {
		return false
	}
	*to = bits
	return true
}

// parseBits reads 8 to 15 in decimal without leading zeros; 0 is anything else.
func parseBits(value []byte) uint8 {
	for bits := uint8(MinWindowBits); bits <= MaxWindowBits; bits++ {
		if string(value) == strconv.Itoa(int(bits)) {
			return bits
		}
	}
	return 0
}

// Append appends the extension with its parameters, as it stands in a header
// field.
func (p Params) Append(dst []byte) []byte {
	dst = append(dst, Extension...)
	if p.ServerNoContext {
		dst = append(dst, "; "+serverNoContextTakeover...)
	}
	if p.ClientNoContext {
		dst = append(dst, "; "+clientNoContextTakeover...)
	}
	dst = appendBits(dst, serverMaxWindowBits, p.ServerBits)
	return appendBits(dst, clientMaxWindowBits, p.ClientBits)
}

func appendBits(dst []byte, name string, bits uint8) []byte {
	if bits == 0 {
		return dst
	}
	dst = append(dst, "; "...)
	dst = append(dst, name...)
	if bits == AnyBits {
		return dst
	}
	dst = append(dst, '=')
	return strconv.AppendUint(dst, uint64(bits), 10)
}

// Policy is what a server agrees to. Its own messages never have context, which
// would take a compressor for each client.
type Policy struct {
	// ClientContextBits is the largest window in which clients may compress with
	// context, and so the memory that one may cost; 0: none may. Below
	// MaxWindowBits, clients that cannot be told (client_max_window_bits) may not.
	ClientContextBits uint8
}

// Answer answers a client's offer. Both sides then use the parameters of the answer.
func (p *Policy) Answer(offer Params) Params {
	agreed := Params{ServerNoContext: true, ServerBits: offer.ServerBits}
	most := p.ClientContextBits
	switch {
	case offer.ClientNoContext, most == 0, most < MaxWindowBits && offer.ClientBits == 0:
		agreed.ClientNoContext = true
	case offer.ClientBits != 0:
		agreed.ClientBits = min(most, offer.ClientBits) // AnyBits is more than any
	}
	return agreed
}

// Accepts tells whether an answer is one that a server may give to the offer
// (RFC 7692, 7.1).
func (p Params) Accepts(answer Params) bool {
	switch {
	case p.ServerNoContext && !answer.ServerNoContext:
		return false
	case p.ServerBits != 0 && (answer.ServerBits == 0 || answer.ServerBits > p.ServerBits):
		return false
	case answer.ClientBits == AnyBits, answer.ClientBits != 0 && p.ClientBits == 0:
		return false
	}
	return answer.ClientBits == 0 || p.ClientBits == AnyBits || answer.ClientBits <= p.ClientBits
}

// ServerWindow is the size of the server's window as its power of two.
func (p Params) ServerWindow() int { return windowBits(p.ServerBits) }

// ClientWindow is the size of the client's window as its power of two.
func (p Params) ClientWindow() int { return windowBits(p.ClientBits) }

// MinContextBits is the smallest window in which context is kept. Some compressors
// take 9 bits where 8 were agreed on, zlib among them.
const MinContextBits = 9

// ClientContext is the window in which a server keeps what the client has sent, as
// its power of two, from MinContextBits up; 0 if the client has no context.
func (p Params) ClientContext() int { return contextBits(p.ClientNoContext, p.ClientBits) }

// ServerContext is the same of the server, for a client.
func (p Params) ServerContext() int { return contextBits(p.ServerNoContext, p.ServerBits) }

func contextBits(none bool, bits uint8) int {
	if none {
		return 0
	}
	return max(windowBits(bits), MinContextBits)
}

func windowBits(bits uint8) int {
	if bits == 0 || bits > MaxWindowBits {
		return MaxWindowBits
	}
	return int(bits)
}
