// Measures the cost of the files of key sets:
//   loading a set of 1000000 keys, d=128, against reading and packing its file without a check;
//   appends of 16 keys to that set against appends to a set of 1000 keys.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/flags.h"
#include "bench/program.h"
#include "bench/statistics.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/limits.h"

namespace qkserve::bench {
namespace {

constexpr int64_t kDepth = 128;
constexpr int64_t kManyKeys = 1'000'000;
constexpr int64_t kFewKeys = 1000;
constexpr int64_t kAppendKeys = 16;
constexpr int kAppends = 1000;
constexpr int kAppendsPerRound = 50;

double SecondsOf(const auto& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::unique_ptr<KeySetStore> OpenStore(const std::string& directory) {
  return OrDie(KeySetStore::Open({.directory = directory, .memory_bytes_max = 8 * kGiB},
                                 FileSystem::Posix()));
}

KeySetUploadSpec Spec(const std::string& name, int64_t m) {
  KeySetUploadSpec spec;
  spec.name = name;
  spec.layout.d = kDepth;
  spec.m = m;
  return spec;
}

// Puts or appends `spec.m` keys. Returns the new version.
int64_t Upload(KeySetStore& store, const KeySetUploadSpec& spec) {
  static const std::string& rows = *new std::string(kDepth * 4 * 1000, '\x3f');
  const std::unique_ptr<KeySetUpload> upload = OrDie(store.BeginUpload(spec));
  const auto bytes = static_cast<size_t>(spec.m * kDepth * 4);
  for (size_t done = 0; done < bytes; done += rows.size()) {
    OrDie(upload->Add(ColumnId::kKeys, absl::string_view(rows).substr(0, bytes - done)));
  }
  return OrDie(upload->Commit())->version();
}

// Reads the only segment of a set in pieces of 1 MiB and packs it.
void ReadAndPack(const std::string& folder) {
  std::string path;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (absl::EndsWith(entry.path().string(), ".safetensors")) path = entry.path().string();
  }
  const std::unique_ptr<ReadableFile> file = OrDie(FileSystem::Posix()->Open(path));
  constexpr int64_t kRowBytes = kDepth * 4;
  const int64_t header_bytes = file->size() - kManyKeys * kRowBytes;
  ByteBudget budget("bench", 8 * kGiB);
  const std::unique_ptr<KeySetBuilder> builder =
      KeySetBuilder::Create(Spec("", kManyKeys).layout, kManyKeys, nullptr, &budget).value();
  Buffer buffer = Buffer::Allocate(static_cast<size_t>(kMiB)).value();
  for (int64_t row = 0; row < kManyKeys; row += kMiB / kRowBytes) {
    const int64_t rows = std::min(kMiB / kRowBytes, kManyKeys - row);
    OrDie(file->ReadAt(header_bytes + row * kRowBytes, rows * kRowBytes, buffer.data()));
    builder->Add(ColumnId::kKeys, row, rows, buffer.data());
  }
  builder->Finish("bench", 1);
}

void CompareLoading(const std::string& directory, int rounds) {
  std::vector<double> load;
  std::vector<double> read;
  for (int round = -1; round < rounds; ++round) {
    const double load_seconds = SecondsOf([&] { OpenStore(directory); });
    const double read_seconds = SecondsOf([&] { ReadAndPack(directory + "/many"); });
    if (round < 0) continue;  // the first round brings the files into the page cache
    load.push_back(load_seconds);
    read.push_back(read_seconds);
  }
  const Ratio ratio = CompareRounds(Median(load), Median(read), load, read);
  absl::PrintF(
      "load %d x %d: %.3f s (checked, packed); read and pack: %.3f s\n"
      "  ratio %.2f [%.2f-%.2f], limit 1.5\n",
      kManyKeys, kDepth, Median(load), Median(read), ratio.ratio, ratio.lower_quartile,
      ratio.upper_quartile);
}

void CompareAppends(const std::string& directory) {
  const std::unique_ptr<KeySetStore> store = OpenStore(directory);
  struct Grown {
    std::string name;
    int64_t version;
    std::vector<double> seconds;
  };
  Grown grown[] = {{"few", (*store->Find("few"))->version(), {}},
                   {"many", (*store->Find("many"))->version(), {}}};
  for (int done = 0; done < kAppends; done += kAppendsPerRound) {
    // The two sets take turns, because the speed of the disk changes from second to second.
    for (Grown& one : grown) {
      one.seconds.push_back(SecondsOf([&] {
        for (int i = 0; i < kAppendsPerRound; ++i) {
          KeySetUploadSpec spec = Spec(one.name, kAppendKeys);
          spec.expected_version = one.version;
          one.version = Upload(*store, spec);
        }
      }));
    }
  }
  const double few = Mean(grown[0].seconds) * kAppends / kAppendsPerRound;
  const double many = Mean(grown[1].seconds) * kAppends / kAppendsPerRound;
  absl::PrintF(
      "%d appends of %d keys: to %d keys %.2f s, to %d keys %.2f s\n"
      "  ratio %.2f, limit 2\n",
      kAppends, kAppendKeys, kManyKeys, many, kFewKeys, few, many / few);
}

int Main(int argc, char** argv) {
  std::string parent = std::filesystem::temp_directory_path().string();
  int rounds = 9;
  Flags flags("Usage: key_set_bench [FLAGS]\n\nMeasures the files of key sets.\n");
  flags.Add("directory", &parent, "Where the files go, in a folder that is removed");
  flags.Add("rounds", &rounds, "Rounds of loading");
  if (const std::optional<int> exit_code = flags.ParseMain(argc, argv)) return *exit_code;
  const std::string directory = absl::StrCat(parent, "/qkserve_key_set_bench_", getpid());
  {
    const std::unique_ptr<KeySetStore> store = OpenStore(directory);
    Upload(*store, Spec("many", kManyKeys));
    Upload(*store, Spec("few", kFewKeys));
  }
  CompareLoading(directory, rounds);
  CompareAppends(directory);
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace qkserve::bench

int main(int argc, char** argv) { return qkserve::bench::Main(argc, argv); }
