package photos

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"plumb/base/errs"
	"plumb/systems/photos/internal/painted"
)

// chunk writes a PNG's chunk.
func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// hugePNG says that it has so many pixels, and has hardly a byte for them.
func hugePNG(width, height uint32) []byte {
	head := binary.BigEndian.AppendUint32(nil, width)
	head = binary.BigEndian.AppendUint32(head, height)
	head = append(head, 8, 2, 0, 0, 0)
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(make([]byte, 1000))
	w.Close()
	return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head), chunk("IDAT", z.Bytes()), chunk("IEND", nil)}, nil)
}

// brokenPNG is a PNG whose container is whole, and whose pixels end too early.
func brokenPNG() []byte { return hugePNG(1000, 1000) }

func plainPNG() []byte {
	var b bytes.Buffer
	png.Encode(&b, image.NewGray(image.Rect(0, 0, 40, 30)))
	return b.Bytes()
}

// lying is a photo whose EXIF is nonsense: a directory that leads to itself, and counts
// that no file has.
func lying() []byte {
	good := photograph(5)
	at := bytes.Index(good, []byte("Exif\x00\x00")) + 6
	bad := bytes.Clone(good)
	binary.LittleEndian.PutUint32(bad[at+4:], 8) // the first directory
	for i := at + 10; i+12 < at+10+12*5 && i+12 < len(bad); i += 12 {
		binary.LittleEndian.PutUint32(bad[i+4:], 0xffffffff) // count
		binary.LittleEndian.PutUint32(bad[i+8:], 8)          // offset: the directory itself
	}
	return bad
}

// slow gives a byte at a time, and its end late.
type slow struct {
	r io.Reader
}

func (s slow) Read(b []byte) (int, error) { return s.r.Read(b[:min(1, len(b))]) }

// breaks off after some bytes.
type breaks struct{ r io.Reader }

func (b breaks) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err == io.EOF {
		err = errors.New("connection reset by peer")
	}
	return n, err
}

func TestHostileUploadsAreRefusedWithAReason(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		good := photograph(1)
		for _, c := range []struct {
			what   string
			body   any
			status int
			says   string
		}{
			{"text", "not an image", 422, "not"},
			{"nothing", "", 422, "0 bytes"},
			{"a cut photo", good[:900], 422, "cut"},
			{"a photo whose end is cut", good[:len(good)-40], 422, "cut"},
			{"markup", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 422, ""},
			{"a page with a photo's first bytes", "\xff\xd8\xff<script>alert(1)</script>", 422, ""},
			{"a bomb of pixels", hugePNG(60_000, 60_000), 413, "pixels"},
			{"sides that overflow", hugePNG(0xffffffff, 0xffffffff), 422, "broken"},
			{"too many bytes", bytes.Repeat([]byte{0xff}, 2<<20), 413, "bytes"},
			{"a body that breaks off", breaks{bytes.NewReader(good)}, 400, "end"},
		} {
			problem(t, c.what, h.call("POST", apiRoot, "ada", c.body), c.status, c.says)
		}
		if list := h.listed("ada", Filter{}); len(list) != 0 {
			t.Errorf("something was kept: %v", list)
		}
		if left := h.spools.left.Load(); left != memoryAll {
			t.Errorf("%d bytes of memory are still reserved", memoryAll-left)
		}
		entries, err := os.ReadDir(h.spools.dir)
		if err != nil && !os.IsNotExist(err) || len(entries) > 0 {
			t.Errorf("files stayed behind: %v %v", entries, err)
		}
		h.sound()
	}, func(s *setup) { s.config.MaxBytes = 1 << 20 })
}

// Who sends all before they listen hears why it is refused, and meets no broken connection.
func TestWhoSendsTooMuchHearsWhy(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		server := httptest.NewServer(h.http)
		defer server.Close()
		c, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: plumb.test\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", apiRoot, h.tokens["ada"], 8<<20)
		for range 8 { // slower than a server that closes waits for
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("it is told %s", res.Status)
		}
	}, func(s *setup) { s.config.MaxBytes = 1 << 20 })
}

func TestOddUploadsAreTaken(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		mislabelled := get[photoOut](h, 201, "POST", apiRoot, "ada", plainPNG(), "Content-Type", "image/jpeg")
		if mislabelled.Type != "image/png" {
			t.Errorf("a PNG that is called a JPEG is %s", mislabelled.Type)
		}
		bySnail := get[photoOut](h, 201, "POST", apiRoot+"?name=../../etc/passwd%00.jpg", "ada", slow{bytes.NewReader(photograph(2))}, "X-Modified", "2001-02-03T04:05:06Z")
		if bySnail.Name != "passwd.jpg" {
			t.Errorf("its name is %q", bySnail.Name)
		}
		liar := get[photoOut](h, 201, "POST", apiRoot, "ada", lying())
		if liar.Width != 96 || liar.Height != 64 {
			t.Errorf("%+v", liar)
		}
		future := photograph(3, func(f *painted.Facts) { f.Taken = noon.AddDate(50, 0, 0); f.Placed = false })
		dated := get[photoOut](h, 201, "POST", apiRoot, "ada", future, "X-Modified", "2001-02-03T04:05:06Z")
		if dated.TakenKnown || !dated.Taken.Equal(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)) || dated.Place != nil {
			t.Errorf("a photo of the future: %+v", dated)
		}
		h.sound()
	})
}

func TestWrongLengthsAndQuotas(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		body := photograph(1)
		for _, size := range []int64{int64(len(body)) + 1, int64(len(body)) - 1} {
			_, _, err := h.Upload(ctx, h.who["ada"], bytes.NewReader(body), UploadOptions{Size: size})
			kind(t, "another length", err, errs.Invalid)
		}
		_, _, err := h.Upload(ctx, h.who["ada"], bytes.NewReader(nil), UploadOptions{Size: 1 << 40})
		kind(t, "a length over the limit", err, errs.TooLarge)
		_, _, err = h.Upload(ctx, Person{}, bytes.NewReader(body), UploadOptions{Size: -1})
		kind(t, "a stranger", err, errs.Unknown)
		_, _, err = h.Upload(ctx, h.who["ada"], bytes.NewReader(body), UploadOptions{Size: -1, Album: "none"})
		kind(t, "an album that is not there", err, errs.NotFound)
		first := h.put("ada", body)
		_, _, err = h.Upload(ctx, h.who["ada"], bytes.NewReader(photograph(2)), UploadOptions{Size: -1})
		if kind(t, "over the quota", err, errs.TooLarge); !errors.Is(err, ErrQuota) {
			t.Error(err)
		}
		if _, err := h.Remove(ctx, h.who["ada"], first.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := h.EmptyBin(ctx, h.who["ada"]); err != nil {
			t.Fatal(err)
		}
		h.put("ada", photograph(2))
		totals, err := h.Totals(ctx, h.who["ada"])
		if err != nil || totals.Photos != 1 || totals.Bytes != int64(len(photograph(2))) || totals.Limit != h.c.Quota {
			t.Errorf("%+v %v", totals, err)
		}
		h.sound()
	}, func(s *setup) { s.config.Quota = int64(len(photograph(1))) + 100 })
}

func TestAFormWithSeveralPhotos(t *testing.T) {
	one(t, func(t *testing.T, h *house) {
		form := func(files ...string) (io.Reader, string) {
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			w.WriteField("note", "ignored")
			for i, f := range files {
				p, _ := w.CreateFormFile("photo", "IMG_"+string(rune('A'+i))+".jpg")
				io.WriteString(p, f)
			}
			w.Close()
			return &b, w.FormDataContentType()
		}
		body, kind := form(string(photograph(1)))
		single := get[photoOut](h, 201, "POST", apiRoot, "ada", body, "Content-Type", kind)
		if single.Name != "IMG_A.jpg" || single.Width != 96 {
			t.Errorf("%+v", single)
		}
		body, kind = form("no photo")
		problem(t, "a form with one that is none", h.call("POST", apiRoot, "ada", body, "Content-Type", kind), 422, "")
		body, kind = form()
		problem(t, "a form without a photo", h.call("POST", apiRoot, "ada", body, "Content-Type", kind), 422, "no photo")
		body, kind = form(string(photograph(1)), "no photo", string(photograph(2)))
		several := get[formsOut](h, http.StatusMultiStatus, "POST", apiRoot, "ada", body, "Content-Type", kind)
		if len(several.Photos) != 3 || several.Photos[0].Status != 200 || several.Photos[0].Photo.DuplicateOf != single.ID ||
			several.Photos[1].Status != 422 || several.Photos[1].Error == nil || several.Photos[2].Status != 201 {
			t.Errorf("%+v", several)
		}
		whole, kind := form(string(photograph(4)), string(photograph(5)))
		half, _ := io.ReadAll(whole)
		problem(t, "a form that is cut", h.call("POST", apiRoot, "ada", bytes.NewReader(half[:len(half)-400]), "Content-Type", kind), 400, "")
		h.sound()
	})
}

// A photo whose container is whole can still be broken inside. It is told so, and the
// others go on.
func TestABrokenPhotoIsMarkedAndBlocksNobody(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		bad, good := h.put("ada", brokenPNG()), h.put("ada", photograph(2))
		bad, good = h.ready(bad), h.ready(good)
		if bad.State != Broken || bad.Fault == "" || good.State != Ready {
			t.Fatalf("%s %q, %s", bad.State, bad.Fault, good.State)
		}
		problem(t, "its small size", h.call("GET", apiRoot+"/"+bad.ID+"/small", "ada", nil), 422, "broken")
		if !bytes.Equal(h.image("ada", bad.ID, Original), brokenPNG()) {
			t.Error("its original is not as it came")
		}
		if list := h.listed("ada", Filter{Broken: true}); len(list) != 1 || list[0] != bad.ID {
			t.Errorf("the broken ones are %v", list)
		}
		h.sound()
	})
}

// A job that died is begun again, and what it had done does no harm.
func TestSizesAreOrderedAgain(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		a, b := h.put("ada", photograph(1)), h.put("bob", photograph(1))
		ctxEnded, cancel := context.WithCancel(ctx)
		cancel()
		if err := h.makeSizes(ctxEnded, a.Owner, a.ID); err == nil {
			t.Error("a job whose time is up says that it is done")
		}
		h.ready(b)
		h.clock.Advance(2 * orderAfter)
		waiting := func() (n int64) {
			counts, err := h.queue.Counts(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range counts {
				if c.Kind == sizesWork {
					n += c.N
				}
			}
			return n
		}
		before := waiting()
		if err := h.orderSizes(ctx); err != nil {
			t.Fatal(err)
		}
		if after := waiting(); after != before { // each is ordered already
			t.Errorf("%d orders became %d", before, after)
		}
		for range 2 { // twice is as good as once
			if a = h.ready(a); a.State != Ready {
				t.Errorf("%+v", a)
			}
		}
		if err := h.makeSizes(ctx, a.Owner, "gone"); err != nil {
			t.Errorf("sizes of what was removed meanwhile: %v", err)
		}
		h.sound()
	})
}

func TestTheSpoolGoesToAFileAndGivesMemoryBack(t *testing.T) {
	s := newSpooler(t.TempDir())
	big := bytes.Repeat([]byte("0123456789abcdef"), 400_000) // 6.4 MB
	var held []*spool
	for i, size := range []int{0, 1, spoolStep, spoolStep + 1, memoryEach, memoryEach + 1, len(big)} {
		sp, err := s.read(t.Context(), bytes.NewReader(big[:size]), int64(len(big)))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, sp)
		got, err := io.ReadAll(sp.reader())
		if err != nil || !bytes.Equal(got, big[:size]) || sp.size != int64(size) || (sp.file != nil) != (size > memoryEach) {
			t.Errorf("%d: %d bytes, in a file: %v, %v", i, len(got), sp.file != nil, err)
		}
	}
	_, err := s.read(t.Context(), bytes.NewReader(big), int64(len(big))-1)
	kind(t, "a byte too many", err, errs.TooLarge)
	for s.take(memoryEach) { // others have the rest
	}
	sp, err := s.read(t.Context(), bytes.NewReader(big[:memoryEach]), int64(len(big)))
	if err != nil || sp.file == nil {
		t.Errorf("without memory it must go to a file: %v", err)
	}
	for _, sp := range append(held, sp) {
		sp.Close()
	}
	s.left.Add(memoryAll / memoryEach * memoryEach)
	if s.left.Load() < memoryAll-memoryEach {
		t.Errorf("%d bytes are missing", memoryAll-s.left.Load())
	}
}
