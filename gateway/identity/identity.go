package identity

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Identity is who a client is and what it may. It is immutable: clients with the same
// token share one, and any goroutine may read it.
type Identity struct {
	// User is the user's name, of at most MaxUser bytes. It is empty for an anonymous
	// client and for a token that names no user.
	User string
	// Grants is never nil.
	Grants *Grants
	// Expires is when the identity ends, in Unix seconds; 0 is never. For a token it is
	// the claim exp. A token is accepted for a short time after that, because clocks
	// differ, so Expires may lie a little in the past.
	Expires int64
	// Behind is who has said so.
	Behind Behind
	// ticketEnd is the end of the ticket that the identity came from, in Unix seconds;
	// 0 if it did not come from one.
	ticketEnd int64
}

// FromTicket tells whether the identity came from a resume ticket.
func (i *Identity) FromTicket() bool { return i.ticketEnd != 0 }

// CheckUser checks a user's name: at most MaxUser bytes of UTF-8 without control
// characters. The empty name is nobody in particular, and right.
func CheckUser(name string) error {
	switch {
	case len(name) > MaxUser:
		return fmt.Errorf("a user's name is longer than %d bytes", MaxUser)
	case !utf8.ValidString(name):
		return errors.New("a user's name is not valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("a user's name has control characters")
	}
	return nil
}

// MaxUser is the length of the longest user name, in bytes.
const MaxUser = 255

// anonymous is never changed.
var anonymous = &Identity{Grants: noGrants}

// Anonymous is the identity of a client that has shown nothing: no user, no grants, no
// end. It is one and the same for all.
func Anonymous() *Identity { return anonymous }

// MaySubscribe tells whether the identity's own grants allow a subscription to a
// channel. What the channel's rule allows comes on top.
func (i *Identity) MaySubscribe(channel []byte) bool {
	return i.Grants.Subscribe.MatchUser(i.User, channel) || i.subscribesItself(channel)
}

// MayPublish tells whether the identity's own grants allow to publish to a channel.
func (i *Identity) MayPublish(channel []byte) bool {
	return i.Grants.Publish.MatchUser(i.User, channel)
}

// MayRead tells whether the identity's own grants allow to ask for the history of a channel
// that it may not subscribe to.
func (i *Identity) MayRead(channel []byte) bool { return i.Grants.History.MatchUser(i.User, channel) }

// Over tells whether the identity has ended at a moment in Unix seconds.
func (i *Identity) Over(now int64) bool { return i.Expires != 0 && now >= i.Expires }
