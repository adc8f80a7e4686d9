//go:build race

package farm

// shadow is how many bytes of memory the race detector takes to watch one.
const shadow = 12
