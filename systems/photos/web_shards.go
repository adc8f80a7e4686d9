package photos

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plumb/base/errs"
	"plumb/base/units"
	"plumb/engines/chart"
	"plumb/engines/web"
)

// boardPage is pages/shards.html: what each shard holds and does, who moves, and what an
// operator can do about it.
type boardPage struct {
	watchView
	Shards   []Load
	Pictures []boardPicture
	Total    boardTotal
	Moves    []moveLine // that go on
	Past     []moveLine
	More     string
	Hot      []hotLine
	Note     string
	Fault    string
	Form     NewShard
	CSRF     template.HTML
	Now      time.Time
}

// boardPicture is one load over all shards.
type boardPicture struct {
	Title, Says string
	SVG         template.HTML
}

// boardTotal sums the board up.
type boardTotal struct {
	Shards, Owners, Photos, Bytes int64
	Requests, In, Out             float64
}

// moveLine is a migration as the page shows it.
type moveLine struct {
	Migration
	Rate float64 // bytes a second since it began
	Left time.Duration
}

// Share is how far it is.
func (m moveLine) Share() float64 {
	switch {
	case m.State == Done:
		return 1
	case m.Bytes > 0:
		return min(float64(m.BytesDone)/float64(m.Bytes), 1)
	case m.Owners > 0:
		return float64(m.OwnersDone) / float64(m.Owners)
	}
	return 0
}

// Over says how many bytes it copied for each that had to move; 0 where that is not known.
func (m moveLine) Over() float64 {
	if m.State != Done || m.IdealBytes <= 0 {
		return 0
	}
	return float64(m.BytesDone) / float64(m.IdealBytes)
}

// hotLine is a person who is asked for much.
type hotLine struct {
	HotOwner
	Name string
}

func (s *System) pageShards(w http.ResponseWriter, r *http.Request) error {
	return s.showShards(w, r, boardPage{Note: shardsSaid(r.URL.Query())}, nil)
}

// shardsSaid is what was done to the shards just now.
func shardsSaid(q url.Values) string {
	switch q.Get("did") {
	case "added":
		return "The shard is there. Its share of the people moves to it, and everything goes on meanwhile."
	case "weighed":
		return "The weight is changed. Who is to move moves now."
	case "drained":
		return "Everybody moves away from it. It gets nobody new."
	case "removed":
		return "The shard is forgotten. Its database and bucket are as they were left."
	case "paused":
		return "Paused. Who is half moved stays where they are, and everything works."
	case "resumed":
		return "It goes on."
	case "rebalanced":
		return "The moves are under way."
	case "pinned":
		return "The person moves there, and stays whatever the placement says."
	case "repairing":
		return "It is under way. It goes on after a crash, too."
	case "unpinned":
		return "The placement decides again where the person is."
	}
	return ""
}

func (s *System) showShards(w http.ResponseWriter, r *http.Request, p boardPage, wrong error) error {
	ctx, who := r.Context(), asker(r)
	p.CSRF, p.Now = web.Field(r), s.n.Clock.Now()
	var err error
	if p.Shards, err = s.Board(ctx, who); err != nil {
		return err
	}
	p.Total = totalOf(p.Shards)
	p.Pictures = pictures(p.Shards)
	cursor := ""
	if r.Method == http.MethodGet {
		cursor = r.URL.Query().Get("cursor")
	}
	list, next, err := s.Migrations(ctx, who, cursor, 20)
	if err != nil {
		return err
	}
	for _, m := range list {
		if line := lineOf(m, p.Now); m.State == Done {
			p.Past = append(p.Past, line)
		} else {
			p.Moves = append(p.Moves, line)
		}
	}
	if next != "" {
		p.More = "/photos/shards?cursor=" + url.QueryEscape(next) + "#past"
	}
	if p.Hot, err = s.hotLines(ctx, who); err != nil {
		return err
	}
	place := p.Place
	if p.watchView, err = s.watchOf(ctx, who); err != nil {
		return err
	}
	p.Place = place
	if wrong != nil {
		p.Fault = said(wrong)
	}
	every := 10 * time.Second
	if len(p.Moves)+len(p.Going) > 0 {
		every = 2 * time.Second
	}
	return s.show(w, r, web.View{Title: "Shards", Template: "shards.html", Data: p, Status: status(wrong), Refresh: every})
}

// lineOf works out how fast a migration is, and how long it will take.
func lineOf(m Migration, now time.Time) moveLine {
	line := moveLine{Migration: m}
	if m.State != Moving || m.BytesDone <= 0 {
		return line
	}
	if took := now.Sub(m.Begun).Seconds(); took > 0 {
		line.Rate = float64(m.BytesDone) / took
		line.Left = time.Duration(float64(max(m.Bytes-m.BytesDone, 0)) / line.Rate * float64(time.Second)).Round(time.Second)
	}
	return line
}

// mostHot is how many of them the page lists.
const mostHot = 10

// hotLines names the hot people.
func (s *System) hotLines(ctx context.Context, who Person) ([]hotLine, error) {
	list, err := s.Hot(ctx, who)
	if err != nil {
		return nil, err
	}
	var out []hotLine
	for _, h := range list[:min(len(list), mostHot)] {
		out = append(out, hotLine{h, s.nameOf(ctx, h.Owner)})
	}
	return out, nil
}

// nameOf is a person's name; "" for who is no more.
func (s *System) nameOf(ctx context.Context, id string) string {
	p, err := s.n.People.ByID(ctx, id)
	if err != nil {
		return ""
	}
	return p.Name
}

func totalOf(list []Load) (t boardTotal) {
	for _, l := range list {
		t.Shards++
		t.Owners, t.Photos, t.Bytes = t.Owners+l.Owners, t.Photos+l.Photos, t.Bytes+l.Bytes
		t.Requests, t.In, t.Out = t.Requests+l.Requests, t.In+l.In, t.Out+l.Out
	}
	return t
}

// pictures draws each load with a bar a shard, and says how uneven it is: the most loaded
// over the mean, by weight.
func pictures(list []Load) (out []boardPicture) {
	for _, c := range []struct {
		title string
		sums  bool // it is a part of a whole: how even it is can be said
		value func(Load) float64
		text  func(float64) string
	}{
		{"Bytes", true, func(l Load) float64 { return float64(l.Bytes) }, units.Bytes},
		{"Requests a second", true, func(l Load) float64 { return l.Requests }, oneDigit},
		{"Bandwidth, in and out", true, func(l Load) float64 { return l.In + l.Out }, func(v float64) string { return units.Bytes(v) + "/s" }},
		{"Processor time", true, func(l Load) float64 { return l.CPU }, func(v float64) string { return oneDigit(v*100) + "% of one" }},
		{"Slowest of a hundred (p99)", false, func(l Load) float64 { return l.P99.Seconds() }, func(v float64) string { return units.Duration(time.Duration(v * float64(time.Second))) }},
	} {
		bars := chart.Bars{Title: c.title + " by shard"}
		for _, l := range list {
			kind := chart.Step
			if l.State != Active {
				kind = chart.Textbook
			}
			bars.Bars = append(bars.Bars, chart.Bar{Label: l.Name, Kind: kind, Value: c.value(l), Text: c.text(c.value(l))})
		}
		says := ""
		if c.sums {
			says = unevenness(list, c.value)
		}
		out = append(out, boardPicture{c.title, says, bars.SVG()})
	}
	return out
}

func oneDigit(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// unevenness says how the most loaded active shard stands to the mean.
func unevenness(list []Load, value func(Load) float64) string {
	var sum, weights, most float64
	name := ""
	for _, l := range list {
		if l.State != Active || l.Weight <= 0 {
			continue
		}
		sum, weights = sum+value(l), weights+l.Weight
		if each := value(l) / l.Weight; each > most {
			most, name = each, l.Name
		}
	}
	if sum == 0 || weights == 0 || len(list) < 2 {
		return ""
	}
	return fmt.Sprintf("%s has %.2f × its share", name, most/(sum/weights))
}

// doShards adds a shard.
func (s *System) doShards(w http.ResponseWriter, r *http.Request) error {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	n := NewShard{Name: text("name"), Domain: text("domain"), SQL: text("sql"), Bucket: text("bucket")}
	var err error
	if n.Weight, err = weightOf(text("weight")); err == nil {
		_, err = s.AddShard(r.Context(), asker(r), n)
	}
	if err != nil && mayFail(err) {
		return s.showShards(w, r, boardPage{Form: n}, err)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/photos/shards", "did", "added")
}

// weightOf reads a weight; nothing is 1.
func weightOf(text string) (float64, error) {
	if text == "" {
		return 1, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0 && v <= 1000) {
		return 0, errs.New(errs.Invalid, "a weight is a number above 0, up to 1000")
	}
	return v, nil
}

// doShard changes one shard.
func (s *System) doShard(w http.ResponseWriter, r *http.Request) error {
	ctx, who, name := r.Context(), asker(r), r.PathValue("name")
	did := ""
	var err error
	switch r.PostFormValue("do") {
	case "weigh":
		did = "weighed"
		var v float64
		if v, err = weightOf(strings.TrimSpace(r.PostFormValue("weight"))); err == nil {
			_, err = s.WeighShard(ctx, who, name, v)
		}
	case "drain":
		did = "drained"
		_, err = s.DrainShard(ctx, who, name)
	case "remove":
		did, err = "removed", s.RemoveShard(ctx, who, name)
	default:
		err = errs.New(errs.Invalid, "the form says nothing to do")
	}
	return s.shardsAfter(w, r, did, err)
}

// shardsAfter shows the board again, with what was done or why not.
func (s *System) shardsAfter(w http.ResponseWriter, r *http.Request, did string, err error) error {
	if err != nil && (mayFail(err) || errs.Is(err, errs.NotFound)) {
		return s.showShards(w, r, boardPage{}, err)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/photos/shards", "did", did)
}

// doMigration pauses or resumes one.
func (s *System) doMigration(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if r.PostFormValue("do") == "pause" {
		_, err := s.PauseMigration(r.Context(), asker(r), id)
		return s.shardsAfter(w, r, "paused", err)
	}
	_, err := s.ResumeMigration(r.Context(), asker(r), id)
	return s.shardsAfter(w, r, "resumed", err)
}

// doPin keeps a person on a shard, or no longer.
func (s *System) doPin(w http.ResponseWriter, r *http.Request) error {
	to, did := r.PostFormValue("shard"), "pinned"
	if to == "" {
		did = "unpinned"
	}
	_, err := s.PinPerson(r.Context(), asker(r), strings.TrimSpace(r.PostFormValue("person")), to)
	return s.shardsAfter(w, r, did, err)
}

// rebalancePage is pages/rebalance.html: moves that would even a load.
type rebalancePage struct {
	Proposal
	Lines []proposedLine
	Bytes int64 // to copy, in all
	Cut   int   // moves that are not listed
	Fault string
	CSRF  template.HTML
}

// proposedLine is one of its moves.
type proposedLine struct {
	ProposedMove
	Name string
}

// Loads are what can be evened.
func (rebalancePage) Loads() []string { return []string{"bytes", "requests", "bandwidth", "cpu"} }

// Text writes a load in its unit.
func (p rebalancePage) Text(v float64) string {
	switch p.By {
	case "bytes":
		return units.Bytes(v)
	case "bandwidth":
		return units.Bytes(v) + "/s"
	case "cpu":
		return oneDigit(v*100) + "% of one"
	}
	return oneDigit(v) + " a second"
}

// mostLines is how many moves of a proposal the page lists.
const mostLines = 200

func (s *System) pageRebalance(w http.ResponseWriter, r *http.Request) error {
	return s.showRebalance(w, r, r.URL.Query().Get("by"), nil)
}

func (s *System) showRebalance(w http.ResponseWriter, r *http.Request, by string, wrong error) error {
	p := rebalancePage{CSRF: web.Field(r)}
	if by == "" {
		by = "bytes"
	}
	proposal, err := s.Propose(r.Context(), asker(r), by)
	if errs.Is(err, errs.Invalid) && wrong == nil {
		wrong, err = err, nil
	}
	if err != nil {
		return err
	}
	if p.Proposal = proposal; p.By == "" {
		p.By = "bytes"
	}
	for i, m := range proposal.Moves {
		p.Bytes += m.Bytes
		if i < mostLines {
			p.Lines = append(p.Lines, proposedLine{m, s.nameOf(r.Context(), m.Owner)})
		}
	}
	p.Cut = len(proposal.Moves) - len(p.Lines)
	if wrong != nil {
		p.Fault = said(wrong)
	}
	return s.show(w, r, web.View{Title: "Rebalance", Template: "rebalance.html", Data: p, Status: status(wrong)})
}

// doRebalance moves whom a proposal names.
func (s *System) doRebalance(w http.ResponseWriter, r *http.Request) error {
	_, err := s.ExecuteProposal(r.Context(), asker(r), r.PostFormValue("proposal"))
	if err != nil && (mayFail(err) || errs.Is(err, errs.NotFound)) {
		return s.showRebalance(w, r, r.PostFormValue("by"), err)
	}
	if err != nil {
		return err
	}
	return back(w, r, "/photos/shards", "did", "rebalanced")
}
