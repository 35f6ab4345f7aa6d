// Package historyfile has the file by which a gateway that stops hands its history to the next
// one. It knows nothing of what is in it.
//
// The file is there only between two gateways. The next one removes it before it serves
// anybody, so that no later one can take it for the state of affairs: after a crash, events
// would be missing that were published since. It is written under another name first, so it is
// whole or not there. Who uses it holds a lock, which is a file beside it, because the file
// itself comes and goes.
//
// A File belongs to one goroutine at a time.
package historyfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What stands behind the name of the file in those beside it.
const (
	lockSuffix = ".lock"
	newSuffix  = ".new" // while it is written
	badSuffix  = ".bad" // that could not be used
)

// maxSize is how large a file may be, in bytes. No gateway writes one that is near it.
const maxSize = 64 << 30

// File is the place of a history file, which may be empty.
type File struct {
	path string
	lock *os.File
}

var (
	errInUse      = errors.New("another process has it; each gateway needs a file of its own")
	errNotRegular = errors.New("it is no regular file")
	errTooLarge   = fmt.Errorf("it has more than %d bytes", maxSize)
)

// Open takes the lock of a file, which need not be there. The error is one of the
// configuration: there is no such folder, or it must not be written to, or another gateway has
// the file.
func Open(path string) (*File, error) {
	f := &File{path: filepath.Clean(path)}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("open the history file %s: %w", path, err)
	}
	return f, nil
}

func (f *File) open() error {
	// A folder or a device is not set aside like other things that are no files: it is there for
	// something else.
	info, err := os.Lstat(f.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err == nil && info.IsDir():
		return errors.New("it is a folder; name a file in it")
	case err == nil && info.Mode()&fs.ModeDevice != 0:
		return errors.New("it is a device")
	}
	// It is opened for reading, so that it can be locked on a full disk, too. The descriptor is
	// closed, and the lock given back, when the process ends.
	f.lock, err = os.OpenFile(f.path+lockSuffix, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no folder %s", filepath.Dir(f.path))
	case err != nil:
		return err
	}
	if err := f.takeLock(); err != nil {
		f.lock.Close()
		return err
	}
	_ = os.Remove(f.path + newSuffix) // of a gateway that was killed while it wrote
	return nil
}

func (f *File) takeLock() error {
	if err := checkRegular(f.lock); err != nil {
		return fmt.Errorf("lock it by %s: %w", f.lock.Name(), err)
	}
	err := unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errInUse
	case err != nil:
		return fmt.Errorf("lock it by %s: %w", f.lock.Name(), err)
	}
	return nil
}

func checkRegular(file *os.File) error {
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errNotRegular
	case info.Size() > maxSize:
		return errTooLarge
	}
	return nil
}

// Path is the name of the file.
func (f *File) Path() string { return f.path }

// Close gives the lock back. The file of the lock stays: another process may have opened it.
func (f *File) Close() { f.lock.Close() }

// Read calls read with what is in the file. The error is that of read, or says that the file
// cannot be read; it is an fs.ErrNotExist if there is none.
func (f *File) Read(read func(io.Reader) error) error {
	// Neither a symbolic link is followed nor is a FIFO waited for.
	file, err := os.OpenFile(f.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ELOOP):
		return errNotRegular
	case err != nil:
		return err
	}
	defer file.Close()
	if err := checkRegular(file); err != nil {
		return err
	}
	return read(file)
}

// Remove removes the file for good, also if the power fails then.
func (f *File) Remove() error {
	if err := os.Remove(f.path); err != nil {
		return fmt.Errorf("remove the history file: %w", err)
	}
	if err := f.syncFolder(); err != nil {
		return fmt.Errorf("remove the history file: %w", err)
	}
	return nil
}

// SetAside gives a file that cannot be used another name, so that somebody can look at it. The
// one that had that name before is gone. If that cannot be done, the file is removed.
func (f *File) SetAside() (as string, err error) {
	as = f.path + badSuffix
	if err := os.Rename(f.path, as); err != nil {
		if os.Remove(f.path) != nil {
			return "", fmt.Errorf("set the history file aside: %w", err)
		}
		as = ""
	}
	if err := f.syncFolder(); err != nil {
		return "", fmt.Errorf("set the history file aside: %w", err)
	}
	return as, nil
}

// Write makes the file of what write writes. It is on the disk when Write returns. If
// anything fails, or ctx ends before it is, there is no file.
func (f *File) Write(ctx context.Context, write func(io.Writer) error) error {
	if err := f.write(ctx, write); err != nil {
		_ = os.Remove(f.path + newSuffix) // err says enough
		return fmt.Errorf("write the history file %s: %w", f.path, err)
	}
	return nil
}

func (f *File) write(ctx context.Context, write func(io.Writer) error) error {
	// O_EXCL does not follow a symbolic link either.
	if err := os.Remove(f.path + newSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(f.path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := write(file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Rename(f.path+newSuffix, f.path); err != nil {
		return err
	}
	return f.syncFolder()
}

// syncFolder has the names of files on the disk.
func (f *File) syncFolder() error {
	folder, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil && !errors.Is(err, unix.EINVAL) { // some file systems have nothing to do
		return err
	}
	return nil
}
