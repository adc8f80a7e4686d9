package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"plumb/base/errs"
	"plumb/engines/web"
)

// Audits of many machines in one request, as a telemetry gateway sends them.

const (
	gatewayBytes = 64 << 20
	gatewayLines = 20_000
	gatewayChunk = 250 // files in a transaction
)

// fileIn is one line: a file as text, or in base64 where its bytes are no UTF-8.
type fileIn struct {
	Machine string `json:"machine" minLength:"1" maxLength:"64"`
	File    string `json:"file,omitempty" doc:"The audit as text, with its line ends"`
	Base64  []byte `json:"base64,omitempty" doc:"Or its bytes, where they are no UTF-8"`
}

// fileLine is the answer to one line.
type fileLine struct {
	Line     int      `json:"line" doc:"From 1"`
	Machine  string   `json:"machine,omitempty"`
	Status   string   `json:"status" enum:"stored,duplicate,invalid,unknown,conflict,denied,moved,refused"`
	ID       string   `json:"id,omitempty" doc:"SHA-256 of the file"`
	Verdict  string   `json:"verdict,omitempty" enum:"ok,no_checksum,bad_checksum" doc:"The worst of its sets"`
	Sets     int      `json:"sets,omitempty"`
	Warnings int      `json:"warnings,omitempty" doc:"How many; GET the audit to read them"`
	Detail   string   `json:"detail,omitempty" doc:"Why it was not stored"`
	Cell     *cellOut `json:"cell,omitempty" doc:"Where the machine belongs, in a house of several regions"`
	RetryInS float64  `json:"retry_in_s,omitempty" doc:"Of a refused line: send it again after so many seconds"`
}

// failed fills in why a line was not stored.
func (l *fileLine) failed(err error) {
	l.Detail = errs.Message(err)
	var door *Refused
	var away *Elsewhere
	switch {
	case errors.As(err, &away):
		l.Status, l.Cell = "moved", away.Cell.out()
	case errors.As(err, &door):
		l.Status, l.RetryInS = "refused", inSeconds(door.Wait)
	case errs.Is(err, errs.Busy), errs.Is(err, errs.Internal):
		l.Status, l.RetryInS = "refused", inSeconds(max(errs.RetryAfter(err), time.Second))
	case errs.Is(err, errs.NotFound):
		l.Status = "unknown"
	case errs.Is(err, errs.Conflict):
		l.Status = "conflict"
	case errs.Is(err, errs.Denied):
		l.Status = "denied"
	default:
		l.Status = "invalid"
	}
}

// batch is a part of a body: the lines' answers, and the files among them.
type batch struct {
	lines []fileLine
	files []*filed // nil where the line holds none
}

// streamFiles works off an NDJSON body of files, batch by batch, and writes a line
// for each line. While one batch is committed the next is read. It returns an error,
// with nothing written, when the first batch is refused whole; later refusals are
// told line by line. Empty lines count but are not answered.
func (s *System) streamFiles(ctx context.Context, gateway string, body []byte, w io.Writer) error {
	if n := bytes.Count(body, []byte{'\n'}); n > gatewayLines {
		return errs.New(errs.TooLarge, "a batch may have %d lines, not %d: send it in parts", gatewayLines, n)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	batches := make(chan batch, 1)
	go func() {
		defer close(batches)
		for number := 0; len(body) > 0; {
			var b batch
			for len(b.lines) < gatewayChunk && len(body) > 0 {
				var line []byte
				line, body, _ = bytes.Cut(body, []byte{'\n'})
				number++
				if len(bytes.TrimSpace(line)) > 0 {
					b.add(number, line)
				}
			}
			select {
			case batches <- b:
			case <-ctx.Done():
				return
			}
		}
	}()
	enc, answered := json.NewEncoder(w), false
	for b := range batches {
		if len(b.lines) == 0 {
			continue
		}
		if err := s.fileBatch(ctx, gateway, b); err != nil {
			if !answered {
				return err
			}
			if errs.Is(err, errs.Internal) {
				s.n.Log.Error("a part of a batch of audits was not stored", "gateway", gateway, "from_line", b.lines[0].Line, "error", err)
			}
		}
		answered = true
		for i := range b.lines {
			if err := enc.Encode(&b.lines[i]); err != nil {
				return nil // the gateway went away: it will send again what was not answered
			}
		}
	}
	if err := ctx.Err(); err != nil && !answered {
		return err // else the gateway went away in the middle, and knows what was answered
	}
	if !answered {
		return web.Malformed(errs.New(errs.Invalid, "the body holds no file"))
	}
	return nil
}

// add reads a line.
func (b *batch) add(number int, line []byte) {
	out := fileLine{Line: number}
	var f *filed
	var in fileIn
	err := web.DecodeBytes(line, &in)
	if err == nil {
		text := in.Base64
		if text == nil {
			text = []byte(in.File)
		}
		switch {
		case in.Machine == "" || len(in.Machine) > 64:
			err = errs.New(errs.Invalid, "machine must be given, with up to 64 characters")
		case in.Base64 != nil && in.File != "":
			err = errs.New(errs.Invalid, "file and base64 are the same: send one of them")
		default:
			out.Machine = in.Machine
			f, err = newFiled(in.Machine, text)
		}
	}
	if err != nil {
		out.failed(err)
		f = nil
	}
	b.lines, b.files = append(b.lines, out), append(b.files, f)
}

// fileBatch stores the files of a batch and fills in its answers. The error is for
// all of its files: they say so too.
func (s *System) fileBatch(ctx context.Context, gateway string, b batch) error {
	list := make([]*filed, 0, len(b.files))
	for _, f := range b.files {
		if f != nil {
			list = append(list, f)
		}
	}
	var err error
	if len(list) > 0 {
		if err = s.admit("gateway "+gateway, len(list)); err == nil {
			err = s.fileAdmitted(ctx, "gateway "+gateway, list, s.n.Clock.Now())
		}
	}
	for i, f := range b.files {
		out := &b.lines[i]
		switch {
		case f == nil: // answered
		case err != nil:
			out.failed(err)
		case f.err != nil:
			out.failed(f.err)
		default:
			out.Status, out.ID, out.Verdict, out.Sets, out.Warnings = "stored", f.id, string(f.file.Verdict), len(f.file.Sets), len(f.file.Warnings)
			if f.duplicate {
				out.Status = "duplicate"
			}
		}
	}
	return err
}
