#ifndef CLIENT_CLIENT_H_
#define CLIENT_CLIENT_H_

inline int ApplicationClient() { return 2; }

#endif  // CLIENT_CLIENT_H_
