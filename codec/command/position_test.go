package command

import (
	"strings"
	"testing"
)

func TestParsePosition(t *testing.T) {
	const form, large = "a position is EPOCH:OFFSET", "at most 9007199254740991"
	tests := map[string]struct{ epoch, offset, err string }{
		"ZbTWIsyu:17":            {epoch: "ZbTWIsyu", offset: "17"},
		"a:0":                    {epoch: "a", offset: "0"},
		"a:b:3":                  {epoch: "a:b", offset: "3"},
		"é\":9007199254740991":   {epoch: "é\"", offset: "9007199254740991"},
		"":                       {err: form},
		":":                      {err: form},
		":17":                    {err: form},
		"17":                     {err: form},
		"a:":                     {err: form},
		"a:-1":                   {err: form},
		"a:+1":                   {err: form},
		"a:1.0":                  {err: form},
		"a: 1":                   {err: form},
		"a:1 ":                   {err: form},
		"a:0x1":                  {err: form},
		"a:1_0":                  {err: form},
		"\xff:1":                 {err: form},
		"a:9007199254740992":     {err: large},
		"a:18446744073709551616": {err: large},
	}
	for text, test := range tests {
		since, err := ParsePosition(text)
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: %v, %v; want the error %q", text, since, err, test.err)
			}
			continue
		}
		if err != nil || string(since.Epoch) != test.epoch || since.String() != test.epoch+":"+test.offset || since.String() != text {
			t.Errorf("%q: %v, %v", text, since, err)
		}
	}
}
