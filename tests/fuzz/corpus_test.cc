// Runs every fuzz target over its kept inputs, its seeds, and some changed copies of both. The test
// finds old bugs that come back. It needs no clang, and runs under every sanitizer.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/fuzz/fuzz_target.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace qkserve {

void PrintTo(const FuzzTarget& target, std::ostream* out) { *out << target.name; }

namespace {

// The name of the input that runs now. The report names it, because the process may end without any
// other message.
std::string current;

void ReportCurrent() {
  if (!current.empty()) std::fprintf(stderr, "the input: %s\n", current.c_str());
}

// Makes a finding report its input. A finding ends the process, because Require aborts or a
// sanitizer stops it.
void ReportFindings() {
  std::signal(SIGABRT, [](int) { ReportCurrent(); });
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(ReportCurrent);
#endif
}

FuzzSeeds InputsOf(const FuzzTarget& target) {
  FuzzSeeds inputs = target.seeds();
  const std::filesystem::path folder = std::filesystem::path(FUZZ_CORPUS) / target.name;
  if (!std::filesystem::exists(folder)) return inputs;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(entry.path().filename(),
                        std::string(std::istreambuf_iterator<char>(file), {}));
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

// Changes, removes or repeats some bytes.
std::string Changed(std::string bytes, std::mt19937& random) {
  for (uint32_t edits = 1 + random() % 3; edits > 0 && !bytes.empty(); --edits) {
    const size_t at = random() % bytes.size();
    const size_t count = 1 + random() % std::min<size_t>(bytes.size() - at, 16);
    switch (random() % 4) {
      case 0:
        bytes.erase(at, count);
        break;
      case 1:
        bytes.insert(at, bytes, at, count);
        break;
      default:
        bytes[at] = static_cast<char>(random() % 2 == 0 ? random()
                                                        : uint32_t(bytes[at]) ^ 1U << random() % 8);
    }
  }
  return bytes;
}

class FuzzCorpusTest : public testing::TestWithParam<FuzzTarget> {};

TEST_P(FuzzCorpusTest, HoldsForKeptInputsAndForChangedOnes) {
  constexpr size_t kRuns = 1500;
  ReportFindings();
  const FuzzTarget& target = GetParam();
  const FuzzSeeds inputs = InputsOf(target);
  ASSERT_FALSE(inputs.empty());
  for (const auto& [name, bytes] : inputs) {
    current = name;
    target.run(bytes);
  }
  std::mt19937 random(1);
  for (size_t i = 0; i < kRuns; ++i) {
    const auto& [name, bytes] = inputs[i % inputs.size()];
    current = absl::StrCat(name, ", change ", i);
    target.run(Changed(bytes, random));
  }
  current.clear();
}

INSTANTIATE_TEST_SUITE_P(All, FuzzCorpusTest, testing::ValuesIn(FuzzTargets()),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace qkserve
