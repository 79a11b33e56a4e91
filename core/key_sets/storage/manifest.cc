#include "core/key_sets/storage/manifest.h"

#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "core/key_sets/storage/checksum.h"
#include "formats/json_tokens.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

// The members that describe a column.
struct ColumnMembers {
  const char* width;
  const char* type;
};
constexpr PerColumn<ColumnMembers> kColumnMembers = {
    {{{.width = "d", .type = "key_type"}, {.width = "dv", .type = "value_type"}}}};

json ToJson(const Manifest& manifest) {
  json object = {{"format", kFormat},
                 {"name", manifest.name},
                 {"version", manifest.version},
                 {"base_version", manifest.base_version},
                 {"leading", manifest.layout.leading},
                 {"segments", json::array()}};
  for (const Column& column : manifest.layout.Columns()) {
    if (!column.is_present) continue;
    object[kColumnMembers[column.id].width] = column.width;
    object[kColumnMembers[column.id].type] = std::string(DataTypeName(column.type));
  }
  for (const SegmentInfo& segment : manifest.segments) {
    object["segments"].push_back({{"file", segment.file},
                                  {"keys", segment.keys},
                                  {"bytes", segment.bytes},
                                  {"checksum", ChecksumText(segment.checksum)}});
  }
  return object;
}

// Reads members of a JSON object; remembers the first that is not as it should be.
class Members {
 public:
  Members(const json& object, std::string* problem) : object_(object), problem_(problem) {}

  int64_t Integer(const char* key, int64_t min) {
    const json* const member = Find(key);
    if (member != nullptr && member->is_number_unsigned()) {
      const auto value = member->get<uint64_t>();
      if (value <= uint64_t{std::numeric_limits<int64_t>::max()} &&
          static_cast<int64_t>(value) >= min) {
        return static_cast<int64_t>(value);
      }
    }
    Fail(key);
    return min;
  }

  std::string Text(const char* key) {
    const json* const member = Find(key);
    if (member != nullptr && member->is_string()) return member->get<std::string>();
    Fail(key);
    return "";
  }

  DataType FloatType(const char* key) {
    const std::string name = Text(key);
    for (const DataType type : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
      if (name == DataTypeName(type)) return type;
    }
    Fail(key);
    return DataType::kFloat32;
  }

  uint64_t Digits(const char* key) {
    uint64_t value = 0;
    if (!absl::SimpleHexAtoi(Text(key), &value)) Fail(key);
    return value;
  }

  const json& Array(const char* key) {
    static const json* const empty = new json(json::array());
    const json* const member = Find(key);
    if (member != nullptr && member->is_array()) return *member;
    Fail(key);
    return *empty;
  }

  bool Has(const char* key) { return Find(key) != nullptr; }

  void Fail(const char* key) {
    if (problem_->empty()) *problem_ = absl::StrCat("\"", key, "\" is missing or wrong");
  }

 private:
  const json* Find(const char* key) {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const json& object_;
  std::string* const problem_;
};

KeySetLayout ToLayout(Members& members) {
  KeySetLayout layout;
  const json& leading = members.Array("leading");
  if (leading.size() > 2) members.Fail("leading");
  for (const json& size : leading) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > uint64_t{kKeySetKeysMax}) {
      members.Fail("leading");
      break;
    }
    layout.leading.push_back(size.get<int64_t>());
  }
  for (const Column& column : layout.Columns()) {
    const auto& [width, type] = kColumnMembers[column.id];
    // A set always has the columns that an empty layout has.
    if (!column.is_present && !members.Has(width)) continue;
    const int64_t elements = members.Integer(width, 0);
    layout.SetColumn(column.id, members.FloatType(type), elements);
  }
  return layout;
}

// Segments lie beside their manifest, and nowhere else.
bool IsPlainName(absl::string_view file) { return ValidateKeySetName(file).ok(); }

absl::StatusOr<SegmentInfo> ToSegment(const json& item) {
  std::string problem;
  Members members(item, &problem);
  SegmentInfo info;
  info.file = members.Text("file");
  if (!IsPlainName(info.file)) members.Fail("file");
  info.keys = members.Integer("keys", 0);
  info.bytes = members.Integer("bytes", 0);
  info.checksum = members.Digits("checksum");
  if (!problem.empty()) return absl::DataLossError(problem);
  return info;
}

// Collects members while the text is parsed, so that at most one segment is kept as JSON. Each
// function returns false to stop the parser.
class Handler : public nlohmann::json_sax<json> {  // NOLINT(bugprone-exception-escape): never moved
 public:
  // All but the segments.
  const json& object() const { return object_; }
  std::vector<SegmentInfo>& segments() { return segments_; }
  // The reason, after parsing has failed.
  const std::string& problem() const { return problem_; }

  bool null() override { return false; }
  bool boolean(bool /*value*/) override { return false; }
  bool number_integer(int64_t value) override { return Add(value); }
  bool number_unsigned(uint64_t value) override { return Add(value); }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return false; }
  bool string(std::string& value) override { return Add(value); }
  bool binary(json::binary_t& /*value*/) override { return false; }

  bool key(std::string& name) override {
    key_ = name;
    // A manifest has eleven members, and none twice.
    const json& object = place_ == Place::kSegment ? segment_ : object_;
    return object.size() < 16 && !object.contains(name);
  }
  bool start_object(size_t /*count*/) override {
    if (place_ != Place::kBefore && place_ != Place::kSegments) return false;
    place_ = place_ == Place::kBefore ? Place::kManifest : Place::kSegment;
    (place_ == Place::kSegment ? segment_ : object_) = json::object();
    return true;
  }
  bool end_object() override {
    if (place_ != Place::kSegment) return true;
    place_ = Place::kSegments;
    absl::StatusOr<SegmentInfo> segment = ToSegment(segment_);
    if (segment.ok()) {
      segments_.push_back(*std::move(segment));
    } else {
      problem_ = std::string(segment.status().message());
    }
    return problem_.empty();
  }
  bool start_array(size_t /*count*/) override {
    if (place_ != Place::kManifest || (key_ != "leading" && key_ != "segments")) return false;
    place_ = key_ == "leading" ? Place::kLeading : Place::kSegments;
    object_[key_] = json::array();
    return true;
  }
  bool end_array() override {
    place_ = Place::kManifest;
    return true;
  }
  bool parse_error(size_t /*position*/, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return false;
  }

 private:
  enum class Place { kBefore, kManifest, kLeading, kSegments, kSegment };

  template <class Value>
  bool Add(const Value& value) {
    if (place_ == Place::kManifest) object_[key_] = value;
    if (place_ == Place::kSegment) segment_[key_] = value;
    if (place_ == Place::kLeading) object_["leading"].push_back(value);
    // More than two leading sizes are wrong, however many there are.
    return place_ != Place::kBefore && place_ != Place::kSegments &&
           (place_ != Place::kLeading || object_["leading"].size() <= 3);
  }

  Place place_ = Place::kBefore;
  std::string key_;
  json object_;
  json segment_;
  std::vector<SegmentInfo> segments_;
  std::string problem_;
};

absl::StatusOr<Manifest> ToManifest(Handler& handler) {
  std::string problem;
  Members members(handler.object(), &problem);
  Manifest manifest;
  manifest.name = members.Text("name");
  manifest.version = members.Integer("version", 1);
  manifest.base_version = members.Integer("base_version", 1);
  if (manifest.base_version > manifest.version) members.Fail("base_version");
  manifest.layout = ToLayout(members);
  manifest.segments = std::move(handler.segments());
  int64_t keys = 0;
  for (const SegmentInfo& info : manifest.segments) {
    if (info.keys > kKeySetKeysMax - keys) {
      members.Fail("keys");
      break;
    }
    keys += info.keys;
  }
  if (manifest.segments.empty()) members.Fail("segments");
  if (problem.empty()) problem = std::string(manifest.layout.Validate(keys).message());
  if (!problem.empty()) return absl::DataLossError(problem);
  return manifest;
}

}  // namespace

int64_t Manifest::Keys() const {
  int64_t keys = 0;
  for (const SegmentInfo& segment : segments) keys += segment.keys;
  return keys;
}

std::string FormatManifest(const Manifest& manifest) {
  json object = ToJson(manifest);
  object["checksum"] = ChecksumText(ChecksumOf(object.dump()));
  return absl::StrCat(object.dump(/*indent=*/1), "\n");
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view name, absl::string_view text) {
  // The longest texts are names.
  constexpr int64_t kTokenBytesMax = 1024;
  Handler handler;
  const bool parsed = JsonTokens(kTokenBytesMax).Accept(text) &&
                      json::sax_parse(text.begin(), text.end(), &handler);
  if (!handler.problem().empty()) return absl::DataLossError(handler.problem());
  if (!parsed) {
    return absl::DataLossError(
        absl::StrCat("is not JSON, or not of format ", kFormat, ", which this version reads"));
  }
  const auto format = handler.object().find("format");
  if (format == handler.object().end() || *format != kFormat) {
    return absl::DataLossError(
        absl::StrCat("is not of format ", kFormat, ", which this version reads"));
  }
  absl::StatusOr<Manifest> manifest = ToManifest(handler);
  if (!manifest.ok()) return manifest.status();
  // The manifest is complete and consistent. It is also what was written, to the last byte, if the
  // checksum in the text is that of the manifest.
  if (FormatManifest(*manifest) != text) return absl::DataLossError("its checksum does not match");
  if (manifest->name != name) {
    return absl::DataLossError(absl::StrCat("is that of the key set ", manifest->name));
  }
  return manifest;
}

}  // namespace qkserve
