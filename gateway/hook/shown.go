package hook

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"fleetcast/gateway/stats"
)

// shownAnswer is the beginning of an answer that is none, for a log line: one line, short, and
// without what the endpoint was sent as a secret, by clients or by the gateway. Endpoints repeat
// their requests in errors.
func (h *Hook) shownAnswer(f *failure) string {
	text := conceal(string(f.answer[:min(len(f.answer), smallBody)]), append(h.options.secrets(), f.secrets...))
	var line strings.Builder
	for _, r := range strings.Join(strings.Fields(strings.ToValidUTF8(text, "\ufffd")), " ") {
		if unicode.IsPrint(r) {
			line.WriteRune(r)
		} else {
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return stats.Clip(line.String())
}

// secretSegment is from which length on a segment of the URL's path may be a secret, in bytes.
// Endpoints name their path in errors, and operators want to see that.
const secretSegment = 16

// secrets are what every request has in it.
func (o *Options) secrets() (all []string) {
	for _, values := range o.Header {
		for _, value := range values {
			_, credentials, _ := strings.Cut(value, " ") // behind Bearer
			all = append(all, value, credentials)
		}
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return all
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if len(segment) >= secretSegment {
			all = append(all, segment)
		}
	}
	return append(all, querySecrets(u.RawQuery)...)
}

// querySecrets are a query and the values in it, as they are and unescaped.
func querySecrets(query string) []string {
	all := []string{query}
	for part := range strings.SplitSeq(query, "&") {
		_, value, _ := strings.Cut(part, "=")
		all = append(all, part, value)
		if unescaped, err := url.QueryUnescape(value); err == nil && unescaped != value {
			all = append(all, unescaped)
		}
	}
	return all
}

// A part of a secret is concealed as well, because endpoints cut texts: any that has pieceBytes.
// What is shorter than leastSecret is none, and would be found in any text.
const (
	pieceBytes  = 8
	leastSecret = 4
)

// conceal replaces secrets in a text, and parts of them, as they are or as JSON and URLs escape
// them.
func conceal(text string, secrets []string) string {
	pieces := map[string]bool{}
	for _, secret := range secrets {
		for _, form := range escaped(secret) {
			for i := 0; i == 0 || i+pieceBytes <= len(form); i++ {
				pieces[form[i:min(i+pieceBytes, len(form))]] = true
			}
		}
	}
	secret := make([]bool, len(text))
	for i := range len(text) {
		for n := leastSecret; n <= pieceBytes && i+n <= len(text); n++ {
			if pieces[text[i:i+n]] {
				for j := i; j < i+n; j++ {
					secret[j] = true
				}
			}
		}
	}
	var shown strings.Builder
	for i := range len(text) {
		switch {
		case !secret[i]:
			shown.WriteByte(text[i])
		case i == 0 || !secret[i-1]:
			shown.WriteString("…")
		}
	}
	return shown.String()
}

// escaped is a secret in the forms in which an answer may have it.
func escaped(secret string) []string {
	quoted, err := json.Marshal(secret)
	if err != nil {
		return []string{secret}
	}
	return []string{secret, strings.Trim(string(quoted), `"`), strings.ReplaceAll(secret, "/", `\/`), url.QueryEscape(secret)}
}
