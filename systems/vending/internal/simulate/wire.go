package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"plumb/base/errs"
	"plumb/engines/fleet"
	"plumb/engines/fleet/slots"
)

// reportID is the id of every machine's report: ids are each machine's own.
const reportID = "simulated-1"

// report writes a report as a machine does.
func report(id string, taken time.Time, count int, machine string) []byte {
	b := make([]byte, 0, 80*count+100)
	b = append(b, `{"report_id":"`...)
	b = append(b, id...)
	b = append(b, `","taken_at":"`...)
	b = taken.UTC().AppendFormat(b, time.RFC3339)
	b = append(b, `","slots":[`...)
	seed := slots.Hash(machine)
	for i := range count {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"slot":"`...)
		b = append(b, byte('A'+i/10%26))
		b = strconv.AppendInt(b, int64(i%10), 10)
		b = append(b, '-')
		b = strconv.AppendInt(b, int64(i/260), 10)
		b = append(b, `","sku":"article-`...)
		b = strconv.AppendInt(b, int64(i%12), 10)
		b = append(b, `","remaining":`...)
		b = strconv.AppendUint(b, (seed>>(i%50))%11, 10)
		b = append(b, `,"capacity":10,"price":150}`...)
	}
	return append(b, `],"faults":[]}`...)
}

// httpLine brings reports by HTTP, with the machine's own client.
type httpLine struct {
	url    string
	client *http.Client
}

func newHTTPLine(server string, o Options) *httpLine {
	t := &http.Transport{DisableKeepAlives: !o.Keep, DisableCompression: true, MaxIdleConnsPerHost: o.AtOnce}
	if own, ok := o.Client.Transport.(*http.Transport); ok {
		t.TLSClientConfig = own.TLSClientConfig
	}
	return &httpLine{server + "/api/v1/vending/reports", &http.Client{Transport: t}}
}

func (l *httpLine) bring(ctx context.Context, m *machine, report []byte) (string, error) {
	c := fleet.Client{URL: l.url, Token: m.token, HTTP: l.client, Rand: &rand.Rand{}} // the jitter is the caller's
	a, err := c.Send(ctx, report)
	return a.Status, err
}

// mqttLine brings reports by MQTT, on a connection for each call, as a stock
// client with a clean session does.
type mqttLine struct{ broker string }

func (l *mqttLine) bring(ctx context.Context, m *machine, report []byte) (string, error) {
	answers := make(chan []byte, 1)
	lost := make(chan error, 1)
	o := mqtt.NewClientOptions().AddBroker("tcp://" + l.broker).SetClientID(m.id).SetUsername(m.id).SetPassword(m.token).
		SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(giveUp).SetWriteTimeout(giveUp).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { lost <- err })
	c := mqtt.NewClient(o)
	defer c.Disconnect(0)
	do := func(t mqtt.Token, what string) error {
		select {
		case <-t.Done():
			if err := t.Error(); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		case err := <-lost:
			return fmt.Errorf("%s: the connection was lost: %w", what, err)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		}
	}
	if err := do(c.Connect(), "connect by MQTT"); err != nil {
		return "", err
	}
	got := func(_ mqtt.Client, msg mqtt.Message) {
		select {
		case answers <- msg.Payload():
		default: // one was enough
		}
	}
	if err := do(c.Subscribe("vending/"+m.id+"/ack", 1, got), "subscribe"); err != nil {
		return "", err
	}
	if err := do(c.Publish("vending/"+m.id+"/report", 1, false, report), "publish"); err != nil {
		return "", err
	}
	select {
	case text := <-answers:
		return readAck(text)
	case err := <-lost:
		return "", fmt.Errorf("wait for the answer: the connection was lost: %w", err)
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the answer: %w", ctx.Err())
	}
}

// readAck reads the answer to a report.
func readAck(text []byte) (string, error) {
	var a struct {
		Status     string  `json:"status"`
		Detail     string  `json:"detail"`
		RetryAfter float64 `json:"retry_after"`
		RetryInS   float64 `json:"retry_in_s"`
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	switch a.Status {
	case "stored", "duplicate":
		return a.Status, nil
	case "refused":
		return "", errs.TryAfter(time.Duration(max(a.RetryAfter, a.RetryInS)*float64(time.Second)), "%s", a.Detail)
	}
	return "", errs.New(errs.Invalid, "the answer is %s: %s", a.Status, a.Detail)
}

// enrol makes the machines known, by a CSV file in pieces.
func (n *night) enrol(ctx context.Context) ([]*machine, error) {
	const piece = 5000
	list := make([]*machine, 0, n.o.Machines)
	for len(list) < n.o.Machines {
		if n.o.Progress != nil {
			n.o.Progress(len(list), n.o.Machines, "enrolling")
		}
		var file bytes.Buffer
		file.WriteString("id,city\n")
		for i := len(list); i < min(n.o.Machines, len(list)+piece); i++ {
			fmt.Fprintf(&file, "%s%d,%q\n", n.o.Prefix, i, n.o.City)
		}
		more, err := n.bringFile(ctx, &file)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// bringFile sends one piece and reads the machines' tokens.
func (n *night) bringFile(ctx context.Context, file io.Reader) (list []*machine, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.o.Server+"/api/v1/vending/machines/import", file)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the address %q cannot be called", n.o.Server)
	}
	req.Header.Set("Content-Type", "text/csv")
	res, err := n.ask(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	for lines := json.NewDecoder(res.Body); ; {
		var line struct{ ID, Status, Token, Detail string }
		if err := lines.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read who was enrolled: %w", err)
		}
		if line.Token == "" {
			return nil, errs.New(errs.Conflict, "machine %s: %s %s; play others with another prefix", line.ID, line.Status, line.Detail)
		}
		list = append(list, &machine{id: line.ID, token: line.Token})
	}
	if len(list) == 0 {
		return nil, errs.New(errs.Internal, "the server enrolled nobody")
	}
	return list, nil
}

// ask does a request of who enrols; a bad status is an error.
func (n *night) ask(req *http.Request) (*http.Response, error) {
	req.Header.Set("Authorization", "Bearer "+n.o.Token)
	res, err := n.o.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	var problem struct{ Title, Detail string }
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what could be read says enough
	if json.Unmarshal(text, &problem) != nil || problem.Title == "" {
		problem.Title = res.Status
	}
	kind := errs.Invalid
	switch res.StatusCode {
	case http.StatusUnauthorized:
		kind = errs.Unknown
	case http.StatusForbidden:
		kind = errs.Denied
	}
	return nil, errs.New(kind, "%s", strings.TrimSuffix(problem.Title+": "+problem.Detail, ": "))
}

// check asks the server about some of the machines that have an answer.
func (n *night) check(ctx context.Context, machines []*machine) {
	every := max(1, len(machines)/checkMost)
	for i := 0; i < len(machines) && ctx.Err() == nil; i += every {
		m := machines[i]
		if !m.done {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.o.Server+"/api/v1/vending/machines/"+m.id, nil)
		if err != nil {
			return
		}
		res, err := n.ask(req)
		if err != nil {
			continue // not checked
		}
		text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		res.Body.Close()
		if err != nil {
			continue
		}
		n.out.Checked++
		if !bytes.Contains(text, []byte(`"`+reportID+`"`)) {
			n.out.Missing++
		}
	}
}

// host returns host:port of an address or URL.
func host(at string) string {
	if u, err := url.Parse(at); err == nil && u.Host != "" {
		if u.Port() == "" {
			return net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
		}
		return u.Host
	}
	return at
}

func replaceHost(at, with string) string {
	if u, err := url.Parse(at); err == nil && u.Host != "" {
		u.Host = with
		return u.String()
	}
	return with
}
