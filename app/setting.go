package app

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"plumb/base/units"
)

// Flag returns the command-line name: "vending.window" is --vending-window.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, ".", "-") }

// Env returns the variable's name: "vending.window" is PLUMB_VENDING_WINDOW.
func (s Setting) Env() string {
	return "PLUMB_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(s.Key))
}

// set reads text into the setting's variable.
func (s Setting) set(text string) (err error) {
	switch p := s.Value.(type) {
	case *string:
		*p = text
	case *bool:
		*p, err = strconv.ParseBool(text)
	case *int:
		*p, err = strconv.Atoi(text)
	case *int64:
		*p, err = parseBytes(text)
	case *float64:
		*p, err = strconv.ParseFloat(text, 64)
	case *time.Duration:
		*p, err = time.ParseDuration(text)
	default:
		panic(fmt.Sprintf("setting %s has a value of type %T", s.Key, s.Value))
	}
	if err != nil {
		return fmt.Errorf("%q is not a %s", text, s.kind())
	}
	return nil
}

func (s Setting) kind() string {
	switch s.Value.(type) {
	case *bool:
		return "truth value (true or false)"
	case *int:
		return "whole number"
	case *float64:
		return "number"
	case *int64:
		return "number of bytes such as 5GB or 10GiB"
	case *time.Duration:
		return "duration such as 90s or 60m"
	}
	return "text"
}

// word names the kind of value in a command's help.
func (s Setting) word() string {
	switch s.Value.(type) {
	case *int, *float64:
		return "number"
	case *int64:
		return "bytes"
	case *time.Duration:
		return "duration"
	}
	return "text"
}

// parseBytes reads a whole number of bytes, with a unit or without.
func parseBytes(text string) (int64, error) {
	v, _, err := units.Parse(text)
	if err == nil && (v != math.Trunc(v) || math.Abs(v) > 1<<53) {
		err = errors.New("not a whole number of bytes")
	}
	return int64(v), err
}

// text returns the present value for people.
func (s Setting) text() string {
	switch p := s.Value.(type) {
	case *string:
		if s.Secret && *p != "" {
			return "(set)"
		}
		return redact(*p)
	case *bool:
		return strconv.FormatBool(*p)
	case *int:
		return strconv.Itoa(*p)
	case *int64:
		return strconv.FormatInt(*p, 10)
	case *float64:
		return strconv.FormatFloat(*p, 'g', -1, 64)
	case *time.Duration:
		return p.String()
	}
	return ""
}

// redact hides the password of a URL.
func redact(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	at := strings.LastIndex(rest, "@")
	if !ok || at < 0 {
		return text
	}
	user, _, has := strings.Cut(rest[:at], ":")
	if !has {
		return text
	}
	return scheme + "://" + user + ":***" + rest[at:]
}

// AddFlags declares the settings on a command. Their values are read back by
// Given: the flags only collect text, so that a flag, a variable and a line in
// the file are parsed by the same code.
func AddFlags(fs *pflag.FlagSet) {
	c := Default()
	for _, s := range c.Settings() {
		if s.Secret {
			continue
		}
		help := s.Help
		if d := s.text(); d != "" && d != "false" {
			help += " (default " + d + ")"
		}
		if on, ok := s.Value.(*bool); ok {
			fs.Bool(s.Flag(), *on, help)
		} else {
			fs.Var(&given{word: s.word()}, s.Flag(), help)
		}
		f := fs.Lookup(s.Flag())
		f.Hidden = s.Hidden
	}
	fs.String("config", "", "configuration file (default plumb.yaml, if it exists)")
}

// given is a flag's text, to be read later, with the word that help shows for it.
type given struct{ text, word string }

func (g *given) String() string     { return g.text }
func (g *given) Type() string       { return g.word }
func (g *given) Set(s string) error { g.text = s; return nil }

// Given returns the settings' flags that the user set.
func Given(fs *pflag.FlagSet) (set map[string]string, file string) {
	set = map[string]string{}
	fs.Visit(func(f *pflag.Flag) {
		if f.Name == "config" {
			file = f.Value.String()
			return
		}
		set[f.Name] = f.Value.String()
	})
	return set, file
}
