#include "tools/qkctl/commands/keys_upload.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "formats/tensor_file.h"
#include "qkserve/client.h"
#include "tools/qkctl/commands/connection_options.h"
#include "tools/qkctl/commands/flag_values.h"
#include "tools/qkctl/input/tensor_source.h"
#include "tools/qkctl/input/upload_limits.h"
#include "tools/qkctl/output/answer.h"
#include "tools/qkctl/output/key_set_text.h"
#include "tools/qkctl/output/upload_progress.h"

namespace qkserve {
namespace {

// The options of both commands.
struct UploadOptions {
  std::string name;
  std::string keys, values;  // paths; "": no values
  std::string json;
  ConnectionOptions connection;

  void AddFlags(Flags& flags) {
    flags.AddArgument("NAME", &name);
    AddKeysFlags(flags, &keys, &values);
    AddJsonFlag(flags, &json);
  }
  absl::Status Validate() const {
    absl::Status status = connection.Validate();
    if (status.ok() && keys.empty()) status = absl::InvalidArgumentError("--keys is required");
    return status;
  }
};

struct PutOptions : UploadOptions {
  std::optional<DataType> storage;

  void AddFlags(Flags& flags) {
    UploadOptions::AddFlags(flags);
    AddStorageFlag(flags, &storage);
    connection.AddFlags(flags);
  }
};

struct AppendOptions : UploadOptions {
  std::optional<int64_t> expected_version;

  void AddFlags(Flags& flags) {
    UploadOptions::AddFlags(flags);
    flags.Add("expected_version", &expected_version,
              "Append only to this version, so that nothing is appended twice; the server's "
              "newest, asked for first, unless given");
    connection.AddFlags(flags);
  }
};

struct Sources {
  TensorSource keys;
  std::optional<TensorSource> values;
};

absl::StatusOr<Sources> OpenSources(const UploadOptions& options) {
  absl::StatusOr<TensorFile> keys = OpenTensorFile(options.keys, "keys");
  if (!keys.ok()) return keys.status();
  Sources sources = {SourceOf(*keys), std::nullopt};
  if (options.values.empty()) return sources;
  absl::StatusOr<TensorFile> values = OpenTensorFile(options.values, "values");
  if (!values.ok()) return values.status();
  sources.values = SourceOf(*values);
  return sources;
}

// Options of PutKeySetOptions and AppendKeySetOptions. `line` shows progress; it must outlive the
// result.
template <typename CallOptions>
CallOptions MakeCallOptions(const UploadOptions& options, const Sources& sources,
                            UploadProgressLine* line) {
  CallOptions call;
  call.values = sources.values;
  call.timeout = UploadTimeout(options.connection.timeout, sources.keys, sources.values);
  call.progress = [line](int64_t sent, int64_t total) { line->Show(sent, total); };
  call.chunk_bytes = UploadChunkBytes(options.connection.client.message_bytes_max);
  return call;
}

// `status`, of a call that failed, with the state that the key set is left in. `before`: its
// version before the call, if it had one.
absl::Status WithState(const absl::Status& status, Client& client, const std::string& name,
                       std::optional<int64_t> before) {
  // The server has refused it.
  if (absl::IsFailedPrecondition(status) || absl::IsNotFound(status) ||
      absl::IsInvalidArgument(status)) {
    return status;
  }
  const absl::StatusOr<KeySetInfo> now = client.GetKeySet(name, absl::Seconds(5));
  std::string state;
  if (now.ok() && now->version == before) {
    state = absl::StrCat("'", name, "' is still at version ", now->version);
  } else if (now.ok()) {
    state = absl::StrCat("'", name, "' is at version ", now->version,
                         " now: by this call, whose answer was lost, or by another");
  } else if (absl::IsNotFound(now.status())) {
    state = absl::StrCat("there is no key set '", name, "'");
  } else {
    state =
        absl::StrCat("what became of '", name, "' is not known; see 'qkctl keys get ", name, "'");
  }
  return absl::Status(status.code(), absl::StrCat(status.message(), " (", state, ")"));
}

absl::Status Put(const PutOptions& options) {
  const absl::StatusOr<Sources> sources = OpenSources(options);
  if (!sources.ok()) return sources.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient(options.connection);
  if (!client.ok()) return client.status();
  const absl::StatusOr<KeySetInfo> before =
      (*client)->GetKeySet(options.name, options.connection.timeout);
  // A set that cannot be used can be replaced.
  if (absl::IsUnavailable(before.status()) || absl::IsDeadlineExceeded(before.status()) ||
      absl::IsInvalidArgument(before.status())) {
    return before.status();
  }

  std::optional<UploadProgressLine> line(Clock::Monotonic());
  auto call = MakeCallOptions<PutKeySetOptions>(options, *sources, &*line);
  call.storage = options.storage;
  const absl::StatusOr<KeySetInfo> info = (*client)->PutKeySet(options.name, sources->keys, call);
  line.reset();
  if (info.ok()) return ShowAnswer(KeySetTable({*info}), KeySetJson(*info), options.json);
  return WithState(info.status(), **client, options.name,
                   before.ok() ? std::optional(before->version) : std::nullopt);
}

absl::Status Append(const AppendOptions& options) {
  const absl::StatusOr<Sources> sources = OpenSources(options);
  if (!sources.ok()) return sources.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient(options.connection);
  if (!client.ok()) return client.status();
  std::optional<int64_t> version = options.expected_version;
  if (!version.has_value()) {
    const absl::StatusOr<KeySetInfo> newest =
        (*client)->GetKeySet(options.name, options.connection.timeout);
    if (!newest.ok()) return newest.status();
    version = newest->version;
  }

  std::optional<UploadProgressLine> line(Clock::Monotonic());
  const auto call = MakeCallOptions<AppendKeySetOptions>(options, *sources, &*line);
  const absl::StatusOr<KeySetInfo> info =
      (*client)->AppendKeySet(options.name, *version, sources->keys, call);
  line.reset();
  if (info.ok()) return ShowAnswer(KeySetTable({*info}), KeySetJson(*info), options.json);
  return WithState(info.status(), **client, options.name, version);
}

}  // namespace

Command KeysPutCommand() {
  Command command;
  command.name = "keys put";
  command.argument = "NAME";
  command.summary = "Makes or replaces a key set from files.";
  command.example = "qkctl keys put items --keys=k.npy --storage=bfloat16";
  command.details =
      "Other requests see the whole new version or the old one. Files may be larger than memory.\n"
      "FILE.safetensors:TENSOR names a tensor; without, keys or values is looked for, or the only\n"
      "one of the file is taken. The longest wait is --timeout and a second for each MiB. Resumes\n"
      "nothing: an upload that breaks leaves the old version.\n";
  command.more_examples =
      "  qkctl keys put memory --keys=kv.safetensors --values=kv.safetensors\n"
      "  qkctl keys put items --keys=model.safetensors:item_embedding.weight\n";
  return WithOptions<PutOptions>(std::move(command), &Put);
}

Command KeysAppendCommand() {
  Command command;
  command.name = "keys append";
  command.argument = "NAME";
  command.summary = "Adds keys from files behind the last one of a key set.";
  command.example = "qkctl keys append items --keys=more.npy --expected_version=3";
  command.details =
      "Costs in proportion to what is added. Leading dimensions and d are as in the set; values\n"
      "are required where it has some. Elements are converted to what the set is kept in.\n"
      "Give --expected_version in scripts: a call that is repeated then cannot append twice.\n";
  return WithOptions<AppendOptions>(std::move(command), &Append);
}

}  // namespace qkserve
