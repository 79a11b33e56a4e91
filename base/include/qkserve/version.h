#ifndef QKSERVE_VERSION_H_
#define QKSERVE_VERSION_H_

namespace qkserve {

// Semantic version of the project, from CMakeLists.txt.
inline constexpr char kVersion[] = QKSERVE_VERSION;

}  // namespace qkserve

#endif  // QKSERVE_VERSION_H_
