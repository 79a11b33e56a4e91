#include "formats/reordered_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/status_macros.h"
#include "qkserve/limits.h"

namespace qkserve {
namespace {

// Bytes of rows that are held at a time. With 768 float32 columns, 8 MiB are 2730 rows, or 11 KB of
// each column. A disk or the page cache takes about as long to find a piece of 11 KB as to read it.
constexpr int64_t kBlockBytes = 8 * kMiB;

// Bytes that are read at a time: many short columns, or a piece of a long one.
constexpr int64_t kPieceBytes = 256 * kKiB;

// Up to this size, reading a whole column costs about as much as reading a piece of it.
constexpr int64_t kPageBytes = 4 * kKiB;

void SwapBytes(char* elements, size_t bytes, int64_t element_bytes) {
  for (char* end = elements + bytes; elements < end; elements += element_bytes) {
    std::reverse(elements, elements + element_bytes);
  }
}

// Copies `count` elements: every `stride`th element of `from` to every `to_stride`th place of `to`.
void CopyStrided(const char* from, int64_t stride, int64_t count, int64_t element_bytes, char* to,
                 int64_t to_stride) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * to_stride * element_bytes, from + i * stride * element_bytes,
                static_cast<size_t>(element_bytes));
  }
}

}  // namespace

ReorderedReader::ReorderedReader(std::shared_ptr<const InputFile> file, DataType data_type,
                                 Shape shape, int64_t offset, ElementOrder order)
    : file_(std::move(file)),
      shape_(std::move(shape)),
      offset_(offset),
      order_(order),
      element_bytes_(ElementBytes(data_type)) {
  if (!shape_.empty()) columns_ = shape_.back();
  if (shape_.size() > 1) rows_ = shape_[shape_.size() - 2];
  for (size_t i = 0; i + 2 < shape_.size(); ++i) matrices_ *= shape_[i];
  const int64_t row_bytes = std::max<int64_t>(columns_ * element_bytes_, 1);
  block_rows_ = std::max<int64_t>(std::min(rows_, kBlockBytes / row_bytes), 1);
}

absl::Status ReorderedReader::Read(int64_t offset, absl::Span<char> out) {
  while (!out.empty()) {
    const int64_t at = offset - block_begin_;
    if (at < 0 || at >= static_cast<int64_t>(block_.size())) {
      RETURN_IF_ERROR(LoadBlock(offset / (columns_ * element_bytes_)));
      continue;
    }
    const size_t count = std::min(out.size(), block_.size() - static_cast<size_t>(at));
    std::memcpy(out.data(), block_.data() + at, count);
    out.remove_prefix(count);
    offset += static_cast<int64_t>(count);
  }
  return absl::OkStatus();
}

absl::Status ReorderedReader::LoadBlock(int64_t first_row) {
  const int64_t matrix = first_row / rows_;
  const int64_t begin = first_row % rows_;
  const int64_t end = std::min(begin + block_rows_, rows_);
  block_begin_ = first_row * columns_ * element_bytes_;
  block_.resize(static_cast<size_t>((end - begin) * columns_ * element_bytes_));
  absl::Status status = order_.is_fortran
                            ? GatherColumns(matrix, begin, end, block_.data())
                            : file_->ReadAt(offset_ + block_begin_, absl::MakeSpan(block_));
  if (!status.ok()) {
    block_.clear();
    return status;
  }
  if (order_.is_big_endian) SwapBytes(block_.data(), block_.size(), element_bytes_);
  return absl::OkStatus();
}

// Returns the index of the matrix's first element in the file. The leading indices run fastest
// there.
int64_t ReorderedReader::FortranIndexOf(int64_t matrix) const {
  int64_t index = 0;
  int64_t stride = matrices_;
  for (size_t i = shape_.size() - 2; i-- > 0;) {
    stride /= shape_[i];
    index += matrix % shape_[i] * stride;
    matrix /= shape_[i];
  }
  return index;
}

absl::Status ReorderedReader::GatherColumns(int64_t matrix, int64_t begin, int64_t end, char* to) {
  const int64_t first = FortranIndexOf(matrix);
  const int64_t column_bytes = matrices_ * rows_ * element_bytes_;
  // Whole columns are read if the block needs at least half of each, because then the file is read
  // at most twice. Short columns are always read whole.
  const bool reads_whole = 2 * (end - begin) >= rows_ || column_bytes <= kPageBytes;
  const int64_t at_a_time = reads_whole ? kPieceBytes / column_bytes : 0;
  for (int64_t column = 0; column < columns_;) {
    if (at_a_time == 0) {
      RETURN_IF_ERROR(GatherColumn(first, column, begin, end, to + column * element_bytes_));
      ++column;
      continue;
    }
    const int64_t count = std::min(at_a_time, columns_ - column);
    piece_.resize(static_cast<size_t>(count * column_bytes));
    RETURN_IF_ERROR(file_->ReadAt(offset_ + column * column_bytes, absl::MakeSpan(piece_)));
    for (int64_t i = 0; i < count; ++i, ++column) {
      CopyStrided(piece_.data() + i * column_bytes + (begin * matrices_ + first) * element_bytes_,
                  matrices_, end - begin, element_bytes_, to + column * element_bytes_, columns_);
    }
  }
  return absl::OkStatus();
}

absl::Status ReorderedReader::GatherColumn(int64_t first, int64_t column, int64_t begin,
                                           int64_t end, char* to) {
  const int64_t stride_bytes = matrices_ * element_bytes_;
  const int64_t rows_at_a_time = std::max<int64_t>(kPieceBytes / stride_bytes, 1);
  for (int64_t row = begin; row < end;) {
    const int64_t count = std::min(rows_at_a_time, end - row);
    // The piece ends with the last element that is needed, because this may be the last element of
    // the file.
    piece_.resize(static_cast<size_t>((count - 1) * stride_bytes + element_bytes_));
    RETURN_IF_ERROR(
        file_->ReadAt(offset_ + ((column * rows_ + row) * matrices_ + first) * element_bytes_,
                      absl::MakeSpan(piece_)));
    CopyStrided(piece_.data(), matrices_, count, element_bytes_,
                to + (row - begin) * columns_ * element_bytes_, columns_);
    row += count;
  }
  return absl::OkStatus();
}

}  // namespace qkserve
