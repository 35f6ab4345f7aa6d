package loadtest

import (
	"fleetcast/codec/websocket"

	"github.com/gobwas/ws"
)

// track is how far one event has come among the clients of one worker.
type track struct {
	first     int64 // when the first of them had it, time of the clock; 0: none has
	remaining int32 // clients that are still to get it
}

// completion says that all clients of a worker have an event.
type completion struct {
	seq         int64
	first, last int64 // times of the clock; first is 0 if it reached none of them
}

// reference is the frame of an event that was verified in full. The frames of
// the same event to other clients are compared with it.
type reference struct {
	seq    int64 // -1: empty
	header int   // of the frame, in bytes
	frame  []byte
}

// references keeps the latest events' frames, by sequence number modulo their
// count.
type references struct {
	slots []reference
	mask  int64
}

const (
	minReferences = 64
	maxReferences = 1024
	// maxReferenceBytes bounds the memory of one worker's references.
	maxReferenceBytes = 16 << 20
)

// newReferences makes room for a window of events with data of size bytes.
func newReferences(window, size int) references {
	count := minReferences
	for count < maxReferences && count < 2*window && 2*count*size <= maxReferenceBytes {
		count *= 2
	}
	r := references{make([]reference, count), int64(count - 1)}
	for i := range r.slots {
		r.slots[i].seq = -1
	}
	return r
}

// of returns the reference of event seq; nil if there is none.
func (r *references) of(seq int64) *reference {
	if slot := &r.slots[seq&r.mask]; slot.seq == seq {
		return slot
	}
	return nil
}

// set makes the text frame around payload the reference of event seq, unless
// the place belongs to a later event.
func (r *references) set(seq int64, payload []byte) {
	slot := &r.slots[seq&r.mask]
	if slot.seq >= seq {
		return
	}
	slot.seq = seq
	slot.header = websocket.HeaderSize(len(payload))
	slot.frame = websocket.AppendFrame(slot.frame[:0], ws.OpText, payload)
}
