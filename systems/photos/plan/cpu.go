package plan

import (
	"syscall"
	"time"
)

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // there is no other error than a bad argument
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
