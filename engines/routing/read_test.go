package routing

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plumb/base/errs"
)

const tiny = "NAME : tiny\nCOMMENT : four corners\nTYPE : CVRP\nDIMENSION : 4\nEDGE_WEIGHT_TYPE : EUC_2D\nCAPACITY : 2\n" +
	"NODE_COORD_SECTION\n1 0 0\n2 0 10\n3 10 10\n4 10 0\nDEMAND_SECTION\n1 0\n2 1\n3 1\n4 1\nDEPOT_SECTION\n\t1\n\t-1\nEOF\n"

const windows = "T3\n\nVEHICLE\nNUMBER     CAPACITY\n  2         10\n\nCUSTOMER\nCUST NO.   XCOORD.   YCOORD.    DEMAND   READY TIME   DUE DATE   SERVICE TIME\n\n" +
	"    0   0  0   0    0   100  0\n    1   3  4   5   20   30  10\n    2   0 10   5    0    50  10\n"

func TestRead(t *testing.T) {
	in, err := Read(strings.NewReader(tiny))
	if err != nil || in.Name != "tiny" || len(in.Problem.Stops) != 4 || in.Problem.Capacity != 2 || in.Problem.Cost.At(0, 2) != 14 {
		t.Fatalf("%+v, %v", in, err)
	}
	s, err := Solve(context.Background(), in.Problem, Options{Iterations: 100})
	if err != nil || s.Cost != 54 {
		t.Errorf("%+v, %v", s, err)
	}
	// Another depot: the rest keeps its order.
	in, err = Read(strings.NewReader(strings.NewReplacer("\t1\n\t-1", "3\n-1", "3 1\n4", "3 0\n4", "1 0\n2 1", "1 7\n2 1", "CAPACITY : 2", "CAPACITY : 9").Replace(tiny)))
	if err != nil || in.Places[0] != (Point{10, 10}) || in.Problem.Stops[1].Demand != 7 {
		t.Errorf("%+v, %v", in, err)
	}
	in, err = Read(strings.NewReader(windows))
	if err != nil || in.Problem.Vehicles != 2 || in.Problem.Stops[1].Due != 30 {
		t.Fatalf("%+v, %v", in, err)
	}
	if s, err = Solve(context.Background(), in.Problem, Options{Iterations: 100}); err != nil || len(s.Routes) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestBadFilesNameThePlace(t *testing.T) {
	for change, at := range map[[2]string]string{
		{"3 10 10", "3 ten 10"}:                  "10:3: ",
		{"3 10 10", "3 10"}:                      "10:1: ",
		{"3 10 10", "2 10 10"}:                   "10:1: node 2 stands twice",
		{"3 10 10\n", ""}:                        "node 3 has no coordinates",
		{"DIMENSION : 4", "DIMENSION : 4000000"}: "4:13: ",
		{"DIMENSION : 4\n", ""}:                  "DIMENSION must come",
		{"EUC_2D", "GEO"}:                        "5:20: ",
		{"TYPE : CVRP", "TYPE : TSP"}:            "3:8: ",
		{"3 1\n4 1", "3 -1\n4 1"}:                "15:3: ",
		{"3 1\n4 1", "3 1.5\n4 1"}:               "15:3: ",
		{"3 1\n4 1", "3 3\n4 1"}:                 "more than a vehicle carries",
		{"1 0\n2 1\n", "1 1\n2 1\n"}:             "the depot, node 1, has a demand",
		{"\t-1", "\t2"}:                          "several are not read",
		{"NAME", "NOME"}:                         "1:1: ",
	} {
		_, err := Read(strings.NewReader(strings.Replace(tiny, change[0], change[1], 1)))
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), at) {
			t.Errorf("%q: %v", change, err)
		}
	}
	for change, at := range map[[2]string]string{
		{"    1   3  4", "    7   3  4"}: "11:5: customer 7 stands where 1 is due",
		{"20   30", "40   30"}:           "window ends",
		{"  2         10", "  x  10"}:    "5:3: ",
		{"5    0    50  10", "5"}:        "12:",
	} {
		_, err := Read(strings.NewReader(strings.Replace(windows, change[0], change[1], 1)))
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), at) {
			t.Errorf("%q: %v", change, err)
		}
	}
	for _, text := range []string{"", "\n\n", "hello world", "\x00\xff", strings.Repeat("x", 70<<10)} {
		if _, err := Read(strings.NewReader(text)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if _, err := Read(strings.NewReader(strings.Repeat("x y\n", mostBytes/4+1))); !errs.Is(err, errs.TooLarge) {
		t.Errorf("a large file: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(tiny)
	f.Add(windows)
	f.Add(strings.ReplaceAll(tiny, "\n", "\r\n"))
	f.Fuzz(func(t *testing.T, text string) {
		in, err := Read(strings.NewReader(text))
		if err != nil {
			if errs.KindOf(err) != errs.Invalid && errs.KindOf(err) != errs.TooLarge {
				t.Fatal(err)
			}
			return
		}
		if len(in.Problem.Stops) > 50 {
			return
		}
		s, err := Solve(context.Background(), in.Problem, Options{Iterations: 20})
		if err != nil && !errs.Is(err, errs.Conflict) {
			t.Fatal(err)
		}
		if err == nil {
			if err := in.Problem.Check(s); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The community's own files, where they lie beside the project.
func TestRealFiles(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/routing/*/*")
	read := 0
	for _, name := range files {
		if !strings.HasSuffix(name, ".vrp") && !strings.HasSuffix(name, "01.txt") {
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		in, err := Read(file)
		file.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, err := Solve(context.Background(), in.Problem, Options{Iterations: 3000, Seed: 1})
		if err == nil {
			err = in.Problem.Check(s)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		read++
	}
	fmt.Println(read, "files of the community were read and solved")
}
