package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Servers is a checked list of servers: the subject and its peers.
type Servers struct {
	Servers []*Server `yaml:"servers"`
	// Data is what events' data holds, as the harness's --data says; empty: its default.
	Data string `yaml:"data"`

	source string // the file's name, for errors
}

// Server tells how a server is built, run and spoken to.
//
// In what is run, {bin} stands for a directory that is made for the comparison
// and removed after it, {port} for a free port, and {publish} for another.
type Server struct {
	// Name is how tables call it: letters, digits, and - . _ between them.
	Name string `yaml:"name"`
	// Dir is where Build and Run are run, relative to the file; its directory if empty.
	Dir string `yaml:"dir"`
	// Build is a shell command, run once; empty if there is nothing to build. It may use {bin}.
	Build string `yaml:"build"`
	// Run is a shell command that becomes the server, in one process, and ends at SIGTERM.
	Run string `yaml:"run"`
	// RunWith has other commands for some settings, by their names or their kind's.
	RunWith map[string]string `yaml:"run_with"`
	// Profile is the target profile: a built-in one, or a path relative to the file.
	Profile string `yaml:"profile"`
	// URL is where clients connect. It uses {port}.
	URL string `yaml:"url"`
	// Publish is where events are published, if the profile needs to know.
	Publish string `yaml:"publish"`
	// Settings are the settings that the server takes part in, or kinds of them;
	// none: all but those of the kind echo.
	Settings []string `yaml:"settings"`
	// Deflate is the share of the clients, 0 to 1, that offer compression.
	Deflate float64 `yaml:"deflate"`
	// Faults is "allowed" if runs count whose verification fails. Tables then say so.
	Faults string `yaml:"faults"`
}

const faultsAllowed = "allowed"

// Load reads a list of servers: a YAML file with the keys "servers" and "data" and,
// under the first, the keys of [Server] in lower case. The first is the subject. Errors name
// the file and the line.
func Load(path string) (*Servers, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, server := range s.Servers {
		server.resolve(dir)
	}
	return s, nil
}

// Parse is Load of a text; source names it in errors, and paths in it are not resolved.
func Parse(source string, text []byte) (*Servers, error) {
	s := &Servers{source: source}
	file, err := decode(text, s)
	if err != nil {
		return nil, fmt.Errorf("%s%w", source, err)
	}
	check := checker{source, file}
	if err := check.servers(s.Servers); err != nil {
		return nil, err
	}
	return s, nil
}

// decode decodes a text and returns it as a tree, too, for the lines of values.
func decode(text []byte, into *Servers) (file *ast.File, err error) {
	// The library panics at some tags that do not suit their value.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf(": not understood: %v", r)
		}
	}()
	if file, err = parser.ParseBytes(text, 0); err != nil {
		return nil, withLine(err)
	}
	if err := yaml.UnmarshalWithOptions(text, into, yaml.Strict()); err != nil {
		return nil, withLine(err)
	}
	return file, nil
}

// withLine words an error of the YAML library in a line: ":3:5: unknown field".
func withLine(err error) error {
	var found yaml.Error
	if !errors.As(err, &found) || found.GetToken() == nil {
		return fmt.Errorf(": %w", err)
	}
	at := found.GetToken().Position
	return fmt.Errorf(":%d:%d: %s", at.Line, at.Column, found.GetMessage())
}

// resolve makes paths absolute.
func (s *Server) resolve(dir string) {
	if !filepath.IsAbs(s.Dir) {
		s.Dir = filepath.Join(dir, s.Dir)
	}
	isPath := strings.Contains(s.Profile, "/") || strings.HasSuffix(s.Profile, ".yaml") || strings.HasSuffix(s.Profile, ".yml")
	if isPath && !filepath.IsAbs(s.Profile) {
		s.Profile = filepath.Join(dir, s.Profile)
	}
}

func (s *Servers) subject() *Server { return s.Servers[0] }
func (s *Servers) peers() []*Server { return s.Servers[1:] }

// chooseSubject makes the server of that name the subject.
func (s *Servers) chooseSubject(name string) error {
	i := slices.IndexFunc(s.Servers, func(server *Server) bool { return server.Name == name })
	if i < 0 {
		return fmt.Errorf("%s has no server %q: choose from %s", s.source, name, names(s.Servers))
	}
	subject := s.Servers[i]
	s.Servers = append([]*Server{subject}, slices.Delete(slices.Clone(s.Servers), i, i+1)...)
	return nil
}

func names(servers []*Server) string {
	var list []string
	for _, s := range servers {
		list = append(list, s.Name)
	}
	return strings.Join(list, ", ")
}

func (s *Server) takesPart(in *setting) bool {
	if len(s.Settings) == 0 {
		return in.kind != echoKind
	}
	return in.amongst(s.Settings)
}

// command is the command that runs the server in a setting.
func (s *Server) command(in *setting) string {
	for _, name := range []string{in.name, in.kind} {
		if command, ok := s.RunWith[name]; ok {
			return command
		}
	}
	return s.Run
}
