import com.google.protobuf.ByteString;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import qkserve.v1.Attention;
import qkserve.v1.DataType;
import qkserve.v1.InlineKeys;
import qkserve.v1.KeySet;
import qkserve.v1.KeySetChunk;
import qkserve.v1.KeySetReference;
import qkserve.v1.KeySetServiceGrpc;
import qkserve.v1.Output;
import qkserve.v1.PutKeySetRequest;
import qkserve.v1.PutKeySetResponse;
import qkserve.v1.ScoreRequest;
import qkserve.v1.ScoreResponse;
import qkserve.v1.ScoringServiceGrpc;
import qkserve.v1.Tensor;
import qkserve.v1.TensorSpec;

/**
 * Scores queries against keys that travel with the request. Then puts a key set on the server and
 * searches it.
 *
 * <p>usage: Example [HOST:PORT]
 */
public final class Example {
  // The server's limit; gRPC's own for replies is 4 MiB.
  private static final int MESSAGE_BYTES_MAX = 256 << 20;
  private static final int CHUNK_BYTES = 1 << 20;

  /** A tensor of [rows, values.length / rows]. */
  private static Tensor matrix(int rows, float... values) {
    ByteBuffer data = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asFloatBuffer().put(values);
    return Tensor.newBuilder()
        .setDataType(DataType.FLOAT32)
        .addShape(rows)
        .addShape(values.length / rows)
        .setData(ByteString.copyFrom(data))
        .build();
  }

  private static ByteBuffer littleEndian(Tensor tensor) {
    return tensor.getData().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  private static void scoreInline(ScoringServiceGrpc.ScoringServiceBlockingStub scoring) {
    ScoreResponse reply =
        scoring
            .withDeadlineAfter(30, TimeUnit.SECONDS)
            .score(
                ScoreRequest.newBuilder()
                    .setAttention(Attention.newBuilder().setScale(0.5f))
                    .setQueries(matrix(2, 1, 2, 3, 4))
                    .setInline(InlineKeys.newBuilder().setKeys(matrix(3, 1, 0, 0, 1, 1, 1)))
                    .build());
    FloatBuffer scores = littleEndian(reply.getResult()).asFloatBuffer();
    float[] row = new float[(int) reply.getResult().getShape(1)];
    for (int i = 0; i < reply.getResult().getShape(0); i++) {
      scores.get(row);
      System.out.println("scores of query " + i + ": " + Arrays.toString(row));
    }
  }

  /** Makes or replaces a key set. The server has it whole, or not at all. */
  private static void putKeySet(
      KeySetServiceGrpc.KeySetServiceStub keySets, String name, Tensor keys) {
    CompletableFuture<KeySet> stored = new CompletableFuture<>();
    StreamObserver<PutKeySetRequest> upload =
        keySets
            .withDeadlineAfter(10, TimeUnit.MINUTES)
            .putKeySet(
                new StreamObserver<>() {
                  @Override
                  public void onNext(PutKeySetResponse response) {
                    stored.complete(response.getKeySet());
                  }

                  @Override
                  public void onError(Throwable error) {
                    stored.completeExceptionally(error);
                  }

                  @Override
                  public void onCompleted() {}
                });
    TensorSpec spec =
        TensorSpec.newBuilder()
            .setDataType(keys.getDataType())
            .addAllShape(keys.getShapeList())
            .build();
    upload.onNext(
        PutKeySetRequest.newBuilder()
            .setHeader(PutKeySetRequest.Header.newBuilder().setName(name).setKeys(spec))
            .build());
    // Messages that wait to be sent stay in memory: an upload that is larger than that waits for
    // ClientCallStreamObserver.isReady.
    for (int begin = 0; begin < keys.getData().size(); begin += CHUNK_BYTES) {
      int end = Math.min(begin + CHUNK_BYTES, keys.getData().size());
      KeySetChunk.Builder chunk =
          KeySetChunk.newBuilder().setKeys(keys.getData().substring(begin, end));
      upload.onNext(PutKeySetRequest.newBuilder().setChunk(chunk).build());
    }
    upload.onCompleted();
    KeySet keySet = stored.join();
    System.out.println(
        "key set " + keySet.getName() + ": " + keySet.getKeys().getShape(0) + " keys");
  }

  private static void search(
      ScoringServiceGrpc.ScoringServiceBlockingStub scoring, String name, int count) {
    ScoreResponse reply =
        scoring
            .withDeadlineAfter(30, TimeUnit.SECONDS)
            .score(
                ScoreRequest.newBuilder()
                    .setQueries(matrix(1, 1, 0, 0, 0))
                    .setKeySet(KeySetReference.newBuilder().setName(name))
                    .setOutput(Output.TOP_K)
                    .setTopK(count)
                    .build());
    IntBuffer keys = littleEndian(reply.getIndices()).asIntBuffer();
    FloatBuffer scores = littleEndian(reply.getResult()).asFloatBuffer();
    for (int i = 0; i < count; i++) {
      System.out.println("key " + keys.get(i) + ": score " + scores.get(i));
    }
  }

  /** Sends the name of the key set as metadata, by which proxies route. */
  private static <T extends AbstractStub<T>> T withKeySet(T stub, String name) {
    Metadata metadata = new Metadata();
    metadata.put(Metadata.Key.of("qkserve-key-set", Metadata.ASCII_STRING_MARSHALLER), name);
    return stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata));
  }

  private static void run(ManagedChannel channel) {
    ScoringServiceGrpc.ScoringServiceBlockingStub scoring =
        ScoringServiceGrpc.newBlockingStub(channel).withMaxOutboundMessageSize(MESSAGE_BYTES_MAX);
    scoreInline(scoring);

    float[] keys = new float[4 * 100_000];
    for (int i = 0; i < 100_000; i++) {
      keys[4 * i] = i;
    }
    String name = "example";
    putKeySet(
        withKeySet(KeySetServiceGrpc.newStub(channel), name), name, matrix(100_000, keys));
    search(withKeySet(scoring, name), name, 3);
  }

  public static void main(String[] args) {
    String address = args.length > 0 ? args[0] : "127.0.0.1:50051";
    ManagedChannel channel =
        Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
            .maxInboundMessageSize(MESSAGE_BYTES_MAX)
            .build();
    try {
      run(channel);
    } catch (StatusRuntimeException | CompletionException error) {
      Status status = Status.fromThrowable(error);
      String cause = status.getCause() == null ? "" : " (" + status.getCause().getMessage() + ")";
      System.err.println("error: " + status.getCode() + ": " + status.getDescription() + cause);
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }
}
