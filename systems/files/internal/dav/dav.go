// Package dav is what WebDAV (RFC 4918, classes 1 and 2) needs and is neither HTTP nor
// a tree of files: its headers (If, Depth, Timeout, Destination), its XML, the rules of
// locks, and locks and dead properties as rows. A path is "a/b", below a person's root,
// which is "".
//
//	cond, err := dav.ParseIf(header, own)                    // If: (<plumb:...> ["etag"])
//	locks, err := dav.Locks(ctx, tx, person, now)
//	ok, err := cond.Hold("a/b", locks, tagOf)                // 412 when not
//	by := dav.Blocked(locks, cond.Tokens(), dav.Change{Path: "a/b", Members: true}) // 423 when any
//
// It is written here because golang.org/x/net/webdav fails three of litmus's tests (an
// invalid namespace, a condition on an entity tag, shared locks), reads a whole folder
// before it answers, and hides what went wrong in a write; its parsers are not exported.
//
// What holds:
//
//   - A lock is a row: it holds in every process and after a restart, and ends by its
//     time at the latest an hour after it was last refreshed.
//   - Bodies, headers, locks and properties are bounded; entities are not expanded.
//   - What a client stored as a property comes out as well-formed XML, whatever prefixes
//     it used.
package dav

import "strings"

// Namespace is WebDAV's own.
const Namespace = "DAV:"

// Under says whether path lies below root, or is it.
func Under(path, root string) bool {
	return root == "" || path == root || strings.HasPrefix(path, root) && path[len(root)] == '/'
}

// Parent returns the path of the folder that holds path; that of the root is itself.
func Parent(path string) string {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i]
	}
	return ""
}
