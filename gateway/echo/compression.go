package echo

import (
	"fleetcast/codec/deflate"
	"fleetcast/codec/websocket"
)

const (
	// compressionLevel is for speed: what is echoed is read once.
	compressionLevel = deflate.MinLevel
	// keptScratch is the largest buffer for compressed messages that a shard
	// keeps, in bytes.
	keptScratch = 256 << 10
)

// compression is what a shard needs for clients that agreed on it.
type compression struct {
	readers   [deflate.MaxWindowBits + 1]websocket.ReaderConfig // by the bits of the client's context
	deflaters [deflate.MaxWindowBits + 1]*deflate.Deflater      // by the bits of the server's window; made at first need
	scratch   []byte
}

func newCompression(config *Config) (k compression) {
	for bits := range k.readers {
		k.readers[bits] = websocket.ReaderConfig{MaxMessage: config.MaxMessage, Deflate: true, ContextBits: bits}
	}
	return k
}

// compress returns the message's payload compressed for a window of that many
// bits. ok is false if that is not smaller. The payload is valid until the next
// call.
func (k *compression) compress(message []byte, bits uint8) (payload []byte, ok bool) {
	if k.deflaters[bits] == nil {
		k.deflaters[bits] = deflate.NewDeflater(compressionLevel, int(bits))
	}
	payload = k.deflaters[bits].Append(k.scratch[:0], message)
	if cap(payload) <= keptScratch {
		k.scratch = payload
	}
	return payload, len(payload) < len(message)
}
