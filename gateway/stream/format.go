package stream

import "fleetcast/gateway/dialect"

// Format is how the frames of events are laid out for a session: in which dialect, and
// compressed for which window. Sessions of one format get the same bytes. It is an index
// into Formats.
type Format uint8

// FormatPlain is the format of the first dialect, not compressed. Every event has it
// when it is sequenced. The frames of other formats are made at first need.
const FormatPlain Format = 0

// windows are those for which events are compressed, in bits (RFC 7692, 7.1.2.1). There
// are few, because an event is compressed once for each that has subscribers.
var windows = [...]uint8{15, 12, 9, 8}

// MaxDialects is how many dialects Formats can have.
const MaxDialects = 256 / (1 + len(windows))

// Formats are all the formats there are. They are immutable.
type Formats struct{ all []layout }

// layout is what a format is.
type layout struct {
	dialect dialect.Dialect
	window  uint8  // for which it is compressed, in bits; 0: not compressed
	plain   Format // in the same dialect, not compressed
	widest  Format // in the same dialect, compressed for the widest window
}

// NewFormats are the formats of one to MaxDialects dialects.
func NewFormats(dialects ...dialect.Dialect) *Formats {
	fs := new(Formats)
	for _, d := range dialects {
		plain := Format(len(fs.all))
		fs.all = append(fs.all, layout{dialect: d, plain: plain, widest: plain + 1})
		for _, bits := range windows {
			fs.all = append(fs.all, layout{dialect: d, window: bits, plain: plain, widest: plain + 1})
		}
	}
	return fs
}

// Count is how many formats there are; each is less than that.
func (fs *Formats) Count() int { return len(fs.all) }

// Of is the format for a client that has agreed on a subprotocol, which is "" for the first
// dialect, and takes windows of up to bits, or 0 if events are not to be compressed for it.
func (fs *Formats) Of(subprotocol string, bits int) Format {
	f := FormatPlain
	for i := range fs.all {
		if l := &fs.all[i]; l.window == 0 && l.dialect.Subprotocol() == subprotocol {
			f = l.plain
		}
	}
	if bits > 0 {
		for f++; int(fs.all[f].window) > bits; f++ {
		}
	}
	return f
}

// Dialect is the dialect of a format.
func (fs *Formats) Dialect(f Format) dialect.Dialect { return fs.all[f].dialect }

// Plain is the format in the same dialect that is not compressed.
func (fs *Formats) Plain(f Format) Format { return fs.all[f].plain }

// Compressed tells whether events in a format may be compressed.
func (fs *Formats) Compressed(f Format) bool { return fs.all[f].window > 0 }

// sharedFor is the compressed format whose bytes also serve f for a message of that
// size. A message that fits in f's window makes no use of a larger window. So small
// events have one compressed format for each dialect.
func (fs *Formats) sharedFor(f Format, size int) Format {
	if l := &fs.all[f]; size <= 1<<l.window {
		return l.widest
	}
	return f
}
