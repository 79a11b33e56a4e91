#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/invalid_argument.h"
#include "base/standard_streams.h"
#include "base/status_macros.h"
#include "formats/tensor_file.h"
#include "qkserve/client.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/commands/flag_values.h"
#include "tools/qkctl/input/upload.h"
#include "tools/qkctl/output/answer.h"
#include "tools/qkctl/output/file_output.h"
#include "tools/qkctl/output/key_set_text.h"
#include "tools/qkctl/output/terminal.h"
#include "tools/report/text_table.h"

namespace qkserve {
namespace {

// The options that put and append share.
struct FilesOptions : QuestionOptions {
  std::string keys, values;  // paths; "": no values

  void AddFlags(Flags& flags) {
    AddKeysFlags(flags, &keys, &values);
    QuestionOptions::AddFlags(flags);
  }
  absl::Status Validate() const {
    return keys.empty() ? InvalidArgument("--keys is required") : absl::OkStatus();
  }
  std::vector<FlagFile> Inputs() const {
    return {{"keys", FileOfTensorPath(keys)}, {"values", FileOfTensorPath(values)}};
  }
};

struct PutOptions : FilesOptions {
  std::optional<DataType> storage;

  void AddFlags(Flags& flags) {
    FilesOptions::AddFlags(flags);
    AddStorageFlag(flags, &storage);
  }
};

struct AppendOptions : FilesOptions {
  std::optional<int64_t> expected_version;

  void AddFlags(Flags& flags) {
    FilesOptions::AddFlags(flags);
    flags.Add("expected_version", &expected_version,
              "Append only to this version, so that nothing is appended twice; unless given, "
              "qkctl first asks the server for its newest version");
  }
};

absl::StatusOr<KeySetContents> OpenFiles(const FilesOptions& options) {
  ASSIGN_OR_RETURN(const TensorFile keys, OpenTensorOfFlag("keys", options.keys));
  KeySetContents contents = {SourceOf(keys), std::nullopt};
  if (options.values.empty()) return contents;
  ASSIGN_OR_RETURN(const TensorFile values, OpenTensorOfFlag("values", options.values));
  contents.values = SourceOf(values);
  return contents;
}

// Returns `status`, the error of a call, with the state of the key set added. `before` is the set's
// version before the call, if the set had one.
absl::Status WithState(const absl::Status& status, Client& client, const std::string& name,
                       std::optional<int64_t> before) {
  // With these errors the server has refused the call, so the set did not change.
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

// Returns the `status` of showing an answer. An error also says what was `done` before.
absl::Status StillDone(const absl::Status& status, absl::string_view done) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), " (", done, ")"));
}

// Shows key sets as a table or as `json`. If standard output is no terminal, each set has one line
// with its whole name, because programs read it.
absl::Status ShowKeySets(const std::vector<KeySetInfo>& key_sets,
                         const nlohmann::ordered_json& json, const QuestionOptions& options) {
  const std::optional<int64_t> columns = TerminalColumns();
  const size_t width = columns.has_value() ? static_cast<size_t>(*columns) : kUnlimitedColumns;
  return ShowAnswer(KeySetTable(key_sets, width), json, options.json);
}

// Uploads with `send` and shows a progress line. Then shows the key set. An error tells the state
// of the key set. `before` is as in WithState.
template <typename CallOptions, typename Send>
absl::Status Upload(const FilesOptions& options, const KeySetContents& contents, Client& client,
                    std::optional<int64_t> before, Send send) {
  std::optional<UploadProgressLine> line(Clock::Monotonic());
  auto call = UploadOptions<CallOptions>(contents, options.connection, &*line);
  const absl::StatusOr<KeySetInfo> info = send(call);
  line.reset();
  if (!info.ok()) return WithState(info.status(), client, options.name, before);
  return StillDone(ShowKeySets({*info}, KeySetJson(*info), options),
                   absl::StrCat("'", options.name, "' is at version ", info->version));
}

absl::Status Put(const PutOptions& options) {
  ASSIGN_OR_RETURN(const KeySetContents contents, OpenFiles(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  const absl::StatusOr<KeySetInfo> before =
      client->GetKeySet(options.name, options.connection.timeout);
  // Other errors say that the set is missing or cannot be used. A put can replace it.
  if (absl::IsUnavailable(before.status()) || absl::IsDeadlineExceeded(before.status()) ||
      absl::IsInvalidArgument(before.status())) {
    return before.status();
  }
  return Upload<PutKeySetOptions>(options, contents, *client,
                                  before.ok() ? std::optional(before->version) : std::nullopt,
                                  [&](PutKeySetOptions& call) {
                                    call.storage = options.storage;
                                    return client->PutKeySet(options.name, contents.keys, call);
                                  });
}

absl::Status Append(const AppendOptions& options) {
  ASSIGN_OR_RETURN(const KeySetContents contents, OpenFiles(options));
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  std::optional<int64_t> version = options.expected_version;
  if (!version.has_value()) {
    ASSIGN_OR_RETURN(const KeySetInfo newest,
                     client->GetKeySet(options.name, options.connection.timeout));
    version = newest.version;
  }
  return Upload<AppendKeySetOptions>(
      options, contents, *client, version, [&](const AppendKeySetOptions& call) {
        return client->AppendKeySet(options.name, *version, contents.keys, call);
      });
}

constexpr absl::string_view kPutDetails =
    R"(Other requests see the whole old version or the whole new one. Files may be
larger than memory. FILE.safetensors:TENSOR names a tensor. Without :TENSOR,
qkctl takes the tensor named keys or values, or the only tensor of the file. It
waits at most --timeout and a second for each MiB. An upload that breaks leaves
the old version, and cannot be resumed.
)";

constexpr absl::string_view kMorePutExamples =
    R"(  qkctl keys put memory --keys=kv.safetensors --values=kv.safetensors
  qkctl keys put items --keys=model.safetensors:item_embedding.weight
)";

constexpr absl::string_view kAppendDetails =
    R"(The cost is in proportion to the number of new keys. Leading dimensions and d
must be those of the set. Values are required if the set has values. Elements
are converted to the type of the set. Give --expected_version in scripts: then a
repeated call cannot append twice.
)";

absl::Status Get(const QuestionOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  ASSIGN_OR_RETURN(const KeySetInfo info,
                   client->GetKeySet(options.name, options.connection.timeout));
  return ShowKeySets({info}, KeySetJson(info), options);
}

absl::Status List(const QuestionOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  ASSIGN_OR_RETURN(const std::vector<KeySetInfo> key_sets,
                   client->ListKeySets(options.connection.timeout));
  nlohmann::ordered_json json = {{"key_sets", nlohmann::ordered_json::array()}};
  for (const KeySetInfo& info : key_sets) json["key_sets"].push_back(KeySetJson(info));
  return ShowKeySets(key_sets, json, options);
}

absl::Status Delete(const CommandOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  RETURN_IF_ERROR(client->DeleteKeySet(options.name, options.connection.timeout));
  std::printf("deleted %s\n", Printable(options.name).c_str());
  return StillDone(FlushStandardOutput(), absl::StrCat("'", options.name, "' is deleted"));
}

constexpr absl::string_view kListDetails =
    R"(MEMORY is that of the newest version; versions share what did not change.
REQUESTS counts the requests on all versions since the server started. If the
newest version cannot be served, for example because of damage, the reason is
shown in place of the other columns, or below an older version that is served.
A terminal shows long names cut in the middle. Elsewhere, and in --json, names
are whole.
)";

}  // namespace

Command KeysPutCommand() {
  return WithOptions({.name = "keys put",
                      .argument = "NAME",
                      .summary = "Makes or replaces a key set from files.",
                      .details = kPutDetails,
                      .example = "qkctl keys put items --keys=k.npy --storage=bfloat16",
                      .more_examples = kMorePutExamples},
                     &Put);
}

Command KeysAppendCommand() {
  return WithOptions({.name = "keys append",
                      .argument = "NAME",
                      .summary = "Adds keys from files behind the last one of a key set.",
                      .details = kAppendDetails,
                      .example = "qkctl keys append items --keys=more.npy --expected_version=3"},
                     &Append);
}

Command KeysGetCommand() {
  return WithOptions({.name = "keys get",
                      .argument = "NAME",
                      .summary = "Shows a key set: version, shape, type, memory, requests served.",
                      .example = "qkctl keys get items --json"},
                     &Get);
}

Command KeysListCommand() {
  return WithOptions({.name = "keys list",
                      .summary = "Lists the key sets of a server, in order of their names.",
                      .details = kListDetails,
                      .example = "qkctl keys list",
                      .more_examples = "  qkctl keys list --json | jq '.key_sets[].name'\n"},
                     &List);
}

Command KeysDeleteCommand() {
  return WithOptions({.name = "keys delete",
                      .argument = "NAME",
                      .summary = "Deletes a key set. Running requests keep it until they end.",
                      .example = "qkctl keys delete items"},
                     &Delete);
}

}  // namespace qkserve
