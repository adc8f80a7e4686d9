//go:build !linux

package routing

import "time"

// threadTime is the time by the clock where a thread's own is not told.
func threadTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
