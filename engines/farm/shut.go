package farm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A child shuts itself in before it asks for work: then it runs nothing but this code,
// and it may do what a parent that is not the superuser may not do to it.

// limitsEnv is where a child finds its kernelLimits.
const limitsEnv = "PLUMB_FARM_LIMITS"

// spare is room beyond Limits.Memory: Go's runtime reserves 64 MiB at a time.
const spare = 192 << 20

// kernelLimits are what the kernel enforces, even when the parent cannot look.
type kernelLimits struct {
	Memory int64 `json:"memory"` // bytes of address space beyond what the process has
	CPU    int64 `json:"cpu"`    // seconds, of all tasks together
	Nice   int   `json:"nice"`
	Bare   bool  `json:"bare"` // nothing but these limits
}

// room returns the address space that a child may take beyond what it begins with. A half
// of it is for what earlier tasks leave reserved, and the other is enough for any task:
// how much of that it may use is for the parent to see to.
func (l Limits) room() int64 { return 2 * (shadow*l.Memory + spare/2) }

func (o Options) kernel() kernelLimits {
	life := time.Duration(o.Reuse+1) * (o.Limits.CPU + time.Second)
	return kernelLimits{Memory: o.Limits.room(), CPU: int64(life/time.Second) + 1, Nice: o.Nice, Bare: o.bare}
}

// shut sets the limits of this process and returns what else shuts it in.
func shut() ([]string, error) {
	var k kernelLimits
	if err := json.Unmarshal([]byte(os.Getenv(limitsEnv)), &k); err != nil {
		return nil, fmt.Errorf("%s: %w", limitsEnv, err)
	}
	// Courtesy to others on the machine, and not everywhere allowed: first of all to go
	// when memory runs out, last of all to run.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("800"), 0)
	if k.Nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PGRP, 0, k.Nice)
	}
	has, err := addressSpace()
	if err != nil {
		return nil, err
	}
	for resource, most := range map[int]uint64{
		unix.RLIMIT_AS:     uint64(has + k.Memory),
		unix.RLIMIT_CPU:    uint64(k.CPU),
		unix.RLIMIT_FSIZE:  0,
		unix.RLIMIT_CORE:   0,
		unix.RLIMIT_NOFILE: 32,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return nil, fmt.Errorf("rlimit %d: %w", resource, err)
		}
	}
	if k.Bare {
		return nil, nil
	}
	return harden(), nil
}

// addressSpace returns the bytes of address space that this process has.
func addressSpace() (int64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var pages int64
	if _, err := fmt.Sscan(string(text), &pages); err != nil || pages == 0 {
		return 0, errors.New("/proc/self/statm says nothing")
	}
	return pages * int64(os.Getpagesize()), nil
}
