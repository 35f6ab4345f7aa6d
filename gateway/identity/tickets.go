package identity

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"time"

	"fleetcast/codec/jsonscan"
)

// TicketPrefix is how every ticket begins. No JSON Web Token does: its first part would
// not be base64 of a JSON object.
const TicketPrefix = "fct1."

// Bounds of tickets.
const (
	TicketLife   = 5 * time.Minute // the longest that a ticket is good for
	MaxTicket    = 4096            // bytes
	MinTicketKey = 32              // bytes
)

// Errors of Open.
var (
	ErrTicketInvalid = errors.New("the ticket is not one of this gateway's")
	ErrTicketExpired = errors.New("the ticket has ended")
)

// Tickets issues and opens resume tickets. A ticket holds an identity under a MAC
// (HMAC-SHA256), so that a client that was here a moment ago is known without its
// token's signature being verified, or a hook being asked, once more. The identity in it
// can be read by its client, which knows it from its token. Who opens a ticket has to look
// whether those that are behind the identity are still configured.
//
// Any goroutine may use Tickets.
type Tickets struct {
	keys     [][]byte // the first signs, all verify
	interner *Interner
}

// NewTickets makes tickets under keys of at least MinTicketKey bytes. The first key
// signs, and all of them verify: gateways that share them know each other's tickets, and
// a key can be replaced. Without keys there is a random one, so tickets end with the
// process. Grants are interned in in.
func NewTickets(in *Interner, keys ...[]byte) (*Tickets, error) {
	t := &Tickets{interner: in}
	for i, key := range keys {
		if len(key) < MinTicketKey {
			return nil, fmt.Errorf("ticket key %d has %d bytes, must have at least %d", i+1, len(key), MinTicketKey)
		}
		t.keys = append(t.keys, bytes.Clone(key))
	}
	if len(t.keys) == 0 {
		random := make([]byte, MinTicketKey)
		rand.Read(random) // never fails
		t.keys = [][]byte{random}
	}
	return t, nil
}

// Issue makes a ticket. It is good for TicketLife, but not beyond the end of the
// identity. If the identity came from a ticket, the new one ends with that: so the real
// verification, or the hook, is never skipped for longer than TicketLife. Issue returns
// "" if nothing is left of that time or the ticket would be larger than MaxTicket.
func (t *Tickets) Issue(id *Identity, now time.Time) string {
	end := now.Add(TicketLife).Unix()
	if id.Expires != 0 {
		end = min(end, id.Expires)
	}
	if id.ticketEnd != 0 {
		end = min(end, id.ticketEnd)
	}
	grants := id.Grants.Text()
	if end <= now.Unix() || len(grants)+6*len(id.User) > MaxTicket {
		return ""
	}
	body := make([]byte, 0, 112+len(id.User)+len(grants))
	body = append(body, `{"end":`...)
	body = strconv.AppendInt(body, end, 10)
	body = append(body, `,"expires":`...)
	body = strconv.AppendInt(body, id.Expires, 10)
	if issuer := id.Behind.Issuer; issuer != 0 {
		body = strconv.AppendUint(append(body, `,"issuer":`...), uint64(issuer), 10)
	}
	if id.Behind.Hook {
		body = append(body, `,"hook":true`...)
	}
	body = append(body, `,"user":`...)
	body = jsonscan.AppendString(body, id.User)
	body = append(body, `,"grants":`...)
	body = append(body, grants...)
	body = append(body, '}')

	text := append(make([]byte, 0, MaxTicket), TicketPrefix...)
	text = base64.RawURLEncoding.AppendEncode(text, body)
	mac := t.mac(t.keys[0], text)
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, mac)
	if len(text) > MaxTicket {
		return ""
	}
	return string(text)
}

func (t *Tickets) mac(key, text []byte) []byte {
	mac := newMAC(key)
	mac.Write(text)
	return mac.Sum(nil)
}

func newMAC(key []byte) hash.Hash { return hmac.New(sha256.New, key) }

// Open returns the identity that a ticket holds. The error is ErrTicketInvalid or
// ErrTicketExpired.
func (t *Tickets) Open(text []byte, now time.Time) (*Identity, error) {
	if len(text) > MaxTicket || !bytes.HasPrefix(text, []byte(TicketPrefix)) {
		return nil, ErrTicketInvalid
	}
	dot := bytes.LastIndexByte(text, '.')
	if dot < len(TicketPrefix) {
		return nil, ErrTicketInvalid
	}
	strict := base64.RawURLEncoding.Strict()
	mac, err := strict.AppendDecode(nil, text[dot+1:])
	if err != nil || !t.signed(text[:dot], mac) {
		return nil, ErrTicketInvalid
	}
	body, err := strict.AppendDecode(nil, text[len(TicketPrefix):dot])
	if err != nil {
		return nil, ErrTicketInvalid
	}
	id, err := t.read(body)
	if err != nil {
		return nil, ErrTicketInvalid
	}
	if now.Unix() >= id.ticketEnd {
		return nil, ErrTicketExpired
	}
	return id, nil
}

// signed tells whether a MAC was made with one of the keys.
func (t *Tickets) signed(text, mac []byte) bool {
	for _, key := range t.keys {
		if hmac.Equal(t.mac(key, text), mac) {
			return true
		}
	}
	return false
}

// read reads what Issue has written.
func (t *Tickets) read(body []byte) (*Identity, error) {
	id := &Identity{Grants: noGrants}
	members := jsonscan.NewObject(body)
	var m jsonscan.Member
	for members.Next(&m) {
		var err error
		switch string(m.Key) {
		case "end":
			id.ticketEnd, err = strconv.ParseInt(string(m.Value), 10, 64)
		case "expires":
			id.Expires, err = strconv.ParseInt(string(m.Value), 10, 64)
		case "issuer":
			var issuer uint64
			issuer, err = strconv.ParseUint(string(m.Value), 10, 64)
			id.Behind.Issuer = IssuerDigest(issuer)
		case "hook":
			id.Behind.Hook, err = strconv.ParseBool(string(m.Value))
		case "user":
			var user []byte
			user, err = jsonscan.Unquote(m.Value)
			id.User = string(user)
		case "grants":
			id.Grants, err = t.interner.Parse(m.Value)
		}
		if err != nil {
			return nil, fmt.Errorf("reading a ticket's %s: %w", m.Key, err)
		}
	}
	return id, members.Err()
}
