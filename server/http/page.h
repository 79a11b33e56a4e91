#ifndef QKSERVE_SERVER_HTTP_PAGE_H_
#define QKSERVE_SERVER_HTTP_PAGE_H_

namespace qkserve {

// page.html, with the style and the scripts beside it in their places, which is put into the
// program when it is built. Each @NONCE@ in it is replaced by the answer's nonce.
extern const char kPageHtml[];

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_PAGE_H_
