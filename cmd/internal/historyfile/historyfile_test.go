package historyfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func mustOpen(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// text is what the file has.
func text(f *File) (s string, err error) {
	err = f.Read(func(from io.Reader) error {
		b, err := io.ReadAll(from)
		s = string(b)
		return err
	})
	return s, err
}

func writing(s string) func(io.Writer) error {
	return func(to io.Writer) error { _, err := io.WriteString(to, s); return err }
}

// names are those in the file's folder.
func names(t *testing.T, f *File) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(f.Path()))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestWriteReadRemove(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "history"))
	if _, err := text(f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading no file: %v", err)
	}
	for _, want := range []string{"one", "two"} {
		if err := f.Write(t.Context(), writing(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := text(f); got != want || err != nil {
			t.Errorf("it has %q, %v; want %q", got, err, want)
		}
	}
	info, err := os.Stat(f.Path())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	if err := f.Remove(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing no file: %v", err)
	}
	if got := names(t, f); !slices.Equal(got, []string{"history.lock"}) {
		t.Errorf("there are %q", got)
	}
}

// A file that could not be written whole is not there.
func TestWriteFails(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "history"))
	ctx, cancel := context.WithCancel(t.Context())
	errFull := errors.New("the disk is full")
	for want, write := range map[error]func(to io.Writer) error{
		errFull:          func(to io.Writer) error { _, _ = io.WriteString(to, "half"); return errFull },
		context.Canceled: func(to io.Writer) error { cancel(); return writing("all")(to) },
	} {
		if err := f.Write(ctx, write); !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		if got := names(t, f); !slices.Equal(got, []string{"history.lock"}) {
			t.Errorf("there are %q", got)
		}
	}
}

// What a gateway has left that was killed while it wrote is not taken for a file, and goes.
func TestHalfAFileIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path+newSuffix, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := mustOpen(t, path)
	if _, err := text(f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading half a file: %v", err)
	}
	if got := names(t, f); !slices.Equal(got, []string{"history.lock"}) {
		t.Errorf("there are %q", got)
	}
}

func TestTwoWithOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	f := mustOpen(t, path)
	if _, err := Open(path); !errors.Is(err, errInUse) {
		t.Errorf("the second one: %v", err)
	}
	f.Close()
	mustOpen(t, path)
}

// One file that cannot be used is kept.
func TestSetAside(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "history"))
	for _, s := range []string{"one", "two"} {
		if err := f.Write(t.Context(), writing(s)); err != nil {
			t.Fatal(err)
		}
		if as, err := f.SetAside(); as != f.Path()+".bad" || err != nil {
			t.Errorf("set aside as %q, %v", as, err)
		}
		if b, err := os.ReadFile(f.Path() + ".bad"); string(b) != s {
			t.Errorf("set aside is %q, %v", b, err)
		}
	}
	if got := names(t, f); !slices.Equal(got, []string{"history.bad", "history.lock"}) {
		t.Errorf("there are %q", got)
	}
	// If something is in the way, the file is removed.
	if err := errors.Join(os.Remove(f.Path()+".bad"), os.MkdirAll(f.Path()+".bad/x", 0o700), f.Write(t.Context(), writing("three"))); err != nil {
		t.Fatal(err)
	}
	if as, err := f.SetAside(); as != "" || err != nil {
		t.Errorf("set aside as %q, %v", as, err)
	}
	if _, err := text(f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestStrangeThings has what is no regular file at the path. It is neither read nor waited for,
// and a write puts the file in its place.
func TestStrangeThings(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"link": func(path string) error {
			return errors.Join(os.WriteFile(path+"-other", []byte("precious"), 0o600), os.Symlink(path+"-other", path))
		},
		"link to nothing": func(path string) error { return os.Symlink("nowhere", path) },
		"link to itself":  func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"FIFO":            func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"socket": func(path string) error {
			l, err := net.Listen("unix", path)
			if err == nil {
				l.(*net.UnixListener).SetUnlinkOnClose(false)
				err = l.Close()
			}
			return err
		},
		"large file": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Truncate(path, maxSize+1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "history") // short, for the socket
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			path := filepath.Join(dir, "history")
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			f := mustOpen(t, path)
			if s, err := text(f); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it is read: %q, %v", s, err)
			}
			if err := f.Write(t.Context(), writing("mine")); err != nil {
				t.Error(err)
			}
			if s, err := text(f); s != "mine" || err != nil {
				t.Errorf("it has %q, %v", s, err)
			}
			if err := errors.Join(f.Remove(), put(path+"2")); err != nil {
				t.Fatal(err)
			}
			second := mustOpen(t, path+"2")
			if as, err := second.SetAside(); as != path+"2.bad" || err != nil {
				t.Errorf("set aside as %q, %v", as, err)
			}
			if b, err := os.ReadFile(path + "-other"); err == nil && string(b) != "precious" {
				t.Errorf("where the link leads there is %q", b)
			}
		})
	}
}

// What is there for something else is left alone, and so is what is in the way of the lock.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, test := range map[string]struct{ path, want string }{
		"folder":         {dir, "it is a folder"},
		"device":         {"/dev/null", "it is a device"},
		"no folder":      {dir + "/none/history", "there is no folder " + dir + "/none"},
		"file as folder": {dir + "/file/history", "not a directory"},
		"FIFO as lock":   {dir + "/fifo", "no regular file"},
		"link as lock":   {dir + "/link", "too many levels of symbolic links"},
	} {
		_ = os.WriteFile(dir+"/file", nil, 0o600)
		_ = syscall.Mkfifo(dir+"/fifo.lock", 0o600)
		_ = os.Symlink(dir+"/target", dir+"/link.lock")
		if _, err := Open(test.path); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
	if _, err := os.Lstat(dir + "/target"); err == nil {
		t.Error("the link was followed")
	}
}
