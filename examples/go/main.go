// Scores queries against keys that travel with the request. Then puts a key set on the server and
// searches it.
//
// usage: go run . [HOST:PORT]
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "qkserve-example/qkserve/v1"
)

const (
	messageBytesMax = 256 << 20 // the server's limit; gRPC's own for replies is 4 MiB
	chunkBytes      = 1 << 20
)

// matrix makes a [rows, len(values) / rows] tensor.
func matrix(rows int, values []float32) *pb.Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	shape := []int64{int64(rows), int64(len(values) / rows)}
	return &pb.Tensor{DataType: pb.DataType_FLOAT32, Shape: shape, Data: data}
}

func floats(data []byte) []float32 {
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

func scoreInline(ctx context.Context, scoring pb.ScoringServiceClient) error {
	reply, err := scoring.Score(ctx, &pb.ScoreRequest{
		Attention: &pb.Attention{Scale: proto.Float32(0.5)},
		Queries:   matrix(2, []float32{1, 2, 3, 4}),
		Keys: &pb.ScoreRequest_Inline{Inline: &pb.InlineKeys{
			Keys: matrix(3, []float32{1, 0, 0, 1, 1, 1}),
		}},
	})
	if err != nil {
		return err
	}
	scores := floats(reply.Result.Data) // row-major, as Result.Shape says: [2, 3]
	fmt.Println("scores of query 0:", scores[:3])
	fmt.Println("scores of query 1:", scores[3:])
	return nil
}

// putKeySet makes or replaces a key set. The server has it whole, or not at all.
func putKeySet(ctx context.Context, keySets pb.KeySetServiceClient, name string, keys *pb.Tensor) error {
	stream, err := keySets.PutKeySet(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&pb.PutKeySetRequest{Part: &pb.PutKeySetRequest_Header_{
		Header: &pb.PutKeySetRequest_Header{
			Name: name,
			Keys: &pb.TensorSpec{DataType: keys.DataType, Shape: keys.Shape},
		},
	}})
	for data := keys.Data; err == nil && len(data) > 0; {
		n := min(chunkBytes, len(data))
		err = stream.Send(&pb.PutKeySetRequest{Part: &pb.PutKeySetRequest_Chunk{
			Chunk: &pb.KeySetChunk{Keys: data[:n]},
		}})
		data = data[n:]
	}
	// After a Send that failed this returns the server's error.
	reply, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	fmt.Printf("key set %s: %d keys\n", reply.KeySet.Name, reply.KeySet.Keys.Shape[0])
	return nil
}

func search(ctx context.Context, scoring pb.ScoringServiceClient, name string) error {
	reply, err := scoring.Score(ctx, &pb.ScoreRequest{
		Queries: matrix(1, []float32{1, 0, 0, 0}),
		Keys:    &pb.ScoreRequest_KeySet{KeySet: &pb.KeySetReference{Name: name}},
		Output:  pb.Output_TOP_K,
		TopK:    3,
	})
	if err != nil {
		return err
	}
	scores := floats(reply.Result.Data)
	for i, score := range scores {
		key := int32(binary.LittleEndian.Uint32(reply.Indices.Data[4*i:]))
		fmt.Printf("key %d: score %v\n", key, score)
	}
	return nil
}

func run(address string) error {
	channel, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytesMax), grpc.MaxCallSendMsgSize(messageBytesMax)))
	if err != nil {
		return err
	}
	defer channel.Close()
	scoring := pb.NewScoringServiceClient(channel)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	if err := scoreInline(ctx, scoring); err != nil {
		return err
	}

	const name = "example"
	keys := make([]float32, 4*100_000)
	for i := range 100_000 {
		keys[4*i] = float32(i)
	}
	// Proxies route by this.
	ctx = metadata.AppendToOutgoingContext(ctx, "qkserve-key-set", name)
	if err := putKeySet(ctx, pb.NewKeySetServiceClient(channel), name, matrix(100_000, keys)); err != nil {
		return err
	}
	return search(ctx, scoring, name)
}

func main() {
	address := "127.0.0.1:50051"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := run(address); err != nil {
		failure := status.Convert(err)
		fmt.Fprintf(os.Stderr, "error: %v: %s\n", failure.Code(), failure.Message())
		os.Exit(1)
	}
}
