// Calls servers with 64 calls in flight until standard input ends. Then prints how many calls ended
// with each code.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"regexp"
	"sort"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	"google.golang.org/grpc/status"
)

const callers = 64

var words = regexp.MustCompile("([a-z])([A-Z])")

// Messages are already bytes, so this codec changes nothing.
type bytesCodec struct{}

func (bytesCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (bytesCodec) Name() string { return "proto" }

func readFile(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func connect(addresses, configFile string) *grpc.ClientConn {
	name := manual.NewBuilderWithScheme("drain")
	var state resolver.State
	for _, address := range strings.Split(addresses, ",") {
		state.Addresses = append(state.Addresses, resolver.Address{Addr: address})
	}
	name.InitialState(state)
	config := `{"loadBalancingConfig": [{"round_robin": {}}]}`
	if configFile != "" {
		config = string(readFile(configFile))
	}
	connection, err := grpc.NewClient("drain:///qkserve", grpc.WithResolvers(name),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(config),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{}), grpc.MaxRetryRPCBufferSize(16<<20)))
	if err != nil {
		log.Fatal(err)
	}
	return connection
}

func main() {
	addresses := flag.String("addresses", "", "HOST:PORT,HOST:PORT")
	configFile := flag.String("service_config", "", "file of the service config; none: no retries")
	flag.Parse()
	var requests [][]byte
	for _, path := range flag.Args() {
		requests = append(requests, readFile(path))
	}
	connection := connect(*addresses, *configFile)
	stop, cancel := context.WithCancel(context.Background())
	counts := map[codes.Code]int{}
	messages := map[string]bool{}
	var mutex sync.Mutex
	var group sync.WaitGroup
	for caller := 0; caller < callers; caller++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for stop.Err() == nil {
				within, done := context.WithTimeout(context.Background(), 30*time.Second)
				var reply []byte
				err := connection.Invoke(within, "/qkserve.v1.ScoringService/Score",
					&requests[caller%len(requests)], &reply)
				done()
				mutex.Lock()
				counts[status.Code(err)]++
				if err != nil {
					messages[err.Error()] = true
				}
				mutex.Unlock()
				if err != nil {
					time.Sleep(5 * time.Millisecond)
				}
			}
		}()
	}
	io.Copy(io.Discard, os.Stdin)
	cancel()
	group.Wait()
	var lines []string
	for code, count := range counts {
		// Go says DeadlineExceeded where the other clients say DEADLINE_EXCEEDED.
		name := strings.ToUpper(words.ReplaceAllString(code.String(), "${1}_$2"))
		lines = append(lines, fmt.Sprint(name, " ", count))
	}
	sort.Strings(lines)
	fmt.Println(strings.Join(lines, "\n"))
	for message := range messages {
		fmt.Fprintln(os.Stderr, message)
	}
}
