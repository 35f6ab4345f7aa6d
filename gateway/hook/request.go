package hook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// version is that of requests and answers. It grows with a change that a server must
// know; new members of a request are none.
const version = 1

// ConnectRequest is what the connect hook is asked about: a client that wants to connect.
type ConnectRequest struct {
	Client      netip.AddrPort // where it comes from; the port is 0 if it is not known
	Host        string         // of its request
	Origin      string         // of the page, as browsers send it; empty without one
	Path, Query string         // of the target; Query is what follows the question mark
	Token       string         // empty without one
	Header      Values         // of its request; nil is none
}

// Values are the fields of a request's header, as http.Header has them.
type Values interface {
	// Values are the values of all fields with a name, in order.
	Values(name string) []string
}

// SubscribeRequest is what the subscribe hook is asked about: a client that wants to
// subscribe to a channel.
type SubscribeRequest struct {
	Client  string     // the client's id
	Address netip.Addr // where it comes from
	User    string     // empty for an anonymous client
	Channel string
	Token   string // of the subscription; empty without one
}

// common are the members that both kinds of request have.
type common struct {
	Version int    `json:"version"`
	Type    string `json:"type"`
	Gateway string `json:"gateway"`
}

// connectBody is the body of a request of the connect hook. encoding/json writes U+FFFD
// for what is not UTF-8.
type connectBody struct {
	common
	Address string            `json:"address"`
	Port    uint16            `json:"port"`
	Host    string            `json:"host"`
	Origin  string            `json:"origin"`
	Path    string            `json:"path"`
	Query   string            `json:"query"`
	Headers map[string]string `json:"headers"` // by name in lower case
	Token   string            `json:"token"`
}

type subscribeBody struct {
	common
	Client  string `json:"client"`
	Address string `json:"address"`
	User    string `json:"user"`
	Channel string `json:"channel"`
	Token   string `json:"token"`
}

// message is one request as it goes out.
type message struct {
	header  http.Header
	body    []byte
	secrets []string // of the client, and what may be
}

// connectMessage words a request. It takes the chosen fields of the client's request, and
// no others.
func (h *Hook) connectMessage(r *ConnectRequest) (m message, err error) {
	m.header, m.secrets = h.newHeader(), append(querySecrets(r.Query), r.Token)
	body := connectBody{
		common: common{version, "connect", h.options.Gateway}, Address: addressText(r.Client.Addr()), Port: r.Client.Port(),
		Host: r.Host, Origin: r.Origin, Path: r.Path, Query: r.Query, Token: r.Token, Headers: map[string]string{},
	}
	for _, name := range h.options.Forward {
		values := forwardable(r.Header, name)
		if len(values) == 0 {
			continue
		}
		canonical, separator := http.CanonicalHeaderKey(name), ", "
		if canonical == "Cookie" {
			separator = "; "
		}
		m.header[canonical] = values
		m.secrets = append(m.secrets, values...)
		body.Headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	if m.body, err = json.Marshal(&body); err != nil {
		return m, fmt.Errorf("write the request: %w", err)
	}
	return m, nil
}

// forwardable are the values of a field that may stand in a request.
func forwardable(from Values, name string) (values []string) {
	if from == nil {
		return nil
	}
	for _, value := range from.Values(name) {
		if httpguts.ValidHeaderFieldValue(value) {
			values = append(values, value)
		}
	}
	return values
}

func (h *Hook) subscribeMessage(r *SubscribeRequest) (m message, err error) {
	m.header, m.secrets = h.newHeader(), []string{r.Token}
	m.body, err = json.Marshal(&subscribeBody{
		common: common{version, "subscribe", h.options.Gateway}, Client: r.Client, Address: addressText(r.Address),
		User: r.User, Channel: r.Channel, Token: r.Token,
	})
	if err != nil {
		return m, fmt.Errorf("write the request: %w", err)
	}
	return m, nil
}

// newHeader is the header that every request has.
func (h *Hook) newHeader() http.Header {
	header := http.Header{
		"Accept":       {"application/json"},
		"Content-Type": {"application/json"},
		"User-Agent":   {"fleetcast"},
		// A question may be asked again. So net/http repeats a request on another connection
		// if the server has closed the idle one on which it was sent. An empty list is not sent.
		"Idempotency-Key": {},
	}
	for name, values := range h.options.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	return header
}

// addressText is an IP address as text, that of IPv4 in its own form, and empty if there
// is none.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().WithZone("").String()
}
