package publisher

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"fleetcast/codec/jsonscan"
)

// CodeInvalidKey is the code of the refusal of the key in [Config.Key], and
// CodeAuthenticationRequired that of a gateway that wants one where none is given. Dial
// fails with them; later, attempts to reconnect go on.
const (
	CodeInvalidKey             = "invalid_key"
	CodeAuthenticationRequired = "authentication_required"
)

// maxAuthReply is the length of the longest answer to a key, in bytes.
const maxAuthReply = 4 << 10

// authLines is how many lines a connection has before its first request, and how many of
// them are answered.
const authLines = 1

// errHTTP is for an address that is that of another port of the gateway, or of another
// server.
var errHTTP = fmt.Errorf("%w: it is HTTP; the address must be that of a publish port", ErrProtocol)

func isHTTP(line []byte) bool { return bytes.HasPrefix(line, []byte("HTTP/")) }

// authenticate shows the key on a new connection and waits for the answer. No error has
// the key.
func (c *Config) authenticate(conn net.Conn) error {
	key, err := c.Key()
	if err != nil {
		return fmt.Errorf("the key: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(c.DialTimeout)); err != nil {
		return err
	}
	line := jsonscan.AppendString([]byte(`{"id":1,"auth":`), key)
	if _, err := conn.Write(append(line, "}\n"...)); err != nil {
		return fmt.Errorf("showing the key: %w", err)
	}
	// Nothing else comes before the first request.
	answer, err := bufio.NewReaderSize(conn, maxAuthReply).ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("waiting for the answer to the key: %w", err)
	}
	var reply struct {
		Authenticated *string
		Error         *wireError
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		if isHTTP(answer) {
			return errHTTP
		}
		return fmt.Errorf("%w: the answer to the key is no JSON", ErrProtocol)
	}
	switch {
	case reply.Error != nil:
		return &Error{Code: reply.Error.Code, Message: reply.Error.Message, RetryAfter: time.Duration(min(reply.Error.RetryAfterMS, maxRetryAfterMS)) * time.Millisecond}
	case reply.Authenticated == nil:
		return fmt.Errorf("%w: %w", ErrProtocol, errors.New("the answer to the key has no known shape"))
	}
	return conn.SetDeadline(time.Time{})
}
