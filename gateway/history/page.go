package history

// Passed is how many events are passed on the way to one that is there: those before it in its
// block.
func (l *Log) Passed(offset uint64) int { return int(offset - l.offsetOf(l.blockOf(offset))) }

// FitFirst is the last of the events from first to last, which are there, up to which their
// data has at most so many bytes, and how many it has. The first one always fits.
func (l *Log) FitFirst(m *Memory, first, last uint64, bytes int) (to uint64, size int) {
	w := l.from(m, first)
	w.next()
	size = w.length
	for w.offset < last && w.next() {
		if size+w.length > bytes {
			return w.offset - 1, size
		}
		size += w.length
	}
	return last, size
}

// FitLast is the first of the events from first to last, which are there, from which on their
// data has at most so many bytes, and how many it has. The last one always fits.
func (l *Log) FitLast(m *Memory, first, last uint64, bytes int) (from uint64, size int) {
	for w := l.from(m, first); w.next(); {
		size += w.length
		if w.offset == last {
			break
		}
	}
	w := l.from(m, first)
	for from = first; size > bytes && from < last && w.next(); from++ {
		size -= w.length
	}
	return from, size
}

// Copy appends the data of the events from first to last, which are there, to dst, and calls
// visit with each one's part of it.
func (l *Log) Copy(m *Memory, first, last uint64, dst []byte, visit func(offset uint64, data []byte)) []byte {
	for w := l.from(m, first); w.offset < last && w.next(); {
		begin := len(dst)
		dst = w.appendData(dst)
		visit(w.offset, dst[begin:len(dst):len(dst)])
	}
	return dst
}
