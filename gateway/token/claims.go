package token

import (
	"math"
	"slices"
	"strconv"
	"time"

	"fleetcast/codec/jsonscan"
	"fleetcast/gateway/identity"
	"fleetcast/gateway/rules"
)

// channelClaim is what makes a token one for a subscription.
const channelClaim = "channel"

// accepted is what a good token says. It is immutable.
type accepted struct {
	identity *identity.Identity
	// channels are those of a token for a subscription, and nil in one for a connection.
	channels rules.Patterns
}

// issuerOf chooses the issuer of a token by its exact claim iss.
func (v *Verifier) issuerOf(p *parsed) (*issuer, *Refusal) {
	raw, found := p.claims.get("iss")
	if !found {
		if i := v.issuers[""]; i != nil {
			return i, nil
		}
		return nil, refuse(UnknownIssuer, "the token names no issuer (iss)")
	}
	iss, err := jsonscan.Unquote(raw)
	if err != nil {
		return nil, refuse(Malformed, "the token's issuer (iss) is not a text")
	}
	if i := v.issuers[string(iss)]; i != nil {
		return i, nil
	}
	if i := v.issuers[""]; i != nil {
		return i, nil
	}
	if v.issuers[string(iss)+"/"] != nil || len(iss) > 1 && iss[len(iss)-1] == '/' && v.issuers[string(iss[:len(iss)-1])] != nil {
		return nil, refuse(UnknownIssuer, "the token's issuer %.120q differs from a known one by a slash at its end", iss)
	}
	return nil, refuse(UnknownIssuer, "the token's issuer %.120q is not known here", iss)
}

// checkTimes checks what costs nothing before the signature: the time and the audience.
// The end is the claim exp in Unix seconds.
func (v *Verifier) checkTimes(i *issuer, p *parsed, now time.Time) (end int64, refusal *Refusal) {
	raw, found := p.claims.get("exp")
	if !found {
		return 0, refuse(NoExpiry, "the token never expires; it must have the claim exp")
	}
	end, ok := numericDate(raw)
	if !ok {
		return 0, refuse(Malformed, "the token's exp is not a number of seconds")
	}
	if ago := now.Unix() - end; ago >= v.leeway {
		return 0, refuse(Expired, "the token expired %v ago", seconds(ago))
	}
	if raw, found := p.claims.get("nbf"); found {
		begin, ok := numericDate(raw)
		if !ok {
			return 0, refuse(Malformed, "the token's nbf is not a number of seconds")
		}
		if left := begin - now.Unix(); left > v.leeway {
			return 0, refuse(NotYetValid, "the token is not valid before %v from now; are the clocks right?", seconds(left))
		}
	}
	return end, checkAudience(i.config.Audience, p)
}

// seconds is a duration for a message, a long one as just that.
func seconds(n int64) time.Duration {
	return time.Duration(min(n, int64(100*365*24*time.Hour/time.Second))) * time.Second
}

// numericDate reads a time in Unix seconds. What comes after the point is cut off. Times
// beyond identity.Latest, and as far before 1970, become those.
func numericDate(raw []byte) (int64, bool) {
	if len(raw) == 0 || len(raw) > 40 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	value, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, false
	}
	return int64(math.Floor(max(-identity.Latest, min(value, identity.Latest)))), true
}

// checkAudience tells whether a token is for one of the audiences, if there are any.
func checkAudience(audiences []string, p *parsed) *Refusal {
	if len(audiences) == 0 {
		return nil
	}
	named, found, refusal := p.audiences()
	switch {
	case refusal != nil:
		return refusal
	case !found:
		return refuse(WrongAudience, "the token names no audience (aud); it must name %.120q", audiences[0])
	}
	for _, audience := range audiences {
		if slices.Contains(named, audience) {
			return nil
		}
	}
	return refuse(WrongAudience, "the token is for another audience (aud); it must name %.120q", audiences[0])
}

// audiences are those that a token names: one text, or a list of texts.
func (p *parsed) audiences() (named []string, found bool, refusal *Refusal) {
	raw, found := p.claims.get("aud")
	if !found {
		return nil, false, nil
	}
	if jsonscan.IsString(raw) {
		one, err := jsonscan.Unquote(raw)
		if err != nil {
			return nil, true, refuse(Malformed, "the token's aud is not a text")
		}
		return []string{string(one)}, true, nil
	}
	all := jsonscan.NewArray(raw)
	var element []byte
	for all.Next(&element) {
		one, err := jsonscan.Unquote(element)
		if err != nil {
			return nil, true, refuse(Malformed, "the token's aud is neither a text nor a list of texts")
		}
		named = append(named, string(one))
	}
	if all.Err() != nil {
		return nil, true, refuse(Malformed, "the token's aud is neither a text nor a list of texts")
	}
	return named, true, nil
}

// read makes an identity of a token whose signature is good.
func (v *Verifier) read(i *issuer, p *parsed, end int64) (*accepted, *Refusal) {
	raw, problem := p.claims.find(i.user)
	if problem != "" {
		return nil, refuse(BadClaims, "on the way to the claim %.120q, an object %s", i.config.UserClaim, problem)
	}
	user, ok := userName(raw)
	if !ok {
		return nil, refuse(BadClaims, "the token's user, its claim %.120q, is neither a text nor a whole number", i.config.UserClaim)
	}
	if err := identity.CheckUser(user); err != nil {
		return nil, refuse(BadClaims, "the token's claim %.120q: %v", i.config.UserClaim, err)
	}
	a := &accepted{identity: &identity.Identity{User: user, Grants: identity.Anonymous().Grants, Expires: end, Behind: identity.Behind{Issuer: i.digest}}}
	if raw, problem = p.claims.find(i.claim); problem != "" {
		return nil, refuse(BadClaims, "on the way to the claim %.120q, an object %s", i.config.Claim, problem)
	}
	if raw != nil {
		grants, err := v.interner.Parse(raw)
		if err != nil {
			return nil, refuse(BadClaims, "the token's claim %.120q: %v", i.config.Claim, err)
		}
		a.identity.Grants = grants
	}
	if raw, found := p.claims.get(channelClaim); found {
		pattern, err := jsonscan.Unquote(raw)
		if err != nil {
			return nil, refuse(BadClaims, "the token's claim %q is not a text", channelClaim)
		}
		if a.channels, err = rules.ParsePatterns([]string{string(pattern)}); err != nil {
			return nil, refuse(BadClaims, "the token's claim %q: %v", channelClaim, err)
		}
	}
	return a, nil
}

// userName reads a user: a text, or the whole number that some issuers have. No value is
// no user.
func userName(raw []byte) (string, bool) {
	if raw == nil {
		return "", true
	}
	if number, ok := jsonscan.Uint(raw); ok {
		return strconv.FormatUint(number, 10), true
	}
	text, err := jsonscan.Unquote(raw)
	return string(text), err == nil
}
