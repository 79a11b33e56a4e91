#include "tools/qkctl/commands/load_inputs.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/invalid_argument.h"
#include "base/status_macros.h"

namespace qkserve {
namespace {

// Opens one matrix of floats.
absl::StatusOr<TensorFile> OpenMatrix(const char* flag, const std::string& path) {
  ASSIGN_OR_RETURN(TensorFile file, OpenTensorOfFlag(flag, path));
  if (file.shape.size() != 2 || !IsFloatType(static_cast<int>(file.data_type))) {
    return NameFlag(flag,
                    FormatError(path, "expected a matrix of floats, got ", ShapeString(file.shape),
                                " of ", DataTypeName(file.data_type)));
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
  if (!command.keys.empty()) {
    ASSIGN_OR_RETURN(files.keys, OpenMatrix("keys", command.keys));
    workload->m = files.keys->shape[0];
    workload->d = files.keys->shape[1];
    workload->dv = std::nullopt;
  }
  if (const std::string& path = command.values; !path.empty()) {
    ASSIGN_OR_RETURN(files.values, OpenMatrix("values", path));
    if (files.values->shape[0] != workload->m) {
      return NameFlag(
          "values", FormatError(path, "expected ", workload->m,
                                " rows, as many as there are keys; got ", files.values->shape[0]));
    }
    workload->dv = files.values->shape[1];
  }
  if (const std::string& path = command.queries; !path.empty()) {
    ASSIGN_OR_RETURN(const TensorFile queries, OpenMatrix("queries", path));
    if (queries.shape[0] == 0) {
      return NameFlag("queries", FormatError(path, "expected rows, got none"));
    }
    if (command.d.value_or(queries.shape[1]) != queries.shape[1]) {
      return NameFlag("queries", FormatError(path, "its rows have ", queries.shape[1],
                                             " elements; --d says ", *command.d));
    }
    // Random keys get the row length of the queries.
    if (!files.keys.has_value() && command.KeysFrom() != LoadKeys::kForeign) {
      workload->d = queries.shape[1];
    }
    ASSIGN_OR_RETURN(files.queries, ReadTensor(queries));
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
    if (!info.ok()) return WithTimeout(info.status(), connection.timeout);
    *workload = WithKeySet(std::move(*workload), *info);
  }
  if (files.queries.has_value() &&
      (files.queries->shape[1] != workload->d || !workload->leading.empty())) {
    return InvalidArgument("--queries: ", command.queries, ": its rows have ",
                           files.queries->shape[1], " elements; the keys have d=", workload->d);
  }
  RETURN_IF_ERROR(CheckSizes(*workload, connection.client.message_bytes_max));
  if (keys != LoadKeys::kMade) return key_sets;

  const std::string base = command.key_set.name.empty() ? UniqueKeySetName() : command.key_set.name;
  const auto seed = static_cast<uint64_t>(command.seed);
  for (int i = 0; i < workload->key_sets; ++i) {
    const std::string name = workload->key_sets == 1 ? base : absl::StrCat(base, "-", i);
    key_sets.contents_.push_back(
        ContentsOf(files, *workload, seed + 2 * static_cast<uint64_t>(i), stop));
    absl::StatusOr<std::unique_ptr<MadeKeySet>> made = MadeKeySet::Create(
        client, name, key_sets.contents_.back(), command.storage, connection, stop);
    if (!made.ok()) {
      MadeKeySet::Warn(key_sets.Remove());
      return made.status();
    }
    key_sets.made_.push_back(*std::move(made));
    // The requests name the version, so that a set that replaces this one cannot answer them.
    key_sets.references_.push_back({name, key_sets.made_.back()->version()});
  }
  return key_sets;
}

absl::Status LoadKeySets::Remove() {
  absl::Time end = MadeKeySet::RemovalEnd();
  absl::Status first;
  std::vector<std::string> others;
  for (const std::unique_ptr<MadeKeySet>& made : made_) {
    const absl::Status removed = made->Remove(end);
    if (removed.ok()) end = MadeKeySet::RemovalEnd();
    const bool is_left = !removed.ok() && !absl::IsNotFound(removed);
    if (!first.ok() && is_left) others.push_back(made->name());
    first.Update(removed);
  }
  if (others.empty()) return first;
  return absl::Status(first.code(),
                      absl::StrCat(first.message(), "; also left: ", absl::StrJoin(others, ", ")));
}

absl::StatusOr<std::vector<KnownKeySet>> LoadKeySets::ReadContents(
    std::optional<DataType> storage) const {
  std::vector<KnownKeySet> known;
  for (const KeySetContents& contents : contents_) {
    KnownKeySet& set = known.emplace_back();
    ASSIGN_OR_RETURN(set.keys, ReadMatrix(contents.keys, storage));
    if (contents.values.has_value()) {
      ASSIGN_OR_RETURN(set.values, ReadMatrix(*contents.values, storage));
    }
  }
  return known;
}

absl::StatusOr<RequestSet> BuildLoadRequests(const LoadWorkload& workload, const LoadFiles& files,
                                             const LoadKeySets& key_sets, int payloads_max,
                                             int64_t seed) {
  RequestSetOptions options = {.workload = workload,
                               .key_sets = key_sets.references(),
                               .payloads_max = payloads_max,
                               .seed = static_cast<uint64_t>(seed)};
  Tensor keys, values;
  if (files.queries.has_value()) options.queries = files.queries->View();
  if (!workload.resident && files.keys.has_value()) {
    ASSIGN_OR_RETURN(keys, ReadTensor(*files.keys));
    options.keys = keys.View();
  }
  if (!workload.resident && files.values.has_value()) {
    ASSIGN_OR_RETURN(values, ReadTensor(*files.values));
    options.values = values.View();
  }
  return BuildRequestSet(options);
}

}  // namespace qkserve
