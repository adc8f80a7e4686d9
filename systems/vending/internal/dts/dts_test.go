package dts

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"plumb/base/errs"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden reads files of real machines, and made-up ones with the oddities of others.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, name := range names {
		if ext := filepath.Ext(name); ext == ".golden" || ext == ".md" {
			continue
		}
		read++
		t.Run(filepath.Base(name), func(t *testing.T) {
			f, err := Read(file(t, name))
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(f, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			if *update {
				if err := os.WriteFile(name+".golden", got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := file(t, name+".golden"); !bytes.Equal(got, want) {
				t.Errorf("%s is read as\n%s", name, got)
			}
		})
	}
	if read < 5 {
		t.Errorf("%d files in testdata", read)
	}
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// slow judges the checksums of a text anew, straight from the rule: lines from ST up
// to G85 with their ends as CR LF, CRC-16 bit by bit.
func slow(text []byte) (list []Verdict) {
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\r", "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if !strings.HasPrefix(lines[i], "ST*") {
			continue
		}
		verdict, sum := NoChecksum, uint16(0)
		for k := i; k < len(lines); k++ {
			l := lines[k]
			if k > i && (strings.HasPrefix(l, "ST*") || strings.HasPrefix(l, "SE*") || strings.HasPrefix(l, "DXE*")) {
				break
			}
			if strings.HasPrefix(l, "G85*") {
				verdict = BadChecksum
				if strings.EqualFold(strings.TrimSpace(strings.SplitN(l, "*", 3)[1]), fmt.Sprintf("%04x", sum)) {
					verdict = OK
				}
				break
			}
			for _, c := range []byte(l + "\r\n") {
				sum ^= uint16(c)
				for range 8 {
					if sum&1 != 0 {
						sum = sum>>1 ^ 0xA001
					} else {
						sum >>= 1
					}
				}
			}
		}
		list = append(list, verdict)
	}
	if list == nil {
		list = []Verdict{NoChecksum}
	}
	return list
}

func verdicts(f File) (list []Verdict) {
	for _, s := range f.Sets {
		list = append(list, s.Verdict)
	}
	return list
}

// TestRealFiles gives every real file at hand the verdicts that the rule gives.
func TestRealFiles(t *testing.T) {
	const folder = "../../../../../shared/data/dts"
	entries, err := os.ReadDir(folder)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skipf("the real audits are not beside the project: %v", err)
	}
	warned := 0
	for _, e := range entries {
		if e.Name() == "LICENSE" || filepath.Ext(e.Name()) == ".md" {
			continue
		}
		text := file(t, filepath.Join(folder, e.Name()))
		f, err := Read(text)
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		if have, want := fmt.Sprint(verdicts(f)), fmt.Sprint(slow(text)); have != want {
			t.Errorf("%s: %s, want %s", e.Name(), have, want)
		}
		for _, w := range f.Warnings {
			if strings.Contains(w, "SE counts") && f.Verdict == OK {
				warned++
			}
		}
	}
	if warned == 0 {
		t.Error("no good file has a wrong SE count: they do")
	}
}

func TestMoneyCountersAndEvents(t *testing.T) {
	f, err := Read(file(t, "testdata/gateway.daa"))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Sets[0]
	if s.Machine != "PLB0001" || s.Taken != "2026-03-04T23:55:01" || s.Cash != (Cash{Sales: 90000, Box: 1250, Tubes: 4350}) {
		t.Errorf("%+v", s)
	}
	if want := (Product{ID: "11", Name: "COLA", Price: 150, Capacity: 10, Sold: 412, Value: 61800, SinceReset: 7, Free: 3}); s.Products[0] != want {
		t.Errorf("%+v", s.Products[0])
	}
	if p := s.Products[1]; p.Name != "CAFÉ" || !p.SoldOut {
		t.Errorf("%+v", p)
	}
	var lasting []string
	for _, e := range s.Events {
		if e.Active {
			lasting = append(lasting, e.Fault()+" "+e.Selection())
		}
	}
	if got := strings.Join(lasting, ", "); got != "door_open , stuck_item 12,  " {
		t.Errorf("lasting events: %s", got)
	}
	if s.Unknown != 1 {
		t.Errorf("%d unknown records", s.Unknown)
	}
}

func TestFaults(t *testing.T) {
	for code, want := range map[string]string{
		"EAD": "coin_jam", "EAF_1": "coin_jam", "EAR": "other", "ENC": "coin_jam", "EN": "other", "EJL_12": "stuck_item", "EJJ": "temperature",
		"EOC": "temperature", "EC1C": "temperature", "EC1F": "other", "EGS": "door_open", "OBB": "door_open", "EGT": "", "EK2A": "card_reader", "EKW": "",
		"EBD": "other", "EDI_5": "other", "OBH": "other", "OAJ_BRW": "", "00000000": "other", "É": "other",
	} {
		if got := (Event{Code: code}).Fault(); got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}

// TestHostile: what nobody sends in good faith costs little and says why.
func TestHostile(t *testing.T) {
	sealed := func(set string) string { return set + Seal([]byte(set)) + "\nSE*3*0001\n" }
	many := func(n int, line string) string {
		var b strings.Builder
		b.WriteString("ST*001*0001\n")
		for i := range n {
			fmt.Fprintf(&b, line+"\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		text string
		kind errs.Kind // "": it is read
		want Verdict
		says string // in the error, or in a warning
	}{
		"nothing":             {"", errs.Invalid, "", "no EVA-DTS file"},
		"prose":               {"Dear Sir,\nwe have sold\nnothing.\n", errs.Invalid, "", "line 1 to 4"},
		"one record":          {"PA1*1*100", "", NoChecksum, "taken for one"},
		"too long":            {strings.Repeat("x", MaxBytes+1), errs.TooLarge, "", "1048576 bytes"},
		"a line of 1 MB":      {sealed("ST*001*0001\nID1*" + strings.Repeat("A", MaxBytes-200) + "\n"), "", OK, "SE counts"},
		"a field of 1 MB":     {"ST*1\nPA1*1*" + strings.Repeat("7", MaxBytes-20), "", NoChecksum, "no whole number"},
		"a million stars":     {"ST*1\nPA1" + strings.Repeat("*", MaxBytes-20), "", NoChecksum, "without a number"},
		"only line ends":      {strings.Repeat("\n", MaxBytes), errs.TooLarge, "", "lines"},
		"thousands of sets":   {strings.Repeat("ST*001*0001\nSE*2*0001\n", 4000), errs.TooLarge, "", "64 sets"},
		"too many selections": {many(maxProducts+1, "PA1*%d*100"), errs.TooLarge, "", "selections"},
		"too many events":     {many(maxEvents+1, "EA2*E%d*1"), errs.TooLarge, "", "events"},
		"too many warnings":   {many(5000, "PA2*x%d"), "", NoChecksum, "belongs to no selection"},
		"NULs":                {sealed("ST*001*0001\nID1*A\x00B\x00*\x00\nPA1*\x001*100\n"), "", OK, ""},
		"no UTF-8":            {sealed("ST*001*0001\nID1*\xff\xfe*\xc3\n"), "", OK, ""},
		"a wrong checksum":    {"ST*001*0001\nPA1*1*100\nG85*0000\nSE*4*0001\n", "", BadChecksum, "the checksum is"},
		"a hostile checksum":  {"ST*001*0001\nG85*\xff" + strings.Repeat("z", 1000) + "\n", "", BadChecksum, "the checksum is"},
		"an empty checksum":   {"ST*001*0001\nPA1*1*100\nG85*\n", "", BadChecksum, ""},
		"G85 twice":           {sealed("ST*001*0001\nPA1*1*100\n") + "G85*0000\n", "", OK, ""},
		"numbers over 64 bit": {"ST*1\nPA1*1*99999999999999999999999\nPA2*-1*1e9\n", "", NoChecksum, "no whole number"},
		"ends of its own":     {strings.ReplaceAll(sealed("ST*001*0001\nPA1*1*100\n"), "\n", "\r"), "", OK, ""},
		"an empty set":        {"DXS*1\nST*001*0001\nSE*2*0001\nDXE*1*1", "", NoChecksum, ""},
	} {
		f, err := Read([]byte(c.text))
		if c.kind != "" {
			if !errs.Is(err, c.kind) || !strings.Contains(errs.Message(err), c.says) {
				t.Errorf("%s: %v, want %s that says %q", name, err, c.kind, c.says)
			}
			continue
		}
		if err != nil || f.Verdict != c.want {
			t.Errorf("%s: %s, %v, want %s", name, f.Verdict, err, c.want)
			continue
		}
		if c.says != "" && !strings.Contains(strings.Join(f.Warnings, "\n"), c.says) {
			t.Errorf("%s: warnings %.200q, want %q", name, f.Warnings, c.says)
		}
		check(t, f)
	}
}

// check holds what is true of every file that is read.
func check(t testing.TB, f File) {
	t.Helper()
	if len(f.Sets) == 0 || len(f.Sets) > maxSets || len(f.Warnings) > maxWarnings {
		t.Fatalf("%d sets, %d warnings", len(f.Sets), len(f.Warnings))
	}
	worst := OK
	for _, s := range f.Sets {
		worst = worse(worst, s.Verdict)
		texts := []string{s.Machine, s.Model, s.Build, s.Currency, s.Taken}
		seen := map[string]bool{}
		for _, p := range s.Products {
			if p.ID == "" || seen[p.ID] || p.Price < 0 || p.Sold < 0 || p.Value < 0 || p.Capacity < 0 || p.SinceReset < 0 || p.Free < 0 {
				t.Fatalf("product %+v", p)
			}
			seen[p.ID] = true
			texts = append(texts, p.ID, p.Name)
		}
		for _, e := range s.Events {
			texts = append(texts, e.Code)
		}
		for _, x := range texts {
			if !utf8.ValidString(x) || strings.ContainsFunc(x, func(r rune) bool { return r < 32 || r == 127 }) || utf8.RuneCountInString(x) > 64 {
				t.Fatalf("text %q", x)
			}
		}
		if s.Decimals < 0 || s.Decimals > 6 || s.Cash.Tubes < 0 || s.Cash.Box < 0 {
			t.Fatalf("%+v", s)
		}
	}
	if worst != f.Verdict {
		t.Fatalf("verdict %s of %v", f.Verdict, verdicts(f))
	}
	for _, w := range f.Warnings {
		if !utf8.ValidString(w) || !strings.HasPrefix(w, "line ") || len(w) > 400 {
			t.Fatalf("warning %q", w)
		}
	}
}

// TestSealedSetsAreRead: what Seal seals is ok, whatever ends the lines, and one
// changed byte is noticed.
func TestSealedSetsAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		products := rapid.IntRange(0, 40).Draw(t, "products")
		set := "ST*001*0001\nID1*PLB" + rapid.StringMatching(`[0-9]{1,9}`).Draw(t, "serial") + "\n"
		total := int64(0)
		for i := range products {
			sold := rapid.Int64Range(0, 1e6).Draw(t, "sold")
			total += sold
			set += fmt.Sprintf("PA1*%d*150*%s\nPA2*%d*%d\n", i, rapid.StringMatching(`[ -)+-~À-ÿ]{0,20}`).Draw(t, "name"), sold, 150*sold)
		}
		text := rapid.SampledFrom([]string{"", "DXS*1*VA*V0/6*1\n", "<000|gateway>DXS*1\n"}).Draw(t, "before") + set + Seal([]byte(set)) + "\nSE*1*0001\nDXE*1*1\n"
		text = strings.ReplaceAll(text, "\n", rapid.SampledFrom([]string{"\n", "\r\n", "\r"}).Draw(t, "end"))
		f, err := Read([]byte(text))
		if err != nil || f.Verdict != OK || len(f.Sets) != 1 || len(f.Sets[0].Products) != products {
			t.Fatalf("%q is read as %+v, %v", text, f, err)
		}
		sum := int64(0)
		for _, p := range f.Sets[0].Products {
			sum += p.Sold
		}
		if sum != total {
			t.Fatalf("sold %d, want %d", sum, total)
		}
		// A CRC-16 notices every single wrong byte.
		spoilt, from := []byte(text), strings.Index(text, "ID1*")+4
		at := rapid.IntRange(from, strings.Index(text, "G85*")-3).Draw(t, "at")
		if was := spoilt[at]; was != '\r' && was != '\n' {
			spoilt[at] = was ^ 0x01
			if spoilt[at] != '\r' && spoilt[at] != '\n' && bytes.Count(spoilt, []byte("ST*")) == 1 {
				if f, err := Read(spoilt); err != nil || f.Verdict != BadChecksum {
					t.Fatalf("spoilt at %d, %q is %s, %v", at, spoilt, f.Verdict, err)
				}
			}
		}
	})
}

// FuzzRead: no text makes the reader panic or return what others must not see, its
// verdicts are the rule's, and sealed again every set is good.
func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.*")
	for _, name := range names {
		f.Add(file(f, name))
	}
	for _, s := range []string{"", "ST*", "ST*\rG85*0000", "ST*1\nG85*\nG85*", "PA1*\xff*1\nPA2*9999999999999999", "EA2*E*1*1**1", "CA17*1*999999999999999*999999999999999"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Read(text)
		if err != nil {
			if !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.TooLarge) || !utf8.ValidString(err.Error()) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		check(t, got)
		if have, want := fmt.Sprint(verdicts(got)), fmt.Sprint(slow(text)); have != want {
			t.Fatalf("%q: %s, want %s", text, have, want)
		}
		// The records of the first set, sealed anew.
		lines := split(text)
		set := []byte("ST*001*0001\n")
		for _, l := range lines[min(got.Sets[0].Line, len(lines)):] {
			if is(l, "G85") || is(l, "SE") || is(l, "DXE") || is(l, "ST") {
				break
			}
			set = append(append(set, l...), '\n')
		}
		again, err := Read(append(set, Seal(set)...))
		if err != nil && !errs.Is(err, errs.TooLarge) || err == nil && again.Verdict != OK {
			t.Fatalf("%q sealed is %s, %v", set, again.Verdict, err)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := file(b, "testdata/animo.eva_dts")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(text); err != nil {
			b.Fatal(err)
		}
	}
}
