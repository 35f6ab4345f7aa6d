package token

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"fleetcast/codec/jsonscan"
)

// MaxToken is the size of the largest token, in bytes.
const MaxToken = 4096

// maxMembers is how many members a token's head, its claims, and each object on the way
// to a nested claim may have. It bounds the search for repeated ones.
const maxMembers = 128

// parsed is a token in its parts, not verified. Its slices are of its own memory.
type parsed struct {
	text      []byte
	signed    []byte // the part of text that the signature is for
	signature []byte
	alg       string
	kid       string
	claims    object

	room   [usualMembers]jsonscan.Member // of claims, if there are no more
	memory []byte
}

// usualMembers is how many members the claims of most tokens have at most.
const usualMembers = 8

// parse takes a token apart. known are heads that came before, nil if there are none. The
// refusals are Malformed, or Invalid for an algorithm that is never taken.
func (p *parsed) parse(text []byte, known *heads) *Refusal {
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 { // which base64 skips
		return notToken(text)
	}
	switch bytes.Count(text, []byte{'.'}) {
	case 2:
	case 4:
		return p.malformed(text, "the token is encrypted (JWE); it must be signed only (JWS)")
	default:
		return p.malformed(text, "the token is not a JSON Web Token: that has three parts with dots between them")
	}
	first, last := bytes.IndexByte(text, '.'), bytes.LastIndexByte(text, '.')
	p.memory = append(slices.Grow(p.memory[:0], 2*len(text)), text...)
	p.text, p.signed = p.memory, p.memory[:last]
	var decoded [3][]byte
	for i, part := range [...][]byte{text[:first], text[first+1 : last], text[last+1:]} {
		free := p.memory[len(p.memory):]
		var err error
		if decoded[i], err = base64url.AppendDecode(free, part); err != nil {
			return p.malformed(text, "the token's "+partNames[i]+" is not base64url")
		}
		p.memory = p.memory[:len(p.memory)+len(decoded[i])]
	}
	p.signature = decoded[2]
	if refusal := p.parseHead(text[:first], decoded[0], known); refusal != nil {
		return refusal
	}
	var problem string
	if p.claims, problem = newObject(decoded[1], p.room[:0]); problem != "" {
		if nested(decoded[1]) {
			return refuse(Malformed, "the token holds another token; nested tokens are not taken")
		}
		return refuse(Malformed, "the token's claims: the object %s", problem)
	}
	if len(p.signature) == 0 {
		return refuse(Invalid, "the token is not signed")
	}
	return nil
}

// malformed is the refusal of a text that is no token, for a reason that counts if all of its
// characters are those of one.
func (p *parsed) malformed(text []byte, reason string) *Refusal {
	for _, c := range text {
		if !isTokenByte(c) {
			return notToken(text)
		}
	}
	return refuse(Malformed, "%s", reason)
}

// parseHead reads the head, unless it is known. The tokens of an issuer have equal ones.
func (p *parsed) parseHead(text, decoded []byte, known *heads) *Refusal {
	if p.alg, p.kid = known.find(text); p.alg != "" {
		return nil
	}
	var room [4]jsonscan.Member
	head, problem := newObject(decoded, room[:0])
	if problem != "" {
		return refuse(Malformed, "the token's head %s", problem)
	}
	if refusal := p.readHead(head); refusal != nil {
		return refusal
	}
	known.put(text, p.alg, p.kid)
	return nil
}

var base64url = base64.RawURLEncoding.Strict()

var partNames = []string{"head", "claims", "signature"}

// isTokenByte tells whether c is one of base64url's or a dot.
func isTokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

// notToken says what else a text with other characters may be.
func notToken(text []byte) *Refusal {
	switch {
	case len(text) > 7 && strings.EqualFold(string(text[:7]), "bearer "):
		return refuse(Malformed, "the token begins with the word Bearer; leave it out")
	case bytes.ContainsAny(text, "=+/"):
		return refuse(Malformed, "the token is not base64url without padding")
	case len(text) > 0 && text[0] == '"':
		return refuse(Malformed, "the token has quotes around it")
	}
	return refuse(Malformed, "the token has characters that no JSON Web Token has")
}

// nested tells whether the claims are the text of a token.
func nested(claims []byte) bool {
	return bytes.HasPrefix(claims, []byte("eyJ")) && bytes.Count(claims, []byte{'.'}) >= 2
}

// readHead reads what a token's head says.
func (p *parsed) readHead(head object) *Refusal {
	for _, m := range head {
		switch string(m.Key) {
		case "crit":
			return refuse(Malformed, "the token demands extensions (crit), of which none are known")
		case "b64":
			return refuse(Malformed, "the token has a head b64, which is not taken")
		case "enc", "zip":
			return refuse(Malformed, "the token is encrypted (JWE); it must be signed only (JWS)")
		case "cty":
			if kind, _ := jsonscan.Unquote(m.Value); strings.EqualFold(string(kind), "JWT") {
				return refuse(Malformed, "the token holds another token; nested tokens are not taken")
			}
		case "alg":
			alg, err := jsonscan.Unquote(m.Value)
			if err != nil {
				return refuse(Malformed, "the token's alg is not a text")
			}
			p.alg = string(alg)
		case "kid":
			kid, err := jsonscan.Unquote(m.Value)
			if err != nil {
				return refuse(Malformed, "the token's kid is not a text")
			}
			p.kid = string(kid)
		}
	}
	switch {
	case p.alg == "":
		return refuse(Malformed, "the token's head names no algorithm (alg)")
	case isNone(p.alg):
		return refuse(Invalid, "the token is not signed: its algorithm is none")
	}
	if _, known := algorithms[p.alg]; !known {
		return refuse(Invalid, "the token's algorithm %.20q is not one of %s", p.alg, algorithmNames)
	}
	return nil
}

// object are the members of a JSON object, each of which is there once.
type object []jsonscan.Member

// newObject reads an object into room, which it makes larger if it must. The problem is
// empty or what is wrong with it, as the end of a sentence that begins with its name.
func newObject(text []byte, room object) (members object, problem string) {
	members = room
	walk := jsonscan.NewObject(text)
	var m jsonscan.Member
	for walk.Next(&m) {
		if len(members) == maxMembers {
			return nil, "has too many members"
		}
		if _, again := members.get(string(m.Key)); again {
			return nil, "has a member twice"
		}
		members = append(members, m)
	}
	if walk.Err() != nil {
		return nil, "is not a JSON object"
	}
	return members, ""
}

// get returns the raw value of a member.
func (o object) get(name string) (raw []byte, found bool) {
	for i := range o {
		if string(o[i].Key) == name {
			return o[i].Value, true
		}
	}
	return nil, false
}

// find follows a path through nested objects. Nothing is found where one of them is
// missing or null. The problem is as that of newObject.
func (o object) find(path []string) (raw []byte, problem string) {
	for i, name := range path {
		raw, found := o.get(name)
		if !found || string(raw) == "null" {
			return nil, ""
		}
		if i == len(path)-1 {
			return raw, ""
		}
		if o, problem = newObject(raw, nil); problem != "" {
			return nil, problem
		}
	}
	return nil, ""
}

// claimPath is the way to a claim: see Issuer.Claim.
func claimPath(name string) []string {
	if strings.ContainsAny(name, ":/") {
		return []string{name}
	}
	return strings.Split(name, ".")
}
