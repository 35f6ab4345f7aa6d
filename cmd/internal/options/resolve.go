package options

import (
	"encoding"
	"errors"
	"os"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"
)

// ConfigFlag is the option that names the file.
const ConfigFlag = "config"

// given is a value from the environment or the file, checked by itself.
type given struct {
	source
	texts []string // one, unless the option is a list
	lines []int    // of the texts, if they are from a file
}

// checkText tells whether an option, or an element of its list, can be text.
func checkText(f *kong.Flag, text string) error {
	t := f.Target.Type()
	if f.IsSlice() {
		t = t.Elem()
	}
	return reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

// BeforeResolve is called by the parser when it knows the command line. It
// gives the parser the values from the environment and the file, through a
// resolver for both: variables that kong reads itself would yield to the file.
func (o *Options) BeforeResolve(ctx *kong.Context) error {
	var flags []*kong.Flag
	path := ""
	for _, f := range ctx.Flags() { // of a command and those above it
		if isOption(f) {
			flags = append(flags, f)
		} else if f.Name == ConfigFlag {
			path = configPath(ctx, f)
		}
	}
	values, errs := readEnvironment(flags)
	if path != "" {
		fromFile, err := readConfigFile(path, flags)
		if err != nil {
			errs = append(errs, err)
		}
		for name, g := range fromFile {
			if _, overridden := values[name]; !overridden {
				values[name] = g
			}
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	o.strange = strangeVariables(flags)
	for _, f := range flags {
		s := setting{flag: f, source: sourceOf(ctx, f, values)}
		if s.source.file != "" {
			s.lines = values[f.Name].lines
		}
		o.settings = append(o.settings, s)
	}
	ctx.AddResolver(resolver(values, path))
	return nil
}

// configPath is the file that the flag names, or else the environment.
func configPath(ctx *kong.Context, f *kong.Flag) string {
	if path, _ := ctx.FlagValue(f).(string); path != "" {
		return path
	}
	return os.Getenv(VariableOf(ConfigFlag))
}

// sourceOf is where the parser will take the option's value from.
func sourceOf(ctx *kong.Context, f *kong.Flag, values map[string]given) source {
	for _, p := range ctx.Path {
		if p.Flag == f {
			return source{flag: true}
		}
	}
	return values[f.Name].source
}

// resolver hands the values to the parser.
func resolver(values map[string]given, path string) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
		if f.Name == ConfigFlag && path != "" {
			return path, nil
		}
		g, ok := values[f.Name]
		switch {
		case !ok:
			return nil, nil
		case !f.IsSlice():
			return g.texts[0], nil
		}
		list := []any{}
		for _, t := range g.texts {
			list = append(list, t)
		}
		return list, nil
	})
}

// AfterApply is called by the parser when every option has its value. It checks more
// than the form of single values.
func (o *Options) AfterApply() error {
	o.Channels = slices.DeleteFunc(o.Channels, func(r channelRule) bool { return r.Match == "" }) // empty rules
	o.dropEmptyKeys()
	o.dropEmptyIdentity()
	return o.check()
}
