package prove

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"plumb/engines/lab"
	"plumb/engines/lab/child"
)

// callers is how many machines call at a time while the capacity is measured:
// enough to keep a group commit and two processors busy.
const callers = 32

// ingest is what a real server does in a second, each call on a TCP and TLS
// connection of its own, as machines that call once a night make them.
type ingest struct {
	Reports    float64 `json:"reports_per_s"`    // stored
	Refusals   float64 `json:"refusals_per_s"`   // turned away after their request was read
	Handshakes float64 `json:"handshakes_per_s"` // connections that hang up after TLS
	ReportCPU  float64 `json:"report_cpu_s"`     // the server's own, each
	RefusalCPU float64 `json:"refusal_cpu_s"`
	HangupCPU  float64 `json:"hangup_cpu_s"`
}

// abandoned is the work on a call whose machine has hung up, as a share of a
// report's: its TLS is done before anybody notices.
func (i ingest) abandoned() float64 { return min(1, i.HangupCPU/i.ReportCPU) }

// refusal is the work on a call that is refused, as a share of a report's.
func (i ingest) refusal() float64 { return min(1, i.RefusalCPU/i.ReportCPU) }

// measureIngest starts a real plumb serve vending with TLS and measures it.
func measureIngest(ctx context.Context, b *lab.Bench) (ingest, error) {
	dir, err := b.TempDir()
	if err != nil {
		return ingest{}, err
	}
	s, err := child.Start(ctx, child.Options{Systems: []string{"vending"}, Data: dir, TLS: true})
	if err != nil {
		return ingest{}, err
	}
	defer s.Kill9()
	machines, err := enrol(ctx, s, callers)
	if err != nil {
		return ingest{}, err
	}
	span := 450 * time.Millisecond
	if b.Full {
		span = 5 * time.Second
	}
	fresh := func() *http.Client {
		return &http.Client{Timeout: giveUp, Transport: &http.Transport{TLSClientConfig: s.TLS, DisableKeepAlives: true, DisableCompression: true}}
	}
	clients := make([]*http.Client, callers)
	for i := range clients {
		clients[i] = fresh()
	}
	var out ingest
	report := func(k, i int) error {
		status, err := post(ctx, clients[k], s.URL+"/api/v1/vending/reports", machines[k].token, reportBody("c-"+strconv.Itoa(i), time.Now()), nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("status %d", status)
		}
		return err
	}
	refused := func(k, i int) error {
		status, err := post(ctx, clients[k], s.URL+"/api/v1/vending/reports", "nobody's token", reportBody("c-"+strconv.Itoa(i), time.Now()), nil)
		if err == nil && status != http.StatusUnauthorized {
			err = fmt.Errorf("status %d for a stranger", status)
		}
		return err
	}
	hangup := func(k, i int) error {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: giveUp}, "tcp", s.Addr, s.TLS)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if _, _, err := rate(ctx, s, span/2, report); err != nil { // warm
		return out, fmt.Errorf("measure the capacity: %w", err)
	}
	b.Progress(0.08, "measuring what one server stores, with TLS")
	var errs [3]error
	out.Reports, out.ReportCPU, errs[0] = rate(ctx, s, 2*span, report)
	b.Progress(0.16, "measuring what a refusal costs")
	out.Refusals, out.RefusalCPU, errs[1] = rate(ctx, s, span, refused)
	b.Progress(0.24, "measuring what a machine that hangs up costs")
	out.Handshakes, out.HangupCPU, errs[2] = rate(ctx, s, span, hangup)
	if err := errors.Join(errs[:]...); err != nil {
		return out, fmt.Errorf("measure the capacity: %w", err)
	}
	return out, nil
}

// rate has all callers call for that long, and returns the calls a second and
// the processor seconds that each cost the server.
func rate(ctx context.Context, s *child.Server, span time.Duration, call func(caller, i int) error) (perSecond, cpu float64, err error) {
	before, err := s.CPU()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	var done atomic.Int64
	var once sync.Once
	var all sync.WaitGroup
	base := int(start.UnixNano() / 1000)
	for k := range callers {
		all.Go(func() {
			for i := base; time.Since(start) < span && ctx.Err() == nil; i++ {
				if e := call(k, i); e != nil {
					once.Do(func() { err = e })
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(start).Seconds()
	after, cpuErr := s.CPU()
	if err = errors.Join(err, cpuErr, ctx.Err()); err != nil {
		return 0, 0, err
	}
	n := float64(done.Load())
	if n == 0 {
		return 0, 0, errors.New("not one call in " + span.String())
	}
	return n / took, max(1e-6, (after-before).Seconds()/n), nil
}
