// Text of pages.
#include "server/exports/text.h"

#include <doctest/doctest.h>

using namespace licet::exports;

TEST_CASE("what HTML cannot carry is left out of a page, all else is not") {
    CHECK(html_text("<a href=\"x\">&amp;'</a>") == "&lt;a href=&quot;x&quot;&gt;&amp;amp;'&lt;/a&gt;");
    // Controls, of one byte and of two; noncharacters of three bytes and of four.
    CHECK(html_text("a\x01.b\x7f.c\xc2\x85.d\xef\xb7\x90.e\xef\xbf\xbf.f\xf0\x9f\xbf\xbe.g") == "a .b .c .d .e .f .g");
    const char* kept = "\t\n \xc2\xa0\xc3\xa9\xef\xbf\xbd\xef\xb7\xb0\xef\xb7\x8f\xf0\x9f\xa7\xbe\xf0\x9f\xbf\xbd\xe6\xa0\xaa";
    CHECK(html_text(kept) == kept);
    CHECK(html_text("\xef") == "\xef");
    CHECK(html_text("\xf0\x9f\xbf") == "\xf0\x9f\xbf");
}
