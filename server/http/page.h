#ifndef QKSERVE_SERVER_HTTP_PAGE_H_
#define QKSERVE_SERVER_HTTP_PAGE_H_

namespace qkserve {

// page.html, put into the program when it is built. Each @NONCE@ in it becomes the answer's own.
extern const char kPageHtml[];

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_PAGE_H_
