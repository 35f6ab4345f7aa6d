package docs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// internetPage is the how-to that TestOnTheInternet follows.
const internetPage = "how-to/on-the-internet.md"

// newOnTheInternet returns a reader of the how-to. Its server has a certificate for
// example.com, the program, and the library that npm would install.
func newOnTheInternet(t *testing.T) *reader {
	t.Helper()
	r := newReader(t, internetPage, "bash", "curl", "nc", "redis-cli", "node", "/usr/bin/python3", "/usr/sbin/nginx")
	if err := exec.Command("/usr/bin/python3", "-c", "import jwt").Run(); err != nil {
		t.Skipf("%s is not run: no PyJWT (python3-jwt): %v", r.page, err)
	}
	const modules = "/usr/local/lib/node_modules"
	if _, err := os.Stat(modules + "/jose"); err != nil {
		t.Skipf("%s is not run: %v (npm install --global jose)", r.page, err)
	}
	for _, link := range [][2]string{{program(t, "fleetcast"), "usr/local/bin/fleetcast"}, {modules, "../evening/node_modules"}} {
		at := filepath.Join(r.server, link[1])
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(link[0], at); err != nil {
			t.Fatal(err)
		}
	}
	clients, admin, publish, application, tls := r.ports[0], r.ports[1], r.ports[2], r.ports[3], r.ports[4]
	r.changes = strings.NewReplacer(
		"127.0.0.1:8080", "127.0.0.1:"+clients, "127.0.0.1:3000", "127.0.0.1:"+application, "listen(3000,", "listen("+application+",",
		"localhost:8081", "localhost:"+admin, "example.com:8081", "example.com:"+admin,
		"localhost 8082", "localhost "+publish, "redis-cli -p 8082", "redis-cli --no-raw -p "+publish, "fleetcast publish", "fleetcast publish --to=localhost:"+publish,
		"listen 443 ssl", "listen 127.0.0.1:"+tls+" ssl", "wss://example.com/ws", "wss://localhost:"+tls+"/ws",
		"python3 push_token.py", "/usr/bin/python3 push_token.py",
	)
	live := filepath.Join(r.server, "etc/letsencrypt/live/example.com")
	certificate := newCertificate(t, live)
	// In place of the name service. Only localhost is an address of the gateway.
	curl := fmt.Sprintf("noproxy = \"*\"\nconnect-to = \"example.com:443:127.0.0.1:%s\"\nresolve = \"example.com:%s:127.0.0.2\"\ncacert = %q\n", tls, admin, certificate)
	if err := os.WriteFile(filepath.Join(r.server, ".curlrc"), []byte(curl), 0o644); err != nil {
		t.Fatal(err)
	}
	r.variables = []string{"CURL_HOME=" + r.server, "SSL_CERT_FILE=" + certificate}
	return r
}

// newCertificate makes a certificate for example.com as certbot saves it, signed by
// itself, and returns its file.
func newCertificate(t *testing.T, dir string) (file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com", "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, is, is, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"fullchain.pem": {Type: "CERTIFICATE", Bytes: signed}, "privkey.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "fullchain.pem")
}

// nginx runs nginx with the installed files, as Debian's nginx.conf includes them.
func (r *reader) nginx() {
	r.Helper()
	config := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	include %[1]s/etc/nginx/conf.d/*.conf;
}
`, r.server)
	file := filepath.Join(r.server, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		r.Fatal(err)
	}
	nginx := startRunning(r.T, r.server, nil, "/usr/sbin/nginx", "-c", file, "-p", r.server)
	r.serves(r.ports[4], nginx)
}

// serves waits until a program takes connections on a port.
func (r *reader) serves(port string, of *running) {
	r.Helper()
	until(r.T, "port "+port, regexp.MustCompile("^open$"), func() string {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err.Error() + "\n" + of.String()
		}
		c.Close()
		return "open"
	})
}

// TestOnTheInternet follows the how-to: the gateway with its ten lines, nginx with TLS before
// it, an application that makes tokens, and a browser.
func TestOnTheInternet(t *testing.T) {
	t.Parallel() // it waits most of the time
	r := newOnTheInternet(t)
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := r.withBrowser("the how-to for the internet is", "connection: refused no_token", chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP example.com:443 127.0.0.1:"+r.ports[4]))
	open := r.browse
	r.browse = func(url string, s step) {
		r.serves(r.ports[3], r.terminal("application").goes)
		open(url, s)
	}
	r.follow()
	if t.Failed() {
		return
	}
	if lines := regexp.MustCompile(`(?m)^[^#\n].*\n`).FindAllString(read(t, filepath.Join(r.folder, "fleetcast.yaml")), -1); len(lines) != 10+4 {
		t.Errorf("the file has %d lines, besides the four further ones", len(lines)-4)
	}
	for user, shown := range map[string]string{"alice": b.shown(), "bob": r.terminal("bob").text()} {
		if strings.Contains(shown, map[string]string{"alice": "paid", "bob": "sent"}[user]) {
			t.Errorf("%s sees the events of the other:\n%s", user, shown)
		}
	}
	r.signsWithAnother(b)
	for _, name := range []string{"token.secret", "shop.key", "ops.key"} {
		secret := strings.TrimSpace(read(t, filepath.Join(r.folder, name)))
		for _, of := range []string{"gateway", "application", "bob", "2"} {
			if strings.Contains(r.terminal(of).text(), secret) {
				t.Errorf("terminal %s shows %s", of, name)
			}
		}
	}
}

// signsWithAnother has the application sign with another secret than the gateway's.
func (r *reader) signsWithAnother(b *tab) {
	r.Helper()
	const shown = "connection: refused token_invalid"
	if !strings.Contains(read(r.T, r.page), "`"+shown+"`") {
		r.Errorf("the page does not quote %q", shown)
	}
	server := filepath.Join(r.folder, "server.mjs")
	text := strings.Replace(read(r.T, server), `"token.secret"`, `"other.secret"`, 1)
	if err := os.WriteFile(server, []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
	application := r.terminal("application")
	_ = application.goes.stop(r.T, syscall.SIGINT)
	r.types(application, "node server.mjs", true, false)
	b.at = "" // the new process knows no session
	r.browse("https://example.com/", step{rest: "fill name alice | send", block: shown + "\n"})
	until(r.T, "the gateway's log", regexp.MustCompile(`handshakes of clients were refused" reason=token_refused .*reasons=token_invalid `), r.terminal("gateway").text)
}
