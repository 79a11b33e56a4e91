#include "core/key_sets/storage/manifest.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "core/key_sets/key_set_name.h"
#include "core/key_sets/limits.h"
#include "core/key_sets/storage/checksum.h"
#include "formats/json_tokens.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

// The members that describe a column: its width and its type.
constexpr PerColumn<std::pair<const char*, const char*>> kColumnMembers = {
    {{{"d", "key_type"}, {"dv", "value_type"}}}};

// Reads members of a JSON object. Remembers the first member that is missing or wrong.
class Members {
 public:
  Members(const json& object, std::string* problem) : object_(object), problem_(*problem) {}

  // Returns the member if it has this type, or null if it is missing or wrong.
  const json* Find(const char* key, json::value_t type) {
    const auto found = object_.find(key);
    if (found != object_.end() && found->type() == type) return &*found;
    Fail(key);
    return nullptr;
  }

  int64_t Integer(const char* key, int64_t min) {
    const json* const member = Find(key, json::value_t::number_unsigned);
    // A number that is too large for int64_t becomes negative here and is therefore refused.
    const int64_t value = member != nullptr ? member->get<int64_t>() : -1;
    if (value < min) Fail(key);
    return value;
  }

  std::string Text(const char* key) {
    const json* const member = Find(key, json::value_t::string);
    return member != nullptr ? member->get<std::string>() : "";
  }

  DataType FloatType(const char* key) {
    const std::string name = Text(key);
    for (const DataType type : {DataType::kFloat32, DataType::kFloat16, DataType::kBfloat16}) {
      if (name == DataTypeName(type)) return type;
    }
    Fail(key);
    return DataType::kFloat32;
  }

  bool Has(const char* key) { return object_.contains(key); }

  void Fail(const char* key) {
    if (problem_.empty()) problem_ = absl::StrCat("\"", key, "\" is missing or wrong");
  }

 private:
  const json& object_;
  std::string& problem_;
};

KeySetLayout ToLayout(Members& members) {
  KeySetLayout layout;
  if (const json* const leading = members.Find("leading", json::value_t::array)) {
    for (const json& size : *leading) {
      const bool is_size =
          size.is_number_unsigned() && size.get<uint64_t>() <= uint64_t{kKeySetKeysMax};
      if (!is_size || leading->size() > 2) members.Fail("leading");
      if (is_size) layout.leading.push_back(size.get<int64_t>());
    }
  }
  for (const Column& column : layout.Columns()) {
    const auto& [width, type] = kColumnMembers[column.id];
    // A column that the text lacks is skipped, unless every set has it. Every set has the columns
    // that an empty layout has.
    if (!column.is_present && !members.Has(width)) continue;
    const int64_t elements = members.Integer(width, 0);
    layout.SetColumn(column.id, members.FloatType(type), elements);
  }
  return layout;
}

SegmentInfo ToSegment(const json& object, std::string* problem) {
  Members members(object, problem);
  SegmentInfo info;
  info.file = members.Text("file");
  // A valid name cannot lead out of the manifest's folder.
  if (!ValidateKeySetName(info.file).ok()) members.Fail("file");
  info.keys = members.Integer("keys", 0);
  info.bytes = members.Integer("bytes", 0);
  if (!absl::SimpleHexAtoi(members.Text("checksum"), &info.checksum)) members.Fail("checksum");
  return info;
}

// Checks the format number. This check comes before all others, because the members of another
// format may differ. `object` is null if the text was not a JSON object.
absl::Status CheckFormat(const json& object) {
  const auto format = object.find("format");
  const bool is_there = format != object.end() && format->is_number_unsigned();
  if (is_there && *format == kFormat) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      object.is_null() ? "is no JSON object"
                       : absl::StrCat("is of format ", is_there ? format->dump() : "?"),
      ", this version reads format ", kFormat));
}

// Parses the object in `text`. Adds its segments to `segments` and returns its other members.
// Returns null if the text is not JSON, or not like a manifest. During the parse at most one
// segment and a few other members are kept as JSON. A damaged or hostile text therefore takes less
// memory than 3 times its bytes.
json ParseObject(absl::string_view text, std::vector<SegmentInfo>* segments, std::string* problem) {
  // The most bytes between two quotation marks. The longest strings are names. Bytes outside
  // strings are limited too, because the parser remembers all bytes since the last string or
  // number.
  constexpr size_t kTokenBytesMax = 1024;
  constexpr int kSegmentDepth = 2;  // depth of the objects in the array of segments
  // A manifest has eleven members. Members beyond kKeptMax are dropped, which makes the checksum
  // wrong.
  constexpr int kKeptMax = 16;
  const bool is_object = !text.empty() && text.front() == '{';
  if (!is_object || !JsonTokens(kTokenBytesMax, kSegmentDepth + 1).Accept(text)) return nullptr;
  for (const absl::string_view part : absl::StrSplit(text, '"')) {
    if (part.size() > kTokenBytesMax) return nullptr;
  }
  int kept[kSegmentDepth + 2] = {};  // members kept at each depth
  const auto keep = [&](int depth, json::parse_event_t event, const json& parsed) {
    using Event = json::parse_event_t;
    if (depth == kSegmentDepth) {
      if (event == Event::object_start) kept[depth + 1] = 0;
      if (event == Event::object_end && problem->empty()) {
        segments->push_back(ToSegment(parsed, problem));
      }
      if (event == Event::array_start || event == Event::object_end) return false;
    }
    const bool is_item = depth == kSegmentDepth && event == Event::value;
    return (event != Event::key && !is_item) || ++kept[depth] <= kKeptMax;
  };
  json object = json::parse(text.begin(), text.end(), keep, /*allow_exceptions=*/false);
  return object.is_object() ? object : json();
}

}  // namespace

int64_t Manifest::Keys() const {
  int64_t keys = 0;
  for (const SegmentInfo& segment : segments) keys += segment.keys;
  return keys;
}

std::string FormatManifest(const Manifest& manifest) {
  json object = {{"format", kFormat},
                 {"name", manifest.name},
                 {"version", manifest.version},
                 {"base_version", manifest.base_version},
                 {"leading", manifest.layout.leading},
                 {"segments", json::array()}};
  for (const Column& column : manifest.layout.Columns()) {
    if (!column.is_present) continue;
    const auto& [width, type] = kColumnMembers[column.id];
    object[width] = column.width;
    object[type] = std::string(DataTypeName(column.type));
  }
  for (const SegmentInfo& segment : manifest.segments) {
    object["segments"].push_back({{"file", segment.file},
                                  {"keys", segment.keys},
                                  {"bytes", segment.bytes},
                                  {"checksum", ChecksumText(segment.checksum)}});
  }
  object["checksum"] = ChecksumText(ChecksumOf(object.dump()));
  return absl::StrCat(object.dump(/*indent=*/1), "\n");
}

absl::StatusOr<Manifest> ParseManifest(absl::string_view name, absl::string_view text) {
  std::string problem;
  Manifest manifest;
  const json object = ParseObject(text, &manifest.segments, &problem);
  RETURN_IF_ERROR(CheckFormat(object));
  if (!problem.empty()) return absl::DataLossError(problem);
  Members members(object, &problem);
  manifest.name = members.Text("name");
  manifest.version = members.Integer("version", 1);
  manifest.base_version = members.Integer("base_version", 1);
  if (manifest.base_version > manifest.version) members.Fail("base_version");
  manifest.layout = ToLayout(members);
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
  // The manifest is complete and consistent. If FormatManifest gives the same text again, checksum
  // included, the text is exactly what was written.
  if (FormatManifest(manifest) != text) return absl::DataLossError("its checksum does not match");
  if (manifest.name != name) {
    return absl::DataLossError(absl::StrCat("is that of the key set ", manifest.name));
  }
  return manifest;
}

}  // namespace qkserve
