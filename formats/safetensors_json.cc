#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/invalid_argument.h"
#include "base/utf8.h"
#include "formats/safetensors.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

using nlohmann::json;

constexpr size_t kRankMax = 8;

// The deepest nesting that is accepted, as in the reference implementation. Only unknown fields
// nest.
constexpr int64_t kDepthMax = 128;

// The format's element types.
struct TypeRow {
  const char* dtype;
  int64_t bits;
  std::optional<DataType> type;  // nullopt: elements of this type are not read
};
constexpr TypeRow kTypes[] = {
    {"F32", 32, DataType::kFloat32},   {"F16", 16, DataType::kFloat16},
    {"BF16", 16, DataType::kBfloat16}, {"BOOL", 8, std::nullopt},
    {"F4", 4, std::nullopt},           {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},      {"U8", 8, std::nullopt},
    {"I8", 8, std::nullopt},           {"F8_E5M2", 8, std::nullopt},
    {"F8_E4M3", 8, std::nullopt},      {"F8_E8M0", 8, std::nullopt},
    {"F8_E4M3FNUZ", 8, std::nullopt},  {"F8_E5M2FNUZ", 8, std::nullopt},
    {"I16", 16, std::nullopt},         {"U16", 16, std::nullopt},
    {"I32", 32, std::nullopt},         {"U32", 32, std::nullopt},
    {"F64", 64, std::nullopt},         {"C64", 64, std::nullopt},
    {"I64", 64, std::nullopt},         {"U64", 64, std::nullopt},
};

const TypeRow* FindType(absl::string_view dtype) {
  const TypeRow* const found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                            [&](const TypeRow& row) { return row.dtype == dtype; });
  return found != std::end(kTypes) ? found : nullptr;
}

// Collects entries while the text is parsed. Each function returns false to stop the parser.
class Handler : public nlohmann::json_sax<json> {
 public:
  // Returns the reason why parsing failed.
  absl::Status Problem() const {
    return InvalidArgument(problem_.empty() ? "its header is not a JSON object" : problem_);
  }
  SafetensorsEntries TakeEntries() { return std::move(entries_); }

  bool null() override {
    const bool is_no_metadata = place_ == Place::kFile && is_metadata_;
    return is_no_metadata || Other();
  }
  bool boolean(bool /*value*/) override { return Other(); }
  bool number_integer(int64_t /*negative*/) override { return Other(); }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return Other(); }
  bool binary(json::binary_t& /*value*/) override { return Other(); }

  bool number_unsigned(uint64_t value) override {
    if (place_ != Place::kSizes || skipped_ > 0) return Other();
    if (value > uint64_t{std::numeric_limits<int64_t>::max()} || sizes_.size() == kRankMax) {
      return Unexpected();
    }
    sizes_.push_back(static_cast<int64_t>(value));
    return true;
  }

  bool string(std::string& value) override {
    if (skipped_ > 0 || place_ == Place::kMetadata) return true;
    if (place_ != Place::kTensor || field_ != Field::kType) return Other();
    type_ = FindType(value);
    if (type_ != nullptr) return true;
    return Fail(absl::StrCat("its dtype is ", absl::CHexEscape(Utf8Prefix(value, 16)),
                             ", which is none of the format"));
  }

  bool key(std::string& name) override {
    if (skipped_ > 0) return true;
    if (place_ == Place::kFile) return BeginTensor(std::move(name));
    if (place_ == Place::kMetadata) return AddName(name);
    field_ = name == "dtype"          ? Field::kType
             : name == "shape"        ? Field::kShape
             : name == "data_offsets" ? Field::kOffsets
                                      : Field::kOther;
    return AddName(name);
  }

  bool start_object(size_t /*count*/) override {
    if (IsInOther()) return Skip();
    if (place_ == Place::kBefore) {
      place_ = Place::kFile;
      return true;
    }
    if (place_ != Place::kFile) return Unexpected();
    place_ = is_metadata_ ? Place::kMetadata : Place::kTensor;
    names_.clear();
    return true;
  }

  bool end_object() override {
    if (skipped_ > 0) return EndSkipped();
    if (place_ == Place::kFile) {
      place_ = Place::kBefore;
      return true;
    }
    if (HasNameTwice()) return Fail("names a field twice");
    const bool is_tensor = place_ == Place::kTensor;
    place_ = Place::kFile;
    return !is_tensor || EndTensor();
  }

  bool start_array(size_t /*count*/) override {
    if (IsInOther()) return Skip();
    const bool has_sizes =
        place_ == Place::kTensor && (field_ == Field::kShape || field_ == Field::kOffsets);
    if (!has_sizes) return Unexpected();
    place_ = Place::kSizes;
    sizes_.clear();
    return true;
  }

  bool end_array() override {
    if (skipped_ > 0) return EndSkipped();
    place_ = Place::kTensor;
    (field_ == Field::kShape ? shape_ : offsets_) = sizes_;
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    if (problem_.empty()) {
      problem_ = absl::StrCat("its header is not a JSON object: wrong at byte ", position);
    }
    return false;
  }

 private:
  enum class Place { kBefore, kFile, kMetadata, kTensor, kSizes };
  enum class Field { kType, kShape, kOffsets, kOther };

  // True inside an unknown field of a tensor.
  bool IsInOther() const {
    return skipped_ > 0 || (place_ == Place::kTensor && field_ == Field::kOther);
  }
  // Takes a value of a kind that only unknown fields may have.
  bool Other() { return IsInOther() || Unexpected(); }

  bool Skip() {
    // Two more objects are open: the file's and the tensor's.
    if (++skipped_ + 2 <= kDepthMax) return true;
    return Fail(absl::StrCat("nests deeper than ", kDepthMax));
  }
  bool EndSkipped() {
    --skipped_;
    return true;
  }

  bool Fail(absl::string_view what) {
    problem_ = absl::StrCat(is_metadata_ ? "" : "tensor ", "\"", ShownName(name_), "\": ", what);
    return false;
  }

  bool Unexpected() {
    switch (place_) {
      case Place::kBefore:
        return false;
      case Place::kFile:
        return Fail("expected an object");
      case Place::kMetadata:
        return Fail("has a value that is not a text");
      case Place::kTensor:
      case Place::kSizes:
        return Fail(field_ == Field::kType    ? "its dtype is not a text"
                    : field_ == Field::kShape ? "its shape is not up to 8 sizes"
                                              : "its data_offsets are not a beginning and an end");
    }
    return false;
  }

  bool BeginTensor(std::string name) {
    name_ = std::move(name);
    is_metadata_ = name_ == "__metadata__";
    type_ = nullptr;
    shape_.reset();
    offsets_.reset();
    if (!is_metadata_ || !std::exchange(has_metadata_, true)) return true;
    return Fail("comes twice");
  }

  bool EndTensor() {
    if (type_ == nullptr) return Fail("has no dtype");
    if (!shape_.has_value()) return Fail("has no shape");
    if (!offsets_.has_value() || offsets_->size() != 2 || (*offsets_)[0] > (*offsets_)[1]) {
      return Fail("its data_offsets are not a beginning and an end");
    }
    const int64_t bytes = (*offsets_)[1] - (*offsets_)[0];
    const std::optional<int64_t> elements = ElementCount(*shape_);
    int64_t bits = 0;
    if (!elements.has_value() || __builtin_mul_overflow(*elements, type_->bits, &bits) ||
        bits % 8 != 0 || bits / 8 != bytes) {
      return Fail(absl::StrCat("has ", bytes, " bytes, which is not what its shape ",
                               ShapeString(*shape_), " needs"));
    }
    entries_.push_back({.name = std::move(name_),
                        .type = type_->type,
                        .dtype = type_->dtype,
                        .shape = *std::move(shape_),
                        .offset = (*offsets_)[0],
                        .bytes = bytes});
    return true;
  }

  // Adds the hash of a name. Hashes of eight bytes are kept instead of names, because
  // `__metadata__` may have millions of names.
  bool AddName(const std::string& name) {
    names_.push_back(std::hash<std::string>()(name));
    return true;
  }
  bool HasNameTwice() {
    std::sort(names_.begin(), names_.end());
    return std::adjacent_find(names_.begin(), names_.end()) != names_.end();
  }

  Place place_ = Place::kBefore;
  std::string problem_;
  SafetensorsEntries entries_;

  // The name of the tensor that is being read, or `__metadata__`.
  std::string name_;
  bool is_metadata_ = false;
  std::vector<size_t> names_;  // hashes of the names in the object that is being read
  Field field_ = Field::kOther;
  int64_t skipped_ = 0;  // arrays and objects that are open in an unknown field
  Shape sizes_;
  const TypeRow* type_ = nullptr;
  std::optional<Shape> shape_, offsets_;

  bool has_metadata_ = false;
};

}  // namespace

absl::StatusOr<SafetensorsEntries> ParseSafetensorsJson(std::istream& text) {
  Handler handler;
  if (!json::sax_parse(text, &handler)) return handler.Problem();
  SafetensorsEntries entries = handler.TakeEntries();
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const auto twice = std::adjacent_find(entries.begin(), entries.end(),
                                        [](auto& a, auto& b) { return a.name == b.name; });
  if (twice == entries.end()) return entries;
  return InvalidArgument("tensor \"", ShownName(twice->name), "\": comes twice");
}

const char* SafetensorsDtype(DataType type) {
  return std::find_if(std::begin(kTypes), std::end(kTypes),
                      [&](const TypeRow& row) { return row.type == type; })
      ->dtype;
}

}  // namespace qkserve
