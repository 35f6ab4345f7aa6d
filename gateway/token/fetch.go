package token

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fleetcast/gateway/stats"
)

// maxSetSize is the size of the largest set of keys, in bytes.
const maxSetSize = 1 << 20

// fetcher gets the set of keys at a URL, and keeps the last good one on disk.
type fetcher struct {
	url        string
	client     *http.Client
	algorithms []string // to which the keys are restricted; empty: all
	dir        string   // empty: nothing is kept
}

func newFetcher(from string, algorithms []string, dir string, roots *x509.CertPool) fetcher {
	return fetcher{url: from, algorithms: algorithms, dir: dir, client: &http.Client{
		// A redirect could lead to anywhere, and from https to http.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true, // one request in minutes
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
	}}
}

// shown is the URL as logs may show it: a secret may stand in the query.
func (f *fetcher) shown() string {
	before, _, _ := strings.Cut(f.url, "?")
	return before
}

// withoutURL is an error of a request without its URL, which net/http puts before it.
func withoutURL(err error) error {
	if of := (*url.Error)(nil); errors.As(err, &of) {
		return of.Err
	}
	return err
}

// fetch asks the server once. It returns the keys, of which there is at least one, and
// the text that they were read from.
func (f *fetcher) fetch(ctx context.Context, timeout time.Duration) (*keySet, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "fleetcast")
	response, err := f.client.Do(request)
	if err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, nil, fmt.Errorf("no answer within %v", timeout)
		}
		return nil, nil, withoutURL(err)
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return nil, nil, fmt.Errorf("the server redirects (%s), which is not followed; name the final URL", response.Status)
	case response.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("the server answers %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSetSize+1))
	switch {
	case len(body) > maxSetSize:
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes", maxSetSize)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, nil, fmt.Errorf("no whole answer within %v", timeout)
	case err != nil:
		return nil, nil, fmt.Errorf("reading the answer: %w", err)
	}
	set, err := f.parse(body)
	return set, body, err
}

// parse reads a set of keys and leaves those that may be used.
func (f *fetcher) parse(body []byte) (*keySet, error) {
	set, err := parseJWKS(body)
	if err != nil {
		return nil, err
	}
	if set.restrict(f.algorithms); len(set.keys) == 0 {
		return nil, fmt.Errorf("%w for the algorithms %v", errNoKeys, f.algorithms)
	}
	return set, nil
}

// tellSkipped logs which keys of a set are not used. Their tokens are refused as those of
// an unknown key.
func (f *fetcher) tellSkipped(set *keySet, log *slog.Logger) {
	if n := len(set.skipped); n > 0 {
		log.Info("some keys of an issuer are not used", "url", f.shown(), "used", len(set.keys), "unused", n, "first", stats.Clip(set.skipped[0]))
	}
}

// path is the file of the last good set.
func (f *fetcher) path() string {
	sum := sha256.Sum256([]byte(f.url))
	return filepath.Join(f.dir, "jwks-"+hex.EncodeToString(sum[:12])+".json")
}

// saved returns the last good set that is on disk, nil without one.
func (f *fetcher) saved(log *slog.Logger) *keySet {
	if f.dir == "" {
		return nil
	}
	info, err := os.Stat(f.path())
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			log.Warn("saved keys of an issuer cannot be read", "url", f.shown(), "error", err)
		}
		return nil
	}
	var body []byte
	if info.Size() <= maxSetSize {
		body, err = os.ReadFile(f.path())
	}
	set, parseErr := f.parse(body)
	if err = errors.Join(err, parseErr); err != nil {
		log.Warn("saved keys of an issuer cannot be read", "url", f.shown(), "file", f.path(), "error", err)
		return nil
	}
	log.Info("saved keys of an issuer stand in until they are fetched", "url", f.shown(), "keys", len(set.keys), "saved", info.ModTime().UTC())
	return set
}

// save keeps a good set on disk. The file is whole at any time.
func (f *fetcher) save(body []byte, log *slog.Logger) {
	if f.dir == "" {
		return
	}
	if err := f.write(body); err != nil {
		log.Warn("the keys of an issuer cannot be saved", "url", f.shown(), "error", err)
	}
}

func (f *fetcher) write(body []byte) error {
	file, err := os.CreateTemp(f.dir, ".jwks-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // unless it was renamed
	_, err = file.Write(body)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), f.path())
}
