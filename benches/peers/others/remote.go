// The group `remote` between two processes by Go's net/rpc: `remote serve`, or `remote load METRIC ADDRESS`. It has
// no messages that go one way: in their place are calls without an answer's value, so many under way at a time.
package main

import (
	"bytes"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

type Words struct{ A, B, C, D uint64 }

type Bytes struct{ Bytes []byte }

type Nothing struct{}

type Sink struct{ count atomic.Int64 }

func (sink *Sink) Call(words Words, answer *Words) error {
	*answer = words
	return nil
}

func (sink *Sink) TellWords(words Words, _ *Nothing) error {
	sink.count.Add(1)
	return nil
}

func (sink *Sink) TellBytes(words Bytes, _ *Nothing) error {
	sink.count.Add(1)
	return nil
}

func (sink *Sink) Count(_ Nothing, answer *int64) error {
	*answer = sink.count.Swap(0)
	return nil
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func serve() {
	check(rpc.Register(new(Sink)))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println("LISTENING", listener.Addr())
	rpc.Accept(listener)
}

const second = time.Second

func load(metric string, address string) {
	client, err := rpc.Dial("tcp", address)
	check(err)
	sent := Words{1 << 60, 2 << 60, 3 << 60, 4 << 60}
	call := func() {
		var answer Words
		check(client.Call("Sink.Call", sent, &answer))
		if answer != sent {
			panic("another's answer")
		}
	}
	count := func() (count int64) {
		check(client.Call("Sink.Count", Nothing{}, &count))
		return
	}
	for i := 0; i < 1000; i++ {
		call()
	}
	count()
	fmt.Println("WARM")
	before := cpu()
	start := time.Now()
	// `work` over and over by so many goroutines, for a second.
	many := func(number int, work func()) int64 {
		var done atomic.Int64
		var all sync.WaitGroup
		for i := 0; i < number; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for time.Since(start) < second {
					work()
					done.Add(1)
				}
			}()
		}
		all.Wait()
		return done.Load()
	}
	var done int64
	kind, size, _ := strings.Cut(metric, "_")
	switch kind {
	case "round":
		var times []time.Duration
		for time.Since(start) < second {
			before := time.Now()
			call()
			times = append(times, time.Since(before))
		}
		sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
		done = int64(len(times))
		fmt.Println("FIGURE round_trip.p50", float64(times[done/2])/1e3)
		fmt.Println("FIGURE round_trip.p99", float64(times[done*99/100])/1e3)
	case "calls":
		number, err := strconv.Atoi(size)
		check(err)
		done = many(number, call)
	case "send":
		switch size {
		case "32":
			done = many(1000, func() { check(client.Call("Sink.TellWords", sent, &Nothing{})) })
		case "1k":
			big := Bytes{bytes.Repeat([]byte{7}, 1024)}
			done = many(1000, func() { check(client.Call("Sink.TellBytes", big, &Nothing{})) })
		case "64k":
			big := Bytes{bytes.Repeat([]byte{7}, 65536)}
			done = many(64, func() { check(client.Call("Sink.TellBytes", big, &Nothing{})) })
		}
		if count() != done {
			panic("some were lost")
		}
	}
	if kind != "round" {
		fmt.Println("FIGURE", metric+".rate", float64(done)/time.Since(start).Seconds())
	}
	fmt.Println("FIGURE done", done)
	fmt.Println("FIGURE cpu", cpu()-before)
	status, err := os.ReadFile("/proc/self/status")
	check(err)
	_, most, _ := strings.Cut(string(status), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(most)[0])
	check(err)
	fmt.Println("FIGURE mem", kilobytes*1024)
}

func cpu() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func main() {
	if os.Args[1] == "serve" {
		serve()
	} else {
		load(os.Args[2], os.Args[3])
	}
}
