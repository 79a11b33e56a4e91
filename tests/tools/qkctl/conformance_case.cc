#include "tests/tools/qkctl/conformance_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/float16.h"
#include "gtest/gtest.h"
#include "tests/support/process.h"
#include "tests/support/read_npy.h"
#include "tests/support/reference.h"

namespace qkserve {
namespace {

// Returns the text of `dictionary` after `begin`, up to `end`.
absl::string_view Between(absl::string_view dictionary, absl::string_view begin, char end) {
  const size_t from = dictionary.find(begin);
  if (from == absl::string_view::npos) return "";
  const absl::string_view rest = dictionary.substr(from + begin.size());
  return rest.substr(0, rest.find(end));
}

template <typename T>
std::vector<double> Elements(absl::string_view bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return {values.begin(), values.end()};
}

// Returns [batch, heads, rows, columns]. Missing leading dimensions are 1.
std::vector<int64_t> FourSizes(const Shape& shape) {
  std::vector<int64_t> sizes(4, 1);
  std::copy(shape.end() - 2, shape.end(), sizes.begin() + 2);
  if (shape.size() > 2) sizes[0] = shape[0];
  if (shape.size() > 3) sizes[1] = shape[1];
  return sizes;
}

}  // namespace

Array ReadArray(const std::filesystem::path& path) {
  const std::string bytes = ReadFile(path);
  constexpr size_t kPreamble = 10;
  EXPECT_GT(bytes.size(), kPreamble) << path;
  if (bytes.size() <= kPreamble) return {};
  const size_t header = static_cast<unsigned char>(bytes[8]) +
                        256 * static_cast<size_t>(static_cast<unsigned char>(bytes[9]));
  const absl::string_view dictionary = absl::string_view(bytes).substr(kPreamble, header);
  const absl::string_view data = absl::string_view(bytes).substr(kPreamble + header);
  Array array;
  for (const absl::string_view size :
       absl::StrSplit(Between(dictionary, "'shape': (", ')'), ',', absl::SkipWhitespace())) {
    array.shape.emplace_back();
    EXPECT_TRUE(absl::SimpleAtoi(size, &array.shape.back())) << path << ": " << size;
  }
  const absl::string_view descr = Between(dictionary, "'descr': '", '\'');
  if (descr == "<f8") {
    array.values = Elements<double>(data);
  } else if (descr == "<f4") {
    array.values = Elements<float>(data);
  } else if (descr == "<i4") {
    array.values = Elements<int32_t>(data);
  } else {
    ADD_FAILURE() << path << ": elements are " << descr;
  }
  EXPECT_EQ(static_cast<int64_t>(array.values.size()), ElementCount(array.shape)) << path;
  return array;
}

ConformanceCase::ConformanceCase(std::filesystem::path folder) : folder_(std::move(folder)) {
  ReadFlags();
  ReadMasked();
}

bool ConformanceCase::Expects(absl::string_view name) const {
  return std::filesystem::exists(folder_ / absl::StrCat("expect_", name, ".npy"));
}

Array ConformanceCase::Expected(absl::string_view name) const {
  return ReadArray(folder_ / absl::StrCat("expect_", name, ".npy"));
}

std::string ConformanceCase::ValuesFlag() const {
  return absl::StrCat("--values=", (folder_ / "v.npy").string());
}

void ConformanceCase::ReadFlags() {
  flags_ = {absl::StrCat("--queries=", (folder_ / "q.npy").string()),
            absl::StrCat("--keys=", (folder_ / "k.npy").string())};
  const nlohmann::json options = nlohmann::json::parse(ReadFile(folder_ / "case.json"));
  for (const auto& [name, value] : options.items()) {
    is_only_scaled_ = is_only_scaled_ && name == "scale";
    if (name == "scale" || name == "softcap" || name == "offset") {
      flags_.push_back(absl::StrCat("--", name, "=", value.dump()));
    } else if (name == "is_causal") {
      flags_.push_back(absl::StrCat("--causal=", value.dump()));
    } else if (name == "window") {
      flags_.push_back(absl::StrCat("--window_left=", value.at(0).dump()));
      flags_.push_back(absl::StrCat("--window_right=", value.at(1).dump()));
    } else {
      ADD_FAILURE() << folder_ << ": unknown option " << name;
    }
  }
  scale_ = options.value("scale", 1.0);
  for (const char* name : {"mask", "key_lengths"}) {
    const std::filesystem::path path = folder_ / absl::StrCat(name, ".npy");
    if (!std::filesystem::exists(path)) continue;
    is_only_scaled_ = false;
    flags_.push_back(absl::StrCat("--", name, "=", path.string()));
  }
}

void ConformanceCase::ReadMasked() {
  const Tensor q = ReadNpy(folder_ / "q.npy").value();
  const Tensor k = ReadNpy(folder_ / "k.npy").value();
  d_ = q.shape.back();
  ReferenceScores reference = ComputeReference(q.View(), k.View(), scale_);
  magnitudes_ = std::move(reference.magnitudes);
  if (Expects("masked")) {
    masked_ = Expected("masked");
  } else {
    EXPECT_TRUE(is_only_scaled_) << folder_ << " lacks expect_masked.npy";
    masked_ = {reference.shape, std::move(reference.scores)};
  }
  EXPECT_EQ(masked_.shape, reference.shape) << folder_;
  EXPECT_EQ(masked_.values.size(), magnitudes_.size()) << folder_;
  const Shape& shape = masked_.shape;
  row_bounds_.resize(ElementCount({shape.data(), shape.size() - 1}).value());
  for (size_t i = 0; i < masked_.values.size(); ++i) {
    if (std::isinf(masked_.values[i]) && masked_.values[i] < 0) continue;
    double& bound = row_bounds_[static_cast<int64_t>(i) / keys()];
    bound = std::max(bound, ScoreBoundAt(static_cast<int64_t>(i), masked_.values[i]));
  }
}

double ConformanceCase::ScoreBoundAt(int64_t element, double expected) const {
  return ScoreBound(expected, magnitudes_[element], d_, DataType::kFloat32);
}

bool ConformanceCase::IsDead(int64_t row) const {
  const auto first = masked_.values.begin() + row * keys();
  return std::all_of(first, first + keys(),
                     [](double score) { return std::isinf(score) && score < 0; });
}

std::vector<double> ConformanceCase::ContextMagnitudes() const {
  const Tensor v = ReadNpy(folder_ / "v.npy").value();
  const std::vector<float> values = ElementsAsFloat(v.View());
  const std::vector<double> log_sum_exp = Expected("log_sum_exp").values;
  const std::vector<int64_t> sizes = FourSizes(masked_.shape);
  const std::vector<int64_t> v_sizes = FourSizes(v.shape);
  const int64_t m = keys();
  const int64_t dv = v_sizes[3];
  std::vector<double> magnitudes(rows() * dv, 0.0);
  for (int64_t row = 0; row < rows(); ++row) {
    const int64_t batch = row / sizes[2] / sizes[1];
    const int64_t head = row / sizes[2] % sizes[1];
    const int64_t v_head = v_sizes[1] == 1 ? 0 : head / (sizes[1] / v_sizes[1]);
    const int64_t v_matrix = (v_sizes[0] == 1 ? 0 : batch) * v_sizes[1] + v_head;
    for (int64_t j = 0; j < m; ++j) {
      const double weight = std::exp(masked_.values[row * m + j] - log_sum_exp[row]);
      // A key that is not attended adds nothing, even if its value is NaN.
      if (!(weight > 0)) continue;
      for (int64_t c = 0; c < dv; ++c) {
        magnitudes[row * dv + c] += weight * std::fabs(values[(v_matrix * m + j) * dv + c]);
      }
    }
  }
  return magnitudes;
}

}  // namespace qkserve
