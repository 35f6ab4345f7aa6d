package loadtest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"fleetcast/loadtest/profile"
)

// publishAt is where events are published: at the address that the user gave, or at the
// host that clients connect to. So neither events nor a profile's header fields go to a
// host that the user did not name. It is empty if the profile publishes on a WebSocket.
func publishAt(asked string, p *profile.Profile, to *target) (string, error) {
	switch via := p.PublishVia(); {
	case via == profile.Socket:
		return "", nil
	case via == profile.HTTP && asked == "":
		return "http://" + to.Host, nil
	case via == profile.HTTP:
		return checkBase(asked)
	case asked != "":
		return asked, nil
	case p.PublishPort() == 0:
		return "", fmt.Errorf("profile %s publishes on a port of its own: the address of the publish port is missing", p.Name())
	}
	host := (&url.URL{Host: to.Host}).Hostname()
	return net.JoinHostPort(host, strconv.Itoa(p.PublishPort())), nil
}

// checkBase checks the address of an HTTP API, HOST:PORT or a URL.
func checkBase(asked string) (string, error) {
	if !strings.Contains(asked, "://") {
		asked = "http://" + asked
	}
	u, err := url.Parse(asked)
	if err != nil {
		return "", fmt.Errorf("publish port: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("publish port %q: want HOST:PORT or http://HOST:PORT", asked)
	}
	return strings.TrimSuffix(asked, "/"), nil
}

// newHTTPClient makes a client that speaks only to the given host. It uses no proxy and
// follows no redirect, because these would get the profile's header fields.
func newHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	return &http.Client{
		Timeout:       requestTimeout,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// redirected says where an answer points to, if it is a redirect.
func redirected(answer *http.Response) error {
	to, err := answer.Location()
	if errors.Is(err, http.ErrNoLocation) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", answer.Status, err)
	}
	return fmt.Errorf("%s to %.200q, which is not followed: name the right address as the publish port", answer.Status, to)
}
