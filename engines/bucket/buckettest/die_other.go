//go:build !linux

package buckettest

import "syscall"

// dieWithParent knows no way on this system; Cleanup ends the child.
func dieWithParent() *syscall.SysProcAttr { return nil }
