// Scores queries against keys that travel with the request. Then puts a key set on the server and
// searches it.
//
// usage: npm start [HOST:PORT]
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import * as protoLoader from "@grpc/proto-loader";
import type { ProtoGrpcType as KeySetProto } from "./generated/key_set.js";
import type { ProtoGrpcType as ScoringProto } from "./generated/scoring.js";
import type { KeySetServiceClient } from "./generated/qkserve/v1/KeySetService.js";
import type { PutKeySetResponse__Output } from "./generated/qkserve/v1/PutKeySetResponse.js";
import type { ScoreRequest } from "./generated/qkserve/v1/ScoreRequest.js";
import type { ScoreResponse__Output } from "./generated/qkserve/v1/ScoreResponse.js";
import type { ScoringServiceClient } from "./generated/qkserve/v1/ScoringService.js";
import type { Tensor } from "./generated/qkserve/v1/Tensor.js";

const messageBytesMax = 256 << 20; // the server's limit; gRPC's own for replies is 4 MiB
const chunkBytes = 1 << 20;

// The options are those of "npm run generate".
const loaded = grpc.loadPackageDefinition(
  protoLoader.loadSync(["qkserve/v1/scoring.proto", "qkserve/v1/key_set.proto"], {
    includeDirs: [fileURLToPath(new URL("../../../proto", import.meta.url))],
    longs: Number,
    enums: String,
    defaults: true,
  }),
) as unknown as ScoringProto & KeySetProto;

// A tensor of [rows, values.length / rows].
function matrix(rows: number, values: ArrayLike<number>) {
  const floats = Float32Array.from(values); // little-endian, as the CPUs are that Node runs on
  return {
    dataType: "FLOAT32",
    shape: [rows, values.length / rows],
    data: Buffer.from(floats.buffer),
  } satisfies Tensor;
}

// A copy, because the bytes of a reply may begin at any address.
function bytes(tensor: { data: Buffer } | null): ArrayBuffer {
  return new Uint8Array(tensor!.data).buffer;
}

function score(
  scoring: ScoringServiceClient,
  request: ScoreRequest,
  metadata = new grpc.Metadata(),
): Promise<ScoreResponse__Output> {
  return new Promise((resolve, reject) =>
    scoring.score(request, metadata, { deadline: Date.now() + 30_000 }, (error, reply) =>
      error ? reject(error) : resolve(reply!),
    ),
  );
}

async function scoreInline(scoring: ScoringServiceClient) {
  const reply = await score(scoring, {
    attention: { scale: 0.5 },
    queries: matrix(2, [1, 2, 3, 4]),
    inline: { keys: matrix(3, [1, 0, 0, 1, 1, 1]) },
  });
  const scores = new Float32Array(bytes(reply.result)); // row-major, as result.shape says: [2, 3]
  console.log("scores of query 0:", ...scores.subarray(0, 3));
  console.log("scores of query 1:", ...scores.subarray(3));
}

// Makes or replaces a key set. The server has it whole, or not at all.
async function putKeySet(
  keySets: KeySetServiceClient,
  name: string,
  keys: ReturnType<typeof matrix>,
  metadata: grpc.Metadata,
) {
  let upload!: ReturnType<KeySetServiceClient["putKeySet"]>;
  const stored = new Promise<PutKeySetResponse__Output>((resolve, reject) => {
    upload = keySets.putKeySet(metadata, { deadline: Date.now() + 600_000 }, (error, reply) =>
      error ? reject(error) : resolve(reply!),
    );
  });
  const send = async () => {
    upload.write({ header: { name, keys: { dataType: keys.dataType, shape: keys.shape } } });
    for (let begin = 0; begin < keys.data.length; begin += chunkBytes) {
      const chunk = { keys: keys.data.subarray(begin, begin + chunkBytes) };
      if (!upload.write({ chunk })) await once(upload, "drain");
    }
    upload.end();
  };
  // If the server refuses the upload, nothing is drained any more: the reply says why.
  const reply = await Promise.race([stored, send().then(() => stored)]);
  console.log(`key set ${reply.keySet!.name}: ${reply.keySet!.keys!.shape[0]} keys`);
}

async function search(scoring: ScoringServiceClient, name: string, metadata: grpc.Metadata) {
  const reply = await score(
    scoring,
    { queries: matrix(1, [1, 0, 0, 0]), keySet: { name }, output: "TOP_K", topK: 3 },
    metadata,
  );
  const keys = new Int32Array(bytes(reply.indices));
  const scores = new Float32Array(bytes(reply.result));
  keys.forEach((key, i) => console.log(`key ${key}: score ${scores[i]}`));
}

async function main() {
  const address = process.argv[2] ?? "127.0.0.1:50051";
  const options = {
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.max_send_message_length": messageBytesMax,
  };
  const credentials = grpc.credentials.createInsecure();
  const scoring = new loaded.qkserve.v1.ScoringService(address, credentials, options);
  const keySets = new loaded.qkserve.v1.KeySetService(address, credentials, options);

  await scoreInline(scoring);

  const keys = new Float32Array(4 * 100_000);
  for (let i = 0; i < 100_000; i++) keys[4 * i] = i;
  const name = "example";
  const metadata = new grpc.Metadata();
  metadata.set("qkserve-key-set", name); // proxies route by it
  await putKeySet(keySets, name, matrix(100_000, keys), metadata);
  await search(scoring, name, metadata);

  scoring.close();
  keySets.close();
}

main().catch((error: grpc.ServiceError) => {
  console.error(`error: ${grpc.status[error.code]}: ${error.details}`);
  process.exit(1);
});
