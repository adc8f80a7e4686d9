package cdc

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

func cpuSeconds(tb testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// BenchmarkCut finds cuts in memory; with -v it prints how sizes are spread.
func BenchmarkCut(b *testing.B) {
	c, input := cutter(b, 1, Default), random(1, 128<<20)
	var sizes []int
	start := cpuSeconds(b)
	for b.Loop() {
		sizes = cutAll(c, input, sizes[:0])
	}
	b.ReportMetric(float64(len(input)*b.N)/1e6/(cpuSeconds(b)-start), "MB/cpu-s")
	b.ReportMetric(float64(len(input))/float64(len(sizes))/1024, "KiB/chunk")
	if testing.Verbose() {
		var bins [16]int
		for _, n := range sizes {
			bins[min(n*len(bins)/Default.Max, len(bins)-1)]++
		}
		for i, n := range bins {
			fmt.Printf("%5d KiB %4d %s\n", i*Default.Max/len(bins)>>10, n, strings.Repeat("#", n*200/len(sizes)))
		}
	}
}

// BenchmarkReader adds what reading costs: a copy into the buffer.
func BenchmarkReader(b *testing.B) {
	c, input := cutter(b, 1, Default), random(1, 128<<20)
	in := bytes.NewReader(input)
	r := NewReader(c, in, nil)
	b.ReportAllocs()
	start := cpuSeconds(b)
	for b.Loop() {
		in.Reset(input)
		r.Reset(in)
		for {
			if _, err := r.Next(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(input)*b.N)/1e6/(cpuSeconds(b)-start), "MB/cpu-s")
}
