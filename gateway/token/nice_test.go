package token_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"fleetcast/codec/testrun"
	"fleetcast/gateway/token"
)

// niceThreads counts the threads of the process that are nicer than its main thread.
func niceThreads(t *testing.T) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		_, fields, _ := strings.Cut(string(text), ") ")
		if nice, _ := strconv.Atoi(strings.Fields(fields)[16]); nice > mainNice(t) { // proc(5): field 19
			n++
		}
	}
	return n
}

func mainNice(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(text), ") ")
	nice, _ := strconv.Atoi(strings.Fields(fields)[16])
	return nice
}

// TestWorkersAreNice has workers give way to loops, on threads that nothing else uses later.
func TestWorkersAreNice(t *testing.T) {
	eventually(t, "those of other tests have ended", func() bool { return niceThreads(t) == 0 })
	v, err := token.New(token.Options{Issuers: []token.Issuer{{Secret: secret}}, Workers: 3, Logger: testrun.Log(t)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "its workers are nice", func() bool { return niceThreads(t) == 3 })
	v.Close()
	eventually(t, "their threads end", func() bool { return niceThreads(t) == 0 })
}
