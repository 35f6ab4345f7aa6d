package publisher_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"fleetcast/gateway/publisher"
)

// benchData is 100 bytes, as in the figures for the publish port's intake.
var benchData = []byte(`{"user":"0123456789","text":"hello world, this is a chat message, one hundred bytes all in","n":123}`)

// quickGateway answers every request with an id, for channel "news", as cheaply
// as it can, so that what is measured is the Publisher.
func quickGateway(t testing.TB) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { answerQuickly(c) })
		}
	})
	t.Cleanup(func() { listener.Close(); running.Wait() })
	return listener.Addr().String()
}

func answerQuickly(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 256<<10)
	prefix := []byte(`{"id":`)
	replies := make([]byte, 0, 512<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if id, ok := bytes.CutPrefix(bytes.TrimPrefix(line, []byte(" ")), prefix); ok {
			end := bytes.IndexAny(id, ",}")
			replies = append(append(replies, prefix...), id[:end]...)
			if id[end] == '}' {
				replies = append(replies, `,"error":{"code":"bad_request","message":"no channel"}}`...)
			} else {
				replies = append(replies, `,"results":[{"channel":"news","epoch":"Zx3k","offset":18,"subscribers":1200}]}`...)
			}
			replies = append(replies, '\n')
		}
		if len(replies) > 0 && (in.Buffered() == 0 || len(replies) > 256<<10) {
			if _, err := c.Write(replies); err != nil {
				return
			}
			replies = replies[:0]
		}
	}
}

func dialQuick(t testing.TB) *publisher.Publisher {
	p, err := publisher.Dial(context.Background(), quickGateway(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func BenchmarkSend(b *testing.B) {
	p := dialQuick(b)
	ctx := context.Background()
	b.ReportAllocs()
	b.SetBytes(int64(len(benchData)))
	for b.Loop() {
		if err := p.Send(ctx, "news", benchData); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Flush(ctx); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkBatchSend(b *testing.B) {
	for _, size := range []int{10, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := dialQuick(b)
			ctx := context.Background()
			batch := p.NewBatch()
			b.ReportAllocs()
			b.SetBytes(int64(size * len(benchData)))
			for b.Loop() {
				for range size {
					_ = batch.Add("news", benchData)
				}
				if err := batch.Send(ctx); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Flush(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
		})
	}
}

func BenchmarkBatchPublish(b *testing.B) {
	const size = 1000
	p := dialQuick(b)
	ctx := context.Background()
	batch := p.NewBatch()
	b.ReportAllocs()
	for b.Loop() {
		for range size {
			_ = batch.Add("news", benchData)
		}
		if _, err := batch.Publish(ctx); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
}

// BenchmarkPublish has as many callers as its name says, each with one event in
// flight.
func BenchmarkPublish(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			p := dialQuick(b)
			ctx := context.Background()
			b.ReportAllocs()
			b.SetBytes(int64(len(benchData)))
			turns := make(chan struct{}, callers)
			var running sync.WaitGroup
			for range callers {
				running.Go(func() {
					for range turns {
						if _, err := p.Publish(ctx, "news", benchData); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			b.ResetTimer()
			for range b.N {
				turns <- struct{}{}
			}
			close(turns)
			running.Wait()
		})
	}
}
