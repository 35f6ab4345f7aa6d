package stats

import "regexp"

// secretForms are the texts that are secrets by their form: keys (package keys), resume
// tickets, and JSON Web Tokens, whose first part begins with {" in base64.
var secretForms = regexp.MustCompile(`(fck_|fct1\.|eyJ)[A-Za-z0-9_.~+/=-]+`)

// Redact replaces what looks like a secret in a text from outside, all but its first
// characters, which say what it is. Peers put secrets where none belong, into a name or a
// command that is misspelt, and the text then stands in a log.
func Redact(text string) string { return secretForms.ReplaceAllString(text, "$1…") }
