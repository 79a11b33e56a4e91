#include "tools/load/answer_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// The most multiply-adds for checking the scores of one row. They take about 10 ms.
constexpr int64_t kMultiplyAddsMax = 16 << 20;

constexpr double kUnit = 0x1p-24;
constexpr double kSmallest = 0x1p-149;  // the distance between float32 values near 0

// A float64 value, and how far the float32 value may be from it.
struct Exact {
  double value = 0;
  double bound = 0;
};

double Gamma(double terms) { return terms * kUnit / (1 - terms * kUnit); }

double ProbableError(double terms) { return 6 * std::sqrt(terms) * kUnit; }

Exact ExactScore(absl::Span<const float> query, absl::Span<const float> key) {
  Exact score;
  double magnitude = 0;
  for (size_t i = 0; i < query.size(); ++i) {
    const double product = static_cast<double>(query[i]) * static_cast<double>(key[i]);
    score.value += product;
    magnitude += std::abs(product);
  }
  // If the float32 sum may overflow, the score has no bound. Otherwise the bound includes kSmallest
  // for each product, because products may underflow.
  if (magnitude > std::numeric_limits<float>::max()) {
    score.bound = std::numeric_limits<double>::infinity();
  } else {
    const auto terms = static_cast<double>(query.size());
    score.bound = 2 * (Gamma(terms) * magnitude + terms * kSmallest);
  }
  return score;
}

std::vector<Exact> ExactScores(absl::Span<const float> query, const FloatMatrix& keys) {
  std::vector<Exact> scores(static_cast<size_t>(keys.rows));
  for (int64_t key = 0; key < keys.rows; ++key) {
    scores[static_cast<size_t>(key)] = ExactScore(query, keys.Row(key));
  }
  return scores;
}

absl::Status Compare(const char* what, int64_t index, double got, const Exact& exact) {
  if (std::isinf(exact.bound)) return absl::OkStatus();
  // If the inputs hold NaN or infinities, the answer may hold them too.
  if (std::abs(got - exact.value) <= exact.bound || got == exact.value) return absl::OkStatus();
  if (std::isnan(exact.value) && std::isnan(got)) return absl::OkStatus();
  return absl::InternalError(absl::StrFormat("%s %d: got %.9g, expected %.9g, bound %.3g", what,
                                             index, got, exact.value, exact.bound));
}

absl::Status CheckScores(absl::Span<const float> row, absl::Span<const float> query,
                         const FloatMatrix& keys, uint64_t seed) {
  const int64_t affordable = kMultiplyAddsMax / std::max<int64_t>(1, keys.columns);
  const int64_t count = std::min(keys.rows, std::max<int64_t>(1, affordable));
  for (int64_t i = 0; i < count; ++i) {
    const auto key =
        static_cast<int64_t>((seed + static_cast<uint64_t>(i)) % static_cast<uint64_t>(keys.rows));
    RETURN_IF_ERROR(Compare("key", key, static_cast<double>(row[static_cast<size_t>(key)]),
                            ExactScore(query, keys.Row(key))));
  }
  return absl::OkStatus();
}

absl::Status CheckTopK(const AnswerRow& row, const std::vector<Exact>& exact) {
  std::vector<bool> chosen(exact.size());
  const size_t count = std::min(row.elements.size(), exact.size());
  for (size_t i = 0; i < count; ++i) {
    const int64_t key = row.keys[i];
    if (key < 0 || static_cast<size_t>(key) >= exact.size() || chosen[static_cast<size_t>(key)]) {
      return absl::InternalError(absl::StrFormat(
          "place %d: got key %d, expected one of %d that is not there yet", i, key, exact.size()));
    }
    chosen[static_cast<size_t>(key)] = true;
    const auto got = static_cast<double>(row.elements[i]);
    RETURN_IF_ERROR(Compare("key", key, got, exact[static_cast<size_t>(key)]));
    if (i > 0 && row.elements[i] > row.elements[i - 1]) {
      return absl::InternalError(
          absl::StrFormat("place %d: %.9g stands behind %.9g", i, got, row.elements[i - 1]));
    }
  }
  for (size_t i = count; i < row.elements.size(); ++i) {
    if (row.keys[i] != -1) {
      return absl::InternalError(absl::StrFormat(
          "place %d: got key %d, expected -1: there are fewer keys", i, row.keys[i]));
    }
  }
  for (size_t key = 0; key < exact.size() && count > 0; ++key) {
    const auto last = static_cast<double>(row.elements[count - 1]);
    // `last` is the server's value. The loop above has checked it against its exact score.
    if (!chosen[key] && exact[key].value - exact[key].bound > last) {
      return absl::InternalError(absl::StrFormat(
          "key %d is missing: got %.9g in the last place, expected %.9g, bound %.3g", key, last,
          exact[key].value, exact[key].bound));
    }
  }
  return absl::OkStatus();
}

// Compares weights, or the context if `values` is set. A score that is off by e changes its weight
// and the sum of all weights by at most a factor of exp(e).
absl::Status CheckWeighted(const AnswerRow& row, const std::vector<Exact>& exact,
                           const FloatMatrix* values, int64_t d) {
  if (exact.empty()) return absl::OkStatus();
  double max = -std::numeric_limits<double>::infinity();
  double score_bound = 0;
  for (const Exact& score : exact) {
    max = std::max(max, score.value);
    score_bound = std::max(score_bound, score.bound);
  }
  if (std::isinf(score_bound)) return absl::OkStatus();
  double sum = 0;
  for (const Exact& score : exact) sum += std::exp(score.value - max);
  const auto terms = static_cast<double>(d);
  const double score_error = d > 0 ? score_bound * ProbableError(terms) / (2 * Gamma(terms)) : 0;
  const double relative =
      2 * std::expm1(score_error) + 2 * ProbableError(static_cast<double>(exact.size()));
  // Weights below the smallest normal float32 may be rounded to 0.
  constexpr double kTiny = 0x1p-126;
  std::vector<double> expected(row.elements.size()), magnitude(row.elements.size());
  for (size_t key = 0; key < exact.size(); ++key) {
    const double weight = std::exp(exact[key].value - max) / sum;
    if (values == nullptr) {
      expected[key] = magnitude[key] = weight;
      continue;
    }
    const absl::Span<const float> value = values->Row(static_cast<int64_t>(key));
    for (size_t i = 0; i < value.size(); ++i) {
      const double product = weight * static_cast<double>(value[i]);
      expected[i] += product;
      magnitude[i] += std::abs(product);
    }
  }
  const char* const what = values == nullptr ? "key" : "column";
  for (size_t i = 0; i < expected.size(); ++i) {
    RETURN_IF_ERROR(Compare(what, static_cast<int64_t>(i), static_cast<double>(row.elements[i]),
                            {expected[i], relative * magnitude[i] + kTiny}));
  }
  return absl::OkStatus();
}

// Returns the value rounded to a significand of `bits` bits. The exponent is at least
// `exponent_min`.
float Rounded(float value, int bits, int exponent_min) {
  if (value == 0 || !std::isfinite(value)) return value;
  const int exponent = std::max(std::ilogb(value), exponent_min);
  const int step = exponent - bits + 1;
  // The default rounding mode is to nearest, ties to even. Doubles hold all values here exactly.
  return static_cast<float>(std::ldexp(std::nearbyint(std::ldexp(value, -step)), step));
}

}  // namespace

float RoundedTo(DataType storage, float value) {
  constexpr float kFloat16Max = 65504;
  switch (storage) {
    case DataType::kFloat16: {
      const float rounded = Rounded(value, 11, -14);
      return std::abs(rounded) > kFloat16Max ? std::copysign(HUGE_VALF, value) : rounded;
    }
    case DataType::kBfloat16:
      return Rounded(value, 8, -126);
    default:
      return value;
  }
}

int64_t AnswerColumns(Output output, int64_t top_k, int64_t m, int64_t dv) {
  if (output == Output::kTopK) return top_k;
  return output == Output::kContext ? dv : m;
}

absl::Status CheckAnswerRow(const AnswerRow& row, absl::Span<const float> query,
                            const FloatMatrix& keys, const FloatMatrix* values, uint64_t seed) {
  switch (row.output) {
    case Output::kTopK:
      return CheckTopK(row, ExactScores(query, keys));
    case Output::kWeights:
      return CheckWeighted(row, ExactScores(query, keys), nullptr, keys.columns);
    case Output::kContext:
      return CheckWeighted(row, ExactScores(query, keys), values, keys.columns);
    case Output::kScores:
    case Output::kCapped:
    case Output::kMasked:
      // If there is no softcap and no mask, capped and masked scores equal scores.
      return CheckScores(row.elements, query, keys, seed);
  }
  return absl::InternalError(absl::StrCat("no output has value ", static_cast<int>(row.output)));
}

}  // namespace qkserve
