#include "core/key_sets/key_set_upload.h"

#include <cstring>
#include <utility>

#include "core/key_sets/key_set_store.h"

namespace qkserve {

KeySetUpload::KeySetUpload(KeySetStore* store, const KeySetUploadSpec& spec)
    : store_(*store),
      spec_(spec),
      keys_({.name = "keys",
             .type = spec.key_type,
             .matrices = spec.layout.Matrices(),
             .rows = spec.m,
             .columns = spec.layout.d},
            spec.layout.key_type,
            [this](int64_t matrix, int64_t row, int64_t count, const std::byte* rows) {
              return TakeKeys(matrix, row, count, rows);
            }) {
  if (!spec.layout.dv.has_value()) return;
  values_.emplace(RowStream::Source{.name = "values",
                                    .type = spec.value_type,
                                    .matrices = spec.layout.Matrices(),
                                    .rows = spec.m,
                                    .columns = *spec.layout.dv},
                  spec.layout.value_type,
                  [this](int64_t matrix, int64_t row, int64_t count, const std::byte* rows) {
                    return TakeValues(matrix, row, count, rows);
                  });
}

absl::Status KeySetUpload::Allocate() {
  if (IsAppend()) {
    absl::Status status = store_.BaseOf(spec_).status();
    if (!status.ok()) return status;
    const int64_t rows = spec_.layout.Matrices() * spec_.m;
    const int64_t key_bytes = rows * spec_.layout.KeyRowBytes();
    const int64_t value_bytes = rows * spec_.layout.ValueRowBytes();
    absl::StatusOr<ByteBudget::Charge> charge = store_.budget_.TryCharge(key_bytes + value_bytes);
    if (!charge.ok()) return charge.status();
    waiting_charge_ = *std::move(charge);
    absl::StatusOr<Buffer> keys = Buffer::Allocate(static_cast<size_t>(key_bytes));
    absl::StatusOr<Buffer> values = Buffer::Allocate(static_cast<size_t>(value_bytes));
    if (!keys.ok()) return keys.status();
    if (!values.ok()) return values.status();
    waiting_keys_ = *std::move(keys);
    waiting_values_ = *std::move(values);
  } else {
    absl::StatusOr<std::unique_ptr<KeySetBuilder>> builder =
        KeySetBuilder::Create(spec_.layout, spec_.m, nullptr, &store_.budget_);
    if (!builder.ok()) return builder.status();
    builder_ = *std::move(builder);
  }
  if (store_.directory_ == nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<SegmentWriter>> segment =
      store_.directory_->NewSegment(spec_.name, spec_.layout, spec_.m);
  if (!segment.ok()) return store_.FailedChange(spec_.name, segment.status());
  segment_ = *std::move(segment);
  return absl::OkStatus();
}

absl::Status KeySetUpload::AddValues(absl::string_view bytes) {
  if (values_.has_value()) return values_->Add(bytes);
  if (bytes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("values: got some, the header announced none");
}

absl::Status KeySetUpload::TakeKeys(int64_t matrix, int64_t row, int64_t count,
                                    const std::byte* rows) {
  if (builder_ != nullptr) {
    builder_->AddKeys(matrix, row, count, rows);
  } else {
    std::memcpy(waiting_keys_.data() + (matrix * spec_.m + row) * spec_.layout.KeyRowBytes(), rows,
                static_cast<size_t>(count * spec_.layout.KeyRowBytes()));
  }
  if (segment_ == nullptr) return absl::OkStatus();
  const absl::Status status = segment_->WriteKeys(matrix, row, count, rows);
  return status.ok() ? status : store_.FailedChange(spec_.name, status);
}

absl::Status KeySetUpload::TakeValues(int64_t matrix, int64_t row, int64_t count,
                                      const std::byte* rows) {
  if (builder_ != nullptr) {
    builder_->AddValues(matrix, row, count, rows);
  } else {
    std::memcpy(waiting_values_.data() + (matrix * spec_.m + row) * spec_.layout.ValueRowBytes(),
                rows, static_cast<size_t>(count * spec_.layout.ValueRowBytes()));
  }
  if (segment_ == nullptr) return absl::OkStatus();
  const absl::Status status = segment_->WriteValues(matrix, row, count, rows);
  return status.ok() ? status : store_.FailedChange(spec_.name, status);
}

void KeySetUpload::PackWaiting() {
  for (int64_t matrix = 0; matrix < spec_.layout.Matrices(); ++matrix) {
    builder_->AddKeys(matrix, 0, spec_.m,
                      waiting_keys_.data() + matrix * spec_.m * spec_.layout.KeyRowBytes());
    if (!values_.has_value()) continue;
    builder_->AddValues(matrix, 0, spec_.m,
                        waiting_values_.data() + matrix * spec_.m * spec_.layout.ValueRowBytes());
  }
}

absl::StatusOr<std::shared_ptr<const KeySet>> KeySetUpload::Commit() {
  absl::Status status = keys_.Finish();
  if (status.ok() && values_.has_value()) status = values_->Finish();
  if (!status.ok()) return status;
  return store_.Commit(*this);
}

}  // namespace qkserve
