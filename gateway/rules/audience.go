package rules

import (
	"fmt"
	"slices"
)

// Audience is which clients may do a thing with a channel: subscribe to it, or publish
// to it.
type Audience uint8

const (
	// Anyone is every client, with an identity or without one.
	Anyone Audience = iota
	// Users are the clients that have a user, and those whose token grants it.
	Users
	// Tokens are the clients whose token grants it.
	Tokens
	// Nobody is no client. Tokens do not count.
	Nobody
	audienceCount
)

var audienceNames = [audienceCount]string{Anyone: "anyone", Users: "user", Tokens: "token", Nobody: "nobody"}

// String is the audience's name in the configuration.
func (a Audience) String() string {
	if a < audienceCount {
		return audienceNames[a]
	}
	return fmt.Sprintf("Audience(%d)", uint8(a))
}

// Check returns an error if there is no such audience.
func (a Audience) Check() error {
	if a >= audienceCount {
		return fmt.Errorf("%v, which there is not", a)
	}
	return nil
}

func parseAudience(name string) (Audience, error) {
	if i := slices.Index(audienceNames[:], name); i >= 0 {
		return Audience(i), nil
	}
	return 0, fmt.Errorf("%.80q says of no client that it may; choose anyone, user, token or nobody", name)
}
