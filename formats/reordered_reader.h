#ifndef QKSERVE_FORMATS_REORDERED_READER_H_
#define QKSERVE_FORMATS_REORDERED_READER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "formats/input_file.h"
#include "qkserve/tensor.h"

namespace qkserve {

// The order of a file's elements. A tensor in memory is in C order and little-endian.
struct ElementOrder {
  bool is_fortran = false;  // True if the first index runs fastest.
  bool is_big_endian = false;

  bool IsPlain() const { return !is_fortran && !is_big_endian; }
};

// Reads the elements of a file in C order, little-endian. Files may be larger than memory, because
// about 8 MiB of rows are held at a time. In Fortran order, each matrix of a tensor costs a walk
// over the file, because the matrices are interleaved.
//
// Thread-compatible. A copy has its own memory.
class ReorderedReader {
 public:
  // The elements begin at `offset` of the file. The caller has checked that the file has all of
  // them.
  ReorderedReader(std::shared_ptr<const InputFile> file, DataType data_type, Shape shape,
                  int64_t offset, ElementOrder order);

  // Fills `out` with the bytes that begin at `offset` of the C-order tensor. Reading in order costs
  // least. Errors are those of InputFile::ReadAt.
  absl::Status Read(int64_t offset, absl::Span<char> out);

 private:
  absl::Status LoadBlock(int64_t first_row);
  // These copy rows [begin, end) of one matrix of a tensor in Fortran order to `to`. GatherColumn
  // copies one column of these rows. `first` is the index of the matrix's first element in the
  // file.
  absl::Status GatherColumns(int64_t matrix, int64_t begin, int64_t end, char* to);
  absl::Status GatherColumn(int64_t first, int64_t column, int64_t begin, int64_t end, char* to);
  int64_t FortranIndexOf(int64_t matrix) const;

  std::shared_ptr<const InputFile> file_;
  Shape shape_;
  int64_t offset_;
  ElementOrder order_;

  int64_t element_bytes_;
  int64_t matrices_ = 1;  // product of all dimensions but the last two
  int64_t rows_ = 1;      // rows of a matrix
  int64_t columns_ = 1;
  int64_t block_rows_;  // rows that are read at a time

  std::string block_;        // rows of one matrix, in C order
  int64_t block_begin_ = 0;  // the byte of the tensor that block_ begins with
  std::string piece_;        // a piece of the file
};

}  // namespace qkserve

#endif  // QKSERVE_FORMATS_REORDERED_READER_H_
