#include "formats/safetensors_file.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/utf8.h"
#include "formats/input_file.h"
#include "formats/safetensors.h"

namespace qkserve {
namespace {

// "'keys', 'values'", of files from anybody.
std::string Names(const SafetensorsEntries& entries) {
  constexpr size_t kShown = 8;
  const auto shown_end =
      entries.begin() + static_cast<std::ptrdiff_t>(std::min(entries.size(), kShown));
  return absl::StrCat(
      entries.empty() ? "none" : "",
      absl::StrJoin(entries.begin(), shown_end, ", ",
                    [](std::string* out, const SafetensorsEntry& entry) {
                      absl::StrAppend(out, "'", absl::CHexEscape(Utf8Prefix(entry.name, 64)), "'");
                    }),
      entries.size() > kShown ? ", ..." : "");
}

const SafetensorsEntry* Find(const SafetensorsEntries& entries, absl::string_view name) {
  for (const SafetensorsEntry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<TensorFile> OpenSafetensors(const std::string& path, absl::string_view name,
                                           absl::string_view usual_name) {
  absl::StatusOr<std::shared_ptr<const InputFile>> opened =
      InputFile::Open(path, "a .safetensors file");
  if (!opened.ok()) return opened.status();
  const InputFile& file = **opened;
  const absl::StatusOr<SafetensorsHeader> header =
      ReadSafetensorsHeader(file.size_bytes(), [&file](int64_t offset, int64_t count, char* to) {
        return file.ReadAt(offset, absl::MakeSpan(to, static_cast<size_t>(count)));
      });
  if (absl::IsInvalidArgument(header.status())) return file.Named(header.status());
  if (!header.ok()) return header.status();
  const SafetensorsEntries& entries = header->entries;

  const SafetensorsEntry* entry = Find(entries, name.empty() ? usual_name : name);
  if (entry == nullptr && name.empty() && entries.size() == 1) entry = &entries.front();
  if (entry == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        path, ": no tensor '", name.empty() ? usual_name : name, "'; there are: ", Names(entries),
        name.empty() && !entries.empty() ? ". Name one as FILE:TENSOR" : ""));
  }
  if (!entry->type.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": tensor '",
                                                   absl::CHexEscape(Utf8Prefix(entry->name, 64)),
                                                   "' is ", OtherTypeText(*entry)));
  }
  return TensorFile{*std::move(opened), *entry->type, entry->shape,
                    header->data_offset + entry->offset};
}

}  // namespace qkserve
