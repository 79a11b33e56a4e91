#include "tools/qkctl/commands/keys.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qkserve/client.h"
#include "tools/qkctl/commands/connection_options.h"
#include "tools/qkctl/output/answer.h"
#include "tools/qkctl/output/key_set_text.h"
#include "tools/qkctl/output/terminal.h"

namespace qkserve {
namespace {

absl::Status Get(const KeySetQuestionOptions& options) {
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient(options.connection);
  if (!client.ok()) return client.status();
  const absl::StatusOr<KeySetInfo> info =
      (*client)->GetKeySet(options.name, options.connection.timeout);
  if (!info.ok()) return info.status();
  return ShowAnswer(KeySetTable({*info}), KeySetJson(*info), options.json);
}

absl::Status List(const QuestionOptions& options) {
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient(options.connection);
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::vector<KeySetInfo>> key_sets =
      (*client)->ListKeySets(options.connection.timeout);
  if (!key_sets.ok()) return key_sets.status();
  nlohmann::ordered_json json = {{"key_sets", nlohmann::ordered_json::array()}};
  for (const KeySetInfo& info : *key_sets) json["key_sets"].push_back(KeySetJson(info));
  return ShowAnswer(KeySetTable(*key_sets), json, options.json);
}

struct DeleteOptions {
  std::string name;
  ConnectionOptions connection;

  void AddFlags(Flags& flags) {
    flags.AddArgument("NAME", &name);
    connection.AddFlags(flags);
  }
  absl::Status Validate() const { return connection.Validate(); }
};

absl::Status Delete(const DeleteOptions& options) {
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient(options.connection);
  if (!client.ok()) return client.status();
  absl::Status status = (*client)->DeleteKeySet(options.name, options.connection.timeout);
  if (status.ok()) std::printf("deleted %s\n", Printable(options.name).c_str());
  return status;
}

}  // namespace

Command KeysGetCommand() {
  Command command;
  command.name = "keys get";
  command.argument = "NAME";
  command.summary = "Shows a key set: version, shape, type, memory, requests served.";
  command.example = "qkctl keys get items --json";
  return WithOptions<KeySetQuestionOptions>(std::move(command), &Get);
}

Command KeysListCommand() {
  Command command;
  command.name = "keys list";
  command.summary = "Lists the key sets of a server, in order of their names.";
  command.example = "qkctl keys list";
  command.details =
      "MEMORY is that of the newest version; versions share what did not change. REQUESTS counts\n"
      "since the server started, over all versions. What keeps the newest version from being\n"
      "served, for example damage, stands in place of the rest, or below an older version that "
      "is.\n";
  return WithOptions<QuestionOptions>(std::move(command), &List);
}

Command KeysDeleteCommand() {
  Command command;
  command.name = "keys delete";
  command.argument = "NAME";
  command.summary = "Deletes a key set. Requests that run keep it to their end.";
  command.example = "qkctl keys delete items";
  return WithOptions<DeleteOptions>(std::move(command), &Delete);
}

}  // namespace qkserve
