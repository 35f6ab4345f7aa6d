//go:build long

package gateway_test

import "testing"

// The tests of guesses with ten thousand of them.

func TestLongGuessedKeys(t *testing.T)   { guessKeys(t, 10_000) }
func TestLongGuessedTokens(t *testing.T) { guessTokens(t, 10_000) }
func TestLongForgedES256(t *testing.T)   { forgeES256(t, 10_000) }
