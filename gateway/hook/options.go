package hook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"fleetcast/gateway/identity"
	"fleetcast/gateway/token"
)

// Options are what a hook is told. [DefaultOptions] has what most need.
type Options struct {
	// Name is what log lines call the hook, such as "connect".
	Name string
	// URL is asked by POST: https, or http to a loopback address. It has no user and no
	// password: such secrets belong into Header.
	URL string
	// Plain allows http to other hosts. Whoever can listen on the way then reads tokens.
	Plain bool
	// Gateway is the name of this gateway in requests. It may be empty.
	Gateway string
	// Forward names the header fields of a client's request that the endpoint gets, 16 at
	// most. No other field is passed on: cookies only if Cookie is among the names.
	Forward []string
	// Header are fields of every request, such as Authorization with the secret by which
	// the endpoint knows the gateway. A client cannot set them: none may be in Forward.
	Header http.Header
	// Timeout bounds a call, from connecting to the end of the answer, and, on its own,
	// the wait for the turn before.
	Timeout time.Duration
	// AtOnce is how many calls may be in flight, each with a connection.
	AtOnce int
	// Queue is how many more callers may wait for their turn. Addresses share it: one that has
	// much of it makes room for another.
	Queue int
	// MaxAnswer is the size of the largest answer, in bytes.
	MaxAnswer int64
	// Breaker says when the endpoint counts as failing.
	Breaker Breaker
	// RootFile has certificates in PEM. If it is named, the endpoint's certificate must
	// come from one of them, else from one that the system trusts.
	RootFile string
	// EnvironmentProxy asks through the proxy that HTTPS_PROXY and its like name. Without
	// it, they are ignored.
	EnvironmentProxy bool
	// Grants shares equal grants of different clients. nil is one for this hook alone.
	Grants *identity.Interner
	// Logger gets warnings; nil is nobody.
	Logger *slog.Logger
	// Dial opens the connections if it is not nil, for tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Breaker says when an endpoint counts as failing. Then it is not asked, and callers are
// refused for now at once, but for a few probes after each Rest.
type Breaker struct {
	// Percent of the calls of Window that must have failed, 1 to 100; 0 is never.
	Percent int
	// AtLeast is the number of calls below which Percent says nothing.
	AtLeast int
	// Window is how long a call counts.
	Window time.Duration
	// Rest is how long the endpoint is left alone.
	Rest time.Duration
}

// DefaultOptions are the options without Name, URL and Logger.
func DefaultOptions() Options {
	return Options{
		Timeout:   2 * time.Second,
		AtOnce:    64,
		Queue:     1024,
		MaxAnswer: 64 << 10,
		Breaker:   Breaker{Percent: 50, AtLeast: 10, Window: 10 * time.Second, Rest: 2 * time.Second},
	}
}

// Bounds of options.
const (
	maxForward = 16
	maxURL     = 2048
	maxAtOnce  = 4096
	maxQueue   = 1 << 20
)

// String shows the options without secrets: of the URL the host, of Header the names.
func (o Options) String() string {
	names := make([]string, 0, len(o.Header))
	for name := range o.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Sprintf("%s hook %s, forwards %q, header %q", o.Name, publicURL(o.URL), o.Forward, names)
}

// GoString is [Options.String].
func (o Options) GoString() string { return o.String() }

// publicURL is a URL as logs may show it: a secret may stand in the path or the query.
func publicURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(no URL)"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// Check names what is wrong with the options.
func (o *Options) Check() error {
	errs := []error{o.checkURL()}
	wrong := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(o.Timeout < time.Millisecond || o.Timeout > time.Minute, "the timeout is %v, must be from 1ms to 1m", o.Timeout)
	wrong(o.AtOnce < 1 || o.AtOnce > maxAtOnce, "%d calls at once, must be from 1 to %d", o.AtOnce, maxAtOnce)
	wrong(o.Queue < 0 || o.Queue > maxQueue, "%d callers may wait, must be from 0 to %d", o.Queue, maxQueue)
	wrong(o.MaxAnswer < 64 || o.MaxAnswer > 1<<20, "answers of at most %d bytes, must be from 64 to %d", o.MaxAnswer, 1<<20)
	b := o.Breaker
	wrong(b.Percent < 0 || b.Percent > 100, "the breaker opens at %d percent, must be from 0 to 100", b.Percent)
	wrong(b.Percent > 0 && (b.AtLeast < 1 || b.AtLeast > 1<<20), "the breaker looks at %d calls at least, must be from 1 to %d", b.AtLeast, 1<<20)
	wrong(b.Percent > 0 && (b.Window < time.Second || b.Window > time.Hour), "the breaker's window is %v, must be from 1s to 1h", b.Window)
	wrong(b.Percent > 0 && (b.Rest < 100*time.Millisecond || b.Rest > time.Hour), "the breaker's rest is %v, must be from 100ms to 1h", b.Rest)
	return errors.Join(append(errs, o.checkFields())...)
}

// checkURL names what is wrong with the URL. It does not show it, because there may be a
// secret in it.
func (o *Options) checkURL() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || o.URL == "" || len(o.URL) > maxURL:
		return fmt.Errorf("the URL must be like https://app.example.com/connect, of at most %d bytes", maxURL)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("the URL must begin with https:// and a host, or with http:// and a loopback address")
	case u.User != nil:
		return errors.New("the URL has a user or a password in it: put them into a header field, Authorization")
	case u.Fragment != "":
		return errors.New("the URL has a fragment (#) in it, which no server gets")
	case u.Scheme == "http" && !o.Plain && !isLoopback(u.Hostname()):
		return fmt.Errorf("the URL is http to %.100q: clients' tokens would cross the network in plain text; use https, a loopback address, or allow it explicitly", u.Hostname())
	}
	return nil
}

// isLoopback tells whether a host is this machine by its name. Where it is a name, the
// address is checked again when it is known.
func isLoopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}

// ownFields are those that belong to the connection or that the package sets itself.
var ownFields = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Idempotency-Key", "Keep-Alive",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "X-Idempotency-Key",
}

func isOwnField(name string) bool {
	return slices.Contains(ownFields, name) || strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "Sec-Websocket-")
}

// checkFields names what is wrong with the names of header fields, and never a value.
func (o *Options) checkFields() error {
	var errs []error
	if len(o.Forward) > maxForward {
		errs = append(errs, fmt.Errorf("%d header fields are forwarded, at most %d may be", len(o.Forward), maxForward))
	}
	seen := map[string]bool{}
	check := func(name string) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			errs = append(errs, fmt.Errorf("%.40q is no name of a header field", name))
		case isOwnField(canonical):
			errs = append(errs, fmt.Errorf("the header field %s is the gateway's own", canonical))
		case seen[canonical]:
			errs = append(errs, fmt.Errorf("the header field %s is named twice; a field of the gateway's own cannot be forwarded too", canonical))
		}
		seen[canonical] = true
	}
	for name, values := range o.Header {
		check(name)
		if len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }) {
			errs = append(errs, fmt.Errorf("the value of the header field %.40q is missing or has control characters", name))
		}
	}
	for _, name := range o.Forward {
		check(name)
	}
	return errors.Join(errs...)
}

// idle is how long a connection is kept for the next call. Servers close theirs after
// some time, Node's and uvicorn after 5 s; a call that meets the close is repeated.
const idle = 4 * time.Second

// maxHead is the size of the largest head of an answer, in bytes.
const maxHead = 16 << 10

// maxRoots is the size of the largest file with certificates, in bytes.
const maxRoots = 4 << 20

// transport makes what speaks HTTP. It follows no redirects and keeps no cookies.
func (o *Options) transport() (*http.Transport, error) {
	t := &http.Transport{
		DialContext:            o.Dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    o.Timeout,
		DisableCompression:     true, // an answer is as large as its bytes
		MaxIdleConns:           o.AtOnce,
		MaxIdleConnsPerHost:    o.AtOnce,
		MaxConnsPerHost:        o.AtOnce,
		IdleConnTimeout:        idle,
		MaxResponseHeaderBytes: maxHead,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if o.EnvironmentProxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	if t.DialContext == nil {
		dialer := &net.Dialer{Timeout: o.Timeout}
		if strings.HasPrefix(strings.ToLower(o.URL), "http:") && !o.Plain {
			dialer.Control = loopbackOnly
		}
		t.DialContext = dialer.DialContext
	}
	if o.RootFile != "" {
		text, err := token.ReadRegular(o.RootFile, maxRoots)
		if err != nil {
			return nil, fmt.Errorf("read the hook's root certificates: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s has no certificates in PEM", o.RootFile)
		}
	}
	return t, nil
}
