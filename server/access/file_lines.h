#ifndef QKSERVE_SERVER_ACCESS_FILE_LINES_H_
#define QKSERVE_SERVER_ACCESS_FILE_LINES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace qkserve {

// The lines of a file that people write. Spaces and tabs separate words. Lines end in LF or CR LF.
// Empty lines are passed over. A word that begins with '#' begins a comment, which ends with the
// line.
class FileLines {
 public:
  // `text` must outlive this object.
  explicit FileLines(absl::string_view text) : rest_(text) {}

  // Goes to the next line that has words. Returns false if no such line follows.
  bool Next();

  // The words of the current line, at least one.
  const std::vector<absl::string_view>& words() const { return words_; }

  // Returns INVALID_ARGUMENT with the text "line 3: MESSAGE".
  absl::Status Error(absl::string_view message) const;

  // Returns an Error unless a caller may have this name.
  absl::Status CheckIdentity(absl::string_view name) const;

 private:
  absl::string_view rest_;
  std::vector<absl::string_view> words_;
  int line_ = 0;
};

// Returns a word of a file as an error shows it: escaped, and cut after 64 bytes.
std::string ShownWord(absl::string_view word);

}  // namespace qkserve

#endif  // QKSERVE_SERVER_ACCESS_FILE_LINES_H_
