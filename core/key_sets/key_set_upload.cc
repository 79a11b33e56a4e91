#include "core/key_sets/key_set_upload.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_store.h"

namespace qkserve {

KeySetUpload::KeySetUpload(KeySetStore* store, const KeySetUploadSpec& spec)
    : store_(*store), spec_(spec) {
  for (const Column& column : spec.layout.Columns()) {
    if (!column.is_present) continue;
    streams_[column.id].emplace(RowStream::Source{.name = column.name,
                                                  .type = spec.received_types[column.id],
                                                  .matrices = spec.layout.Matrices(),
                                                  .rows = spec.m,
                                                  .columns = column.width},
                                column.type,
                                [this, column](int64_t row, int64_t count, const std::byte* rows) {
                                  return TakeRows(column, row, count, rows);
                                });
  }
}

absl::Status KeySetUpload::Allocate() {
  if (IsAppend()) {
    RETURN_IF_ERROR(store_.CheckedAppendBase(spec_).status());
    ASSIGN_OR_RETURN(waiting_charge_, store_.budget_.TryCharge(spec_.layout.BytesFor(spec_.m)));
    for (const Column& column : spec_.layout.Columns()) {
      const int64_t bytes = spec_.layout.Matrices() * spec_.m * column.RowBytes();
      ASSIGN_OR_RETURN(waiting_[column.id], Buffer::Allocate(static_cast<size_t>(bytes)));
    }
  } else {
    ASSIGN_OR_RETURN(builder_,
                     KeySetBuilder::Create(spec_.layout, spec_.m, nullptr, &store_.budget_));
  }
  if (store_.directory_ == nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<SegmentWriter>> segment =
      store_.directory_->NewSegment(spec_.name, spec_.layout, spec_.m);
  if (!segment.ok()) return store_.FailedChange(spec_.name, segment.status());
  segment_ = *std::move(segment);
  return absl::OkStatus();
}

absl::Status KeySetUpload::Add(ColumnId id, absl::string_view bytes) {
  if (streams_[id].has_value()) return streams_[id]->Add(bytes);
  if (bytes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(spec_.layout.Columns()[id].name, ": got some, the header announced none"));
}

absl::Status KeySetUpload::TakeRows(const Column& column, int64_t row, int64_t count,
                                    const std::byte* rows) {
  if (builder_ != nullptr) {
    builder_->Add(column.id, row, count, rows);
  } else {
    std::memcpy(waiting_[column.id].data() + row * column.RowBytes(), rows,
                static_cast<size_t>(count * column.RowBytes()));
  }
  if (segment_ == nullptr) return absl::OkStatus();
  const absl::Status status = segment_->Write(column.id, row, count, rows);
  return status.ok() ? status : store_.FailedChange(spec_.name, status);
}

void KeySetUpload::PackWaiting() {
  for (const Column& column : spec_.layout.Columns()) {
    builder_->Add(column.id, 0, spec_.layout.Matrices() * spec_.m, waiting_[column.id].data());
  }
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetUpload::Commit() {
  for (const std::optional<RowStream>& stream : streams_) {
    if (stream.has_value()) RETURN_IF_ERROR(stream->Finish());
  }
  return store_.Commit(*this);
}

}  // namespace qkserve
