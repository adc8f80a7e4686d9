//go:build !race

package farm

// shadow is how many bytes of memory one byte of a work's takes.
const shadow = 1
