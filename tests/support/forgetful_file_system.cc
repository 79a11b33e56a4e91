#include "tests/support/forgetful_file_system.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_split.h"

namespace qkserve {

struct ForgetfulFileSystem::Node {
  explicit Node(bool directory) : is_directory(directory) {}
  const bool is_directory;
  std::string data, synced_data;                           // contents, if it is a file
  std::map<std::string, NodePointer> names, synced_names;  // entries, if it is a directory
};

class ForgetfulWritableFile : public WritableFile {
 public:
  ForgetfulWritableFile(ForgetfulFileSystem* files, ForgetfulFileSystem::NodePointer node)
      : files_(files), node_(std::move(node)) {}

  absl::Status WriteAt(int64_t offset, const std::byte* data, int64_t size) override {
    MutexLock lock(&files_->mutex_);
    const ForgetfulFileSystem::Outcome outcome = files_->NextOperation();
    if (outcome != ForgetfulFileSystem::Outcome::kFails && size > 0) {
      const auto end = static_cast<size_t>(offset + size);
      if (node_->data.size() < end) node_->data.resize(end);
      std::memcpy(node_->data.data() + offset, data, static_cast<size_t>(size));
    }
    return ForgetfulFileSystem::ToStatus(outcome);
  }
  absl::Status Sync() override {
    MutexLock lock(&files_->mutex_);
    const ForgetfulFileSystem::Outcome outcome = files_->NextOperation();
    if (outcome != ForgetfulFileSystem::Outcome::kFails) node_->synced_data = node_->data;
    return ForgetfulFileSystem::ToStatus(outcome);
  }
  absl::Status Close() override { return absl::OkStatus(); }

 private:
  ForgetfulFileSystem* const files_;
  const ForgetfulFileSystem::NodePointer node_;
};

namespace {

class MemoryFile : public ReadableFile {
 public:
  explicit MemoryFile(std::string data) : data_(std::move(data)) {}
  int64_t size() const override { return static_cast<int64_t>(data_.size()); }
  absl::Status ReadAt(int64_t offset, int64_t bytes, std::byte* to) const override {
    if (offset + bytes > size()) return absl::DataLossError("ends early");
    if (bytes > 0) std::memcpy(to, data_.data() + offset, static_cast<size_t>(bytes));
    return absl::OkStatus();
  }

 private:
  const std::string data_;
};

}  // namespace

class ForgetfulFileLock : public FileLock {
 public:
  ForgetfulFileLock(ForgetfulFileSystem* files, std::string path)
      : files_(files), path_(std::move(path)) {}
  ~ForgetfulFileLock() override {
    MutexLock lock(&files_->mutex_);
    files_->locks_.erase(path_);
  }
  // Locks are not files here.
  absl::Status Check() const override { return absl::OkStatus(); }

 private:
  ForgetfulFileSystem* const files_;
  const std::string path_;
};

ForgetfulFileSystem::ForgetfulFileSystem() : root_(std::make_shared<Node>(true)) {}
ForgetfulFileSystem::~ForgetfulFileSystem() = default;

int64_t ForgetfulFileSystem::operations() const {
  MutexLock lock(&mutex_);
  return operations_;
}

void ForgetfulFileSystem::StopAt(int64_t operation) {
  MutexLock lock(&mutex_);
  stop_at_ = operation;
}

void ForgetfulFileSystem::FailAt(int64_t operation, bool effect) {
  MutexLock lock(&mutex_);
  fail_at_ = operation;
  fail_with_effect_ = effect;
}

void ForgetfulFileSystem::Restart() { StopAt(std::numeric_limits<int64_t>::max()); }

void ForgetfulFileSystem::Crash(uint64_t seed) {
  Restart();
  MutexLock lock(&mutex_);
  std::mt19937_64 random(seed);
  for (const Changes& changes : unsynced_) {
    if (random() % 2 == 0) continue;
    for (const Change& change : changes) {
      change.directory->synced_names.erase(change.name);
      if (change.to != nullptr) change.directory->synced_names.emplace(change.name, change.to);
    }
  }
  unsynced_.clear();
  Forget(*root_, random);
}

void ForgetfulFileSystem::Forget(Node& node, std::mt19937_64& random) {
  node.names = node.synced_names;
  for (const auto& [name, child] : node.names) Forget(*child, random);
  if (node.data == node.synced_data) return;
  // The file keeps its synced bytes, all bytes, only the beginning of all bytes, or only its size
  // (with zeros).
  const uint64_t choice = random() % 4;
  if (choice == 0) node.data = node.synced_data;
  if (choice == 2) node.data.resize(random() % (node.data.size() + 1));
  if (choice == 3) std::fill(node.data.begin(), node.data.end(), '\0');
  node.synced_data = node.data;
}

ForgetfulFileSystem::Outcome ForgetfulFileSystem::NextOperation() {
  const int64_t operation = operations_++;
  if (operation >= stop_at_) return Outcome::kFails;
  if (operation == fail_at_) return fail_with_effect_ ? Outcome::kFailsWithEffect : Outcome::kFails;
  return Outcome::kDone;
}

absl::Status ForgetfulFileSystem::ToStatus(Outcome outcome) {
  return outcome == Outcome::kDone ? absl::OkStatus() : absl::UnknownError("injected failure");
}

ForgetfulFileSystem::NodePointer ForgetfulFileSystem::Find(const std::string& path) {
  NodePointer node = root_;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    const auto found = node->names.find(std::string(part));
    if (found == node->names.end()) return nullptr;
    node = found->second;
  }
  return node;
}

ForgetfulFileSystem::NodePointer ForgetfulFileSystem::FindParent(const std::string& path,
                                                                 std::string* name) {
  const size_t slash = path.find_last_of('/');
  *name = path.substr(slash + 1);
  NodePointer parent = Find(slash == std::string::npos ? "" : path.substr(0, slash));
  return parent != nullptr && parent->is_directory ? parent : nullptr;
}

absl::Status ForgetfulFileSystem::Apply(Changes changes) {
  const Outcome outcome = NextOperation();
  if (outcome == Outcome::kFails) return ToStatus(outcome);
  for (const Change& change : changes) {
    change.directory->names.erase(change.name);
    if (change.to != nullptr) change.directory->names.emplace(change.name, change.to);
  }
  unsynced_.push_back(std::move(changes));
  return ToStatus(outcome);
}

absl::StatusOr<std::unique_ptr<WritableFile>> ForgetfulFileSystem::Create(const std::string& path) {
  MutexLock lock(&mutex_);
  std::string name;
  const NodePointer parent = FindParent(path, &name);
  if (parent == nullptr) return absl::NotFoundError(path);
  // A real file system would empty an existing file. A new node has the same effect, and the old
  // node can still come back after a crash.
  auto node = std::make_shared<Node>(false);
  absl::Status status = Apply({{parent, name, node}});
  if (!status.ok()) return status;
  return std::make_unique<ForgetfulWritableFile>(this, std::move(node));
}

absl::StatusOr<std::unique_ptr<ReadableFile>> ForgetfulFileSystem::Open(const std::string& path) {
  MutexLock lock(&mutex_);
  const NodePointer node = Find(path);
  if (node == nullptr) return absl::NotFoundError(path);
  if (node->is_directory) return absl::FailedPreconditionError(path);
  return std::make_unique<MemoryFile>(node->data);
}

bool ForgetfulFileSystem::Exists(const std::string& path) {
  MutexLock lock(&mutex_);
  return Find(path) != nullptr;
}

absl::Status ForgetfulFileSystem::SyncFile(const std::string& path) {
  MutexLock lock(&mutex_);
  const NodePointer node = Find(path);
  if (node == nullptr) return absl::NotFoundError(path);
  const Outcome outcome = NextOperation();
  if (outcome != Outcome::kFails) node->synced_data = node->data;
  return ToStatus(outcome);
}

absl::Status ForgetfulFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(&mutex_);
  std::string from_name, to_name;
  const NodePointer node = Find(from);
  const NodePointer from_parent = FindParent(from, &from_name);
  const NodePointer to_parent = FindParent(to, &to_name);
  if (node == nullptr || to_parent == nullptr) return absl::NotFoundError(from);
  const NodePointer replaced = Find(to);
  if (replaced != nullptr &&
      (replaced->is_directory != node->is_directory || !replaced->names.empty())) {
    return absl::FailedPreconditionError(to);
  }
  return Apply({{from_parent, from_name, nullptr}, {to_parent, to_name, node}});
}

absl::Status ForgetfulFileSystem::Remove(const std::string& path) {
  MutexLock lock(&mutex_);
  std::string name;
  const NodePointer parent = FindParent(path, &name);
  if (parent == nullptr || parent->names.count(name) == 0) return absl::NotFoundError(path);
  return Apply({{parent, name, nullptr}});
}

absl::Status ForgetfulFileSystem::MakeDirectory(const std::string& path) {
  MutexLock lock(&mutex_);
  std::string name;
  const NodePointer parent = FindParent(path, &name);
  if (parent == nullptr) return absl::NotFoundError(path);
  if (parent->names.count(name) > 0) return absl::AlreadyExistsError(path);
  return Apply({{parent, name, std::make_shared<Node>(true)}});
}

absl::Status ForgetfulFileSystem::RemoveDirectory(const std::string& path) {
  MutexLock lock(&mutex_);
  std::string name;
  const NodePointer parent = FindParent(path, &name);
  const NodePointer node = Find(path);
  if (node == nullptr) return absl::NotFoundError(path);
  if (!node->names.empty()) return absl::FailedPreconditionError(path);
  return Apply({{parent, name, nullptr}});
}

absl::Status ForgetfulFileSystem::SyncDirectory(const std::string& path) {
  MutexLock lock(&mutex_);
  const NodePointer node = Find(path);
  if (node == nullptr) return absl::NotFoundError(path);
  const Outcome outcome = NextOperation();
  if (outcome == Outcome::kFails) return ToStatus(outcome);
  std::vector<Changes> others;
  for (Changes& changes : unsynced_) {
    const bool synced = std::any_of(changes.begin(), changes.end(),
                                    [&](const Change& change) { return change.directory == node; });
    if (!synced) {
      others.push_back(std::move(changes));
      continue;
    }
    for (const Change& change : changes) {
      change.directory->synced_names.erase(change.name);
      if (change.to != nullptr) change.directory->synced_names.emplace(change.name, change.to);
    }
  }
  unsynced_ = std::move(others);
  return ToStatus(outcome);
}

absl::StatusOr<std::vector<FileSystem::Entry>> ForgetfulFileSystem::List(const std::string& path) {
  MutexLock lock(&mutex_);
  const NodePointer node = Find(path);
  if (node == nullptr) return absl::NotFoundError(path);
  std::vector<Entry> entries;
  for (const auto& [name, child] : node->names) entries.push_back({name, child->is_directory});
  return entries;
}

absl::StatusOr<std::unique_ptr<FileLock>> ForgetfulFileSystem::Lock(const std::string& path) {
  MutexLock lock(&mutex_);
  if (!locks_.insert(path).second) return absl::FailedPreconditionError(path);
  return std::make_unique<ForgetfulFileLock>(this, path);
}

}  // namespace qkserve
