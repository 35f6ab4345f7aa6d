package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine describes this machine for readers of a report: the processors that
// this process may use, the kernel, the processor's model if it is known.
func Machine() string {
	parts := []string{fmt.Sprintf("%d processors", runtime.NumCPU())}
	if runtime.NumCPU() == 1 {
		parts[0] = "1 processor"
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		parts = append(parts, unix.ByteSliceToString(name.Sysname[:])+" "+unix.ByteSliceToString(name.Release[:]))
	}
	if text, err := os.ReadFile(filepath.Join(root, "cpuinfo")); err == nil {
		if model := parseModel(text); model != "" {
			parts = append(parts, model)
		}
	}
	return strings.Join(parts, ", ")
}

// parseModel returns the first model name in /proc/cpuinfo, which not every
// architecture has.
func parseModel(text []byte) string {
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		if string(bytes.TrimSpace(key)) == "model name" {
			return string(bytes.Join(bytes.Fields(value), []byte(" ")))
		}
	}
	return ""
}
