package cdc_test

import (
	"bytes"
	"fmt"
	"io"

	"plumb/engines/cas/cdc"
)

func Example() {
	cutter, err := cdc.New(make([]byte, cdc.KeySize), cdc.Default)
	if err != nil {
		panic(err)
	}
	r := cdc.NewReader(cutter, bytes.NewReader(make([]byte, 2_500_000)), nil)
	for {
		chunk, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(len(chunk))
	}
	// Output:
	// 1048576
	// 1048576
	// 402848
}
