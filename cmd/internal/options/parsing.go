package options

import (
	"errors"
	"fmt"
	"reflect"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

// Parsing is how a parser with options, and with the flags of other commands, takes and
// shows them.
func Parsing() []kong.Option {
	return []kong.Option{
		kong.ValueFormatter(helpFor),
		kong.KindMapper(reflect.String, kong.MapperFunc(takeText)),
		kong.ExplicitGroups(groups),
	}
}

// takeText is how arguments, flags and variables that are texts are taken. The
// parser's own way puts U+FFFD where a text is no UTF-8, which makes another
// channel of one.
func takeText(ctx *kong.DecodeContext, target reflect.Value) error {
	t, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	text, ok := t.Value.(string)
	if !ok {
		text = fmt.Sprint(t.Value) // a default of another kind
	}
	if !utf8.ValidString(text) {
		return ErrNotText
	}
	target.SetString(text)
	return nil
}

// ErrNotText says that a text is no UTF-8.
var ErrNotText = errors.New("is not valid UTF-8")
