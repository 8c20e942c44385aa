// The one compilation of what Asio needs for TLS; the rest of it is in server/stream/asio.cpp.
#include <boost/asio/ssl/impl/src.hpp>
