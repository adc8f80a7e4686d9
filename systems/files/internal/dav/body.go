package dav

import (
	"io"
	"slices"

	"plumb/base/errs"
)

// Find is what a PROPFIND asks for.
type Find struct {
	All   bool   // all properties that are usual, and those of Props
	Names bool   // the names of all
	Props []Name // these
}

// Wants says whether a property is asked for by its name.
func (f Find) Wants(n Name) bool { return slices.Contains(f.Props, n) }

// ParseFind reads a PROPFIND's body; an empty one asks for all. Errors: Invalid, TooLarge.
func ParseFind(r io.Reader) (Find, error) {
	root, err := parse(r)
	if err != nil {
		return Find{}, err
	}
	if root == nil {
		return Find{All: true}, nil
	}
	if !root.is("propfind") {
		return Find{}, badXML("its element is not propfind")
	}
	var f Find
	for _, c := range root.children() {
		switch {
		case c.is("allprop") && !f.Names && f.Props == nil:
			f.All = true
		case c.is("propname") && !f.All && f.Props == nil:
			f.Names = true
		case c.is("prop") && !f.All && !f.Names, c.is("include") && f.All:
			for _, p := range c.children() {
				f.Props = append(f.Props, p.Name)
			}
			if f.Props == nil {
				f.Props = []Name{}
			}
		}
	}
	if !f.All && !f.Names && f.Props == nil {
		return Find{}, badXML("a propfind holds prop, propname or allprop")
	}
	return f, nil
}

// Patch is one change of a PROPPATCH.
type Patch struct {
	Name   Name
	Remove bool
	Value  string // the property's whole element
}

// mostPatches bounds a PROPPATCH.
const mostPatches = 200

// ParsePatch reads a PROPPATCH's body: changes in their order. Errors: Invalid, TooLarge.
func ParsePatch(r io.Reader) ([]Patch, error) {
	root, err := parse(r)
	if err != nil {
		return nil, err
	}
	if root == nil || !root.is("propertyupdate") {
		return nil, badXML("its element is not propertyupdate")
	}
	var list []Patch
	for _, c := range root.children() {
		remove := c.is("remove")
		if !remove && !c.is("set") {
			continue
		}
		prop := c.child("prop")
		if prop == nil {
			return nil, badXML("set and remove hold prop")
		}
		for _, p := range prop.children() {
			v := Patch{Name: p.Name, Remove: remove}
			if !remove {
				v.Value = p.String()
			}
			list = append(list, v)
		}
	}
	if len(list) == 0 || len(list) > mostPatches {
		return nil, badXML("it changes %d properties, not 1 to %d", len(list), mostPatches)
	}
	return list, nil
}

// mostOwner bounds what a lock's client calls itself.
const mostOwner = 4 << 10

// ParseLock reads a LOCK's body into a lock without place and time; ok is false for an
// empty one, which refreshes. Errors: Invalid, TooLarge.
func ParseLock(r io.Reader) (l Lock, ok bool, err error) {
	root, err := parse(r)
	if err != nil || root == nil {
		return Lock{}, false, err
	}
	if !root.is("lockinfo") {
		return Lock{}, false, badXML("its element is not lockinfo")
	}
	kind, scope := root.child("locktype"), root.child("lockscope")
	if kind == nil || kind.child("write") == nil || scope == nil || (scope.child("exclusive") == nil) == (scope.child("shared") == nil) {
		return Lock{}, false, errs.New(errs.Invalid, "a lock is of the type write, and exclusive or shared")
	}
	l.Shared = scope.child("shared") != nil
	if owner := root.child("owner"); owner != nil {
		if l.Owner = owner.String(); len(l.Owner) > mostOwner {
			return Lock{}, false, errs.New(errs.TooLarge, "a lock's owner may have %d bytes", mostOwner)
		}
	}
	return l, true, nil
}
