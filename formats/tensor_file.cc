#include "formats/tensor_file.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"
#include "formats/npy.h"
#include "formats/safetensors.h"

namespace qkserve {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they are");

constexpr absl::string_view kSuffix = ".safetensors";
constexpr absl::string_view kSuffixAndColon = ".safetensors:";

// Returns the tensors' names as errors list them, for example "'keys', 'values'". The names are
// escaped, because they may come from anybody.
std::string Names(const SafetensorsEntries& entries) {
  constexpr size_t kShown = 8;
  if (entries.empty()) return "none";
  const auto shown_end =
      entries.begin() + static_cast<std::ptrdiff_t>(std::min(entries.size(), kShown));
  const auto append_name = [](std::string* out, const SafetensorsEntry& entry) {
    absl::StrAppend(out, "'", ShownName(entry.name), "'");
  };
  return absl::StrCat(absl::StrJoin(entries.begin(), shown_end, ", ", append_name),
                      entries.size() > kShown ? ", ..." : "");
}

// Opens the tensor `name`. If `name` is empty, opens the tensor `usual_name` or else the file's
// only tensor.
absl::StatusOr<TensorFile> OpenSafetensors(const std::string& path, absl::string_view name,
                                           absl::string_view usual_name) {
  ASSIGN_OR_RETURN(std::shared_ptr<const InputFile> file,
                   InputFile::Open(path, "a .safetensors file"));
  const absl::StatusOr<SafetensorsHeader> header =
      ReadSafetensorsHeader(file->size_bytes(), [&file](int64_t offset, int64_t count, char* to) {
        return file->ReadAt(offset, absl::MakeSpan(to, static_cast<size_t>(count)));
      });
  if (absl::IsInvalidArgument(header.status())) return file->Named(header.status());
  if (!header.ok()) return header.status();

  const SafetensorsEntry* const entry =
      name.empty() ? header->FindOrOnly(usual_name) : header->Find(name);
  if (entry == nullptr) {
    return absl::NotFoundError(
        absl::StrCat(path, ": no tensor '", name.empty() ? usual_name : name,
                     "'; there are: ", Names(header->entries),
                     name.empty() && !header->entries.empty() ? ". Name one as FILE:TENSOR" : ""));
  }
  if (!entry->type.has_value()) {
    return FormatError(path, "tensor '", ShownName(entry->name), "' is ", OtherTypeText(*entry));
  }
  return TensorFile{std::move(file), *entry->type, entry->shape,
                    header->data_offset + entry->offset};
}

}  // namespace

bool IsSafetensorsPath(absl::string_view path) {
  return absl::EndsWith(path, kSuffix) || absl::StrContains(path, kSuffixAndColon);
}

std::string FileOfTensorPath(const std::string& path) {
  const size_t colon = absl::string_view(path).find(kSuffixAndColon);
  return colon == absl::string_view::npos ? path : path.substr(0, colon + kSuffix.size());
}

absl::StatusOr<TensorFile> OpenTensorFile(const std::string& path, absl::string_view name) {
  if (!IsSafetensorsPath(path)) return name == "mask" ? OpenNpyMask(path) : OpenNpy(path);
  if (absl::EndsWith(path, kSuffixAndColon)) {
    return FormatError(path, "expected the name of a tensor behind the colon");
  }
  const std::string file = FileOfTensorPath(path);
  if (file.size() == path.size()) return OpenSafetensors(path, "", name);
  return OpenSafetensors(file, path.substr(file.size() + 1), name);
}

absl::StatusOr<Tensor> ReadTensor(const TensorFile& tensor) {
  const int64_t count = ElementCount(tensor.shape).value();
  absl::StatusOr<Buffer> data = Buffer::Allocate(count * ElementBytes(tensor.data_type));
  if (!data.ok()) return tensor.file->Named(data.status());
  RETURN_IF_ERROR(ReaderOf(tensor)(
      0, absl::MakeSpan(reinterpret_cast<char*>(data->data()), data->size_bytes())));
  return Tensor{tensor.data_type, tensor.shape, *std::move(data)};
}

ElementReader ReaderOf(const TensorFile& tensor) {
  if (!tensor.order.IsPlain()) {
    return [reader = ReorderedReader(tensor.file, tensor.data_type, tensor.shape, tensor.offset,
                                     tensor.order)](int64_t offset, absl::Span<char> out) mutable {
      return reader.Read(offset, out);
    };
  }
  return [file = tensor.file, begin = tensor.offset](int64_t offset, absl::Span<char> out) {
    return file->ReadAt(begin + offset, out);
  };
}

}  // namespace qkserve
