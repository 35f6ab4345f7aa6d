package shellhelp

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Shells are those that there is a completion for.
const Shells = "bash,zsh,fish"

// WriteCompletion writes the completion of a program for one of Shells.
func WriteCompletion(w io.Writer, shell string, app *kong.Application) error {
	p := modelOf(app, nil)
	var text string
	switch shell {
	case "bash":
		text = p.bash()
	case "zsh":
		text = p.zsh()
	case "fish":
		text = p.fish()
	default:
		return fmt.Errorf("there is no completion for %q, only for %s", shell, Shells)
	}
	_, err := io.WriteString(w, text)
	return err
}

func (p *program) names() (names []string) {
	for _, c := range p.commands {
		names = append(names, c.name)
	}
	return names
}

// options are the flags as they are typed.
func optionsOf(flags []flag) (options []string) {
	for _, f := range flags {
		options = append(options, "--"+f.long)
		if f.short != "" {
			options = append(options, "-"+f.short)
		}
	}
	return options
}

// bash needs no package of completions. Bash splits --flag=value in three words.
func (p *program) bash() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Completion of %[1]s for bash. Save it as
# /usr/share/bash-completion/completions/%[1]s, or: source <(%[1]s completion bash)
_%[1]s() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=%[2]s words= files=
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD-2]}
	fi
	case ${COMP_WORDS[1]} in
	%[3]s) ((COMP_CWORD > 1)) && command=${COMP_WORDS[1]} ;;
	esac
	case "$command $prev" in
`, p.name, cmp.Or(p.standard, "none"), strings.Join(p.names(), " | "))
	for _, c := range p.commands {
		flags, _ := c.offered()
		for _, f := range flags {
			if f.value == "" {
				continue
			}
			pattern := fmt.Sprintf("%q", c.name+" --"+f.long)
			if f.short != "" {
				pattern += fmt.Sprintf(" | %q", c.name+" -"+f.short)
			}
			switch {
			case len(f.words) > 0:
				fmt.Fprintf(&b, "\t%s) words=%q ;;\n", pattern, strings.Join(f.words, " "))
			case f.files:
				fmt.Fprintf(&b, "\t%s) files=1 ;;\n", pattern)
			default:
				fmt.Fprintf(&b, "\t%s) return ;;\n", pattern)
			}
		}
	}
	b.WriteString("\t*)\n\t\tcase $command in\n")
	for _, c := range p.commands {
		flags, arguments := c.offered()
		all := optionsOf(flags)
		for _, a := range arguments {
			all = append(all, a.words...)
		}
		fmt.Fprintf(&b, "\t\t%s) words=%q ;;\n", c.name, strings.Join(all, " "))
	}
	fmt.Fprintf(&b, `		esac
		((COMP_CWORD == 1)) && words+=" %[2]s"
		;;
	esac
	if [[ $files ]]; then
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	fi
}
complete -F _%[1]s %[1]s
`, p.name, strings.Join(append(p.names(), "--help"), " "))
	return b.String()
}

func (p *program) zsh() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %[1]s\n# Completion of %[1]s for zsh. Save it as _%[1]s in a directory of $fpath, or: source <(%[1]s completion zsh)\n_%[1]s() {\n\tlocal -a commands=(\n", p.name)
	for _, c := range p.commands {
		fmt.Fprintf(&b, "\t\t%s\n", quoted(c.name+":"+sentence(c.help)))
	}
	fmt.Fprintf(&b, "\t)\n\tlocal command=%s\n", cmp.Or(p.standard, "none"))
	fmt.Fprintf(&b, `	if ((CURRENT > 2)) && [[ $words[2] == (%s) ]]; then
		command=$words[2]
		shift words
		((CURRENT--))
	elif ((CURRENT == 2)) && [[ $words[2] != -* ]]; then
		_describe command commands
		return
	fi
	case $command in
`, strings.Join(p.names(), "|"))
	for _, c := range p.commands {
		fmt.Fprintf(&b, "\t%s)\n\t\t_arguments", c.name)
		flags, arguments := c.offered()
		for _, f := range flags {
			explained := "[" + zshText(sentence(f.help)) + "]"
			value := ""
			if f.value != "" {
				value = ":" + zshText(f.value) + ":" + zshAction(f)
				fmt.Fprintf(&b, " \\\n\t\t\t%s", quoted("*--"+f.long+"="+explained+value))
			} else {
				fmt.Fprintf(&b, " \\\n\t\t\t%s", quoted("--"+f.long+explained))
			}
			if f.short != "" {
				fmt.Fprintf(&b, " \\\n\t\t\t%s", quoted("-"+f.short+explained+value))
			}
		}
		for _, a := range arguments {
			if len(a.words) > 0 {
				fmt.Fprintf(&b, " \\\n\t\t\t%s", quoted("*:"+zshText(a.value)+":"+zshAction(a)))
			}
		}
		b.WriteString("\n\t\t;;\n")
	}
	fmt.Fprintf(&b, "\tesac\n}\nif [[ $funcstack[1] == _%[1]s ]]; then\n\t_%[1]s \"$@\"\nelse\n\tcompdef _%[1]s %[1]s\nfi\n", p.name)
	return b.String()
}

func zshAction(f flag) string {
	switch {
	case len(f.words) > 0:
		return "(" + strings.Join(f.words, " ") + ")"
	case f.files:
		return "_files"
	}
	return " "
}

var zshText = strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace

func (p *program) fish() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completion of %[1]s for fish. Save it as ~/.config/fish/completions/%[1]s.fish, or: %[1]s completion fish | source\ncomplete -c %[1]s -f\n", p.name)
	seen := func(names ...string) string { return "__fish_seen_subcommand_from " + strings.Join(names, " ") }
	var others []string
	for _, c := range p.commands {
		if c.name != p.standard {
			others = append(others, c.name)
		}
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", p.name, c.name, fishText(sentence(c.help)))
	}
	for _, c := range p.commands {
		condition := seen(c.name)
		if c.name == p.standard {
			condition = "not " + seen(others...)
		}
		start := fmt.Sprintf("complete -c %s -n %s", p.name, fishText(condition))
		flags, arguments := c.offered()
		for _, f := range flags {
			b.WriteString(start + " -l " + f.long)
			if f.short != "" {
				b.WriteString(" -s " + f.short)
			}
			switch {
			case len(f.words) > 0:
				b.WriteString(" -x -a " + fishText(strings.Join(f.words, " ")))
			case f.files:
				b.WriteString(" -r -F")
			case f.value != "":
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", fishText(sentence(f.help)))
		}
		for _, a := range arguments {
			if len(a.words) > 0 {
				fmt.Fprintf(&b, "%s -a %s\n", start, fishText(strings.Join(a.words, " ")))
			}
		}
	}
	return b.String()
}

// fishText quotes a text for fish.
func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// quoted quotes a text for POSIX shells.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
