#ifndef QKSERVE_TESTS_FUZZ_ATTENTION_REFERENCE_H_
#define QKSERVE_TESTS_FUZZ_ATTENTION_REFERENCE_H_

#include <cstdint>
#include <vector>

#include "core/scoring/problem.h"

namespace qkserve {

// True if the shapes and options of the problem fit together. The rules are written again here.
bool IsValid(const AttentionProblem& problem, bool has_offset, bool log_sum_exp);

// A row of scores in float64. If the output has softcap and masks, they are applied.
struct ReferenceRow {
  std::vector<double> scores;   // -infinity: the key is not attended
  std::vector<double> weights;  // softmax of the scores
  double log_sum_exp = 0;
  int64_t key_matrix = 0;  // the matrix of the row's keys and values
};

// The rows of a valid problem, in the order of its result.
std::vector<ReferenceRow> ComputeRows(const AttentionProblem& problem);

}  // namespace qkserve

#endif  // QKSERVE_TESTS_FUZZ_ATTENTION_REFERENCE_H_
