#include "core/key_sets/manifest.h"

#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/key_sets/checksum.h"
#include "core/key_sets/key_set_name.h"
#include "core/limits.h"
#include "nlohmann/json.hpp"

namespace qkserve {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;

json ToJson(const Manifest& manifest) {
  const KeySetLayout& layout = manifest.layout;
  json object = {{"format", kFormat},
                 {"name", manifest.name},
                 {"version", manifest.version},
                 {"base_version", manifest.base_version},
                 {"leading", layout.leading},
                 {"d", layout.d},
                 {"key_type", std::string(DataTypeName(layout.key_type))},
                 {"segments", json::array()}};
  if (layout.dv.has_value()) {
    object["dv"] = *layout.dv;
    object["value_type"] = std::string(DataTypeName(layout.value_type));
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
  layout.d = members.Integer("d", 0);
  layout.key_type = members.FloatType("key_type");
  if (members.Has("dv")) {
    layout.dv = members.Integer("dv", 0);
    layout.value_type = members.FloatType("value_type");
  }
  return layout;
}

// Segments lie beside their manifest, and nowhere else.
bool IsPlainName(absl::string_view file) { return ValidateKeySetName(file).ok(); }

absl::StatusOr<Manifest> ToManifest(const json& object) {
  std::string problem;
  Members members(object, &problem);
  Manifest manifest;
  manifest.name = members.Text("name");
  manifest.version = members.Integer("version", 1);
  manifest.base_version = members.Integer("base_version", 1);
  if (manifest.base_version > manifest.version) members.Fail("base_version");
  manifest.layout = ToLayout(members);
  int64_t keys = 0;
  for (const json& item : members.Array("segments")) {
    if (!item.is_object()) {
      members.Fail("segments");
      break;
    }
    Members segment(item, &problem);
    SegmentInfo info;
    info.file = segment.Text("file");
    if (!IsPlainName(info.file)) segment.Fail("file");
    info.keys = segment.Integer("keys", 0);
    info.bytes = segment.Integer("bytes", 0);
    info.checksum = segment.Digits("checksum");
    if (info.keys > kKeySetKeysMax - keys) {
      segment.Fail("keys");
      break;
    }
    keys += info.keys;
    manifest.segments.push_back(std::move(info));
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
  const json object = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::DataLossError("is not a JSON object");
  const auto format = object.find("format");
  if (format == object.end() || *format != kFormat) {
    return absl::DataLossError(
        absl::StrCat("is not of format ", kFormat, ", which this version reads"));
  }
  absl::StatusOr<Manifest> manifest = ToManifest(object);
  if (!manifest.ok()) return manifest.status();
  // What it says is complete and consistent; that it is what was written, to the last byte, the
  // checksum tells.
  if (FormatManifest(*manifest) != text) return absl::DataLossError("its checksum does not match");
  if (manifest->name != name) {
    return absl::DataLossError(absl::StrCat("is that of the key set ", manifest->name));
  }
  return manifest;
}

}  // namespace qkserve
