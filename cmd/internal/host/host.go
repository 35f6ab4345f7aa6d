package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Host is where the findings come from: the files of /proc and /sys.
type Host struct {
	Root string // the root directory
	Pid  int    // whose limits count; 0: those of this process
}

// maxHostFile bounds in bytes what is read of one file.
const maxHostFile = 1 << 20

// ErrAbsent stands for a file that this kernel or container does not have.
var ErrAbsent = errors.New("there is no such file here")

// Read returns the text of a file of /proc or /sys.
func (h Host) Read(name string) (string, error) {
	file, err := os.Open(filepath.Join(h.Root, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", ErrAbsent
	case errors.Is(err, fs.ErrPermission):
		return "", errors.New("this user may not read it")
	case err != nil:
		return "", withoutPath(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxHostFile))
	if err != nil {
		return "", withoutPath(err)
	}
	return string(text), nil
}

// withoutPath is an error of a file as read beside the file's name.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pathError.Op, pathError.Err)
	}
	return err
}

// Numbers reads a file that holds count numbers.
func (h Host) Numbers(name string, count int) ([]uint64, error) {
	text, err := h.Read(name)
	if err != nil {
		return nil, err
	}
	return ParseNumbers(text, count)
}

// Sysctl is the file of a kernel setting, net.core.somaxconn for example.
func Sysctl(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

// Process is a file of the process whose limits count.
func (h Host) Process(name string) string {
	if h.Pid == 0 {
		return "/proc/self/" + name
	}
	return fmt.Sprintf("/proc/%d/%s", h.Pid, name)
}

// CheckProcess makes sure that the process is there.
func (h Host) CheckProcess() error {
	if h.Pid == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(h.Root, h.Process(""))); err != nil {
		return fmt.Errorf("--pid %d: there is no such process", h.Pid)
	}
	return nil
}

// ParseNumbers reads exactly count decimal numbers.
func ParseNumbers(text string, count int) ([]uint64, error) {
	fields := strings.Fields(text)
	if len(fields) != count {
		return nil, fmt.Errorf("it holds %d words, not the %d numbers expected", len(fields), count)
	}
	numbers := make([]uint64, count)
	for i, field := range fields {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%.40q is not a number", field)
		}
		numbers[i] = n
	}
	return numbers, nil
}

// Unlimited is the value of a limit that limits nothing.
const Unlimited = ^uint64(0)

// ParseLimits finds the soft and the hard descriptor limit in the text of
// /proc/PID/limits.
func ParseLimits(text string) (soft, hard uint64, err error) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "Max open files")
		if !ok {
			continue
		}
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			return 0, 0, errors.New("the line of Max open files is cut short")
		}
		if soft, err = ParseLimit(fields[0]); err == nil {
			hard, err = ParseLimit(fields[1])
		}
		return soft, hard, err
	}
	return 0, 0, errors.New("it does not say Max open files")
}

// ParseLimit reads a number, or the words for none: unlimited, max, -1.
func ParseLimit(text string) (uint64, error) {
	switch text = strings.TrimSpace(text); text {
	case "unlimited", "max", "-1":
		return Unlimited, nil
	}
	numbers, err := ParseNumbers(text, 1)
	if err != nil {
		return 0, err
	}
	return numbers[0], nil
}

// ParseMeminfo finds values of /proc/meminfo, in bytes.
func ParseMeminfo(text string, names ...string) ([]uint64, error) {
	values := make([]uint64, len(names))
	for i, name := range names {
		_, rest, ok := strings.Cut("\n"+text, "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		fields := strings.Fields(line)
		if !ok || len(fields) != 2 || fields[1] != "kB" {
			return nil, fmt.Errorf("it does not say %s in kB", name)
		}
		kB, err := strconv.ParseUint(fields[0], 10, 53)
		if err != nil {
			return nil, fmt.Errorf("%s: %.40q is not a number of kB", name, fields[0])
		}
		values[i] = kB << 10
	}
	return values, nil
}

// ParseCPUList counts the processors of a list such as 0-3,8.
func ParseCPUList(text string) (count int, err error) {
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 != nil || err2 != nil || to < from {
			return 0, fmt.Errorf("%.40q is not a list of processors", text)
		}
		count += int(to-from) + 1
	}
	return count, nil
}

// CgroupFiles are the files called name of the process's control group and of those
// above it, for controller of version 1, or for version 2 if that is empty. In a
// container the group's path may be the one on the host. Then only the top remains,
// which is the container's own.
func (h Host) CgroupFiles(controller, name string) []string {
	text, err := h.Read(h.Process("cgroup"))
	if err != nil {
		return nil
	}
	group, ok := parseCgroup(text, controller)
	if !ok {
		return nil
	}
	var files []string
	for {
		files = append(files, path.Join("/sys/fs/cgroup", controller, group, name))
		if group == "/" {
			return files
		}
		group = path.Dir(group)
	}
}

// parseCgroup finds in /proc/PID/cgroup the group that a controller of version
// 1 keeps the process in, or that of version 2.
func parseCgroup(text, controller string) (group string, ok bool) {
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for name := range strings.SplitSeq(parts[1], ",") {
			if name == controller {
				// Outside of the container's own tree the path begins with ..
				return path.Clean("/" + parts[2]), true
			}
		}
	}
	return "", false
}
