package files

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/engines/accounts"
)

// The demonstration is a small public library, made in code: texts, drawings and
// pictures, some of them twice, and large files with edited copies, so that there is
// something to save. It belongs to whoever runs the house.
const (
	demoEvery  = 20 * time.Second // between two files that somebody adds
	demoFolder = "Library"
	demoKept   = 40 // files that come and go
)

// demoFile is one file of the library.
type demoFile struct {
	path string
	body []byte
}

// Demo fills the room with a small public library, unless it is there, and lets
// somebody add to it until ctx ends, which is no error.
func (s *System) Demo(ctx context.Context) error {
	err := s.demo(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("demonstration: %w", err)
	}
	return nil
}

func (s *System) demo(ctx context.Context) error {
	p, err := s.n.People.Named(ctx, "admin")
	if err != nil {
		return err
	}
	who := Person{ID: p.ID, Operator: true}
	if _, err := s.Stat(ctx, who, demoFolder+"/Read me.txt"); errs.Is(err, errs.NotFound) {
		if err := s.demoLibrary(ctx, who, p); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(4, uint64(s.n.Clock.Now().UnixNano())))
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-s.n.Clock.After(demoEvery):
		}
		body := []byte(demoText(r.Uint64N(30), 40)) // of thirty texts: mostly one that is there already
		if _, _, err := s.Write(ctx, who, fmt.Sprintf("%s/Arrivals/Note %02d.txt", demoFolder, i%demoKept), bytes.NewReader(body), WriteOptions{Size: int64(len(body))}); err != nil && ctx.Err() == nil {
			s.n.Log.Warn("the demonstration could not add a file", "error", err)
		}
	}
}

// demoLibrary makes the library and publishes it; its read-me comes last, so that a
// demonstration that was broken off is made whole at the next start.
func (s *System) demoLibrary(ctx context.Context, who Person, p accounts.Person) error {
	list := demoFiles()
	for _, f := range list {
		if _, _, err := s.Write(ctx, who, demoFolder+"/"+f.path, bytes.NewReader(f.body), WriteOptions{Size: int64(len(f.body))}); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	if _, err := s.Publish(ctx, who, demoFolder, true); err != nil {
		return err
	}
	private := []byte("Only " + p.Name + " sees this one: files are private unless they are shared.\n")
	if _, _, err := s.Write(ctx, who, "Private note.txt", bytes.NewReader(private), WriteOptions{Size: int64(len(private))}); err != nil {
		return err
	}
	readMe := []byte("This library was made by the demonstration. Some of its files are in it twice, and the\n" +
		"large ones under Datasets are edited copies of one another: the page Stored once tells what that saves.\n")
	if _, _, err := s.Write(ctx, who, demoFolder+"/Read me.txt", bytes.NewReader(readMe), WriteOptions{Size: int64(len(readMe))}); err != nil {
		return err
	}
	s.n.Log.Info("the demonstration made a library", "files", len(list)+2)
	return nil
}

// demoFiles are the library, the same each time.
func demoFiles() []demoFile {
	var list []demoFile
	add := func(body []byte, paths ...string) {
		for _, path := range paths {
			list = append(list, demoFile{path, body})
		}
	}
	for i, title := range []string{"On slots and herds", "A name for every content", "The bin and its end", "Über Namen", "分かち合う"} {
		text := []byte("# " + title + "\n\n" + demoText(uint64(i), 300))
		add(text, "Texts/"+title+".md", "Backup of my laptop/Documents/"+title+".md")
	}
	for i := range 6 {
		add(demoDrawing(i), fmt.Sprintf("Drawings/Figure %d.svg", i+1))
	}
	for i, name := range []string{"Dunes", "Harbour", "Night sky", "Meadow"} {
		picture := demoPicture(i)
		add(picture, "Pictures/"+name+".png", "Backup of my laptop/Pictures/"+name+".png")
		if i < 2 {
			add(picture, "Pictures/Best of/"+name+" (copy).png")
		}
	}
	data := demoData()
	add(data, "Datasets/Measurements 2026-01.csv")
	for month := 2; month <= 5; month++ {
		// Each month a few lines are put in near the front, and some are corrected.
		at := len(data) / 7 * month
		at += bytes.IndexByte(data[at:], '\n') + 1
		data = bytes.Join([][]byte{data[:at], []byte(strings.Repeat(fmt.Sprintf("2026-%02d-01T00:00:00Z,added,0,0\n", month), 40)), data[at:]}, nil)
		add(data, fmt.Sprintf("Datasets/Measurements 2026-%02d.csv", month))
	}
	return list
}

// demoText returns words that mean little, always the same for a seed.
func demoText(seed uint64, words int) string {
	stock := strings.Fields("content name chunk folder copy link count reference bin version quota share reader writer upload range hash seal key pack bucket row tree root path server browser person library note picture page word line file is has keeps finds shows moves counts holds gives takes the a one each every no of in with for from to and or once twice never always soon later here there")
	r := rand.New(rand.NewPCG(seed, 42))
	var b strings.Builder
	for i := range words {
		w := stock[r.IntN(len(stock))]
		switch {
		case i%12 == 0:
			b.WriteString(strings.ToUpper(w[:1]) + w[1:])
		default:
			b.WriteString(" " + w)
		}
		if i%12 == 11 {
			b.WriteString(". ")
		}
		if i%60 == 59 {
			b.WriteString("\n\n")
		}
	}
	return b.String() + ".\n"
}

// demoDrawing returns a rose curve (r = cos kθ).
func demoDrawing(i int) []byte {
	var b bytes.Buffer
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="-110 -110 220 220" width="440" height="440"><rect x="-110" y="-110" width="220" height="220" fill="#fffdf7"/><path fill="none" stroke="#2457a0" d="M`)
	k := float64(i+2) / float64(i%3+1)
	for t := range 721 {
		a := float64(t) / 60 * math.Pi
		fmt.Fprintf(&b, "%.1f %.1f ", 100*math.Cos(k*a)*math.Cos(a), 100*math.Cos(k*a)*math.Sin(a))
	}
	b.WriteString(`"/></svg>` + "\n")
	return b.Bytes()
}

// demoPicture returns a picture of soft waves with some grain, as photographs have.
func demoPicture(i int) []byte {
	const w, h = 480, 320
	r := rand.New(rand.NewPCG(uint64(i), 7))
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			v := math.Sin(float64(x)/(40+10*float64(i))+math.Sin(float64(y)/60)) * math.Cos(float64(y)/(30+7*float64(i)))
			c := uint8(128 + 90*v + 20*r.Float64())
			img.Set(x, y, color.RGBA{c, uint8(40*i) + c/2, 255 - c, 255})
		}
	}
	var b bytes.Buffer
	png.Encode(&b, img) // into memory: it cannot fail
	return b.Bytes()
}

// demoData returns two megabytes of measurements.
func demoData() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	b.WriteString("time,station,temperature,pressure\n")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for b.Len() < 2<<20 {
		fmt.Fprintf(&b, "%s,S%02d,%.2f,%.1f\n", at.Format(time.RFC3339), r.IntN(40), 8+6*r.NormFloat64(), 1013+9*r.NormFloat64())
		at = at.Add(time.Minute)
	}
	return b.Bytes()
}
