#ifndef BASE_CLOCK_H_
#define BASE_CLOCK_H_

inline int ApplicationClock() { return 1; }

#endif  // BASE_CLOCK_H_
