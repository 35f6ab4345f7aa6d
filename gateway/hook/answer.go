package hook

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/stats"
)

// verdict is what an answer says: it allows, or it has a refusal.
type verdict struct {
	identity *identity.Identity // of an answer of the connect hook that allows
	expires  int64              // when what is allowed ends, in Unix seconds; 0 is never
	refusal  *Refusal
}

// reader reads the answers of one kind of hook. now is the time of the answer.
type reader func(text []byte, now time.Time) (verdict, error)

// readConnect reads answers of the connect hook. A permission needs the member "user",
// even if it is empty: an object that somebody meant otherwise must not let clients in.
// For the same reason members that are not known are errors.
func readConnect(grants *identity.Interner) reader {
	return func(text []byte, now time.Time) (verdict, error) { return readConnectAnswer(grants, text, now) }
}

func readConnectAnswer(grants *identity.Interner, text []byte, now time.Time) (v verdict, err error) {
	m, err := membersOf(text, "user", "grants", "subscriptions", "expires_in_ms", "refuse")
	if err != nil {
		return verdict{}, err
	}
	if m["refuse"] != nil {
		return readRefuse(m)
	}
	if m["user"] == nil {
		return verdict{}, errors.New(`the answer has neither "user" nor "refuse"`)
	}
	who := &identity.Identity{}
	if who.User, err = readUser(m["user"]); err != nil {
		return verdict{}, err
	}
	if who.Grants, err = readGrants(grants, m["grants"], m["subscriptions"]); err != nil {
		return verdict{}, err
	}
	if who.Expires, err = readExpiry(m["expires_in_ms"], now); err != nil {
		return verdict{}, err
	}
	return verdict{identity: who, expires: who.Expires}, nil
}

// readSubscribe reads an answer of the subscribe hook.
func readSubscribe(text []byte, now time.Time) (v verdict, err error) {
	m, err := membersOf(text, "allow", "expires_in_ms", "refuse")
	if err != nil {
		return verdict{}, err
	}
	switch allow := string(m["allow"]); {
	case m["refuse"] != nil:
		return readRefuse(m)
	case allow == "false":
		return verdict{refusal: newRefusal("", "")}, nil
	case allow != "true":
		return verdict{}, errors.New(`the answer has neither "allow", which is true or false, nor "refuse"`)
	}
	v.expires, err = readExpiry(m["expires_in_ms"], now)
	return v, err
}

// membersOf reads an object that has no members but these, each once. Those that are null
// count as missing.
func membersOf(text []byte, known ...string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(known))
	seen := make(map[string]bool, len(known))
	o := jsonscan.NewObject(jsonscan.TrimMark(text))
	var m jsonscan.Member
	for o.Next(&m) {
		key := string(m.Key)
		switch {
		case !slices.Contains(known, key):
			return nil, fmt.Errorf("%.40q is none of %q", key, known)
		case seen[key]:
			return nil, fmt.Errorf("%q is there twice", key)
		}
		seen[key] = true
		if string(m.Value) != "null" {
			found[key] = m.Value
		}
	}
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("the answer is not a JSON object in UTF-8: %w at byte %d", err, o.Offset())
	}
	return found, nil
}

func readUser(raw []byte) (string, error) {
	name, err := jsonscan.Unquote(raw)
	if err != nil {
		return "", errors.New(`"user" is not a string; a number must be written in quotes`)
	}
	if err := identity.CheckUser(string(name)); err != nil {
		return "", fmt.Errorf(`"user": %w`, err)
	}
	return string(name), nil
}

// readGrants reads grants, and adds subscriptions to the channels that the client is
// subscribed to when it connects. Both may be nil.
func readGrants(in *identity.Interner, raw, subscriptions []byte) (*identity.Grants, error) {
	if raw == nil {
		raw = []byte("null")
	}
	if subscriptions == nil {
		return parseGrants(in.Parse, raw)
	}
	grants, err := parseGrants(identity.ParseGrants, raw)
	if err != nil {
		return nil, err
	}
	// The names and their number are checked where all grants are.
	more, err := identity.ParseGrants(slices.Concat([]byte(`{"auto":`), subscriptions, []byte("}")))
	if err != nil {
		return nil, fmt.Errorf(`"subscriptions" as %w`, err)
	}
	return withAuto(in, grants, more.Auto)
}

func parseGrants(parse func([]byte) (*identity.Grants, error), raw []byte) (*identity.Grants, error) {
	grants, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf(`"grants": %w`, err)
	}
	return grants, nil
}

// withAuto are grants with more channels in Auto.
func withAuto(in *identity.Interner, grants *identity.Grants, channels []string) (*identity.Grants, error) {
	lists := map[string][]string{}
	if err := json.Unmarshal([]byte(grants.Text()), &lists); err != nil {
		return nil, fmt.Errorf("read grants again: %w", err)
	}
	for _, channel := range channels {
		if !slices.Contains(lists["auto"], channel) {
			lists["auto"] = append(lists["auto"], channel)
		}
	}
	text, err := json.Marshal(lists)
	if err != nil {
		return nil, fmt.Errorf("write grants again: %w", err)
	}
	if grants, err = in.Parse(text); err != nil {
		return nil, fmt.Errorf(`"subscriptions" with those of "grants": %w`, err)
	}
	return grants, nil
}

// readExpiry is a time to live in milliseconds, which may be missing, as a moment in Unix
// seconds, identity.Latest at most. It is rounded up.
func readExpiry(raw []byte, now time.Time) (int64, error) {
	if raw == nil {
		return 0, nil
	}
	ms, ok := jsonscan.Uint(raw)
	if !ok || ms == 0 {
		return 0, errors.New(`"expires_in_ms" is not a whole number of milliseconds above 0`)
	}
	end := now.UnixMilli() + int64(ms)
	return min((end+999)/1000, identity.Latest), nil
}

// readRefuse reads the member "refuse", beside which there is no other.
func readRefuse(m map[string][]byte) (verdict, error) {
	if len(m) > 1 {
		return verdict{}, errors.New(`the answer has "refuse" and something else`)
	}
	inner, err := membersOf(m["refuse"], "reason", "message", "temporary")
	if err != nil {
		return verdict{}, fmt.Errorf(`"refuse": %w`, err)
	}
	var texts [2]string
	for i, name := range []string{"reason", "message"} {
		if raw := inner[name]; raw != nil {
			if !jsonscan.IsString(raw) {
				return verdict{}, fmt.Errorf(`"refuse": %q is not a string`, name)
			}
			texts[i] = string(jsonscan.AppendUnquoted(nil, raw))
		}
	}
	r := newRefusal(texts[0], texts[1])
	switch string(inner["temporary"]) {
	case "", "false":
	case "true":
		r.Temporary = true
	default:
		return verdict{}, errors.New(`"refuse": "temporary" is not true or false`)
	}
	return verdict{refusal: r}, nil
}

// newRefusal is a refusal by the endpoint. A reason that clients could not be told becomes
// "refused", and what cannot be shown in the message a space: the client is refused all the same.
func newRefusal(reason, message string) *Refusal {
	if !isReason(reason) {
		reason = ReasonRefused
	}
	message = strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, message))
	if message == "" {
		message = "the application has refused it"
	}
	return &Refusal{Reason: reason, Message: stats.Clip(message)}
}

// maxReason is the length of the longest reason, in bytes. A close frame has room for it.
const maxReason = 32

// isReason tells whether a text has 1 to 32 of a-z, 0-9 and _.
func isReason(text string) bool {
	return text != "" && len(text) <= maxReason && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
