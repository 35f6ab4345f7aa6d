package loadtest

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// Data says what the data of events holds beside their number and time.
type Data string

const (
	// DataRandom is letters and digits at random, of which compression saves a
	// quarter.
	DataRandom Data = "random"
	// DataRecords is rows such as a service's JSON holds them, in a string and so
	// with single quotes. They compress as well as JSON of the same rows.
	DataRecords Data = "records"
)

// recordStride is the distance in the records between the paddings of two successive
// events. Up to that size the paddings have nothing in common. So a server that
// compresses with context finds in them what it would find in rows.
const recordStride = 1 << 10

// recordSource is text in which the padding of each event is a window.
var recordSource = sync.OnceValue(newRecordSource)

// newRecordSource writes quotes as a market would send them: names from a short
// list, prices and sizes that wander, times that grow.
func newRecordSource() []byte {
	const size = (paddings-1)*recordStride + MaxPayload
	symbols := [...]struct {
		name  string
		price int // in hundred thousandths
	}{{"EURUSD", 107134}, {"GBPUSD", 126840}, {"USDJPY", 15023500}, {"AUDUSD", 65310}, {"USDCHF", 88125}, {"EURGBP", 84470}}
	random := rand.New(rand.NewPCG(6455, 7692)) // the same in every process
	at := time.Date(2026, time.March, 14, 9, 26, 53, 0, time.UTC)
	text := make([]byte, 0, size+128)
	for len(text) < size {
		s := &symbols[random.IntN(len(symbols))]
		s.price += random.IntN(41) - 20
		at = at.Add(time.Duration(random.IntN(400)) * time.Millisecond)
		text = append(text, `{'symbol':'`...)
		text = append(text, s.name...)
		text = append(text, `','bid':`...)
		text = strconv.AppendFloat(text, float64(s.price)/1e5, 'f', 5, 64)
		text = append(text, `,'ask':`...)
		text = strconv.AppendFloat(text, float64(s.price+1+random.IntN(9))/1e5, 'f', 5, 64)
		text = append(text, `,'volume':`...)
		text = strconv.AppendInt(text, int64(1000+random.IntN(99000)), 10)
		text = append(text, `,'time':'`...)
		text = at.AppendFormat(text, "2006-01-02T15:04:05.000Z")
		text = append(text, `'},`...)
	}
	return text[:size]
}

// appendRecords is appendData with DataRecords, for up to MaxPayload bytes.
func appendRecords(dst []byte, seq, due int64, size int) []byte {
	start := len(dst)
	dst = appendHead(dst, seq, due)
	padding := size - (len(dst) - start) - len(dataEnd)
	from := int(seq%paddings) * recordStride
	dst = append(dst, recordSource()[from:from+padding]...)
	return append(dst, dataEnd...)
}

// appendData appends the data of the flow's event seq.
func (f *flowPlan) appendData(dst []byte, seq, due int64) []byte {
	if f.Data == DataRecords {
		return appendRecords(dst, seq, due, f.Payload)
	}
	return appendData(dst, seq, due, f.Payload)
}
