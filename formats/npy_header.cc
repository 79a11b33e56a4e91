#include "formats/npy_header.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "base/utf8.h"

namespace qkserve {
namespace {

constexpr size_t kElementAlignment = 64;

// Returns the beginning of `text` in quotes, escaped for a terminal.
std::string Quoted(absl::string_view text) {
  constexpr size_t kShown = 40;
  return absl::StrCat("'", absl::CHexEscape(Utf8Prefix(text, kShown)),
                      text.size() > kShown ? "...'" : "'");
}

struct TypeRow {
  NpyType type;
  absl::string_view descr;      // as NumPy writes it
  absl::string_view character;  // another way to write it
  absl::string_view readable;   // as NumPy's users call it
  absl::string_view name;
  int64_t bytes;
  std::optional<DataType> data_type;
};

// The index is an NpyType.
constexpr TypeRow kTypes[] = {
    {NpyType::kFloat32, "<f4", "f", "float32", "FLOAT32", 4, DataType::kFloat32},
    {NpyType::kFloat16, "<f2", "e", "float16", "FLOAT16", 2, DataType::kFloat16},
    {NpyType::kBool, "|b1", "?", "bool", "BOOL", 1, DataType::kBool},
    {NpyType::kInt32, "<i4", "i", "int32", "INT32", 4, DataType::kInt32},
    {NpyType::kInt64, "<i8", "q", "int64", "INT64", 8, std::nullopt},
};

const TypeRow& RowOf(NpyType type) { return kTypes[static_cast<size_t>(type)]; }

// Returns the types as errors name them, for example "float32 '<f4', float16 '<f2' or bool '|b1'".
std::string Readable(absl::Span<const NpyType> types) {
  std::string text;
  for (size_t i = 0; i < types.size(); ++i) {
    const TypeRow& row = RowOf(types[i]);
    absl::StrAppend(&text, i == 0 ? "" : (i + 1 < types.size() ? ", " : " or "), row.readable, " '",
                    row.descr, "'");
  }
  return text;
}

struct ElementType {
  NpyType type;
  bool is_big_endian;
};

// Returns the argument of astype() that the error advises: the first of `types`. For floats it is
// float32 if `types` has it, because bool would lose their values.
std::string Conversion(absl::string_view code, absl::Span<const NpyType> types) {
  const bool is_float = absl::StartsWith(code, "f") || code == "d" || code == "g";
  const bool may_be_float = std::find(types.begin(), types.end(), NpyType::kFloat32) != types.end();
  const NpyType to = is_float && may_be_float ? NpyType::kFloat32 : types[0];
  return to == NpyType::kBool ? "bool" : absl::StrCat("'", RowOf(to).descr, "'");
}

// Reads a type as numpy.dtype does. "<f4", "=f4", "|f4", "f4" and "float32" are the same on this
// machine.
absl::StatusOr<ElementType> ParseDescr(absl::string_view descr, absl::Span<const NpyType> types) {
  absl::string_view code = descr;
  const bool has_order = !code.empty() && absl::StrContains("<>=|", code.substr(0, 1));
  if (has_order) code.remove_prefix(1);
  for (const NpyType type : types) {
    const TypeRow& row = RowOf(type);
    if (code == row.descr.substr(1) || code == row.character ||
        (code == row.readable && !has_order)) {
      return ElementType{type, row.bytes > 1 && absl::StartsWith(descr, ">")};
    }
  }
  return InvalidArgument("elements are ", Quoted(descr), ", expected ", Readable(types),
                         "; convert with array.astype(", Conversion(code, types), ")");
}

// True if C order and Fortran order differ. They do if no dimension is 0 and at least two
// dimensions are larger than 1.
bool OrderMatters(const Shape& shape) {
  const bool is_empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  return !is_empty &&
         std::count_if(shape.begin(), shape.end(), [](int64_t size) { return size > 1; }) > 1;
}

// A recursive-descent parser for the Python literals of .npy headers.
class HeaderParser {
 public:
  HeaderParser(absl::string_view text, absl::Span<const NpyType> types)
      : rest_(text), types_(types) {}

  absl::StatusOr<NpyHeader> Parse() {
    if (!Consume('{')) return Malformed("'{'");
    bool separated = true;
    while (!Consume('}')) {
      if (!separated) return Malformed("',' or '}'");
      RETURN_IF_ERROR(ParseEntry());
      separated = Consume(',');
    }
    SkipSpace();
    if (!rest_.empty()) return Malformed("nothing after '}'");
    for (const char* const key : {"descr", "fortran_order", "shape"}) {
      if (keys_.count(key) == 0) {
        return InvalidArgument("malformed header: it lacks the key '", key, "'");
      }
    }
    const ElementOrder order = {.is_fortran = fortran_order_ && OrderMatters(shape_),
                                .is_big_endian = type_.is_big_endian};
    return NpyHeader{type_.type, std::move(shape_), order};
  }

 private:
  absl::Status ParseEntry() {
    const std::optional<absl::string_view> key = ParseString();
    if (!key.has_value()) return Malformed("a key in quotes");
    if (!Consume(':')) return Malformed("':'");
    if (!keys_.insert(*key).second) {
      return InvalidArgument("malformed header: the key ", Quoted(*key), " comes twice");
    }
    if (*key == "descr") return ParseDescrValue();
    if (*key == "fortran_order") return ParseFortranOrder();
    if (*key == "shape") return ParseShape();
    return InvalidArgument("the header has the key ", Quoted(*key),
                           ", expected 'descr', 'fortran_order' and 'shape'");
  }

  absl::Status ParseDescrValue() {
    SkipSpace();
    if (absl::StartsWith(rest_, "[")) {
      return InvalidArgument("elements are of a structured type, expected ", Readable(types_));
    }
    const std::optional<absl::string_view> descr = ParseString();
    if (!descr.has_value()) return Malformed("an element type in quotes");
    ASSIGN_OR_RETURN(type_, ParseDescr(*descr, types_));
    return absl::OkStatus();
  }

  absl::Status ParseFortranOrder() {
    SkipSpace();
    fortran_order_ = absl::ConsumePrefix(&rest_, "True");
    if (fortran_order_ || absl::ConsumePrefix(&rest_, "False")) return absl::OkStatus();
    return Malformed("True or False");
  }

  // Parses a tuple: (), (3,), (3, 4) or (3, 4,). In Python (3) is a number.
  absl::Status ParseShape() {
    if (!Consume('(')) return Malformed("a tuple of sizes");
    bool separated = true;
    while (!Consume(')')) {
      if (!separated) return Malformed("',' or ')'");
      ASSIGN_OR_RETURN(int64_t size, ParseSize());
      if (shape_.size() == kNpyRankMax) {
        return InvalidArgument("more than ", kNpyRankMax, " dimensions");
      }
      shape_.push_back(size);
      separated = Consume(',');
    }
    if (shape_.size() == 1 && !separated) return Malformed("a tuple of sizes");
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> ParseSize() {
    SkipSpace();
    size_t digits = 0;
    while (digits < rest_.size() && absl::ascii_isdigit(rest_[digits])) ++digits;
    if (digits == 0) return Malformed("a size of 0 or more");
    int64_t size = 0;
    if (!absl::SimpleAtoi(rest_.substr(0, digits), &size)) {
      return InvalidArgument("the size ", Quoted(rest_.substr(0, digits)),
                             " does not fit in 64 bits");
    }
    rest_.remove_prefix(digits);
    absl::ConsumePrefix(&rest_, "L");  // Python 2 wrote long integers with L
    return size;
  }

  // Parses a string without escapes, because no accepted string has escapes.
  std::optional<absl::string_view> ParseString() {
    SkipSpace();
    // Python 2 wrote some texts as u'...'.
    if (absl::StartsWith(rest_, "u'") || absl::StartsWith(rest_, "u\"")) rest_.remove_prefix(1);
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == absl::string_view::npos) return std::nullopt;
    const absl::string_view text = rest_.substr(1, end - 1);
    if (absl::StrContains(text, '\\')) return std::nullopt;
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool Consume(char expected) {
    SkipSpace();
    if (rest_.empty() || rest_[0] != expected) return false;
    rest_.remove_prefix(1);
    return true;
  }

  void SkipSpace() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  absl::Status Malformed(absl::string_view expected) const {
    return InvalidArgument("malformed header: expected ", expected, ", got ",
                           rest_.empty() ? std::string("its end") : Quoted(rest_));
  }
  absl::string_view rest_;
  const absl::Span<const NpyType> types_;
  std::set<absl::string_view> keys_;
  ElementType type_ = {};
  bool fortran_order_ = false;
  Shape shape_;
};

int64_t LittleEndian(absl::string_view bytes) {
  int64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

absl::string_view NpyTypeName(NpyType type) { return RowOf(type).name; }

int64_t NpyElementBytes(NpyType type) { return RowOf(type).bytes; }

std::optional<DataType> DataTypeOf(NpyType type) { return RowOf(type).data_type; }

std::optional<NpyType> NpyTypeOf(DataType type) {
  for (const TypeRow& row : kTypes) {
    if (row.data_type == type) return row.type;
  }
  return std::nullopt;
}

absl::StatusOr<NpyPreamble> ParseNpyPreamble(absl::string_view start) {
  if (!absl::StartsWith(start, kNpyMagic)) {
    return InvalidArgument("not an .npy file: it begins with ",
                           start.empty() ? std::string("nothing") : Quoted(start));
  }
  const absl::string_view version = start.substr(kNpyMagic.size(), 2);
  const absl::string_view after_version = start.substr(kNpyMagic.size() + version.size());
  if (version.size() < 2) return InvalidArgument("truncated before the version");
  const int major = static_cast<unsigned char>(version[0]);
  if (major < 1 || major > 3) {
    return InvalidArgument("format version ", major, ", expected 1, 2 or 3");
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (after_version.size() < length_bytes) return InvalidArgument("truncated before the header");
  NpyPreamble preamble;
  preamble.preamble_bytes = static_cast<int64_t>(kNpyMagic.size() + version.size() + length_bytes);
  preamble.header_bytes = LittleEndian(after_version.substr(0, length_bytes));
  if (preamble.header_bytes > kNpyHeaderBytesMax) {
    return InvalidArgument("a header of ", preamble.header_bytes, " bytes, expected at most ",
                           kNpyHeaderBytesMax);
  }
  return preamble;
}

absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text, absl::Span<const NpyType> types) {
  return HeaderParser(text, types).Parse();
}

absl::StatusOr<std::string> FormatNpyHeader(const NpyHeader& header) {
  // A header with at most kNpyRankMax dimensions fits in version 1, which allows 65535 bytes.
  if (header.shape.size() > kNpyRankMax) {
    return InvalidArgument("more than ", kNpyRankMax, " dimensions");
  }
  std::string dictionary =
      absl::StrCat("{'descr': '", RowOf(header.type).descr, "', 'fortran_order': False, 'shape': (",
                   absl::StrJoin(header.shape, ", "), header.shape.size() == 1 ? ",), }" : "), }");
  constexpr size_t kPreambleBytes = 10;
  const size_t unpadded_bytes = kPreambleBytes + dictionary.size() + 1;
  dictionary.append((kElementAlignment - unpadded_bytes % kElementAlignment) % kElementAlignment,
                    ' ');
  dictionary.push_back('\n');
  const char length[2] = {static_cast<char>(dictionary.size() & 0xff),
                          static_cast<char>(dictionary.size() >> 8)};
  return absl::StrCat(kNpyMagic, absl::string_view("\x01\x00", 2), absl::string_view(length, 2),
                      dictionary);
}

}  // namespace qkserve
