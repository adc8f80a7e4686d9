package dts_test

import (
	"fmt"

	"plumb/systems/vending/internal/dts"
)

func ExampleRead() {
	set := "ST*001*0001\nID1*WTN11120310057*GVC2*9660\nPA1*10*75*COLA\nPA2*367*27525*12*900\n"
	f, err := dts.Read([]byte("DXS*9259630009*VA*V1/1*1\n" + set + dts.Seal([]byte(set)) + "\nSE*6*0001\nDXE*1*1\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range f.Sets {
		fmt.Println(s.Verdict, s.Machine, s.Products[0].Name, s.Products[0].Sold)
	}
	// Output: ok WTN11120310057 COLA 367
}
