#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/key_sets/key_set_store.h"
#include "core/key_sets/storage/manifest.h"
#include "core/key_sets/storage/segment_reader.h"
#include "formats/safetensors.h"
#include "qkserve/limits.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/manifest_text.h"
#include "tests/support/forgetful_file_system.h"
#include "tests/support/key_set_rows.h"

namespace qkserve {
namespace {

using nlohmann::json;

// An input is a byte of flags, then a manifest and files as pieces. The first file lies beside the
// sets, as if another tool had left it. The others are the segments that the manifest names, in
// order.
constexpr int kAsItIs = 1;  // the manifest keeps its sizes and checksums

constexpr char kRoot[] = "/sets";
constexpr char kSet[] = "/sets/items";

void Write(ForgetfulFileSystem& files, const std::string& path, absl::string_view contents) {
  const auto file = files.Create(path).value();
  Require(file->WriteAt(0, reinterpret_cast<const std::byte*>(contents.data()),
                        static_cast<int64_t>(contents.size()))
                  .ok() &&
              file->Close().ok(),
          "a file was written");
}

// Returns the manifest's entry for the file. If the file is no segment, its rows and checksum are
// 0.
json SegmentOf(ForgetfulFileSystem& files, const std::string& name, int64_t bytes) {
  json segment = {{"file", name}, {"keys", 0}, {"bytes", bytes}, {"checksum", "0"}};
  const auto reader = SegmentReader::Open(&files, absl::StrCat(kSet, "/", name));
  if (!reader.ok()) return segment;
  const auto ignore = [](const Column&, int64_t, int64_t, const std::byte*) {
    return absl::OkStatus();
  };
  Require((*reader)->ReadAll(ignore).ok(), "a segment that is opened can be read");
  segment["keys"] = (*reader)->rows();
  segment["checksum"] = ChecksumText((*reader)->FileChecksum());
  return segment;
}

void WriteSet(ForgetfulFileSystem& files, FuzzInput& in) {
  const bool as_it_is = (in.Byte() & kAsItIs) != 0;
  const absl::string_view text = in.Piece();
  if (const absl::string_view loose = in.Piece(); !loose.empty()) {
    Write(files, absl::StrCat(kRoot, "/loose.safetensors"), loose);
  }
  json segments = json::array();
  for (int i = 0; !in.empty(); ++i) {
    const absl::string_view contents = in.Piece();
    const std::string name = absl::StrCat("segment-", i + 1, "-0.safetensors");
    Write(files, absl::StrCat(kSet, "/", name), contents);
    if (!as_it_is)
      segments.push_back(SegmentOf(files, name, static_cast<int64_t>(contents.size())));
  }
  const std::string manifest = absl::StrCat(kSet, "/manifest.json");
  json object = as_it_is ? json() : ManifestObject(text);
  if (object.is_null()) return Write(files, manifest, text);
  object["segments"] = std::move(segments);
  Write(files, manifest, ManifestText(std::move(object)));
}

// Opens the directory. Returns the contents of the set, or its error.
std::string ContentsIn(ForgetfulFileSystem& files, bool is_read_only) {
  const auto store = KeySetStore::Open(
      {.directory = kRoot, .is_read_only = is_read_only, .memory_bytes_max = 4 * kMiB}, &files);
  Require(store.ok(), "a directory with damaged sets opens");
  (void)(*store)->Find("loose");
  const auto set = (*store)->Find("items");
  if (!set.ok()) {
    Require(absl::IsDataLoss(set.status()) || absl::IsResourceExhausted(set.status()) ||
                absl::IsNotFound(set.status()),
            set.status().ToString());
    return absl::StatusCodeToString(set.status().code());
  }
  return Contents(**set);
}

std::string Segment(DataType type, const Shape& keys, const Shape& values) {
  std::vector<SafetensorsEntry> entries = {{.name = "keys", .type = type, .shape = keys}};
  if (!values.empty()) entries.push_back({.name = "values", .type = type, .shape = values});
  std::string file = MakeSafetensorsHeader(entries);
  for (const SafetensorsEntry& entry : entries) {
    for (int64_t i = 0; i < entry.bytes; ++i) file.push_back(static_cast<char>(i * 11));
  }
  return file;
}

}  // namespace

void FuzzKeySetFiles(absl::string_view input) {
  ForgetfulFileSystem files;
  for (const char* const folder : {kRoot, kSet}) {
    Require(files.MakeDirectory(folder).ok(), "a folder was made");
  }
  FuzzInput in(input);
  WriteSet(files, in);
  const std::string read = ContentsIn(files, /*is_read_only=*/true);
  const std::string first = ContentsIn(files, /*is_read_only=*/false);
  Require(read == first, "a reader and a writer find the same set");
  Require(ContentsIn(files, /*is_read_only=*/false) == first, "opening a directory changes no set");
}

FuzzSeeds KeySetFilesSeeds() {
  const auto input = [](const KeySetLayout& layout, char flags, const std::string& loose,
                        const std::vector<std::string>& segments) {
    const Manifest manifest = {
        .name = "items",
        .version = 3,
        .base_version = 1,
        .layout = layout,
        .segments = {{.file = "segment-1-0.safetensors", .keys = 2, .bytes = 5, .checksum = 7}}};
    std::string bytes = std::string(1, flags) + AsPiece(FormatManifest(manifest)) + AsPiece(loose);
    for (const std::string& segment : segments) bytes += AsPiece(segment);
    return bytes;
  };
  const std::string keys = Segment(DataType::kFloat32, {5, 3}, {});
  const std::string both = Segment(DataType::kFloat16, {2, 4, 3}, {2, 4, 1});
  return {{"keys", input({.leading = {}, .d = 3}, 0, "", {keys, keys})},
          {"keys-and-values", input({.leading = {2},
                                     .d = 3,
                                     .key_type = DataType::kFloat16,
                                     .dv = 1,
                                     .value_type = DataType::kFloat16},
                                    0, keys, {both, both})},
          {"as-it-is", input({.leading = {}, .d = 3}, kAsItIs, both, {keys})}};
}

}  // namespace qkserve
