package websocket

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
)

// Key is the value of Sec-WebSocket-Key: 16 random bytes in base64 (RFC 6455,
// 4.1).
type Key [24]byte

// keySize is the size of what a Key encodes, in bytes.
const keySize = 16

// NewKey makes a Key, a new one for each connection.
func NewKey() (key Key) {
	var random [keySize]byte
	_, _ = rand.Read(random[:]) // never fails: it ends the process instead
	base64.StdEncoding.Encode(key[:], random[:])
	return key
}

// isKey tells whether value is a Key: 16 bytes in base64.
func isKey(value []byte) bool {
	if len(value) != len(Key{}) {
		return false
	}
	var decoded [keySize + 2]byte
	n, err := base64.StdEncoding.Decode(decoded[:], value)
	return err == nil && n == keySize
}

// appendAccept appends the value of Sec-WebSocket-Accept (RFC 6455, 4.2.2).
func appendAccept(dst []byte, key Key) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
	var text [len(key) + len(guid)]byte
	copy(text[copy(text[:], key[:]):], guid)
	sum := sha1.Sum(text[:])
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}
