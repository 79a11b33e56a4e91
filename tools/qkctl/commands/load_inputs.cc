#include "tools/qkctl/commands/load_inputs.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/qkctl/input/tensor_source.h"

namespace qkserve {
namespace {

// One matrix of floats.
absl::StatusOr<TensorFile> OpenMatrix(const std::string& path, const char* name) {
  absl::StatusOr<TensorFile> file = OpenTensorFile(path, name);
  if (!file.ok()) return file.status();
  if (file->shape.size() != 2 || !IsFloatType(static_cast<int>(file->data_type))) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected a matrix of floats, got ",
                                                   ShapeString(file->shape), " of ",
                                                   DataTypeName(file->data_type)));
  }
  return file;
}

KeySetContents ContentsOf(const LoadFiles& files, const LoadWorkload& workload, uint64_t seed,
                          const std::atomic<bool>* stop) {
  if (!files.keys.has_value()) {
    return RandomContents({workload.m, workload.d, workload.dv}, seed, stop);
  }
  KeySetContents contents = {SourceOf(*files.keys), std::nullopt};
  if (files.values.has_value()) contents.values = SourceOf(*files.values);
  return contents;
}

}  // namespace

absl::StatusOr<LoadFiles> OpenLoadFiles(const LoadCommandOptions& command, LoadWorkload* workload) {
  LoadFiles files;
  if (const std::string& path = command.keys; !path.empty()) {
    absl::StatusOr<TensorFile> keys = OpenMatrix(path, "keys");
    if (!keys.ok()) return keys.status();
    workload->m = keys->shape[0];
    workload->d = keys->shape[1];
    workload->dv = std::nullopt;
    files.keys = *std::move(keys);
  }
  if (const std::string& path = command.values; !path.empty()) {
    absl::StatusOr<TensorFile> values = OpenMatrix(path, "values");
    if (!values.ok()) return values.status();
    if (values->shape[0] != workload->m) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": expected ", workload->m,
                                                     " rows, as many as there are keys; got ",
                                                     values->shape[0]));
    }
    workload->dv = values->shape[1];
    files.values = *std::move(values);
  }
  if (const std::string& path = command.queries; !path.empty()) {
    absl::StatusOr<TensorFile> queries = OpenMatrix(path, "queries");
    if (!queries.ok()) return queries.status();
    if (queries->shape[0] == 0) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": expected rows, got none"));
    }
    if (command.d.has_value() && *command.d != queries->shape[1]) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": its rows have ", queries->shape[1],
                                                     " elements; --d says ", *command.d));
    }
    // Random keys get the length of the queries.
    if (!files.keys.has_value() && command.KeysFrom() != LoadKeys::kForeign) {
      workload->d = queries->shape[1];
    }
    absl::StatusOr<Tensor> tensor = ReadTensor(*queries);
    if (!tensor.ok()) return tensor.status();
    files.queries = *std::move(tensor);
  }
  return files;
}

absl::StatusOr<LoadKeySets> LoadKeySets::Prepare(Client* client, const LoadCommandOptions& command,
                                                 const LoadFiles& files,
                                                 const std::atomic<bool>* stop,
                                                 LoadWorkload* workload) {
  LoadKeySets key_sets;
  const LoadKeys keys = command.KeysFrom();
  const ConnectionOptions& connection = command.connection;
  if (keys == LoadKeys::kForeign) {
    key_sets.references_ = {*command.key_set.Reference()};
    const absl::StatusOr<KeySetInfo> info =
        client->GetKeySet(command.key_set.name, connection.timeout);
    if (!info.ok()) return info.status();
    *workload = WithKeySet(std::move(*workload), *info);
  }
  if (files.queries.has_value() &&
      (files.queries->shape[1] != workload->d || !workload->leading.empty())) {
    return absl::InvalidArgumentError(absl::StrCat(command.queries, ": its rows have ",
                                                   files.queries->shape[1],
                                                   " elements; the keys have d=", workload->d));
  }
  absl::Status status = CheckSizes(*workload, connection.client.message_bytes_max);
  if (!status.ok()) return status;
  if (keys != LoadKeys::kMade) return key_sets;

  const std::string base = command.key_set.name.empty() ? UniqueKeySetName() : command.key_set.name;
  const MakeKeySetOptions options = {command.storage, connection.timeout,
                                     connection.client.message_bytes_max};
  const auto seed = static_cast<uint64_t>(command.seed);
  for (int i = 0; i < workload->key_sets; ++i) {
    const std::string name = workload->key_sets == 1 ? base : absl::StrCat(base, "-", i);
    key_sets.contents_.push_back(
        ContentsOf(files, *workload, seed + 2 * static_cast<uint64_t>(i), stop));
    absl::StatusOr<std::unique_ptr<MadeKeySet>> made =
        MadeKeySet::Create(client, name, key_sets.contents_.back(), options);
    if (!made.ok()) return made.status();
    key_sets.made_.push_back(*std::move(made));
    // An answer from what somebody else put there would be another's.
    key_sets.references_.push_back({name, key_sets.made_.back()->version()});
  }
  return key_sets;
}

absl::Status LoadKeySets::Remove() {
  absl::Status first;
  for (const std::unique_ptr<MadeKeySet>& made : made_) first.Update(made->Remove());
  return first;
}

absl::StatusOr<std::vector<KnownKeySet>> LoadKeySets::ReadContents(
    std::optional<DataType> storage) const {
  std::vector<KnownKeySet> known;
  for (const KeySetContents& contents : contents_) {
    absl::StatusOr<FloatMatrix> keys = ReadMatrix(contents.keys, storage);
    if (!keys.ok()) return keys.status();
    KnownKeySet set = {*std::move(keys), std::nullopt};
    if (contents.values.has_value()) {
      absl::StatusOr<FloatMatrix> values = ReadMatrix(*contents.values, storage);
      if (!values.ok()) return values.status();
      set.values = *std::move(values);
    }
    known.push_back(std::move(set));
  }
  return known;
}

absl::StatusOr<RequestSet> BuildLoadRequests(const LoadWorkload& workload, const LoadFiles& files,
                                             const LoadKeySets& key_sets, int payloads_max,
                                             int64_t seed) {
  RequestSetOptions options;
  options.workload = workload;
  options.key_sets = key_sets.references();
  options.payloads_max = payloads_max;
  options.seed = static_cast<uint64_t>(seed);
  std::optional<Tensor> keys, values;
  if (files.queries.has_value()) options.queries = files.queries->View();
  if (!workload.resident && files.keys.has_value()) {
    absl::StatusOr<Tensor> read = ReadTensor(*files.keys);
    if (!read.ok()) return read.status();
    keys = *std::move(read);
    options.keys = keys->View();
  }
  if (!workload.resident && files.values.has_value()) {
    absl::StatusOr<Tensor> read = ReadTensor(*files.values);
    if (!read.ok()) return read.status();
    values = *std::move(read);
    options.values = values->View();
  }
  return BuildRequestSet(options);
}

}  // namespace qkserve
