#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/byte_budget.h"
#include "core/kernels/element_conversion.h"
#include "core/key_sets/key_set_store.h"
#include "qkserve/limits.h"
#include "server/admission/admit_score.h"
#include "tests/fuzz/attention_reference.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/support/key_sets.h"
#include "tests/support/random_tensor.h"
#include "tests/support/run_pass.h"

namespace qkserve {
namespace {

constexpr ScoreFieldNames kNames = {
    "queries",     "keys",    "values", "key_set",     "key_set.version",
    "scale",       "softcap", "left",   "right",       "offset",
    "key_lengths", "mask",    "top_k",  "log_sum_exp",
};

template <class T>
T Choose(FuzzInput& in, std::initializer_list<T> choices) {
  return choices.begin()[in.Below(static_cast<int>(choices.size()))];
}

// Small integers. Every type holds them exactly, and their products have no rounding errors.
// `special` says whether some elements are NaN or infinite.
Tensor SmallNumbers(DataType type, const Shape& shape, uint8_t seed, int special) {
  std::mt19937 random(seed);
  std::vector<float> values(static_cast<size_t>(*ElementCount(shape)));
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 7) - 3);
  constexpr float kSpecial[] = {std::numeric_limits<float>::quiet_NaN(),
                                std::numeric_limits<float>::infinity()};
  for (int i = 0; i < special && !values.empty(); ++i) {
    values[random() % values.size()] = kSpecial[random() % 2];
  }
  Tensor tensor = EmptyTensor(type, shape);
  ConvertFromFloat32(type, values.data(), static_cast<int64_t>(values.size()), tensor.data.data());
  return tensor;
}

// A call. Each choice in it depends on one byte of the input.
struct Question {
  explicit Question(FuzzInput& in) {
    MakeTensors(in);
    MakeOptions(in);
    if (in.Flag()) MakeMask(in);
    if (in.Flag()) MakeLengths(in);
    if (problem.output == Output::kContext ? in.Below(16) != 0 : in.Below(16) == 1) {
      problem.values = values.View();
    }
    problem.queries = queries.View();
    problem.keys = keys.View();
  }

  void MakeTensors(FuzzInput& in) {
    const auto type = [&] {
      return Choose(in, {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16});
    };
    const auto rank = static_cast<size_t>(2 + in.Below(3));
    const int64_t n = Choose<int64_t>(in, {1, 2, 0, 3, 4});
    const int64_t m = Choose<int64_t>(in, {3, 1, 0, 2, 7, 64, 65, 130});
    const int64_t d = Choose<int64_t>(in, {2, 1, 0, 3, 16});
    const int64_t key_batch = Choose<int64_t>(in, {2, 1, 3});
    const int64_t key_heads = Choose<int64_t>(in, {1, 2, 3});
    const int64_t batch = Choose<int64_t>(in, {key_batch, key_batch, 1, 2});
    const int64_t heads = Choose<int64_t>(in, {key_heads, key_heads * 2, 1, 3});
    const auto with_leading = [&](int64_t b, int64_t h, int64_t rows, int64_t width) {
      Shape shape = {b, h, rows, width};
      if (rank == 3) shape.erase(shape.begin() + 1);
      if (rank == 2) shape.erase(shape.begin(), shape.begin() + 2);
      return shape;
    };
    queries = SmallNumbers(type(), with_leading(batch, heads, n, d), in.Byte(), 0);
    keys = SmallNumbers(type(), with_leading(key_batch, key_heads, m, d + (in.Below(32) == 31)),
                        in.Byte(), in.Below(3));
    values = SmallNumbers(type(), with_leading(key_batch, key_heads, m, 1 + in.Below(3)), in.Byte(),
                          in.Below(3));
  }

  void MakeOptions(FuzzInput& in) {
    problem.output = static_cast<Output>(1 + in.Below(6));
    problem.result_type = Choose(in, {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16});
    problem.scale = Choose(in, {1.0F, 0.5F, -2.0F, 0.0F});
    problem.softcap = Choose(in, {0.0F, 2.0F, 30.0F});
    problem.is_causal = in.Flag();
    problem.window_left = in.Below(6) - 1;
    problem.window_right = in.Below(6) - 1;
    has_offset = in.Flag();
    if (has_offset) problem.offset = in.Below(16) - 8;
    if (problem.output == Output::kTopK) problem.top_k = in.Below(8);
    log_sum_exp = in.Flag();
  }

  void MakeMask(FuzzInput& in) {
    // The mask has the result's shape, but some dimensions are 1, shorter or missing.
    Shape shape = queries.shape;
    for (size_t i = 0; i + 2 < shape.size(); ++i) shape[i] = std::max(shape[i], keys.shape[i]);
    shape.back() = std::max<int64_t>(keys.shape[keys.shape.size() - 2] + 1 - in.Below(4), 0);
    for (size_t i = 0; i + 1 < shape.size(); ++i) {
      if (in.Below(3) == 1) shape[i] = 1;
    }
    shape.erase(shape.begin(), shape.begin() + in.Below(static_cast<int>(shape.size())));
    if (in.Flag()) {
      mask = SmallNumbers(DataType::kFloat32, shape, in.Byte(), 0);
      auto* const elements = reinterpret_cast<float*>(mask.data.data());
      for (int64_t i = 0; i < *ElementCount(shape); ++i) {
        if (elements[i] == 3.0F) elements[i] = -std::numeric_limits<float>::infinity();
      }
    } else {
      mask = EmptyTensor(DataType::kBool, shape);
      std::mt19937 random(in.Byte());
      for (int64_t i = 0; i < *ElementCount(shape); ++i) {
        mask.data.data()[i] = static_cast<std::byte>(random() % 2);
      }
    }
    problem.mask = mask.View();
  }

  void MakeLengths(FuzzInput& in) {
    const size_t rank = keys.shape.size();
    const int64_t batch = rank == 2 ? 1 : std::max(keys.shape[0], queries.shape[0]);
    const auto m = static_cast<int>(keys.shape[rank - 2]);
    for (int64_t b = 0; b < batch; ++b) lengths.push_back(in.Below(m + 1));
    if (in.Below(16) == 15) lengths.push_back(0);
    problem.key_lengths = lengths;
  }

  Tensor queries, keys, values, mask;
  std::vector<int64_t> lengths;
  AttentionProblem problem;
  bool has_offset = false;
  bool log_sum_exp = false;
};

// True if rounding alone can explain the difference.
bool IsNear(double got, double exact, double slack, DataType type) {
  if (std::isnan(exact) || std::isinf(exact)) {
    return std::isnan(exact) ? std::isnan(got) : got == exact;
  }
  const double ulp = type == DataType::kFloat32   ? 0x1p-23
                     : type == DataType::kFloat16 ? 0x1p-10
                                                  : 0x1p-7;
  return std::abs(got - exact) <= slack + ulp * std::abs(exact) + 0x1p-24;
}

bool IsFinite(const ReferenceRow& row) {
  return std::all_of(row.scores.begin(), row.scores.end(), [](double score) {
    return std::isfinite(score) || score == -std::numeric_limits<double>::infinity();
  });
}

void CheckTopK(const ReferenceRow& row, const AttentionProblem& problem, const float* scores,
               const int32_t* indices) {
  std::vector<size_t> order(row.scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return row.scores[a] > row.scores[b]; });
  for (size_t i = 0; i < static_cast<size_t>(problem.top_k); ++i) {
    const bool is_there = i < order.size() && std::isfinite(row.scores[order[i]]);
    if (!is_there) {
      Require(indices[i] == -1 && std::isinf(scores[i]), "what is not attended is no top score");
      continue;
    }
    // tanh may round two different scores to the same number.
    Require(problem.softcap > 0 || indices[i] == static_cast<int32_t>(order[i]),
            "top scores have the indices of the definition");
    Require(IsNear(static_cast<double>(scores[i]), row.scores[order[i]],
                   1e-5 * static_cast<double>(problem.softcap), problem.result_type),
            "top scores are those of the definition");
  }
}

void CheckContext(const ReferenceRow& row, const AttentionProblem& problem, const float* got) {
  const auto dv = static_cast<size_t>(problem.values->shape.back());
  const std::vector<float> values = ToFloats(*problem.values);
  const size_t m = row.weights.size();
  for (size_t c = 0; c < dv; ++c) {
    double exact = 0;
    double magnitude = 0;
    for (size_t j = 0; j < m; ++j) {
      if (std::isinf(row.scores[j])) continue;
      const double term =
          row.weights[j] *
          static_cast<double>(values[(static_cast<size_t>(row.key_matrix) * m + j) * dv + c]);
      exact += term;
      magnitude += std::abs(term);
    }
    // The result is not checked if it is not finite, because an infinite value may have a weight
    // near 0.
    if (!std::isfinite(exact)) continue;
    Require(IsNear(static_cast<double>(got[c]), exact, 1e-4 * magnitude, problem.result_type),
            absl::StrCat("context: got ", got[c], ", expected ", exact));
  }
}

void CheckRow(const ReferenceRow& row, const AttentionProblem& problem, const float* got,
              const int32_t* indices) {
  if (problem.output >= Output::kWeights && !IsFinite(row)) return;
  if (problem.output == Output::kTopK) return CheckTopK(row, problem, got, indices);
  if (problem.output == Output::kContext) return CheckContext(row, problem, got);
  const bool is_weights = problem.output == Output::kWeights;
  const std::vector<double>& exact = is_weights ? row.weights : row.scores;
  const double slack = is_weights ? 1e-4 : 1e-5 * static_cast<double>(problem.softcap);
  for (size_t j = 0; j < exact.size(); ++j) {
    Require(IsNear(static_cast<double>(got[j]), exact[j], slack, problem.result_type),
            absl::StrCat(OutputName(problem.output), ": got ", got[j], ", expected ", exact[j]));
  }
}

void CheckResults(const Question& question, const ComputedScore& result) {
  const AttentionProblem& problem = question.problem;
  const std::vector<ReferenceRow> rows = ComputeRows(problem);
  const std::vector<float> got = ToFloats(result.result.View());
  const auto columns = static_cast<size_t>(result.result.shape.back());
  Require(got.size() == rows.size() * columns, "a result has the shape of the definition");
  const auto* const indices = reinterpret_cast<const int32_t*>(result.indices.data.data());
  for (size_t i = 0; i < rows.size(); ++i) {
    CheckRow(rows[i], problem, got.data() + i * columns,
             indices == nullptr ? nullptr : indices + i * columns);
    if (!question.log_sum_exp || !IsFinite(rows[i])) continue;
    const float log_sum_exp = result.log_sum_exp.Elements<float>()[i];
    Require(IsNear(static_cast<double>(log_sum_exp), rows[i].log_sum_exp, 1e-4, DataType::kFloat32),
            absl::StrCat("log-sum-exp: got ", log_sum_exp, ", expected ", rows[i].log_sum_exp));
  }
}

// Answers the question from a key set. The results have the shapes of `like`, the answer from
// inline keys.
ComputedScore AnswerFromKeySet(const Question& question, const ComputedScore& like) {
  AttentionProblem problem = question.problem;
  const bool has_values = problem.values.has_value();
  const auto set = MakeKeySet(question.keys, has_values ? &question.values : nullptr);
  const ScoreShape shape =
      MakeScoreShape("q", problem.queries.shape, "k", problem.keys.shape).value();
  problem.keys = {};
  problem.values.reset();
  ComputedScore result;
  for (const auto& [from, to] :
       {std::pair{&like.result, &result.result}, std::pair{&like.indices, &result.indices},
        std::pair{&like.log_sum_exp, &result.log_sum_exp}}) {
    if (!from->shape.empty()) *to = EmptyTensor(from->data_type, from->shape);
  }
  const ScoreRequest request = {
      problem,
      shape,
      {.result = result.result.data.data(),
       .indices = reinterpret_cast<int32_t*>(result.indices.data.data()),
       .log_sum_exp = reinterpret_cast<float*>(result.log_sum_exp.data.data())}};
  const ScoreRequest* const requests[] = {&request};
  RunPass(set, requests);
  return result;
}

}  // namespace

void FuzzAttention(absl::string_view input) {
  FuzzInput in(input);
  const Question question(in);
  static const KeySetStore& none = *KeySetStore::Open({}, nullptr).value().release();
  ByteBudget budget("in_flight_bytes_max", 64 * kMiB);
  ScoreCall call;
  call.names = &kNames;
  call.problem = question.problem;
  call.has_offset = question.has_offset;
  call.log_sum_exp = question.log_sum_exp;
  const auto score = AdmitScore(std::move(call), {.message_bytes_max = kMiB,
                                                  .compute = {.kernel = "k"},
                                                  .key_sets = &none,
                                                  .budget = &budget});
  Require(score.ok() == IsValid(question.problem, question.has_offset, question.log_sum_exp),
          absl::StrCat("the rules decide who is admitted: ", score.status().ToString()));
  if (!score.ok()) return;
  for (int64_t tile = 0; tile < (*score)->spec().tile_count; ++tile) {
    Require((*score)->RunTile(tile).ok(), "a tile has memory");
  }
  CheckResults(question, (*score)->result());
  // Sets without keys are left to FuzzScore.
  if (question.keys.shape[question.keys.shape.size() - 2] == 0) return;
  CheckResults(question, AnswerFromKeySet(question, (*score)->result()));
}

FuzzSeeds AttentionSeeds() {
  FuzzSeeds seeds;
  std::mt19937 random(1);
  for (int output = 0; output < 6; ++output) {
    std::string bytes(12, '\0');  // the shapes
    for (int i = 0; i < 40; ++i) bytes.push_back(static_cast<char>(random() % 6));
    bytes[15] = static_cast<char>(output);
    seeds.emplace_back(absl::StrCat(output), bytes);
  }
  return seeds;
}

}  // namespace qkserve
