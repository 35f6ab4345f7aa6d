package hook_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"testing"
)

// BenchmarkConnect is one call of a server of net/http in the same process, on loopback.
func BenchmarkConnect(b *testing.B) {
	for name, parallel := range map[string]bool{"one after the other": false, "64 at once": true} {
		b.Run(name, func(b *testing.B) {
			h, _ := serve(b, answers(200, `{"user":"alice","grants":{"subscribe":["chat.*"]},"expires_in_ms":60000}`))
			b.ReportAllocs()
			if !parallel {
				for b.Loop() {
					if o := h.Connect(context.Background(), client); !o.Allowed {
						b.Fatal(o.Refusal)
					}
				}
				return
			}
			b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if o := h.Connect(context.Background(), client); !o.Allowed {
						b.Error(o.Refusal)
					}
				}
			})
		})
	}
}

// BenchmarkWaiting is the memory of a caller that waits for its turn, its goroutine
// included: what the heap and the stacks grow by for each of N.
func BenchmarkWaiting(b *testing.B) {
	release := make(chan struct{})
	asked := make(chan struct{}, 64)
	server := func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		<-release
		answers(200, allow)(w, r)
	}
	listening := httptest.NewServer(http.HandlerFunc(server))
	b.Cleanup(listening.Close)
	o, _ := options(listening.URL)
	callers := max(b.N, 1000)
	o.Queue = callers
	h := newHook(b, o)
	var all sync.WaitGroup
	ask := func() {
		all.Add(1)
		go func() {
			defer all.Done()
			h.Connect(context.Background(), client)
		}()
	}
	for range 64 {
		ask()
	}
	for range 64 {
		<-asked
	}
	before := held()
	for range callers {
		ask()
	}
	for h.Stats().Waiting < int64(callers) {
		runtime.Gosched()
	}
	b.ReportMetric(float64(held()-before)/float64(callers), "B/waiting")
	close(release)
	all.Wait()
}

// held is what the heap and the stacks hold after a collection, in bytes.
func held() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
