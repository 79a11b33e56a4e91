#ifndef QKSERVE_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
#define QKSERVE_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace qkserve {

// A new directory. It is removed with its contents when the object is destroyed.
class TemporaryDirectory {
 public:
  // `name` is part of the path, for people who find the directory while the test runs.
  explicit TemporaryDirectory(absl::string_view name = "qkserve")
      : path_(absl::StrCat(testing::TempDir(), "/", name, ".XXXXXX")) {
    EXPECT_NE(mkdtemp(path_.data()), nullptr) << path_;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    EXPECT_FALSE(error) << path_ << ": " << error.message();
  }

  const std::string& path() const { return path_; }
  std::string Path(absl::string_view name) const { return absl::StrCat(path_, "/", name); }

 private:
  std::string path_;
};

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_TEMPORARY_DIRECTORY_H_
