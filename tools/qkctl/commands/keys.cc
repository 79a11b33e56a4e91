#include "tools/qkctl/commands/keys.h"

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "qkserve/client.h"
#include "tools/qkctl/flags/json_flag.h"
#include "tools/qkctl/flags/shared_flags.h"
#include "tools/qkctl/output/key_set_text.h"

namespace qkserve {
namespace {

absl::Status CheckNothing() { return absl::OkStatus(); }

absl::Status Get(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  const absl::StatusOr<KeySetInfo> info = (*client)->GetKeySet(name, absl::GetFlag(FLAGS_timeout));
  if (!info.ok()) return info.status();
  return ShowAnswer(KeySetTable({*info}), KeySetJson(*info));
}

absl::Status List(const std::string& /*argument*/) {
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  const absl::StatusOr<std::vector<KeySetInfo>> key_sets =
      (*client)->ListKeySets(absl::GetFlag(FLAGS_timeout));
  if (!key_sets.ok()) return key_sets.status();
  nlohmann::ordered_json json = {{"key_sets", nlohmann::ordered_json::array()}};
  for (const KeySetInfo& info : *key_sets) json["key_sets"].push_back(KeySetJson(info));
  return ShowAnswer(KeySetTable(*key_sets), json);
}

absl::Status Delete(const std::string& name) {
  absl::StatusOr<std::unique_ptr<Client>> client = MakeClient();
  if (!client.ok()) return client.status();
  absl::Status status = (*client)->DeleteKeySet(name, absl::GetFlag(FLAGS_timeout));
  if (status.ok()) std::printf("deleted %s\n", Printable(name).c_str());
  return status;
}

}  // namespace

Command KeysGetCommand() {
  Command command;
  command.name = "keys get";
  command.argument = "NAME";
  command.summary = "Shows a key set: version, shape, type, memory, requests served.";
  command.example = "qkctl keys get items --json";
  command.flag_files = {kJsonFlagFile};
  command.check_flags = &CheckNothing;
  command.run = &Get;
  return command;
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
  command.flag_files = {kJsonFlagFile};
  command.check_flags = &CheckNothing;
  command.run = &List;
  return command;
}

Command KeysDeleteCommand() {
  Command command;
  command.name = "keys delete";
  command.argument = "NAME";
  command.summary = "Deletes a key set. Requests that run keep it to their end.";
  command.example = "qkctl keys delete items";
  command.check_flags = &CheckNothing;
  command.run = &Delete;
  return command;
}

}  // namespace qkserve
