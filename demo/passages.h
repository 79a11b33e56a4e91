#ifndef QKSERVE_DEMO_PASSAGES_H_
#define QKSERVE_DEMO_PASSAGES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace qkserve {

// A piece of a text that can answer a question: a sentence or a few, an item of a list, a row of a
// table, a line of code.
struct Passage {
  std::string place;    // the file and the line in which it begins, as in "README.md:12"
  std::string text;     // on one line, at least one character
  std::string heading;  // the title above it; "": there is none
};

// Cuts a text at blank lines, at marks of lists, and behind sentences. A file whose name ends in
// .md is read as Markdown: headings stand above passages, and rows of tables and lines of code
// blocks are passages of their own. In other files a block of more than 40 lines without a blank
// one is taken for records, not prose: each line is a passage.
//
// Bytes need not be UTF-8. Linear in the text's length.
std::vector<Passage> CutIntoPassages(absl::string_view file_name, absl::string_view text);

}  // namespace qkserve

#endif  // QKSERVE_DEMO_PASSAGES_H_
