// The machine stops, the process ends, or an operation fails. Each happens at every operation of a
// sequence of changes.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/key_sets/storage/key_set_directory.h"
#include "gtest/gtest.h"
#include "qkserve/limits.h"
#include "tests/support/forgetful_file_system.h"
#include "tests/support/key_set_rows.h"

namespace qkserve {
namespace {

const KeySetLayout kLayout = {.leading = {2}, .d = 2, .key_type = DataType::kFloat16, .dv = 1};

// The tests stop the machine at every operation. Under the thread sanitizer, they stop it at every
// seventh operation only, because the sanitizer is slow and the tests have only one thread.
#ifdef __SANITIZE_THREAD__
constexpr int64_t kOperationStep = 7;
#else
constexpr int64_t kOperationStep = 1;
#endif

struct Change {
  enum Kind { kPut, kAppend, kDelete, kMerge } kind;
  std::string name;
  Part part = {};
};

// Puts, appends, a delete followed by a put, and enough appends for one or two merges.
std::vector<Change> Changes() {
  std::vector<Change> changes = {{Change::kPut, "a", {1, 70}},   {Change::kPut, "b", {2, 3}},
                                 {Change::kAppend, "a", {3, 2}}, {Change::kAppend, "lone", {4, 1}},
                                 {Change::kPut, "b", {5, 4}},    {Change::kDelete, "b"},
                                 {Change::kPut, "b", {6, 1}},    {Change::kAppend, "b", {7, 0}}};
  for (uint64_t i = 0; i < 15; ++i) {
    changes.push_back({Change::kAppend, "a", {10 + i, 1}});
  }
  changes.push_back({Change::kMerge, "a"});
  changes.push_back({Change::kAppend, "a", {30, 1}});
  changes.push_back({Change::kDelete, "lone"});
  return changes;
}

// The parts that a set should hold. If they are empty, the set should not exist.
using Parts = std::vector<Part>;
using Sets = std::map<std::string, Parts>;

class World {
 public:
  // Begins with a durable file that another tool left.
  World() {
    EXPECT_TRUE(files_.MakeDirectory("/sets").ok());
    auto segment = SegmentWriter::Create(&files_, "/sets/lone.safetensors", kLayout, 5).value();
    EXPECT_TRUE(WritePart(kLayout, {50, 5}, *segment).ok());
    EXPECT_TRUE(segment->Finish().ok());
    EXPECT_TRUE(segment->MoveTo("/sets/lone.safetensors").ok());
    EXPECT_TRUE(files_.SyncDirectory("/sets").ok());
    EXPECT_TRUE(files_.SyncDirectory("/").ok());
    sets_["lone"] = {{50, 5}};
  }

  ForgetfulFileSystem& files() { return files_; }
  KeySetDirectory& directory() { return *directory_; }

  absl::Status Open() {
    auto directory = KeySetDirectory::Open(&files_, "/sets", KeySetDirectory::Mode::kWriter);
    if (!directory.ok()) return directory.status();
    directory_ = *std::move(directory);
    EXPECT_GE(directory_->last_version(), acknowledged_version_);
    last_version_ = directory_->last_version();
    const auto names = directory_->ListNames();
    for (const std::string& name : *names) {
      // A set that could not be synced is not served.
      acknowledged_version_ =
          std::max(acknowledged_version_, directory_->StoredVersion(name).value_or(0));
    }
    return absl::OkStatus();
  }
  void Close() { directory_ = nullptr; }

  // Makes the change. A change that succeeds is recorded in `sets_`. A change that fails may have
  // happened.
  absl::Status Make(const Change& change) {
    Parts after;
    if (const auto found = sets_.find(change.name);
        found != sets_.end() && change.kind != Change::kPut) {
      after = found->second;
    }
    if (change.kind == Change::kPut || change.kind == Change::kAppend) after.push_back(change.part);
    uncertain_ = change.name;
    if_it_happened_ = change.kind == Change::kDelete ? Parts() : after;
    absl::Status status = Try(change);
    if (!status.ok()) return status;
    uncertain_.clear();
    acknowledged_version_ = last_version_;
    if (change.kind == Change::kDelete) {
      sets_.erase(change.name);
    } else {
      sets_[change.name] = after;
    }
    return status;
  }

  // Expects that every set has the acknowledged rows. One set may instead have the rows that the
  // unacknowledged change would give it. Later checks start from the state that this check found.
  void Check() {
    for (const std::string name : {"a", "b", "lone"}) {
      const auto set = directory_->Load(name, &budget_, nullptr);
      if (!set.ok()) {
        ASSERT_TRUE(absl::IsNotFound(set.status())) << set.status();
        ASSERT_TRUE(IsAllowed(name, nullptr)) << name << " is gone";
        sets_.erase(name);
        continue;
      }
      ASSERT_TRUE(IsAllowed(name, set->get())) << name << " has " << (*set)->m() << " keys";
      if (name == uncertain_ && Holds(**set, if_it_happened_)) sets_[name] = if_it_happened_;
    }
    uncertain_.clear();
  }

  // Expects exactly what was acknowledged.
  void CheckStrictly() {
    uncertain_.clear();
    Check();
  }

  // True if a reader may see `set` under this name. If `set` is null: true if the reader may see no
  // such set.
  bool IsAllowed(const std::string& name, const KeySet* set) {
    const auto found = sets_.find(name);
    const bool deleted = name == uncertain_ && if_it_happened_.empty();
    if (set == nullptr) return found == sets_.end() || deleted;
    if (found != sets_.end() && Holds(*set, found->second)) return true;
    return name == uncertain_ && !deleted && Holds(*set, if_it_happened_);
  }

  ByteBudget* budget() { return &budget_; }

 private:
  absl::Status Try(const Change& change) {
    if (change.kind == Change::kDelete) return directory_->Delete(change.name);
    if (change.kind == Change::kMerge) return MergeSegments(*directory_, change.name).status();
    auto segment = directory_->NewSegment(change.name, kLayout, change.part.rows);
    if (!segment.ok()) return segment.status();
    absl::Status status = WritePart(kLayout, change.part, **segment);
    if (!status.ok()) return status;
    ++last_version_;
    return change.kind == Change::kPut
               ? directory_->Put(change.name, last_version_, *std::move(segment))
               : directory_->Append(change.name, last_version_, *std::move(segment));
  }

  bool Holds(const KeySet& set, const Parts& parts) {
    if (parts.empty()) return false;
    std::string key;
    for (const Part& part : parts) absl::StrAppend(&key, part.seed, ":", part.rows, " ");
    std::string& expected = contents_[key];
    if (expected.empty()) expected = Contents(*BuildKeySet(kLayout, parts, &budget_));
    return Contents(set) == expected;
  }

  ForgetfulFileSystem files_;
  ByteBudget budget_{"key_set_memory", kGiB};
  std::unique_ptr<KeySetDirectory> directory_;
  int64_t last_version_ = 0;          // the last version that was given
  int64_t acknowledged_version_ = 0;  // at least this version was acknowledged
  Sets sets_;                         // what was acknowledged
  std::string uncertain_;             // the set with a change that was not acknowledged
  Parts if_it_happened_;              // its parts if that change happened; empty: it is deleted
  static std::map<std::string, std::string> contents_;
};
std::map<std::string, std::string> World::contents_;

// Opens the directory and makes changes until something fails.
absl::Status RunChanges(World& world) {
  absl::Status status = world.Open();
  for (const Change& change : Changes()) {
    if (!status.ok()) break;
    status = world.Make(change);
  }
  return status;
}

int64_t OperationsOfARun() {
  World world;
  EXPECT_TRUE(RunChanges(world).ok());
  return world.files().operations();
}

TEST(KeySetDirectoryCrashTest, WhatWasAcknowledgedSurvivesACrashAtAnyOperation) {
  const int64_t first = World().files().operations();
  const int64_t end = OperationsOfARun();
  ASSERT_GT(end, 200);
  for (uint64_t seed = 0; seed < 4; ++seed) {
    for (int64_t operation = first; operation <= end; operation += kOperationStep) {
      SCOPED_TRACE(absl::StrCat("operation ", operation, ", seed ", seed));
      World world;
      world.files().StopAt(operation);
      RunChanges(world).IgnoreError();
      world.Close();
      world.files().Crash(seed * 1000 + static_cast<uint64_t>(operation));
      ASSERT_TRUE(world.Open().ok());
      ASSERT_NO_FATAL_FAILURE(world.Check());
      // Changes are possible again.
      ASSERT_TRUE(world.Make({Change::kPut, "b", {100, 2}}).ok());
      ASSERT_TRUE(world.Make({Change::kAppend, "b", {101, 2}}).ok());
      world.Close();
      world.files().Crash(seed);
      ASSERT_TRUE(world.Open().ok());
      ASSERT_NO_FATAL_FAILURE(world.CheckStrictly());
    }
  }
}

// Versions that a process saw when it opened the directory must survive, too, because clients were
// told about them.
TEST(KeySetDirectoryCrashTest, WhatWasSeenAfterAKillSurvivesACrash) {
  const int64_t first = World().files().operations();
  const int64_t end = OperationsOfARun();
  for (int64_t operation = first; operation <= end; operation += kOperationStep) {
    SCOPED_TRACE(absl::StrCat("operation ", operation));
    World world;
    world.files().StopAt(operation);
    RunChanges(world).IgnoreError();
    world.Close();
    world.files().Restart();
    ASSERT_TRUE(world.Open().ok());
    ASSERT_NO_FATAL_FAILURE(world.Check());
    world.Close();
    world.files().Crash(static_cast<uint64_t>(operation));
    ASSERT_TRUE(world.Open().ok());
    ASSERT_NO_FATAL_FAILURE(world.CheckStrictly());
  }
}

// After a kill, the machine stops while the next process opens the directory.
TEST(KeySetDirectoryCrashTest, ACrashWhileOpeningAfterAKillLosesNothing) {
  const int64_t end = OperationsOfARun();
  for (int64_t operation = World().files().operations(); operation <= end;
       operation += kOperationStep) {
    for (int64_t later = 0; later < 12; ++later) {
      SCOPED_TRACE(absl::StrCat("operation ", operation, " and ", later));
      World world;
      world.files().StopAt(operation);
      RunChanges(world).IgnoreError();
      world.Close();
      world.files().StopAt(world.files().operations() + later);
      const bool opened = world.Open().ok();
      world.Close();
      world.files().Crash(static_cast<uint64_t>(operation * 100 + later));
      ASSERT_TRUE(world.Open().ok());
      ASSERT_NO_FATAL_FAILURE(world.Check());
      if (opened) break;
    }
  }
}

TEST(KeySetDirectoryCrashTest, ACrashWhileOpeningAfterACrashLosesNothing) {
  const int64_t end = OperationsOfARun();
  for (int64_t operation = World().files().operations(); operation <= end;
       operation += 3 * kOperationStep) {
    for (int64_t later = 0; later < 40; later += 2) {
      SCOPED_TRACE(absl::StrCat("operation ", operation, " and ", later));
      World world;
      world.files().StopAt(operation);
      RunChanges(world).IgnoreError();
      world.Close();
      world.files().Crash(static_cast<uint64_t>(operation + later));
      world.files().StopAt(world.files().operations() + later);
      const bool opened = world.Open().ok();
      world.Close();
      world.files().Crash(static_cast<uint64_t>(later));
      ASSERT_TRUE(world.Open().ok());
      ASSERT_NO_FATAL_FAILURE(world.Check());
      if (opened) break;
    }
  }
}

// After a failed change, the writer continues from the earlier version. A reader that has seen the
// failed change must not take that change's rows for a part of the next version.
TEST(KeySetDirectoryCrashTest, AChangeThatFailsLeavesTheVersionBeforeIt) {
  const int64_t first = World().files().operations();
  const int64_t end = OperationsOfARun();
  for (const bool effect : {false, true}) {
    for (int64_t operation = first; operation < end; operation += kOperationStep) {
      SCOPED_TRACE(absl::StrCat("operation ", operation, effect ? ", with effect" : ""));
      World world;
      world.files().FailAt(operation, effect);
      if (!world.Open().ok() || !world.directory().notes().empty()) {
        world.Close();
        ASSERT_TRUE(world.Open().ok());
      }
      const auto reader =
          KeySetDirectory::Open(&world.files(), "/sets", KeySetDirectory::Mode::kReader).value();
      std::map<std::string, std::shared_ptr<const KeySet>> current;
      const auto read = [&](const std::string& name) {
        const auto seen = reader->Load(name, world.budget(), current[name]);
        ASSERT_TRUE(seen.ok() || absl::IsNotFound(seen.status())) << seen.status();
        ASSERT_TRUE(world.IsAllowed(name, seen.ok() ? seen->get() : nullptr));
        current[name] = seen.ok() ? *seen : nullptr;
      };
      for (Change change : Changes()) {
        const absl::Status status = world.Make(change);
        ASSERT_NO_FATAL_FAILURE(read(change.name));
        if (status.ok()) continue;
        ASSERT_NO_FATAL_FAILURE(world.CheckStrictly());
        // Another change takes the place of the failed one.
        change.part.seed += 1000;
        ASSERT_TRUE(world.Make(change).ok());
        ASSERT_NO_FATAL_FAILURE(read(change.name));
      }
      ASSERT_NO_FATAL_FAILURE(world.CheckStrictly());
      world.Close();
      world.files().Crash(static_cast<uint64_t>(operation));
      ASSERT_TRUE(world.Open().ok());
      ASSERT_NO_FATAL_FAILURE(world.CheckStrictly());
    }
  }
}

}  // namespace
}  // namespace qkserve
