#ifndef QKSERVE_TESTS_SUPPORT_FOR_EACH_TARGET_H_
#define QKSERVE_TESTS_SUPPORT_FOR_EACH_TARGET_H_

#include <cstdint>

#include "gtest/gtest.h"
#include "hwy/targets.h"

namespace qkserve {

// Calls fn for each instruction set of this machine. During a call, the kernels use that set.
template <class Fn>
void ForEachTarget(const Fn& fn) {
  for (int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const int64_t target = rest & -rest;
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    fn();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

}  // namespace qkserve

#endif  // QKSERVE_TESTS_SUPPORT_FOR_EACH_TARGET_H_
