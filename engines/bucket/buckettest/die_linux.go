package buckettest

import "syscall"

// dieWithParent ends a child with the test, even when a time limit kills it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
