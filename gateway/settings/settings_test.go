package settings

import (
	"testing"

	"fleetcast/codec/deflate"
)

func TestInboundOf(t *testing.T) {
	for _, tt := range []struct {
		agreed deflate.Params
		bits   int
	}{
		{deflate.Params{ClientNoContext: true}, 0}, {deflate.Params{ClientNoContext: true, ClientBits: 9}, 0},
		{deflate.Params{}, 15}, {deflate.Params{ClientBits: 12}, 12}, {deflate.Params{ClientBits: 9}, 9},
		{deflate.Params{ClientBits: 8}, 9}, // zlib takes 9 bits where 8 were agreed on
	} {
		i := InboundOf(tt.agreed)
		if i == InboundPlain || i >= inboundCount || i.contextBits() != tt.bits {
			t.Errorf("%+v: %d bits", tt.agreed, i.contextBits())
		}
	}
}
