#include "core/key_sets/table_loader.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "core/key_sets/storage/directory_error.h"

namespace qkserve {
namespace {

std::string Rounded(absl::Duration time) {
  return absl::FormatDuration(absl::Ceil(time, absl::Milliseconds(1)));
}

}  // namespace

absl::Status TableLoader::LoadAll(int threads, absl::Time begin) {
  const absl::StatusOr<std::vector<std::string>> names = directory_.ListNames();
  if (!names.ok()) return names.status();
  const absl::Time opened = absl::Now();
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  const auto load = [&] {
    for (size_t i = next++; i < names->size(); i = next++) {
      const std::string& name = (*names)[i];
      if (absl::IsCancelled(LoadOne(name))) return;
      LogLoaded(name, ++done, names->size());
    }
  };
  std::vector<std::thread> others;
  try {
    const auto count = std::min(static_cast<size_t>(threads), names->size());
    for (size_t i = 1; i < count; ++i) others.emplace_back(load);
  } catch (const std::system_error&) {
    // Fewer threads will do: this one loads, too.
  }
  load();
  for (std::thread& thread : others) thread.join();
  absl::Status status = observer_.CheckNotStopping();
  if (!status.ok() || names->empty()) return status;
  const absl::Time now = absl::Now();
  observer_.log({LogLevel::kInfo,
                 absl::StrFormat("%d key sets, %d bytes in memory, loaded in %s: the directory "
                                 "opened in %s, the sets read in %s",
                                 names->size(), budget_.bytes(), Rounded(now - begin),
                                 Rounded(opened - begin), Rounded(now - opened))});
  return status;
}

void TableLoader::LogLoaded(const std::string& name, size_t done, size_t count) const {
  const absl::StatusOr<std::shared_ptr<const KeySet>> set = table_.Find(name);
  const std::string loaded = set.ok()
                                 ? absl::StrCat("version ", (*set)->version(), ", ",
                                                ShapeString((*set)->layout().KeyShape((*set)->m())))
                                 : set.status().ToString();
  observer_.log({set.ok() ? LogLevel::kInfo : LogLevel::kWarning,
                 absl::StrFormat("key set %d of %d: %s: %s", done, count, name, loaded)});
}

absl::Status TableLoader::LoadOne(const std::string& name) {
  std::shared_ptr<const KeySet> current;
  const absl::StatusOr<std::shared_ptr<const KeySet>> found = table_.Find(name);
  if (found.ok()) current = *found;
  absl::StatusOr<std::shared_ptr<const KeySet>> loaded = directory_.Load(name, &budget_, current);
  if (absl::IsNotFound(loaded.status())) {
    // Either the set was deleted since it was listed, which the next listing tells, or its folder
    // was emptied.
    if (current == nullptr) {
      table_.Unpublish(name);
      return loaded.status();
    }
    loaded = absl::DataLossError("neither its manifest nor a segment is there");
  }
  if (absl::IsCancelled(loaded.status())) return loaded.status();
  absl::Status status = DirectoryErrorForCaller(loaded.status(), directory_.path());
  if (status.ok()) {
    table_.Publish(name, std::move(loaded));
  } else if (current != nullptr) {
    // The writer is faster, there is no memory, or files are damaged: the older version is whole.
    table_.SetProblem(name, absl::StrCat("is behind what is stored: ", status.ToString()));
  } else {
    table_.Publish(name, status);
  }
  return status;
}

}  // namespace qkserve
