package shard

import (
	"bytes"
	"net/http"

	"fleetcast/codec/websocket"
	"fleetcast/gateway/token"
)

// place is where in its request a client has shown its token.
type place uint8

const (
	placeNone          place = iota
	placeAuthorization       // Authorization: Bearer T
	placeSubprotocol         // Sec-WebSocket-Protocol: fleetcast.v1, bearer.T
	placeCookie              // Cookie: NAME=T
)

// shown is the token that a client has shown, and what is left to find out about it.
type shown struct {
	token []byte
	at    place
	left  *token.Question // see authority.Question
}

// bearerPrefix is how the subprotocol begins by which a browser shows a token. It is
// never accepted as a subprotocol, so the token is not echoed.
const bearerPrefix = "bearer."

// ReasonBadCredentials counts requests from which it cannot be told which token counts.
const ReasonBadCredentials = "bad_credentials"

func badCredentials(message string) *websocket.HandshakeError {
	return &websocket.HandshakeError{Status: http.StatusBadRequest, Reason: ReasonBadCredentials, Message: message}
}

var (
	errTwoTokens    = badCredentials("the request shows more than one token; send one, in Authorization or as the subprotocol bearer.TOKEN")
	errNotBearer    = badCredentials("Authorization has no token behind Bearer, or something behind the token")
	errBearerAlone  = badCredentials("the subprotocol bearer.TOKEN only shows a token; offer the protocol too, such as fleetcast.v1")
	errCookieOrigin = &websocket.HandshakeError{Status: http.StatusForbidden, Reason: websocket.ReasonForbiddenOrigin,
		Message: "a token in a cookie needs an Origin, which browsers send"}
)

// credentials finds the token in a request that was accepted as hs, which lies in head. A
// cookie counts if it has a name and nothing else shows a token.
func credentials(head []byte, hs *websocket.Handshake, cookie string) (token []byte, at place, refused *websocket.HandshakeError) {
	var room [4][]byte
	for _, value := range websocket.FieldValues(room[:0], head, "authorization") {
		scheme, rest := value, []byte(nil)
		if end := bytes.IndexAny(value, " \t"); end >= 0 {
			scheme, rest = value[:end], bytes.Trim(value[end:], " \t")
		}
		if !bytes.EqualFold(scheme, []byte("bearer")) {
			continue // it is for a proxy, which passes it on
		}
		switch {
		case at != placeNone:
			return nil, at, errTwoTokens
		case len(rest) == 0 || bytes.ContainsAny(rest, " \t"):
			return nil, at, errNotBearer
		}
		token, at = rest, placeAuthorization
	}
	for _, value := range websocket.FieldValues(room[:0], head, "sec-websocket-protocol") {
		for name := range bytes.SplitSeq(value, []byte(",")) {
			bearer, isBearer := bytes.CutPrefix(bytes.Trim(name, " \t"), []byte(bearerPrefix))
			switch {
			case !isBearer:
				continue
			case at != placeNone:
				return nil, at, errTwoTokens
			case hs.Subprotocol == "":
				return nil, at, errBearerAlone
			}
			token, at = bearer, placeSubprotocol
		}
	}
	if at != placeNone || cookie == "" {
		return token, at, nil
	}
	return cookieToken(head, hs, cookie)
}

// cookieToken finds the token in a cookie (RFC 6265, 5.4). A browser sends cookies with
// requests that any page makes, so the origin must have been checked.
func cookieToken(head []byte, hs *websocket.Handshake, cookie string) (token []byte, at place, refused *websocket.HandshakeError) {
	var room [4][]byte
	for _, value := range websocket.FieldValues(room[:0], head, "cookie") {
		for pair := range bytes.SplitSeq(value, []byte(";")) {
			name, text, _ := bytes.Cut(bytes.Trim(pair, " \t"), []byte("="))
			if string(name) != cookie || len(text) == 0 {
				continue
			}
			if at != placeNone {
				return nil, at, errTwoTokens
			}
			token, at = text, placeCookie
		}
	}
	if at == placeCookie && len(hs.Origin) == 0 {
		return nil, at, errCookieOrigin
	}
	return token, at, nil
}
