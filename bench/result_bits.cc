// Prints checksums of results. Sends varied requests to a running server, first one at a time, then
// several at a time. Two builds whose servers have the same kernel must print the same checksums.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/flags.h"
#include "bench/program.h"
#include "core/kernels/element_conversion.h"
#include "core/key_sets/storage/checksum.h"
#include "qkserve/client.h"

namespace qkserve::bench {
namespace {

constexpr char kKeySet[] = "result-bits";
constexpr int kCallers = 16;

// The number of requests on each key set. A key set is made by one put and up to three appends.
constexpr int kRequestsOfKeySet = 20;

struct Options {
  std::string server = "127.0.0.1:50051";
  int requests = 1000;
  bool each = false;  // print a line for each request
};

void AddNumber(int64_t number, Checksum& checksum) {
  checksum.Add(reinterpret_cast<const std::byte*>(&number), sizeof(number));
}

// Draws the random values that requests are made of. The same seed gives the same requests.
class Draw {
 public:
  explicit Draw(uint64_t seed) : random_(seed) {}

  // The distributions of the standard library differ between its implementations, but the generator
  // does not.
  int64_t Between(int64_t first, int64_t last) {
    return first + static_cast<int64_t>(random_() % static_cast<uint64_t>(last - first + 1));
  }
  bool OneIn(int64_t count) { return Between(1, count) == 1; }
  template <class T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Between(0, static_cast<int64_t>(values.size()) - 1)];
  }
  float Number() {
    // A sum of three numbers is close enough to a normal distribution.
    float sum = 0;
    for (int i = 0; i < 3; ++i) sum += static_cast<float>(Between(-1000, 1000)) / 1000.0F;
    return sum;
  }

 private:
  std::mt19937_64 random_;
};

enum class Elements { kUsual, kWithSpecial, kTied };

Tensor MakeTensor(Draw& draw, DataType type, const Shape& shape, Elements elements) {
  std::vector<float> values(static_cast<size_t>(*ElementCount(shape)));
  for (float& value : values) {
    value = elements == Elements::kTied ? static_cast<float>(draw.Between(-1, 1)) : draw.Number();
    if (elements == Elements::kWithSpecial && draw.OneIn(200)) {
      constexpr float kInfinity = std::numeric_limits<float>::infinity();
      value = draw.OneOf({kInfinity, -kInfinity, std::nanf(""), 60000.0F, -60000.0F});
    }
  }
  Tensor tensor = {type, shape, {}};
  tensor.data = Buffer::Allocate(values.size() * static_cast<size_t>(ElementBytes(type))).value();
  if (!values.empty()) {
    ConvertFromFloat32(type, values.data(), static_cast<int64_t>(values.size()),
                       tensor.data.data());
  }
  return tensor;
}

DataType DrawFloatType(Draw& draw) {
  return draw.OneOf(
      {DataType::kFloat32, DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16});
}

// Draws a size near the cuts of blocks, steps, splits and tiles, at most `size_max`.
int64_t DrawSize(Draw& draw, int64_t size_max) {
  const int64_t size =
      draw.OneOf<int64_t>({0,   1,   2,   7,   16,  63,   64,   65,   127,    128,
                           129, 300, 511, 512, 513, 1024, 1500, 4097, 20'000, 70'000});
  return size <= size_max ? size : draw.Between(1, size_max);
}

// The shape of the keys and values of some requests.
struct Keys {
  Shape leading;  // [], [batch] or [batch, heads]
  int64_t m, d, dv;

  Shape Of(int64_t rows, int64_t columns) const {
    Shape shape = leading;
    shape.insert(shape.end(), {rows, columns});
    return shape;
  }
  int64_t Matrices() const { return *ElementCount(leading); }
};

Keys DrawKeys(Draw& draw) {
  constexpr int64_t kKeyElementsMax = int64_t{4} << 20;
  Keys keys = {};
  const int64_t rank = draw.Between(2, 4);
  if (rank > 2) keys.leading.push_back(draw.Between(1, 3));
  if (rank > 3) keys.leading.push_back(draw.Between(1, 4));
  keys.d = draw.OneOf<int64_t>({0, 1, 3, 8, 16, 33, 64, 64, 128, 128, 600, 768, 1500});
  keys.dv = draw.OneOf<int64_t>({1, 8, 16, 40, 64, 128, 300});
  const int64_t row = keys.Matrices() * std::max<int64_t>({keys.d, keys.dv, 1});
  keys.m = DrawSize(draw, std::max<int64_t>(1, kKeyElementsMax / row));
  return keys;
}

// A request with the tensors that its options point to.
struct Request {
  Tensor queries, mask;
  std::optional<Tensor> keys, values;  // nullopt: they are in the key set
  ScoreOptions options;
  std::string text;
};

Shape DrawQueryShape(Draw& draw, const Keys& keys) {
  constexpr int64_t kScoreCountMax = int64_t{2} << 20;
  Shape shape = keys.leading;
  if (!shape.empty() && shape[0] == 1 && draw.OneIn(2)) shape[0] = draw.Between(1, 3);
  if (shape.size() == 2 && draw.OneIn(2)) shape[1] *= draw.Between(1, 3);  // grouped heads
  const int64_t row = *ElementCount(shape) * std::max<int64_t>({keys.m, keys.d, keys.dv, 1});
  shape.push_back(DrawSize(draw, std::clamp<int64_t>(kScoreCountMax / row, 1, 2000)));
  shape.push_back(keys.d);
  return shape;
}

void DrawMask(Draw& draw, const Keys& keys, Request& request) {
  ScoreOptions& options = request.options;
  options.is_causal = draw.OneIn(4);
  if (draw.OneIn(5)) options.window_left = draw.Between(-1, keys.m + 2);
  if (draw.OneIn(5)) options.window_right = draw.Between(-1, keys.m + 2);
  const Shape& shape = request.queries.shape;
  const size_t rank = shape.size();
  const int64_t batches = rank == 2 ? 1 : shape[0];
  if (draw.OneIn(5)) {
    for (int64_t b = 0; b < batches; ++b) {
      options.key_lengths.push_back(draw.Between(0, keys.m));
    }
  } else if (draw.OneIn(4)) {
    options.offset = draw.Between(-5, keys.m + 5);
  }
  if (!draw.OneIn(3)) return;
  Shape mask_shape = shape;
  mask_shape.back() = draw.OneIn(3) ? 1 : keys.m;
  for (size_t i = 0; i + 1 < rank; ++i) {
    if (draw.OneIn(2)) mask_shape[i] = 1;
  }
  if (draw.OneIn(2)) {
    request.mask = {DataType::kBool, mask_shape, {}};
    const auto count = static_cast<size_t>(*ElementCount(mask_shape));
    request.mask.data = Buffer::Allocate(count).value();
    for (size_t i = 0; i < count; ++i) {
      request.mask.data.data()[i] = static_cast<std::byte>(draw.OneIn(4) ? 0 : 1);
    }
  } else {
    request.mask = MakeTensor(draw, DrawFloatType(draw), mask_shape, Elements::kUsual);
  }
  options.mask = request.mask.View();
}

// Draws a request. `inline_keys`: the request carries its keys.
std::unique_ptr<Request> DrawRequest(Draw& draw, const Keys& keys, bool inline_keys) {
  auto request = std::make_unique<Request>();
  ScoreOptions& options = request->options;
  const auto elements = draw.OneOf({Elements::kUsual, Elements::kUsual, Elements::kUsual,
                                    Elements::kTied, Elements::kWithSpecial});
  request->queries = MakeTensor(draw, DrawFloatType(draw), DrawQueryShape(draw, keys), elements);
  options.output = draw.OneOf({Output::kScores, Output::kCapped, Output::kMasked, Output::kWeights,
                               Output::kContext, Output::kContext, Output::kTopK, Output::kTopK});
  options.result_type = DrawFloatType(draw);
  options.timeout = absl::Minutes(5);
  if (draw.OneIn(2)) options.scale = draw.Number();
  if (draw.OneIn(3)) options.softcap = std::abs(draw.Number()) * 5 + 0.5F;
  if (options.output == Output::kTopK) {
    options.top_k = draw.OneOf<int64_t>({1, 3, 10, 100, 2000});
  }
  options.log_sum_exp =
      (options.output == Output::kWeights || options.output == Output::kContext) && draw.OneIn(2);
  if (options.output != Output::kScores && options.output != Output::kCapped) {
    DrawMask(draw, keys, *request);
  }
  if (inline_keys) {
    request->keys = MakeTensor(draw, DrawFloatType(draw), keys.Of(keys.m, keys.d), elements);
    if (options.output == Output::kContext) {
      request->values = MakeTensor(draw, DrawFloatType(draw), keys.Of(keys.m, keys.dv), elements);
      options.values = request->values->View();
    }
  }
  request->text = absl::StrCat(inline_keys ? "inline" : "key set", " output ",
                               static_cast<int>(options.output), " queries ",
                               ShapeString(request->queries.shape), " m ", keys.m, " dv ", keys.dv);
  return request;
}

int64_t ChecksumOf(const absl::StatusOr<ScoreResult>& result) {
  Checksum checksum;
  AddNumber(static_cast<int64_t>(result.status().code()), checksum);
  const auto add = [&checksum](const Tensor& tensor) {
    for (const int64_t size : tensor.shape) AddNumber(size, checksum);
    checksum.Add(tensor.data.data(), *ElementCount(tensor.shape) * ElementBytes(tensor.data_type));
  };
  if (result.ok()) add(result->result);
  if (result.ok() && result->indices.has_value()) add(*result->indices);
  if (result.ok() && result->log_sum_exp.has_value()) add(*result->log_sum_exp);
  return checksum.Value();
}

int64_t Ask(Client& client, const Request& request) {
  const TensorView queries = request.queries.View();
  return ChecksumOf(request.keys.has_value()
                        ? client.Score(queries, request.keys->View(), request.options)
                        : client.Score(queries, KeySetReference{.name = kKeySet}, request.options));
}

using Requests = std::vector<std::unique_ptr<Request>>;

// Returns the checksums of the results of all requests, which `callers` callers send at the same
// time.
std::vector<int64_t> AskAll(Client& client, const Requests& requests, int callers) {
  std::vector<int64_t> checksums(requests.size());
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(callers));
  for (int i = 0; i < callers; ++i) {
    threads.emplace_back([&] {
      for (size_t r = next++; r < requests.size(); r = next++) {
        checksums[r] = Ask(client, *requests[r]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return checksums;
}

void MakeKeySet(Client& client, Draw& draw, const Keys& keys) {
  const DataType type = DrawFloatType(draw);
  const auto elements = draw.OneOf({Elements::kUsual, Elements::kUsual, Elements::kWithSpecial});
  const int64_t parts = draw.Between(1, 4);
  int64_t version = 0;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t rows = keys.m * (part + 1) / parts - keys.m * part / parts;
    const Tensor part_keys = MakeTensor(draw, type, keys.Of(rows, keys.d), elements);
    const Tensor part_values = MakeTensor(draw, type, keys.Of(rows, keys.dv), elements);
    version = OrDie(part == 0 ? client.PutKeySet(kKeySet, part_keys.View(),
                                                 {.values = part_values.View()})
                              : client.AppendKeySet(kKeySet, version, part_keys.View(),
                                                    {.values = part_values.View()}))
                  .version;
  }
}

void Run(const Options& options) {
  const std::unique_ptr<Client> client = OrDie(Client::Create({.address = options.server}));
  const std::string kernel = OrDie(client->GetStatus()).kernel();
  Checksum totals[2];  // for inline keys and for key sets
  const int count = options.requests;
  int asked = 0;
  for (int group = 0; asked < count; ++group) {
    Draw draw(static_cast<uint64_t>(group));
    const bool is_inline = group % 2 == 0;
    std::optional<Keys> keys;
    if (!is_inline) {
      keys = DrawKeys(draw);
      MakeKeySet(*client, draw, *keys);
    }
    Requests requests;
    for (int i = 0; i < kRequestsOfKeySet && asked < count; ++i, ++asked) {
      requests.push_back(DrawRequest(draw, is_inline ? DrawKeys(draw) : *keys, is_inline));
    }
    const std::vector<int64_t> checksums = AskAll(*client, requests, 1);
    const std::vector<int64_t> together = AskAll(*client, requests, kCallers);
    for (size_t i = 0; i < requests.size(); ++i) {
      if (options.each) absl::PrintF("%016x %s\n", checksums[i], requests[i]->text);
      if (checksums[i] != together[i]) {
        OrDie(absl::InternalError(
            absl::StrCat("other bits among others than alone: ", requests[i]->text)));
      }
      AddNumber(checksums[i], totals[is_inline ? 0 : 1]);
    }
    absl::FPrintF(stderr, "\r%d of %d", asked, count);
  }
  absl::FPrintF(stderr, "\r");
  const absl::Status deleted = client->DeleteKeySet(kKeySet);
  if (!absl::IsNotFound(deleted)) OrDie(deleted);
  absl::PrintF("%d requests, kernel %s: inline %016x, key sets %016x\n", asked, kernel,
               totals[0].Value(), totals[1].Value());
}

int Main(int argc, char** argv) {
  Options options;
  Flags flags("Prints a checksum of the results of varied requests.\n");
  flags.Add("server", &options.server, "The server's address");
  flags.Add("requests", &options.requests, "Requests");
  flags.Add("each", &options.each, "Print a line for each request");
  const std::optional<int> exit_code = flags.ParseMain(argc, argv, [&options] {
    return options.requests >= 1 ? absl::OkStatus()
                                 : absl::InvalidArgumentError("--requests must be 1 or more");
  });
  if (exit_code.has_value()) return *exit_code;
  Run(options);
  return 0;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) { return qkserve::bench::Main(argc, argv); }
