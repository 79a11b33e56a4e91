#ifndef QKSERVE_DEMO_PASSAGES_H_
#define QKSERVE_DEMO_PASSAGES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// A piece of a text that can answer a question: one or a few sentences, an item of a list, a row of
// a table, a line of code.
struct Passage {
  std::string place;    // the file and the passage's first line, as in "README.md:12"
  std::string text;     // on one line, at least one character
  std::string heading;  // the title above the passage; "": none
};

// Cuts a text at blank lines, at list marks and after sentences. A file whose name ends in .md is
// read as Markdown. A heading there belongs to the passages below it. Each row of a table and each
// line of a code block is a passage. In other files a block of more than 40 lines without a blank
// line counts as records, not prose. Each of its lines begins a passage.
//
// The text need not be UTF-8. The time is linear in the length of the text.
std::vector<Passage> CutIntoPassages(absl::string_view file_name, absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_PASSAGES_H_
