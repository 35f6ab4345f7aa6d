//go:build long

package gateway_test

import "testing"

func TestLongReloadUnderLoad(t *testing.T) { reloadUnderLoad(t, 1000) }
