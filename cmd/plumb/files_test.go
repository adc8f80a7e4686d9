package main

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// file puts a text into a file of the test's own folder.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	write(t, path, text)
	return path
}

const samples = "../../systems/vending/internal/dts/testdata/"

func TestVendingDTSPrintsJSON(t *testing.T) {
	status, out, said := plumb(t, "vending", "dts", samples+"gateway.daa", samples+"several.dex", "--json")
	if status != good || said != "" {
		t.Fatalf("%d %s", status, said)
	}
	var list []struct {
		File, Verdict string
		Sets          []struct {
			Verdict, Machine string
			Products         []map[string]any
			Cash             map[string]any
			Events           []map[string]any
		}
		Warnings []string
		Problem  string
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(list) != 2 || list[0].File != samples+"gateway.daa" || list[0].Verdict != "ok" || list[1].Verdict != "bad_checksum" || list[0].Problem != "" {
		t.Fatalf("%s", out)
	}
	var verdicts []string
	for _, s := range list[1].Sets {
		verdicts = append(verdicts, s.Verdict)
	}
	if !reflect.DeepEqual(verdicts, []string{"ok", "bad_checksum", "no_checksum"}) {
		t.Errorf("several.dex: %v", verdicts)
	}
	set := list[0].Sets[0]
	if p := set.Products[0]; set.Machine != "PLB0001" || p["id"] != "11" || p["price"] != 150.0 || p["sold"] != 412.0 || p["value"] != 61800.0 {
		t.Errorf("%+v", set)
	}
	if set.Cash["sales"] != 90000.0 || set.Cash["box"] != 1250.0 || set.Events[0]["fault"] != "door_open" || len(list[0].Warnings) != 1 {
		t.Errorf("%+v, %q", set, list[0].Warnings)
	}
	if strings.Contains(out, "null") {
		t.Errorf("an empty list is written as null: %s", out)
	}
}

func TestVendingDTSPrintsText(t *testing.T) {
	status, out, _ := plumb(t, "vending", "dts", samples+"gateway.daa")
	for _, want := range []string{"gateway.daa: ok\n", "machine PLB0001 SNACK 36", "618.00", "COLA", "event EGS (door open) lasts", "line 24: SE counts 99 records"} {
		if status != good || !strings.Contains(out, want) {
			t.Errorf("%d, no %q in\n%s", status, want, out)
		}
	}
	if strings.Contains(out, "EGT") {
		t.Errorf("a closed door is told as a lasting event:\n%s", out)
	}
}

// A file that cannot be read stops no other, is told with its name, and ends in 1.
func TestVendingDTSWithBadFiles(t *testing.T) {
	prose, missing := file(t, "prose.txt", "Dear Sir,\nnothing.\n"), filepath.Join(t.TempDir(), "missing.dex")
	status, out, said := plumb(t, "vending", "dts", prose, missing, samples+"animo.eva_dts", "--json")
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if status != failed || len(list) != 3 || list[2]["verdict"] != "ok" || !strings.Contains(list[0]["problem"].(string), "line 1 to 3") || list[1]["problem"] == "" || list[2]["problem"] != nil {
		t.Errorf("%d %s", status, out)
	}
	for _, want := range []string{prose + ": this is no EVA-DTS file", missing + ": ", "2 of 3 files could not be read"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	// A folder stands for the files in it; a wrong checksum is a verdict, no failure.
	folder := t.TempDir()
	for _, name := range []string{"b.dex", "a.dex"} {
		write(t, filepath.Join(folder, name), "ST*1\nPA1*1*100\nG85*0000\n")
	}
	status, out, said = plumb(t, "vending", "dts", folder)
	if status != good || !strings.Contains(out, "a.dex: bad checksum") || strings.Index(out, "a.dex") > strings.Index(out, "b.dex") {
		t.Errorf("%d %s %s", status, out, said)
	}
	for _, args := range [][]string{{"vending", "dts"}, {"vending", "dts", "--jsn", prose}} {
		if status, _, said := plumb(t, args...); status != usage || !strings.Contains(said, "--help") {
			t.Errorf("%q: %d %s", args, status, said)
		}
	}
}

const cvrp = `NAME : tiny
COMMENT : (six about a depot)
TYPE : CVRP
DIMENSION : 7
EDGE_WEIGHT_TYPE : EUC_2D
CAPACITY : 10
NODE_COORD_SECTION
1 0 0
2 10 0
3 10 1
4 0 10
5 1 10
6 -10 0
7 -10 1
DEMAND_SECTION
1 0
2 5
3 5
4 5
5 5
6 5
7 5
DEPOT_SECTION
1
-1
EOF
`

const solomon = `T101

VEHICLE
NUMBER     CAPACITY
  3         10

CUSTOMER
CUST NO.  XCOORD.   YCOORD.    DEMAND   READY TIME  DUE DATE   SERVICE TIME

    0      0         0          0          0       230          0
    1      10        0          5          0       100          10
    2      0         10         5          0       100          10
    3      -10       0          5          0       100          10
`

func TestVendingRoutePrintsJSON(t *testing.T) {
	tiny := file(t, "tiny.vrp", cvrp)
	write(t, strings.TrimSuffix(tiny, ".vrp")+".sol", "Route #1: 1 2\nRoute #2: 3 4\nRoute #3: 5 6\nCost 63\n")
	type answer struct {
		File, Name string
		Cost       float64
		Best       float64  `json:"best_known"`
		Gap        *float64 `json:"gap_percent"`
		Stops      int
		Routes     [][]int
		Iterations int
		Seed       int
	}
	ask := func(args ...string) (one answer) {
		t.Helper()
		status, out, said := plumb(t, append([]string{"vending", "route", "--json", "--steps", "2000"}, args...)...)
		if err := json.Unmarshal([]byte(out), &one); err != nil || status != good || said != "" {
			t.Fatalf("%d %s %s: %v", status, out, said, err)
		}
		return one
	}
	one := ask(tiny, "--seed", "7")
	seen := map[int]bool{}
	for _, r := range one.Routes {
		for _, c := range r {
			seen[c] = true
		}
		if len(r) > 2 {
			t.Errorf("a route of %d stops is over the capacity", len(r))
		}
	}
	if len(seen) != 6 || seen[0] || one.Cost != 63 || one.Best != 63 || one.Gap == nil || *one.Gap != 0 || one.Seed != 7 || one.Name != "tiny" || one.Stops != 6 {
		t.Errorf("%+v", one)
	}
	if again := ask(tiny, "--seed", "7"); !reflect.DeepEqual(again, one) {
		t.Errorf("with the same seed and steps: %+v and %+v", one, again)
	}
	if s := ask(file(t, "T101.txt", solomon)); s.Gap != nil || s.Best != 0 || len(s.Routes) == 0 || s.Cost < 50 {
		t.Errorf("Solomon: %+v", s)
	}
	status, out, _ := plumb(t, "vending", "route", tiny, tiny, "--steps", "500", "--json")
	var list []answer
	if err := json.Unmarshal([]byte(out), &list); err != nil || status != good || len(list) != 2 {
		t.Errorf("two files: %d %s", status, out)
	}
	status, out, _ = plumb(t, "vending", "route", tiny, "--steps", "500")
	if status != good || !strings.Contains(out, "tiny: 6 stops, 3 routes, cost 63, 0.00% over the best known 63") || !strings.Contains(out, "Route #3: ") {
		t.Errorf("%d %s", status, out)
	}
}

func TestVendingRouteWithBadFiles(t *testing.T) {
	fine := file(t, "tiny.vrp", cvrp)
	for name, c := range map[string]struct{ text, want string }{
		"a word for a number":   {strings.Replace(cvrp, "4 0 10", "4 0 ten", 1), `:11:5: .*"ten"`},
		"no capacity":           {strings.Replace(cvrp, "CAPACITY : 10", "CAPACITY : -3", 1), `:6:\d+: `},
		"cut off":               {cvrp[:120], `:\d+:\d+: `},
		"nothing":               {"", `:1:1: `},
		"prose":                 {"Dear Sir,\nwe drive about.\n", `:\d+:\d+: `},
		"Solomon, a short line": {strings.Replace(solomon, "0          5          0       100          10\n    2", "0\n    2", 1), `:11:\d+: `},
		"bytes":                 {"DIMENSION\x00\xff\n", `:1:\d+: `},
	} {
		bad := file(t, "bad.vrp", c.text)
		status, out, said := plumb(t, "vending", "route", fine, bad, "--steps", "100", "--json")
		if status != failed || !regexp.MustCompile(`plumb: `+regexp.QuoteMeta(bad)+c.want).MatchString(said) {
			t.Errorf("%s: %d %s, want FILE%s", name, status, said, c.want)
		}
		var list []map[string]any
		if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 || list[0]["name"] != "tiny" {
			t.Errorf("%s: what was planned before is %s", name, out)
		}
		if status, out, _ := plumb(t, "vending", "route", bad, "--json"); status != failed || out != "" {
			t.Errorf("%s alone: %d %q", name, status, out)
		}
	}
	missing := filepath.Join(t.TempDir(), "missing.vrp")
	if status, _, said := plumb(t, "vending", "route", missing); status != failed || !strings.Contains(said, missing) {
		t.Errorf("%d %s", status, said)
	}
	for _, args := range [][]string{{}, {fine, "--seconds", "0"}, {fine, "--seconds", "NaN"}, {fine, "--steps", "-1"}, {fine, "--seed", "x"}} {
		if status, _, said := plumb(t, append([]string{"vending", "route"}, args...)...); status != usage || said == "" {
			t.Errorf("%q: %d %s", args, status, said)
		}
	}
}
