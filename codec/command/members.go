package command

import (
	"fmt"
	"slices"

	"fleetcast/codec/jsonscan"
)

// EachMember calls take with every member of a JSON object, whose keys must be among
// those known, each at most once. The error is an [Error] or what take returns.
func EachMember(body []byte, known []string, take func(key string, value []byte) error) error {
	object := jsonscan.NewObject(body)
	var member jsonscan.Member
	var seen []string
	for object.Next(&member) {
		key := string(member.Key)
		switch {
		case !slices.Contains(known, key):
			return &Error{Code: BadRequest, Message: fmt.Sprintf("there is no key %.100q here", key)}
		case slices.Contains(seen, key):
			return &Error{Code: BadRequest, Message: fmt.Sprintf("the key %s is repeated", key)}
		}
		seen = append(seen, key)
		if err := take(key, member.Value); err != nil {
			return err
		}
	}
	if err := object.Err(); err != nil {
		return SyntaxError(body, err, object.Offset())
	}
	return nil
}
