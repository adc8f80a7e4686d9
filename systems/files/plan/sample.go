package plan

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas/cdc"
	"plumb/engines/cas/squeeze"
	"plumb/engines/forecast"
	"plumb/engines/forecast/survey"
)

// Bounds of a sample's memory: contents of files and of chunks that are known by their
// hashes, 200 bytes each or so. Of more, a random part is (see survey.Thin).
const (
	mostFiles  = 1 << 19
	mostChunks = 1 << 19
)

// Sample is what was measured on a folder.
type Sample struct {
	Folder string
	At     time.Time
	Files  int64
	Bytes  int64

	SizeMean, SizeError float64 // bytes of a file, and the mean's standard error
	SameFiles           float64 // share of bytes in files equal to another one, which stays
	SameChunks          float64 // share of the rest in chunks that another file has
	Compression         float64 // share that compression saves of what is left then

	survey.Walk // what could not be read, and why
}

// Measure walks a folder, reads every file, and finds out how much is alike, with the
// store's own chunker and compression. It follows no links and stores nothing. What
// cannot be read is skipped and counted. Memory is bounded, whatever the folder has.
// tell, which may be nil, is called with what is done so far, ten times a second at
// most. Errors: Invalid for a folder that cannot be opened or has nothing in it; ctx's.
func Measure(ctx context.Context, folder string, at time.Time, tell func(Sample)) (Sample, error) {
	w, err := newWalker(ctx, folder, at, tell)
	if err != nil {
		return Sample{}, fmt.Errorf("measure %s: %w", folder, err)
	}
	if err := w.s.Walk.Folder(ctx, folder, w.file); err != nil {
		return Sample{}, err
	}
	s := w.result()
	if s.Bytes == 0 {
		return s, errs.New(errs.Invalid, "--calibrate %s: there is no file with anything in it to measure (%d empty, %d could not be read)", folder, s.Files, s.Skipped)
	}
	return s, nil
}

// walker is a measurement under way.
type walker struct {
	ctx    context.Context
	tell   func(Sample)
	told   time.Time
	s      Sample
	square float64 // sum of the squares of sizes
	files  *survey.Thin[content]
	chunks *survey.Thin[content]
	reader *cdc.Reader
	packed []byte // of the last chunk
}

// content is what is known of a file's or a chunk's bytes.
type content struct {
	size, packed, times int64
}

func newWalker(ctx context.Context, folder string, at time.Time, tell func(Sample)) (*walker, error) {
	key := sha256.Sum256([]byte("plumb plan sample")) // any will do, and one gives the same figures again
	cutter, err := cdc.New(key[:], cdc.Default)
	if err != nil {
		return nil, err
	}
	return &walker{ctx: ctx, tell: tell, s: Sample{Folder: folder, At: at, Walk: survey.Walk{Flag: "--calibrate"}},
		files: survey.NewThin[content](mostFiles), chunks: survey.NewThin[content](mostChunks),
		reader: cdc.NewReader(cutter, nil, nil)}, nil
}

// file reads a file and counts it. One that cannot be read to its end counts nothing
// but the chunks that were.
func (w *walker) file(f *os.File, _ string) error {
	w.reader.Reset(f)
	whole, size := sha256.New(), int64(0)
	var head []byte
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		chunk, err := w.reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if head == nil {
			head = append(head, chunk[:min(len(chunk), 512)]...)
		}
		size += int64(len(chunk))
		whole.Write(chunk)
		if c := w.chunks.At(sha256.Sum256(chunk)); c != nil {
			if c.times++; c.times == 1 {
				c.size, c.packed = int64(len(chunk)), w.stored(chunk, head)
			}
		}
		w.progress(size)
	}
	w.s.Files++
	w.s.Bytes += size
	w.square += float64(size) * float64(size)
	if c := w.files.At([sha256.Size]byte(whole.Sum(nil))); c != nil {
		c.size, c.times = size, c.times+1
	}
	w.progress(0)
	return nil
}

// progress tells what is done, with the bytes of the file at hand.
func (w *walker) progress(more int64) {
	if w.tell == nil || time.Since(w.told) < 100*time.Millisecond {
		return
	}
	w.told = time.Now()
	s := w.s
	s.Bytes += more
	w.tell(s)
}

func (w *walker) result() Sample {
	s := w.s
	if s.Files == 0 {
		return s
	}
	n := float64(s.Files)
	s.SizeMean = float64(s.Bytes) / n
	if s.Files > 1 {
		s.SizeError = math.Sqrt(max(0, w.square/n-s.SizeMean*s.SizeMean) / (n - 1))
	}
	// Chunks of equal files are equal too: what equal files save is not saved again.
	bytes, once, _ := sums(w.files)
	files := share(once, bytes)
	bytes, once, packed := sums(w.chunks)
	chunks := share(once, bytes)
	s.SameFiles = 1 - files
	if files > 0 {
		s.SameChunks = max(0, 1-chunks/files)
	}
	s.Compression = 1 - share(packed, once)
	return s
}

// Inputs returns what the sample says of the model's inputs, for WithMeasured.
func (s Sample) Inputs() map[string]forecast.Measurement {
	from := fmt.Sprintf("%s files (%s) in %s, on %s", units.Count(s.Files), units.Bytes(float64(s.Bytes)), s.Folder, s.At.UTC().Format("2 January 2006"))
	// Sizes differ by orders of magnitude: the mean's band is one of factors.
	spread := math.Exp(1.645 * math.Sqrt(math.Log1p(math.Pow(s.SizeError/s.SizeMean, 2))))
	mean := s.SizeMean / 1e6
	size := fmt.Sprintf("%.4g to %.4g MB/file", mean/spread, mean*spread)
	if fmt.Sprintf("%.4g", mean/spread) == fmt.Sprintf("%.4g", mean*spread) {
		size = fmt.Sprintf("%.4g MB/file", mean)
	}
	percent := func(v float64) forecast.Measurement {
		return forecast.Measurement{Range: fmt.Sprintf("%.3g %%", 100*v), From: from}
	}
	return map[string]forecast.Measurement{
		"file_size":   {Range: size, From: from},
		"duplicates":  percent(s.SameFiles),
		"chunk_saved": percent(s.SameChunks),
		"compression": percent(s.Compression),
	}
}

// String tells the sample in a few lines.
func (s Sample) String() string {
	out := fmt.Sprintf("%s files, %s: %.1f%% of the bytes in equal files, %.1f%% of the rest in equal chunks, %.1f%% of what is left saved by compression",
		units.Count(s.Files), units.Bytes(float64(s.Bytes)), 100*s.SameFiles, 100*s.SameChunks, 100*s.Compression)
	return out + s.Walk.String()
}

// sums adds up what is known: each as often as it came, each once, each once compressed.
func sums(known *survey.Thin[content]) (bytes, once, packed int64) {
	known.Each(func(c *content) {
		bytes, once, packed = bytes+c.size*c.times, once+c.size, packed+c.packed
	})
	return bytes, once, packed
}

// share is part/whole; 0 of nothing.
func share(part, whole int64) float64 {
	if whole <= 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// stored is how many bytes the store would keep of a chunk of a file that begins with head.
func (w *walker) stored(chunk, head []byte) int64 {
	var ok bool
	if w.packed, ok = squeeze.Pack(w.packed[:0], chunk, head); ok {
		return int64(len(w.packed))
	}
	return int64(len(chunk))
}
