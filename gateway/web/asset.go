package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// asset is a file that does not change while the process runs.
type asset struct {
	contentType string
	plain       variant
	// gzipped has no body if it would not be worth it. It is made when it is
	// first asked for: a gateway that no browser looks at needs none.
	gzipped func() variant
}

// variant is one encoding of an asset, with its entity tag.
type variant struct {
	body []byte
	tag  string
}

// worthwhile is the share of its size that an asset must lose to be sent
// compressed: one tenth.
const worthwhile = 10

func newAsset(contentType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	name := hex.EncodeToString(sum[:12])
	return &asset{
		contentType: contentType,
		plain:       variant{body, strconv.Quote(name)},
		gzipped: sync.OnceValue(func() (v variant) {
			if compressed := compress(body); len(compressed) < len(body)-len(body)/worthwhile {
				v = variant{compressed, strconv.Quote(name + "-gzip")}
			}
			return v
		}),
	}
}

func compress(body []byte) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is right
	}
	_, _ = w.Write(body) // to memory
	_ = w.Close()
	return out.Bytes()
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Content-Type", a.contentType)
	header.Set("Cache-Control", "no-cache") // kept, and asked for by its tag
	v := a.plain
	header.Set("Vary", "Accept-Encoding")
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		if zipped := a.gzipped(); zipped.body != nil {
			v = zipped
			header.Set("Content-Encoding", "gzip")
			header.Set("Content-Length", strconv.Itoa(len(v.body))) // ServeContent leaves it to us
		}
	}
	header.Set("Etag", v.tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(v.body))
}

// acceptsGzip reads the values of Accept-Encoding (RFC 9110, section 12.5.3). A
// client that names no encoding gets none.
func acceptsGzip(values []string) bool {
	accepted := map[string]bool{}
	for coding := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, parameters, _ := strings.Cut(coding, ";")
		accepted[strings.ToLower(strings.TrimSpace(name))] = wanted(parameters)
	}
	if named, ok := accepted["gzip"]; ok {
		return named
	}
	return accepted["*"]
}

// wanted tells whether a coding's parameters give it a weight over 0. One that
// cannot be read does not.
func wanted(parameters string) bool {
	key, value, found := strings.Cut(parameters, "=")
	if !found {
		return strings.TrimSpace(parameters) == ""
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && weight > 0 && strings.EqualFold(strings.TrimSpace(key), "q")
}
