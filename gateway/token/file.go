package token

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// ReadRegular is the content of a regular file of at most limit bytes. Everything else is
// refused, and never waited for: a pipe has no end before its writer gives it one, a device may
// have none, and neither can be read again when the configuration is read again.
func ReadRegular(path string, limit int64) ([]byte, error) {
	// Opened otherwise, a pipe waits for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if errors.Is(err, syscall.ENXIO) { // a socket, or a device that is not there
		return nil, fmt.Errorf("%s %w", path, errNotRegular)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s %w", path, errNotRegular)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > limit:
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return text, nil
}

var errNotRegular = errors.New("is no regular file")
