package plan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/cas/cdc"
	"plumb/engines/cas/squeeze"
	"plumb/engines/forecast"
)

// Bounds of a sample's memory: contents of files and of chunks that are known by their
// hashes, 200 bytes each or so. Of more, a random part is (see seen).
const (
	mostFiles  = 1 << 19
	mostChunks = 1 << 19
	mostFaults = 5 // named; the others are counted
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

	Skipped int64    // that could not be read
	Others  int64    // neither files nor folders: links, devices, sockets
	Faults  []string // why, of the first few
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
	dir, err := os.Open(folder)
	if err == nil {
		err = w.folder(dir, folder)
	}
	if err := ctx.Err(); err != nil {
		return Sample{}, fmt.Errorf("measure %s: %w", folder, err)
	}
	if err != nil {
		return Sample{}, errs.New(errs.Invalid, "--sample %s: %v", folder, reason(err))
	}
	s := w.result()
	if s.Bytes == 0 {
		return s, errs.New(errs.Invalid, "--sample %s: there is no file with anything in it to measure (%d empty, %d could not be read)", folder, s.Files, s.Skipped)
	}
	return s, nil
}

// reason is an error of the file system without the path, which stands before it.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// walker is a measurement under way.
type walker struct {
	ctx    context.Context
	tell   func(Sample)
	told   time.Time
	s      Sample
	square float64 // sum of the squares of sizes
	files  *seen
	chunks *seen
	reader *cdc.Reader
	packed []byte // of the last chunk
}

func newWalker(ctx context.Context, folder string, at time.Time, tell func(Sample)) (*walker, error) {
	key := sha256.Sum256([]byte("plumb plan sample")) // any will do, and one gives the same figures again
	cutter, err := cdc.New(key[:], cdc.Default)
	if err != nil {
		return nil, err
	}
	return &walker{ctx: ctx, tell: tell, s: Sample{Folder: folder, At: at}, files: newSeen(mostFiles), chunks: newSeen(mostChunks),
		reader: cdc.NewReader(cutter, nil, nil)}, nil
}

// folder measures what is in a folder, some entries at a time. An error is that of the
// folder itself.
func (w *walker) folder(dir *os.File, path string) error {
	defer dir.Close()
	for {
		list, err := dir.ReadDir(512)
		for _, e := range list {
			if w.ctx.Err() != nil {
				return nil
			}
			w.entry(e, filepath.Join(path, e.Name()))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (w *walker) entry(e fs.DirEntry, path string) {
	if !e.IsDir() && !e.Type().IsRegular() {
		w.s.Others++
		return
	}
	// Neither a link nor a pipe that took the name meanwhile is followed or waited for.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err == nil && e.IsDir() {
		err = w.folder(f, path)
	} else if err == nil {
		err = w.file(f)
	}
	if err != nil && w.ctx.Err() == nil {
		w.s.Skipped++
		if len(w.s.Faults) < mostFaults {
			w.s.Faults = append(w.s.Faults, fmt.Sprintf("%s: %v", path, reason(err)))
		}
	}
}

// file reads a file and counts it. One that cannot be read to its end counts nothing
// but the chunks that were.
func (w *walker) file(f *os.File) error {
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return errors.Join(err, errors.New("it is no file any more"))
	}
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
		w.chunks.add(sha256.Sum256(chunk), int64(len(chunk)), func() int64 { return w.stored(chunk, head) })
		w.progress(size)
	}
	w.s.Files++
	w.s.Bytes += size
	w.square += float64(size) * float64(size)
	w.files.add([sha256.Size]byte(whole.Sum(nil)), size, func() int64 { return size })
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
	files, chunks := share(w.files.once, w.files.bytes), share(w.chunks.once, w.chunks.bytes)
	s.SameFiles = 1 - files
	if files > 0 {
		s.SameChunks = max(0, 1-chunks/files)
	}
	s.Compression = 1 - share(w.chunks.packed, w.chunks.once)
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
	if s.Others > 0 {
		out += fmt.Sprintf("\n%s links, devices and the like were not looked at", units.Count(s.Others))
	}
	if s.Skipped > 0 {
		out += fmt.Sprintf("\n%s could not be read:", units.Count(s.Skipped))
		for _, f := range s.Faults {
			out += "\n  " + f
		}
		if more := s.Skipped - int64(len(s.Faults)); more > 0 {
			out += fmt.Sprintf("\n  and %s more", units.Count(more))
		}
	}
	return out
}

// stored is how many bytes the store would keep of a chunk of a file that begins with head.
func (w *walker) stored(chunk, head []byte) int64 {
	var ok bool
	if w.packed, ok = squeeze.Pack(w.packed[:0], chunk, head); ok {
		return int64(len(w.packed))
	}
	return int64(len(chunk))
}
