package fault_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"

	"go.uber.org/goleak"

	"plumb/engines/lab/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers every connection with what it said.
func echo(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c)
			}()
		}
	}()
	return ln.Addr().String()
}

// say sends 4 KB and returns what came back.
func say(addr string) ([]byte, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
		return nil, err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	return io.ReadAll(c)
}

func TestGoodLineCarriesEverything(t *testing.T) {
	p, err := fault.NewProxy(echo(t), fault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 20 {
		if got, err := say(p.Addr()); err != nil || len(got) != 4096 {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if carried, cuts := p.Counts(); carried != 20 || cuts != 0 {
		t.Error(carried, cuts)
	}
}

func TestCutsFallOnSomeByte(t *testing.T) {
	p, err := fault.NewProxy(echo(t), fault.Options{CutShare: 0.5, CutBytes: 4096, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	whole, broken := 0, 0
	for range 60 {
		if got, err := say(p.Addr()); err == nil && len(got) == 4096 {
			whole++
		} else {
			broken++
		}
	}
	carried, cuts := p.Counts()
	if carried != 60 || cuts != broken || whole < 15 || broken < 15 {
		t.Errorf("%d carried, %d cut; %d arrived whole, %d not", carried, cuts, whole, broken)
	}
}

func TestAway(t *testing.T) {
	p, err := fault.NewProxy(echo(t), fault.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Away(true)
	if got, err := say(p.Addr()); err == nil && len(got) > 0 {
		t.Error("a server that is away answered")
	}
	p.Away(false)
	if got, err := say(p.Addr()); err != nil || len(got) != 4096 {
		t.Error(len(got), err)
	}
}

func ExampleNewProxy() {
	p, err := fault.NewProxy("127.0.0.1:9", fault.Options{CutShare: 0.05, Seed: 1})
	if err != nil {
		panic(err)
	}
	defer p.Close()
	host, _, _ := net.SplitHostPort(p.Addr())
	fmt.Println(host)
	// Output: 127.0.0.1
}
