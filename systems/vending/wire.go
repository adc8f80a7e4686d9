package vending

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/web"
)

// The shapes of reports on the wire, and how a batch of them is worked off.

type reportIn struct {
	ReportID string     `json:"report_id" minLength:"1" maxLength:"128" doc:"Chosen by the machine; the same report keeps its id"`
	TakenAt  *time.Time `json:"taken_at,omitempty" doc:"By the machine's clock; leave it out without one"`
	Slots    []slotIn   `json:"slots" minItems:"1" maxItems:"500" doc:"The whole stock, every time"`
	Faults   []faultIn  `json:"faults,omitempty" maxItems:"100"`
	Firmware string     `json:"firmware,omitempty" maxLength:"64" doc:"The version that runs on the machine"`
	Config   string     `json:"config,omitempty" maxLength:"64" doc:"The version of its settings"`
}

// slotIn holds pointers, so that a number that was left out is not a zero:
// remaining 0 would send somebody to a full machine.
type slotIn struct {
	Slot      string `json:"slot" minLength:"1" maxLength:"16" example:"A1"`
	SKU       string `json:"sku" minLength:"1" maxLength:"64" example:"cola"`
	Remaining *int64 `json:"remaining" minimum:"0" doc:"At most capacity"`
	Capacity  *int64 `json:"capacity" minimum:"1" maximum:"10000"`
	Price     *int64 `json:"price,omitempty" minimum:"0" doc:"Minor units of the local currency"`
}

type faultIn struct {
	Code     string     `json:"code" enum:"coin_jam,stuck_item,door_open,temperature,card_reader,other"`
	Severity string     `json:"severity,omitempty" enum:"low,medium,high" doc:"The code's usual one, when left out"`
	Slot     string     `json:"slot,omitempty" maxLength:"16"`
	Since    *time.Time `json:"since,omitempty"`
}

// decodeReport reads one JSON object; its values are checked later. Errors:
// Invalid with the place.
func decodeReport(text []byte) (Report, error) {
	if r, ok := scanReport(text); ok {
		return r, nil
	}
	return decodeStrictly(text)
}

// decodeStrictly is decodeReport for what scanReport does not know.
func decodeStrictly(text []byte) (Report, error) {
	// Room for the slots in one piece: one takes 64 bytes and more of the text.
	in := reportIn{Slots: make([]slotIn, 0, min(len(text)/64+1, 64))}
	if err := web.DecodeBytes(text, &in); err != nil {
		return Report{}, err
	}
	r := Report{ID: in.ReportID, Slots: make([]Slot, len(in.Slots)), Firmware: in.Firmware, Config: in.Config}
	if in.TakenAt != nil {
		if y := in.TakenAt.UTC().Year(); y < 1 || y > 9999 {
			return Report{}, errs.New(errs.Invalid, "taken_at is not a time of our era")
		}
		r.Taken = *in.TakenAt
	}
	for i, s := range in.Slots {
		if s.Remaining == nil || s.Capacity == nil {
			where := fmt.Sprintf("slots[%d].remaining", i)
			if s.Remaining != nil {
				where = fmt.Sprintf("slots[%d].capacity", i)
			}
			return Report{}, errs.WithDetails("the report is not valid: "+where+" is missing", []errs.Detail{{Where: where, What: "is missing"}})
		}
		r.Slots[i] = Slot{s.Slot, s.SKU, *s.Remaining, *s.Capacity, s.Price}
	}
	for _, f := range in.Faults {
		r.Faults = append(r.Faults, Fault(f))
	}
	return r, nil
}

// receiptOut is the answer to one report, or to one line of many.
type receiptOut struct {
	Line          int       `json:"line,omitempty" doc:"Of an NDJSON body, from 1"`
	ReportID      string    `json:"report_id,omitempty"`
	Status        string    `json:"status" enum:"stored,duplicate,invalid,conflict,refused,moved" doc:"A single report is answered with stored or duplicate; else with a problem document"`
	NextReportAt  string    `json:"next_report_at,omitempty" format:"date-time"`
	NextReportInS float64   `json:"next_report_in_s,omitempty" doc:"The same in seconds from now, for machines without a clock"`
	ServerTime    string    `json:"server_time,omitempty" format:"date-time"`
	TakenAt       string    `json:"taken_at,omitempty" format:"date-time" doc:"Given where the machine's clock was not believed: the time under which the report is kept"`
	Detail        string    `json:"detail,omitempty" doc:"Of a line: why it was not stored"`
	Errors        []faultAt `json:"errors,omitempty"`
	RetryInS      float64   `json:"retry_in_s,omitempty" doc:"Of a refused line: send it again after so many seconds"`
	RetryAfter    int       `json:"retry_after,omitempty" doc:"On MQTT: the same in whole seconds"`

	Target   *versionOut  `json:"target,omitempty" doc:"The machine is to change to this"`
	Cell     *cellOut     `json:"cell,omitempty" doc:"Where the machine belongs, in a house of several regions"`
	Commands []commandOut `json:"commands,omitempty" doc:"Over HTTP: what the machine is to do; they come again until it says done"`
}

type faultAt struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

const wireTime = "2006-01-02T15:04:05.000Z07:00" // RFC 3339 with milliseconds

// out writes a receipt without an error.
func (r Receipt) out() receiptOut {
	o := receiptOut{ReportID: r.ReportID, Status: r.Status, NextReportAt: r.Next.Format(wireTime), ServerTime: r.Now.UTC().Format(wireTime)}
	// Rounded up: a machine that comes a moment late is in its slot, one that
	// comes early is not.
	o.NextReportInS = math.Ceil(r.Next.Sub(r.Now).Seconds()*1000) / 1000
	if r.ClockOff {
		o.TakenAt = r.Taken.Format(wireTime)
	}
	if r.Target != nil {
		o.Target = &versionOut{r.Target.Firmware, r.Target.Config}
	}
	o.Cell = r.Cell.out()
	return o
}

// refusedLine is the answer to a line that was not stored.
func refusedLine(id string, err error) receiptOut {
	o := receiptOut{ReportID: id, Status: "invalid", Detail: errs.Message(err)}
	for _, d := range errs.Details(err) {
		o.Errors = append(o.Errors, faultAt{d.Where, d.What})
	}
	var door *Refused
	var away *Elsewhere
	switch {
	case errors.As(err, &away):
		o.Status, o.Cell = "moved", away.Cell.out()
	case errors.As(err, &door):
		o.Status, o.RetryInS = "refused", inSeconds(door.Wait)
	case errs.Is(err, errs.Busy):
		o.Status, o.RetryInS = "refused", inSeconds(errs.RetryAfter(err))
	case errs.Is(err, errs.Conflict):
		o.Status = "conflict"
	}
	return o
}

func inSeconds(d time.Duration) float64 { return math.Ceil(d.Seconds()*1000) / 1000 }

// chunk is how many lines are stored in one transaction.
const chunk = 250

// stream works off an NDJSON body, chunk by chunk, and writes a line for each
// line. It returns an error, with nothing written, when the first chunk is
// refused whole; later refusals are told line by line, under a status that is
// long out. Empty lines count but are not answered.
func (s *System) stream(ctx context.Context, m fleet.Machine, text []byte, w io.Writer) error {
	if n := bytes.Count(text, []byte{'\n'}); n > batchLines {
		return errs.New(errs.TooLarge, "a batch may have %d lines, not %d: send it in parts", batchLines, n)
	}
	most := min(chunk, s.c.Rate) // or the rate would never let a chunk through
	enc := json.NewEncoder(w)
	answered := false
	for number := 0; len(text) > 0; {
		lines := make([]receiptOut, 0, min(most, bytes.Count(text, []byte{'\n'})+1))
		var raw [][]byte
		for len(raw) < most && len(text) > 0 {
			var line []byte
			line, text, _ = bytes.Cut(text, []byte{'\n'})
			number++
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			lines = append(lines, receiptOut{Line: number})
			raw = append(raw, line)
		}
		if len(raw) == 0 {
			break
		}
		if err := s.streamChunk(ctx, m, raw, lines); err != nil {
			if !answered {
				return err
			}
			for i := range lines {
				o := refusedLine("", err)
				o.Line = lines[i].Line
				lines[i] = o
			}
			if errs.Is(err, errs.Internal) {
				s.n.Log.Error("a part of a batch was not stored", "machine", m.ID, "from_line", lines[0].Line, "error", err)
			}
		}
		answered = true
		for _, o := range lines {
			if err := enc.Encode(o); err != nil {
				return nil // the machine went away: it will send again, under the same ids
			}
		}
	}
	if !answered {
		return web.Malformed(errs.New(errs.Invalid, "the body holds no report"))
	}
	return nil
}

// streamChunk stores the lines raw and fills in their answers.
func (s *System) streamChunk(ctx context.Context, m fleet.Machine, raw [][]byte, lines []receiptOut) error {
	var at []int // which line each decoded report is
	receipts, err := s.Report(ctx, m, len(raw), func() ([]Report, error) {
		list := make([]Report, 0, len(raw))
		for i, line := range raw {
			r, err := decodeReport(line)
			if err != nil {
				s.measures.reports.WithLabelValues("invalid").Inc()
				o := refusedLine("", err)
				o.Line = lines[i].Line
				lines[i] = o
				continue
			}
			at, list = append(at, i), append(list, r)
		}
		return list, nil
	})
	if err != nil {
		return err
	}
	last := -1
	for k, r := range receipts {
		line := lines[at[k]].Line
		if r.Err != nil {
			lines[at[k]] = refusedLine(r.ReportID, r.Err)
		} else {
			lines[at[k]] = r.out()
			last = at[k]
		}
		lines[at[k]].Line = line
	}
	if last >= 0 { // once a chunk: they are long
		lines[last].Commands = commandsOut(s.waitingFor(ctx, m.ID))
	}
	return nil
}
