#include "tools/qkctl/commands/keys_upload.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "qkserve/client.h"
#include "tools/qkctl/flags/json_flag.h"
#include "tools/qkctl/flags/shared_flags.h"
#include "tools/qkctl/flags/storage_flag.h"
#include "tools/qkctl/flags/tensor_flags.h"
#include "tools/qkctl/input/tensor_file.h"
#include "tools/qkctl/input/upload_limits.h"
#include "tools/qkctl/output/key_set_text.h"
#include "tools/qkctl/output/upload_progress.h"

ABSL_FLAG(std::optional<int64_t>, expected_version, std::nullopt,
          "Append only to this version, so that nothing is appended twice; the server's newest, "
          "asked for first, unless given");

namespace qkserve {
namespace {

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_keys).empty()) {
    return absl::InvalidArgumentError("--keys is required");
  }
  return absl::OkStatus();
}

// What the flags name.
struct Inputs {
  TensorSource keys;
  std::optional<TensorSource> values;
  absl::Duration timeout;
};

absl::StatusOr<Inputs> OpenInputs() {
  absl::StatusOr<TensorFile> keys = OpenTensorFile(absl::GetFlag(FLAGS_keys), "keys");
  if (!keys.ok()) return keys.status();
  Inputs inputs = {SourceOf(*keys), std::nullopt, absl::ZeroDuration()};
  if (const std::string path = absl::GetFlag(FLAGS_values); !path.empty()) {
    absl::StatusOr<TensorFile> values = OpenTensorFile(path, "values");
    if (!values.ok()) return values.status();
    inputs.values = SourceOf(*values);
  }
  inputs.timeout = UploadTimeout(inputs.keys, inputs.values);
  return inputs;
}

// With what became of the key set when a call on it failed. `before` is its version then, if any.
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

absl::Status Put(const std::string& name) {
  absl::StatusOr<Inputs> inputs = OpenInputs();
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  const absl::StatusOr<KeySetInfo> before =
      (*client)->GetKeySet(name, absl::GetFlag(FLAGS_timeout));
  // A set that cannot be used can be replaced.
  if (absl::IsUnavailable(before.status()) || absl::IsDeadlineExceeded(before.status()) ||
      absl::IsInvalidArgument(before.status())) {
    return before.status();
  }

  std::optional<UploadProgressLine> line(Clock::Monotonic());
  PutKeySetOptions options;
  options.values = inputs->values;
  options.storage = StorageFromFlag();
  options.timeout = inputs->timeout;
  options.progress = [&line](int64_t sent, int64_t total) { line->Tell(sent, total); };
  options.chunk_bytes = UploadChunkBytes();
  const absl::StatusOr<KeySetInfo> info = (*client)->PutKeySet(name, inputs->keys, options);
  line.reset();
  if (info.ok()) return ShowAnswer(KeySetTable({*info}), KeySetJson(*info));
  return WithState(info.status(), **client, name,
                   before.ok() ? std::optional(before->version) : std::nullopt);
}

absl::Status Append(const std::string& name) {
  absl::StatusOr<Inputs> inputs = OpenInputs();
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  std::optional<int64_t> version = absl::GetFlag(FLAGS_expected_version);
  if (!version.has_value()) {
    const absl::StatusOr<KeySetInfo> newest =
        (*client)->GetKeySet(name, absl::GetFlag(FLAGS_timeout));
    if (!newest.ok()) return newest.status();
    version = newest->version;
  }

  std::optional<UploadProgressLine> line(Clock::Monotonic());
  AppendKeySetOptions options;
  options.values = inputs->values;
  options.timeout = inputs->timeout;
  options.progress = [&line](int64_t sent, int64_t total) { line->Tell(sent, total); };
  options.chunk_bytes = UploadChunkBytes();
  const absl::StatusOr<KeySetInfo> info =
      (*client)->AppendKeySet(name, *version, inputs->keys, options);
  line.reset();
  if (info.ok()) return ShowAnswer(KeySetTable({*info}), KeySetJson(*info));
  return WithState(info.status(), **client, name, version);
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
  command.flag_files = {kTensorFlagsFile, kStorageFlagFile, kJsonFlagFile};
  command.check_flags = &CheckFlags;
  command.run = &Put;
  return command;
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
  command.flag_files = {kTensorFlagsFile, "/qkctl/command_keys_upload.cc", kJsonFlagFile};
  command.check_flags = &CheckFlags;
  command.run = &Append;
  return command;
}

}  // namespace qkserve
