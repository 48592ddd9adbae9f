// The programs of the group `actors`, with goroutines and buffered channels, and those of `channels`,
// with channels that hold nothing. Each checks its result.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	programs := map[string]func() float64{
		"hop_2":        func() float64 { return ring(2) },
		"hop_1000":     func() float64 { return ring(1000) },
		"send_1_to_1":  func() float64 { return sends(1) },
		"send_16_to_1": func() float64 { return sends(16) },
		"ask":          ask,
		"spawn_1":      func() float64 { return spawn(1) },
		"spawn_10000":  func() float64 { return spawn(10_000) },
		"idle":         func() float64 { return idle(200_000) },
		"million":      func() float64 { return million(1_000_000) },
		"skynet":       skynet,
		"rendezvous":   rendezvous,
		"handed_over":  handedOver,
	}
	fmt.Println("FIGURE", os.Args[1], programs[os.Args[1]]())
}

func check(ok bool) {
	if !ok {
		panic("a wrong result")
	}
}

// nanosecondsEach runs a batch to warm up and then batches for 300 ms.
func nanosecondsEach(batch func() int) float64 {
	batch()
	done, start := 0, time.Now()
	for time.Since(start) < 300*time.Millisecond {
		done += batch()
	}
	return float64(time.Since(start).Nanoseconds()) / float64(done)
}

type token struct{ left, sum uint64 }

// ring sends a token round; every node it comes to adds its number.
func ring(nodes int) float64 {
	const hops = 100_000
	result := make(chan uint64, 1)
	first := make(chan token, 1)
	here := first
	for n := 0; n < nodes; n++ {
		next := first
		if n < nodes-1 {
			next = make(chan token, 1)
		}
		go func(n uint64, here, next chan token) {
			for t := range here {
				if t.left == 0 {
					result <- t.sum
				} else {
					next <- token{t.left - 1, t.sum + n}
				}
			}
		}(uint64(n), here, next)
		here = next
	}
	return nanosecondsEach(func() int {
		first <- token{hops, 0}
		check(<-result == uint64(hops/nodes*(nodes*(nodes-1)/2)))
		return hops
	})
}

// sends has one channel with a buffer of 1,024 messages: the bound that the others make for
// themselves.
func sends(senders int) float64 {
	const messages = 1 << 18
	share := messages / senders
	numbers := make(chan uint64, 1024)
	result := make(chan uint64, 1)
	go func() {
		for {
			sum := uint64(0)
			for n := 0; n < messages; n++ {
				sum += <-numbers
			}
			result <- sum
		}
	}()
	begin := make([]chan struct{}, senders)
	for i := range begin {
		begin[i] = make(chan struct{}, 1)
		go func(begin chan struct{}) {
			for range begin {
				for n := 1; n <= share; n++ {
					numbers <- uint64(n)
				}
			}
		}(begin[i])
	}
	return nanosecondsEach(func() int {
		for _, one := range begin {
			one <- struct{}{}
		}
		check(<-result == uint64(senders*(share*(share+1)/2)))
		return messages
	})
}

type question struct {
	n     uint64
	reply chan uint64
}

// ask uses one channel for all the replies to one who asks.
func ask() float64 {
	const questions = 10_000
	mailbox := make(chan question, 1)
	go func() {
		for q := range mailbox {
			q.reply <- q.n + 1
		}
	}()
	reply := make(chan uint64, 1)
	return nanosecondsEach(func() int {
		for n := uint64(0); n < questions; n++ {
			mailbox <- question{n, reply}
			check(<-reply == n+1)
		}
		return questions
	})
}

// spawn starts goroutines with a mailbox, closes it, and waits for their ends.
func spawn(atOnce int) float64 {
	const actors = 10_000
	mailboxes := make([]chan struct{}, atOnce)
	return nanosecondsEach(func() int {
		var sum uint64
		for first := 0; first < actors; first += atOnce {
			var ended sync.WaitGroup
			ended.Add(atOnce)
			for i := range mailboxes {
				mailbox := make(chan struct{}, 1)
				mailboxes[i] = mailbox
				go func(n uint64) {
					for range mailbox {
					}
					atomic.AddUint64(&sum, n)
					ended.Done()
				}(uint64(first + i))
			}
			for _, mailbox := range mailboxes {
				close(mailbox)
			}
			ended.Wait()
		}
		check(sum == actors*(actors-1)/2)
		return actors
	})
}

type roll struct {
	missing, sum uint64
	result       chan uint64
}

func (r *roll) sign(n uint64) {
	atomic.AddUint64(&r.sum, n)
	if atomic.AddUint64(&r.missing, ^uint64(0)) == 0 {
		r.result <- atomic.LoadUint64(&r.sum)
	}
}

// gather starts goroutines that wait for messages, and sends each one.
func gather(actors, atOnce int) []chan *roll {
	crowd := make([]chan *roll, 0, actors)
	for first := 0; first < actors; first += atOnce {
		for n := first; n < first+atOnce; n++ {
			mailbox := make(chan *roll, 1)
			crowd = append(crowd, mailbox)
			go func(n uint64) {
				for r := range mailbox {
					r.sign(n)
				}
			}(uint64(n))
		}
		r := &roll{missing: uint64(atOnce), result: make(chan uint64, 1)}
		for _, mailbox := range crowd[first:] {
			mailbox <- r
		}
		check(<-r.result == uint64(atOnce*(2*first+atOnce-1)/2))
	}
	return crowd
}

func idle(actors int) float64 {
	gather(1_000, 100)
	before := resident()
	crowd := gather(actors, 100)
	bytes := resident() - before
	check(len(crowd) == actors)
	return bytes / float64(actors)
}

func resident() float64 {
	sizes, err := os.ReadFile("/proc/self/statm")
	check(err == nil)
	pages, err := strconv.Atoi(strings.Fields(string(sizes))[1])
	check(err == nil)
	return float64(pages * os.Getpagesize())
}

func million(actors int) float64 {
	start := time.Now()
	crowd := gather(actors, actors)
	elapsed := time.Since(start)
	check(len(crowd) == actors)
	return float64(elapsed.Nanoseconds()) / 1e6
}

// skynet is a tree, ten below each, with a million leaves.
func skynet() float64 {
	start := time.Now()
	result := make(chan uint64, 1)
	go tree(result, 0, 1_000_000)
	check(<-result == 499_999_500_000)
	return float64(time.Since(start).Nanoseconds()) / 1e6
}

func tree(parent chan uint64, first, size uint64) {
	if size == 1 {
		parent <- first
		return
	}
	children := make(chan uint64, 10)
	for n := uint64(0); n < 10; n++ {
		go tree(children, first+n*size/10, size/10)
	}
	sum := uint64(0)
	for n := 0; n < 10; n++ {
		sum += <-children
	}
	parent <- sum
}

// answers gives two channels that hold nothing, and somebody who answers a number with the next one,
// and 0 not at all.
func answers() (chan uint64, chan uint64) {
	ask, reply := make(chan uint64), make(chan uint64)
	go func() {
		for n := range ask {
			if n > 0 {
				reply <- n + 1
			}
		}
	}()
	return ask, reply
}

func rendezvous() float64 {
	const values = 1_000
	ask, reply := answers()
	return nanosecondsEach(func() int {
		for n := uint64(1); n <= values; n++ {
			ask <- n
			check(<-reply == n+1)
		}
		return values
	})
}

func handedOver() float64 {
	const values = 1_000
	ask, reply := answers()
	return nanosecondsEach(func() int {
		for n := 1; n < values; n++ {
			ask <- 0
		}
		ask <- values
		check(<-reply == values+1)
		return values
	})
}
