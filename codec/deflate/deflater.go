package deflate

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/flate"
)

// Levels of compression: MinLevel is the fastest, MaxLevel the smallest.
const (
	MinLevel = flate.BestSpeed
	MaxLevel = flate.BestCompression
)

// flushed is what a flush writes at the end of a message: an empty stored block without
// its first bits. It is not sent (RFC 7692, 7.2.1).
const flushed = "\x00\x00\xff\xff"

// Deflater compresses messages, each without context. It keeps some 100 kB to
// 1 MB of tables, by level.
type Deflater struct {
	compressor *flate.Writer
	out        appender
}

// NewDeflater makes a Deflater for receivers with a window of that many bits or
// more. level is MinLevel to MaxLevel; below MaxWindowBits the library has one
// level only. It panics if either is out of range.
func NewDeflater(level, bits int) *Deflater {
	if level < MinLevel || level > MaxLevel || bits < MinWindowBits || bits > MaxWindowBits {
		panic(fmt.Sprintf("deflate: no compressor for level %d, window bits %d", level, bits))
	}
	d := new(Deflater)
	var err error
	if bits == MaxWindowBits {
		d.compressor, err = flate.NewWriter(&d.out, level)
	} else {
		d.compressor, err = flate.NewWriterWindow(&d.out, 1<<bits)
	}
	if err != nil {
		panic("deflate: " + err.Error())
	}
	return d
}

// Append appends the compressed payload of the message (RFC 7692, 7.2.1). It
// allocates nothing if dst has room for as much as message and a little more.
func (d *Deflater) Append(dst, message []byte) []byte {
	d.out.bytes = dst
	d.compressor.Reset(&d.out)
	// An appender never fails.
	_, _ = d.compressor.Write(message)
	_ = d.compressor.Flush()
	dst, d.out.bytes = d.out.bytes, nil
	return bytes.TrimSuffix(dst, []byte(flushed))
}

// appender is an io.Writer that appends.
type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}
