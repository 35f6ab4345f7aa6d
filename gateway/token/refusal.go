package token

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"fleetcast/gateway/identity"
)

// Reasons of refusals. They are an interface: clients, metrics and dashboards know them.
const (
	Malformed     = "token_malformed"      // no JSON Web Token, or one of a kind that is not taken
	Invalid       = "token_invalid"        // its signature is not that of a key of its issuer
	UnknownKey    = "token_unknown_key"    // its issuer has no key with its key id
	UnknownIssuer = "token_unknown_issuer" // nobody that is trusted
	Expired       = "token_expired"
	NotYetValid   = "token_not_yet_valid"
	NoExpiry      = "token_no_expiry"
	WrongAudience = "token_wrong_audience"
	TooLarge      = "token_too_large"
	BadClaims     = "token_bad_claims" // signed, but its user or its grants make no sense
	WrongUse      = "token_wrong_use"  // for connections where it is for a subscription, or the reverse, or for another user or channel
	TicketInvalid = "ticket_invalid"
	TicketExpired = "ticket_expired"

	Busy            = "verification_busy" // temporary
	KeysUnavailable = "keys_unavailable"  // temporary
)

// reasons are all reasons.
var reasons = []string{Malformed, Invalid, UnknownKey, UnknownIssuer, Expired, NotYetValid, NoExpiry, WrongAudience,
	TooLarge, BadClaims, WrongUse, TicketInvalid, TicketExpired, Busy, KeysUnavailable}

// Reasons are all reasons, in a fixed order.
func Reasons() []string { return slices.Clone(reasons) }

// Refusal is why a token was not accepted.
type Refusal struct {
	Reason  string // one of Reasons
	Message string // one line for a developer: what is wrong, and what would be right
	// Temporary means that the token may be good: the client should try again with it.
	Temporary bool
}

func (r *Refusal) Error() string { return r.Reason + ": " + r.Message }

// maxMessage bounds messages that quote something of the token, in bytes.
const maxMessage = 300

func refuse(reason, format string, args ...any) *Refusal {
	message := fmt.Sprintf(format, args...)
	if len(message) > maxMessage {
		end := maxMessage - len("...")
		for !utf8.RuneStart(message[end]) { // clients take valid UTF-8 only
			end--
		}
		message = message[:end] + "..."
	}
	return &Refusal{Reason: reason, Message: message, Temporary: reason == Busy || reason == KeysUnavailable}
}

// Verdict is the answer about a token or a resume ticket. Exactly one of its fields is
// set.
type Verdict struct {
	Identity *identity.Identity
	Refusal  *Refusal
}
