#include <memory>

#include "base/status_macros.h"
#include "qkserve/client.h"
#include "qkserve/v1/status.pb.h"
#include "tools/qkctl/commands/commands.h"
#include "tools/qkctl/output/answer.h"
#include "tools/qkctl/output/status_text.h"

namespace qkserve {
namespace {

absl::Status Run(const QuestionOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, MakeClient(options.connection));
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status,
                   client->GetStatus(options.connection.timeout));
  return ShowAnswer(StatusText(status), StatusJson(status), options.json);
}

}  // namespace

Command StatusCommand() {
  return WithOptions({.name = "status",
                      .summary = "Shows what a server is and how busy it is.",
                      .example = "qkctl status --server=127.0.0.1:50051",
                      .more_examples = "  qkctl status --json\n"},
                     &Run);
}

}  // namespace qkserve
