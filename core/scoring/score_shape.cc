#include "core/scoring/score_shape.h"

#include <optional>

#include "absl/strings/str_cat.h"

namespace qkserve {
namespace {

// Returns the common size if the sizes are equal or one of them is 1, otherwise nullopt.
std::optional<int64_t> Broadcast(int64_t a, int64_t b) {
  if (a == b || b == 1) return a;
  if (a == 1) return b;
  return std::nullopt;
}

std::optional<int64_t> BroadcastHeads(int64_t queries, int64_t keys) {
  if (const std::optional<int64_t> heads = Broadcast(queries, keys)) return heads;
  if (keys > 0 && queries % keys == 0) return queries;
  return std::nullopt;
}

// Returns the number of consecutive slices that read consecutive queries and share their keys.
int64_t SlicesPerProduct(const ScoreShape& s) {
  int64_t slices = 1;
  if (s.query_heads == s.heads && s.key_heads > 0) slices = s.heads / s.key_heads;
  const bool all_heads = slices == s.heads;
  if (all_heads && s.key_batch == 1 && s.query_batch == s.batch) slices *= s.batch;
  return slices;
}

}  // namespace

int64_t ScoreShape::QueryMatrix(int64_t slice) const {
  const int64_t b = query_batch == 1 ? 0 : slice / heads;
  const int64_t h = query_heads == 1 ? 0 : slice % heads;
  return b * query_heads + h;
}

int64_t ScoreShape::KeyMatrix(int64_t slice) const {
  const int64_t b = key_batch == 1 ? 0 : slice / heads;
  const int64_t h = (slice % heads) / (heads / key_heads);
  return b * key_heads + h;
}

absl::StatusOr<ScoreShape> MakeScoreShape(absl::string_view queries_name,
                                          absl::Span<const int64_t> queries,
                                          absl::string_view keys_name,
                                          absl::Span<const int64_t> keys) {
  if (queries.size() < 2 || queries.size() > 4) {
    return absl::InvalidArgumentError(absl::StrCat(queries_name, ".shape: got rank ",
                                                   queries.size(), ", expected rank 2, 3 or 4"));
  }
  const size_t rank = queries.size();
  const auto misfit = [&](absl::string_view expected) {
    return absl::InvalidArgumentError(absl::StrCat(keys_name, ".shape: got ", ShapeString(keys),
                                                   ", expected ", expected, " to fit ",
                                                   queries_name, " ", ShapeString(queries)));
  };
  if (keys.size() != rank) return misfit(absl::StrCat("rank ", rank));
  if (keys[rank - 1] != queries[rank - 1]) {
    return misfit(absl::StrCat("d = ", queries[rank - 1], " in the last dimension"));
  }

  ScoreShape shape;
  shape.n = queries[rank - 2];
  shape.m = keys[rank - 2];
  shape.d = queries[rank - 1];
  shape.result.assign(queries.begin(), queries.end());
  shape.result.back() = shape.m;
  if (rank > 2) {
    shape.query_batch = queries[0];
    shape.key_batch = keys[0];
    const std::optional<int64_t> batch = Broadcast(queries[0], keys[0]);
    if (!batch.has_value()) return misfit(absl::StrCat("1 or ", queries[0], " in dimension 0"));
    shape.batch = shape.result[0] = *batch;
  }
  if (rank > 3) {
    shape.query_heads = queries[1];
    shape.key_heads = keys[1];
    const std::optional<int64_t> heads = BroadcastHeads(queries[1], keys[1]);
    if (!heads.has_value()) {
      return misfit(absl::StrCat("1 or a divisor of ", queries[1], " in dimension 1"));
    }
    shape.heads = shape.result[1] = *heads;
  }

  const std::optional<int64_t> results = ElementCount(shape.result);
  if (!results.has_value()) {
    return absl::ResourceExhaustedError(absl::StrCat("the result would have the shape ",
                                                     ShapeString(shape.result),
                                                     ", more elements than 64 bits can count"));
  }
  // An empty result has no products.
  if (*results == 0) return shape;
  shape.slices_per_product = SlicesPerProduct(shape);
  shape.products = shape.batch * shape.heads / shape.slices_per_product;
  return shape;
}

}  // namespace qkserve
