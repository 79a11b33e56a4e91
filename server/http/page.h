#ifndef QKSERVE_SERVER_HTTP_PAGE_H_
#define QKSERVE_SERVER_HTTP_PAGE_H_

namespace qkserve {

// page.html with the style and the scripts from the files beside it. The build puts it into the
// program. An answer has a nonce in place of each @NONCE@.
extern const char kPageHtml[];

}  // namespace qkserve

#endif  // QKSERVE_SERVER_HTTP_PAGE_H_
