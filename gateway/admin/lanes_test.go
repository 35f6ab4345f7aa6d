package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A request that a lane has no room for is refused, late, and ends its connection.
func TestLaneRefuses(t *testing.T) {
	t.Parallel() // it waits most of the time
	l := newLane(0, 1)
	s := httptest.NewServer(l.bound(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })))
	defer s.Close()
	for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		began := time.Now()
		response, err := http.Get(s.URL + "/api/stats")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want {
			t.Fatalf("answered with %s %s, want %d", response.Status, body, want)
		}
		if want == http.StatusOK {
			continue
		}
		if !response.Close || response.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "not_available") {
			t.Errorf("refused with %v %s", response.Header, body)
		}
		if took := time.Since(began); took < laneWait*9/10 {
			t.Errorf("refused after %v: so a flood of requests makes one of refusals", took)
		}
	}
}

// Turns are taken one at a time, also by those who do not read their answers.
func TestTurns(t *testing.T) {
	var most, now atomic.Int32
	in := &turns{free: make(chan struct{}, 1)}
	s := httptest.NewServer(in.bound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(make([]byte, 16<<20)) // more than the sockets take
	})))
	defer s.Close()
	get := func(path string) (int, error) {
		response, err := http.Get(s.URL + path)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		if path == "/unread" {
			return response.StatusCode, nil
		}
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	_, _ = get("/panic")
	unread, err := http.Get(s.URL + "/unread")
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Body.Close()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if status, err := get("/"); status != http.StatusOK || err != nil {
				t.Errorf("answered with %d, %v", status, err)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d were served at a time", most.Load())
	}
}
