#ifndef QKSERVE_CORE_SCORING_REDUCERS_H_
#define QKSERVE_CORE_SCORING_REDUCERS_H_

#include "core/scoring/row_reducer.h"

namespace qkserve {

// One function for each file reducer_*.cc. Others ask ReducerOf.
const RowReducer& ScoresReducer();
const RowReducer& WeightsReducer();
const RowReducer& ContextReducer();
const RowReducer& TopKReducer();

}  // namespace qkserve

#endif  // QKSERVE_CORE_SCORING_REDUCERS_H_
