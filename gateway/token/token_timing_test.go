package token_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"fleetcast/gateway/token"
)

// manyTokens are n different good tokens.
func manyTokens(b *testing.B, c *clock, alg string, key any, n int) (all [][]byte) {
	for i := range n {
		all = append(all, []byte(sign(b, alg, "", key, claims(c, map[string]any{"sub": fmt.Sprint("user-", i), "name": "Alice Example", "iat": c.now().Unix(), "jti": fmt.Sprint(i)}))))
	}
	return all
}

func allVerifier(b *testing.B, c *clock) *token.Verifier {
	return newVerifier(b, c, token.Options{Cache: 1, Issuers: []token.Issuer{{Issuer: issName, Secret: secret, Keys: pemOf(b, keys()["RS256"]) + pemOf(b, keys()["ES256"]) + pemOf(b, keys()["EdDSA"]) + pemOf(b, keys()["ES512"])}}})
}

// BenchmarkQuickCached asks for a token that is known.
func BenchmarkQuickCached(b *testing.B) {
	c := newClock()
	v := newVerifier(b, c, token.Options{Issuers: []token.Issuer{{Secret: secret}}})
	text := manyTokens(b, c, "HS256", []byte(secret), 1)[0]
	b.ReportAllocs()
	for b.Loop() {
		if verdict, left := v.Quick(text); left != nil || verdict.Refusal != nil {
			b.Fatal(verdict.Refusal)
		}
	}
}

// BenchmarkQuickHS256 verifies on the loop.
func BenchmarkQuickHS256(b *testing.B) {
	c := newClock()
	v := allVerifier(b, c)
	all := manyTokens(b, c, "HS256", []byte(secret), 1000)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if verdict, left := v.Quick(all[i%len(all)]); left != nil || verdict.Refusal != nil {
			b.Fatal(verdict.Refusal)
		}
	}
}

// BenchmarkQuickRefused is what a text that is no token costs.
func BenchmarkQuickRefused(b *testing.B) {
	v := allVerifier(b, newClock())
	text := []byte("eyJhbGciOiJIUzI1NiJ9.e30.x")
	b.ReportAllocs()
	for b.Loop() {
		v.Quick(text)
	}
}

// BenchmarkVerify verifies one token after the other, each by way of the pool.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256", "ES512", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			c := newClock()
			v := allVerifier(b, c)
			all := manyTokens(b, c, alg, keys()[alg], 100)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if verdict := v.Verify(context.Background(), netip.Addr{}, all[i%len(all)]); verdict.Refusal != nil {
					b.Fatal(verdict.Refusal)
				}
			}
		})
	}
}

// BenchmarkPool keeps 256 tokens of ES256 in the pool. It tells the pool's throughput
// and, with -cpu 1, how many tokens are verified while a goroutine that waits for a
// socket, as a loop does, waits for one byte to go there and back.
func BenchmarkPool(b *testing.B) {
	c := newClock()
	v := allVerifier(b, c)
	all := manyTokens(b, c, "ES256", keys()["ES256"], 1000)
	waits := echoWaits(b, func() uint64 { return v.Figures().Verifications })
	var work sync.WaitGroup
	b.ResetTimer()
	for worker := range 256 {
		work.Go(func() {
			for i := worker; i < b.N; i += 256 {
				if verdict := v.Verify(context.Background(), netip.Addr{}, all[i%len(all)]); verdict.Refusal != nil {
					b.Error(verdict.Refusal)
				}
			}
		})
	}
	work.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
	if counts := waits(); len(counts) > 0 {
		slices.Sort(counts)
		b.ReportMetric(float64(counts[len(counts)/2]), "tokens/echo-p50")
		b.ReportMetric(float64(counts[len(counts)*99/100]), "tokens/echo-p99")
	}
}

// echoWaits counts, until the returned function is called, by how much a number grows
// while one byte goes to a goroutine that waits for a socket, and back.
func echoWaits(b *testing.B, number func() uint64) func() []uint64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buffer := make([]byte, 1)
		for {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
			if _, err := conn.Write(buffer); err != nil {
				return
			}
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	var counts []uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, 1)
		for {
			select {
			case <-stop:
				return
			default:
			}
			before := number()
			if _, err := conn.Write(buffer); err != nil {
				return
			}
			if _, err := conn.Read(buffer); err != nil {
				return
			}
			counts = append(counts, number()-before)
			time.Sleep(time.Millisecond)
		}
	}()
	return func() []uint64 {
		close(stop)
		<-done
		conn.Close()
		l.Close()
		runtime.Gosched()
		return counts
	}
}
