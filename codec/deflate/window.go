package deflate

// Window is the context of a sender: the end of what it has sent, which its next
// message may refer to. It grows with what is sent, up to its size. A sender without
// context has a nil Window.
type Window struct {
	size  int
	bytes []byte
}

// NewWindow makes an empty window of that many bits.
func NewWindow(bits int) *Window { return &Window{size: 1 << bits} }

// Add adds a message to the window.
func (w *Window) Add(message []byte) {
	if w == nil {
		return
	}
	message = message[max(0, len(message)-w.size):]
	if drop := len(w.bytes) + len(message) - w.size; drop > 0 {
		w.bytes = w.bytes[:copy(w.bytes, w.bytes[drop:])]
	}
	if need := len(w.bytes) + len(message); need > cap(w.bytes) {
		w.bytes = append(make([]byte, 0, min(w.size, max(leastRoom, 2*need))), w.bytes...)
	}
	w.bytes = append(w.bytes, message...)
}

func (w *Window) content() []byte {
	if w == nil {
		return nil
	}
	return w.bytes
}
