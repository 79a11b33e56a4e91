#include "core/scoring/score_pass.h"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

#include "core/kernels/block_product.h"
#include "core/kernels/element_conversion.h"
#include "core/kernels/tile_scratch.h"
#include "core/scoring/limits.h"
#include "core/scoring/score_shape.h"
#include "qkserve/buffer.h"

namespace qkserve {
namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));

// The queries of the rows as float32; rows that follow one another are converted at once.
void ConvertQueries(absl::Span<const BlockRow> rows, int64_t d, float* queries) {
  for (size_t first = 0; first < rows.size() && d > 0;) {
    const BlockRow& row = rows[first];
    size_t count = 1;
    while (first + count < rows.size() && rows[first + count].request == row.request &&
           rows[first + count].query_row == row.query_row + static_cast<int64_t>(count)) {
      ++count;
    }
    const TensorView& from = row.request->problem.queries;
    ConvertToFloat32(from.data_type, from.data + row.query_row * d * ElementBytes(from.data_type),
                     static_cast<int64_t>(count) * d, queries + static_cast<int64_t>(first) * d);
    first += count;
  }
}

int64_t Aligned(int64_t bytes) {
  constexpr auto kLine = static_cast<int64_t>(Buffer::kAlignment);
  return CeilDivide(bytes, kLine) * kLine;
}

// Bytes of one kind of state of all groups, group by group, each aligned.
int64_t BytesOf(const RowGroups& groups,
                int64_t (RowReducer::*bytes_of)(const RowGroup& group) const) {
  int64_t bytes = 0;
  for (const RowGroup& group : groups) bytes += Aligned((group.reducer.*bytes_of)(group));
  return bytes;
}

void Begin(const Partials::Shared& shared, std::byte* part_state, RowGroups& groups) {
  std::byte* block_state = shared.state;
  std::byte* seldom_state = shared.seldom;
  for (RowGroup& group : groups) {
    group.block_state = block_state;
    group.seldom_state = seldom_state;
    group.part_state = part_state;
    block_state += Aligned(group.reducer.BlockBytes(group));
    seldom_state += Aligned(group.reducer.SeldomBytes(group));
    part_state += Aligned(group.reducer.PartBytes(group));
    group.reducer.Begin(group);
  }
}

void Finish(const RowGroups& groups) {
  for (const RowGroup& group : groups) group.reducer.Finish(group);
}

}  // namespace

ScorePass::ScorePass(std::shared_ptr<const KeySource> source, RowCut cut)
    : source_(std::move(source)), cut_(std::move(cut)), tile_count_(cut_.tile_count()) {}

absl::StatusOr<std::unique_ptr<ScorePass>> ScorePass::Create(
    std::shared_ptr<const KeySource> source, absl::Span<const ScoreRequest* const> requests) {
  try {
    RowCut cut = source->Cut(requests);
    std::unique_ptr<ScorePass> pass(new ScorePass(std::move(source), std::move(cut)));
    for (const ScoreRequest* request : requests) pass->AddFill(*request);
    if (!pass->source_->IsShared() && pass->cut_.splits().count > 1) {
      const absl::Status status = pass->AllocateBlocks();
      if (!status.ok()) return status;
    }
    // An empty pass still has one tile, which does nothing.
    pass->tile_count_ = std::max<int64_t>(pass->tile_count_, 1);
    return pass;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory for a pass");
  }
}

void ScorePass::AddFill(const ScoreRequest& request) {
  const UnattendedColumns columns = UnattendedColumnsOf(request, source_->sizes());
  if (columns.Places() == 0) return;
  const int64_t tiles = CeilDivide(columns.Places(), kFillPlaces);
  fills_.push_back({.request = &request,
                    .columns = columns,
                    .first_tile = std::exchange(tile_count_, tile_count_ + tiles)});
}

absl::Status ScorePass::AllocateBlocks() {
  std::array<BlockRow, kBlockRows> row_memory;
  absl::Status status;
  for (int64_t tile = 0; tile < cut_.tile_count() && status.ok(); ++tile) {
    status = cut_.ForEachPart(tile, [&](const Block& block, int64_t part) {
      if (block.parts == 1 || part > 0) return absl::OkStatus();
      const absl::Span<BlockRow> rows(row_memory.data(), static_cast<size_t>(block.rows));
      return Share(block, MakeGroups(block, rows)).status();
    });
  }
  return status;
}

absl::StatusOr<Partials::Shared> ScorePass::Share(const Block& block, const RowGroups& groups) {
  return partials_.Share(block.index, block.parts, BytesOf(groups, &RowReducer::BlockBytes),
                         BytesOf(groups, &RowReducer::SeldomBytes));
}

absl::Status ScorePass::RunTile(int64_t tile) {
  const ScratchScope scope;
  if (tile >= cut_.tile_count()) {
    RunFill(tile);
    return absl::OkStatus();
  }
  return cut_.ForEachPart(
      tile, [this](const Block& block, int64_t part) { return RunPart(block, part); });
}

void ScorePass::RunFill(int64_t tile) const {
  for (const Fill& fill : fills_) {
    const int64_t in_fill = tile - fill.first_tile;
    if (in_fill < 0 || in_fill * kFillPlaces >= fill.columns.Places()) continue;
    FillUnattended(*fill.request, fill.columns, in_fill);
  }
}

absl::Status ScorePass::RunPart(const Block& block, int64_t part) {
  std::array<BlockRow, kBlockRows> row_memory;
  const absl::Span<BlockRow> rows(row_memory.data(), static_cast<size_t>(block.rows));
  RowGroups groups = MakeGroups(block, rows);
  BlockQueries queries = {.rows = rows};
  TileScratch scratch;
  if (source_->IsShared()) {
    const int64_t d = source_->sizes().d;
    const absl::StatusOr<float*> floats = scratch.Get(block.rows * d);
    if (!floats.ok()) return floats.status();
    ConvertQueries(rows, d, *floats);
    queries.floats = *floats;
  }
  return block.parts == 1 ? RunOnlyPart(block, queries, groups)
                          : RunOneOfParts(block, part, queries, groups);
}

RowGroups ScorePass::MakeGroups(const Block& block, absl::Span<BlockRow> rows) const {
  RowGroups groups;
  for (const RowRange& range : cut_.MakeRows(block, rows.data())) {
    groups.push_back(
        {.reducer = *range.reducer,
         .source = *source_,
         .splits = cut_.splits(),
         .matrix = block.matrix,
         .first = range.first,
         .rows = rows.subspan(static_cast<size_t>(range.first), static_cast<size_t>(range.count)),
         .block_state = nullptr,
         .seldom_state = nullptr,
         .part_state = nullptr});
  }
  return groups;
}

absl::Status ScorePass::RunOnlyPart(const Block& block, const BlockQueries& queries,
                                    RowGroups& groups) const {
  const int64_t block_bytes = BytesOf(groups, &RowReducer::BlockBytes);
  const int64_t part_bytes = BytesOf(groups, &RowReducer::PartBytes);
  const int64_t seldom_bytes = BytesOf(groups, &RowReducer::SeldomBytes);
  TileScratch scratch;
  const absl::StatusOr<float*> memory =
      scratch.Get((block_bytes + part_bytes + seldom_bytes) / kFloatBytes);
  if (!memory.ok()) return memory.status();
  auto* const state = reinterpret_cast<std::byte*>(*memory);
  Begin({state, state + block_bytes + part_bytes}, state + block_bytes, groups);
  absl::Status status = RunKeys(block, 0, queries, groups);
  if (status.ok()) Finish(groups);
  return status;
}

absl::Status ScorePass::RunOneOfParts(const Block& block, int64_t part, const BlockQueries& queries,
                                      RowGroups& groups) {
  const absl::StatusOr<Partials::Shared> shared = Share(block, groups);
  if (!shared.ok()) return shared.status();
  absl::StatusOr<Buffer> found =
      Buffer::Allocate(static_cast<size_t>(BytesOf(groups, &RowReducer::PartBytes)));
  if (!found.ok()) return found.status();
  std::byte* const own = found->data();
  Begin(*shared, own, groups);
  absl::Status status = RunKeys(block, part, queries, groups);
  if (!status.ok()) return status;
  const bool is_last = partials_.HandOver(block.index, *found, [&](std::byte* other) {
    for (const RowGroup& group : groups) {
      group.reducer.Merge(group, other + (group.part_state - own));
    }
  });
  if (!is_last) return absl::OkStatus();
  Finish(groups);
  partials_.Remove(block.index);
  return absl::OkStatus();
}

KeyRange ScorePass::AttendedKeys(const RowGroups& groups) const {
  const int64_t m = source_->sizes().m;
  KeyRange keys = {m, 0};
  for (const RowGroup& group : groups) {
    if (group.reducer.NeedsAllScores()) return {0, m};
    for (const BlockRow& row : group.rows) {
      const KeyRange range = row.mask->Range(row.slice, row.query);
      if (range.end <= range.begin) continue;
      keys.begin = std::min(keys.begin, range.begin);
      keys.end = std::max(keys.end, range.end);
    }
  }
  keys.begin = keys.begin / kStepKeys * kStepKeys;
  if (source_->IsShared()) keys.end = CeilDivide(keys.end, kStepKeys) * kStepKeys;
  return keys;
}

absl::Status ScorePass::RunKeys(const Block& block, int64_t part, const BlockQueries& queries,
                                const RowGroups& groups) const {
  TileScratch scratch;
  const absl::StatusOr<float*> products = scratch.Get(block.rows * kStepKeys);
  if (!products.ok()) return products.status();
  const Work work = {.matrix = block.matrix,
                     .queries = queries,
                     .groups = groups,
                     .attended = AttendedKeys(groups)};
  const KeyRange keys = cut_.KeysOf(block, part);
  const int64_t split_keys = cut_.splits().keys;
  absl::Status status;
  for (int64_t key = keys.begin; key < keys.end && status.ok();) {
    const int64_t split = key / split_keys;
    const int64_t end = std::min((split + 1) * split_keys, keys.end);
    status = RunSplit(work, split, {key, end}, *products);
    key = end;
  }
  return status;
}

absl::Status ScorePass::RunSplit(const Work& work, int64_t split, KeyRange keys,
                                 float* products) const {
  const int64_t begin = std::clamp(work.attended.begin, keys.begin, keys.end);
  const int64_t end = std::clamp(work.attended.end, begin, keys.end);
  for (const RowGroup& group : work.groups) {
    group.reducer.BeginSplit(group, split);
    if (keys.begin < begin) group.reducer.Skip(group, {keys.begin, begin});
    if (end < keys.end) group.reducer.Skip(group, {end, keys.end});
  }
  for (int64_t key = begin; key < end; key += kStepKeys) {
    Step step = {
        .keys = {key, std::min(key + kStepKeys, end)}, .products = products, .stride = kStepKeys};
    const RowGroup& front = work.groups.front();
    float* const place = source_->IsShared() ? nullptr : front.reducer.PlaceOf(front, key);
    if (place != nullptr) {
      step.products = place;
      step.stride = source_->sizes().m;
    }
    absl::Status status =
        source_->Multiply(work.queries, work.matrix, step.keys, step.products, step.stride);
    if (!status.ok()) return status;
    for (const RowGroup& group : work.groups) {
      group.reducer.Take(group, split,
                         {step.keys, step.products + group.first * step.stride, step.stride});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Pass>> MakeScorePass(
    std::shared_ptr<const KeySource> source, absl::Span<const ScoreRequest* const> requests) {
  if (requests.size() == 1) {
    std::unique_ptr<Pass> direct = source->MakeDirectPass(*requests.front());
    if (direct != nullptr) return direct;
  }
  absl::StatusOr<std::unique_ptr<ScorePass>> pass = ScorePass::Create(std::move(source), requests);
  if (!pass.ok()) return pass.status();
  return *std::move(pass);
}

}  // namespace qkserve
