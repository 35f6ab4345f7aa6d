package compare

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// checker finds what is wrong with a list that has the right form.
type checker struct {
	source string
	file   *ast.File
}

// fail is an error about the value at a path of the file.
func (c *checker) fail(path, format string, values ...any) error {
	at := c.source
	if p, err := yaml.PathString(path); err == nil {
		if node, err := p.FilterFile(c.file); err == nil && node.GetToken() != nil {
			at = fmt.Sprintf("%s:%d", c.source, node.GetToken().Position.Line)
		}
	}
	return fmt.Errorf("%s: %s", at, fmt.Sprintf(format, values...))
}

// minServers are the subject and a peer.
const minServers = 2

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$`)

func (c *checker) servers(servers []*Server) error {
	if len(servers) < minServers {
		return c.fail("$.servers", "servers: want the subject and at least one peer")
	}
	seen := make(map[string]bool)
	for i, s := range servers {
		path := fmt.Sprintf("$.servers[%d]", i)
		if s == nil {
			return c.fail(path, "servers: one of them is empty")
		}
		if !namePattern.MatchString(s.Name) {
			return c.fail(path+".name", "name %q: want letters, digits, and - . _ between them", s.Name)
		}
		if seen[s.Name] {
			return c.fail(path+".name", "name: %s is there twice", s.Name)
		}
		seen[s.Name] = true
		if err := c.server(path, s); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) server(path string, s *Server) error {
	for _, required := range []struct{ key, value string }{{"run", s.Run}, {"profile", s.Profile}, {"url", s.URL}} {
		if required.value == "" {
			return c.fail(path, "%s: %s is missing", s.Name, required.key)
		}
	}
	if !strings.Contains(s.URL, "{port}") {
		return c.fail(path+".url", "url: must use {port}, since each run has a port of its own")
	}
	if s.Faults != "" && s.Faults != faultsAllowed {
		return c.fail(path+".faults", "faults: want %q or nothing, not %q", faultsAllowed, s.Faults)
	}
	if !(s.Deflate >= 0 && s.Deflate <= 1) {
		return c.fail(path+".deflate", "deflate: want a share from 0 to 1, not %v", s.Deflate)
	}
	for i, name := range s.Settings {
		if !isSetting(name) {
			return c.fail(fmt.Sprintf("%s.settings[%d]", path, i), "settings: there is no %q: choose from %s", name, settingNames())
		}
	}
	texts := []struct{ key, text string }{{"run", s.Run}, {"url", s.URL}, {"publish", s.Publish}}
	for _, name := range slices.Sorted(maps.Keys(s.RunWith)) {
		if !isSetting(name) {
			return c.fail(path+".run_with", "run_with: there is no setting %q: choose from %s", name, settingNames())
		}
		texts = append(texts, struct{ key, text string }{"run_with." + name, s.RunWith[name]})
	}
	for _, t := range texts {
		if err := c.placeholders(path, t.key, t.text, "{bin}", "{port}", "{publish}"); err != nil {
			return err
		}
	}
	return c.placeholders(path, "build", s.Build, "{bin}")
}

// placeholder is a name in braces, or a shell's ${name}.
var placeholder = regexp.MustCompile(`\$?\{[a-z_]+\}`)

func (c *checker) placeholders(path, key, text string, known ...string) error {
	for _, found := range placeholder.FindAllString(text, -1) {
		if found[0] != '$' && !slices.Contains(known, found) {
			return c.fail(path+"."+key, "%s: %s is not known: choose from %s", key, found, strings.Join(known, ", "))
		}
	}
	return nil
}
