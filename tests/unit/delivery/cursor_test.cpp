// Cursors tell nothing, and nobody but a node of the region can make one.
#include <doctest/doctest.h>

#include <set>

#include "server/openssl/crypto.h"
#include "server/stream/delivery/cursor.h"

using namespace licet;
using namespace licet::stream;

namespace {

std::unique_ptr<ports::Siv> siv(char fill) { return openssl::make_siv(as_bytes(std::string(64, fill))); }

std::string sealed(ports::Siv& key, const CursorPosition& at) {
    std::string out(kCursorText, '?');
    REQUIRE(seal_cursor(key, at, out.data()));
    return out;
}

class BrokenSiv final : public ports::Siv {
  public:
    bool seal(Bytes, Bytes, std::span<std::uint8_t>) noexcept override { return false; }
    bool open(Bytes, Bytes, std::span<std::uint8_t>) noexcept override { return false; }
};

}  // namespace

TEST_CASE("a cursor says what was sealed, equal positions are equal text, others are not") {
    auto key = siv('k');
    const CursorPosition at{{7}, {3}, {0xfffffffeu}, 0x0123456789abcdefull};
    const auto text = sealed(*key, at);
    const auto opened = open_cursor(*key, text);
    REQUIRE(opened.ok());
    CHECK(opened->product == at.product);
    CHECK(opened->partition == at.partition);
    CHECK(opened->stream_epoch == at.stream_epoch);
    CHECK(opened->next == at.next);
    CHECK(sealed(*key, at) == text);
    // Every part counts, and neighbours share nothing one could see.
    std::set<std::string> others;
    for (Offset next = 0; next < 200; ++next) others.insert(sealed(*key, {{7}, {3}, {1}, next}).substr(0, 8));
    CHECK(others.size() == 200);
    CHECK(sealed(*key, {{8}, {3}, {0xfffffffeu}, at.next}) != text);
    CHECK(sealed(*key, {{7}, {4}, {0xfffffffeu}, at.next}) != text);
    CHECK(sealed(*key, {{7}, {3}, {0xffffffffu}, at.next}) != text);
}

TEST_CASE("a changed, cut, lengthened or foreign cursor is refused") {
    auto key = siv('k'), other = siv('o');
    const auto text = sealed(*key, {{7}, {0}, {1}, 42});
    const auto refused = [&](std::string_view t) {
        const auto opened = open_cursor(*key, t);
        return !opened.ok() && opened.error().code == Errc::invalid_cursor;
    };
    for (std::size_t i = 0; i < text.size(); ++i)
        for (const char c : {'A', 'z', '=', ' ', '\0'}) {
            auto changed = text;
            if (changed[i] == c) continue;
            changed[i] = c;
            CHECK(refused(changed));
        }
    for (std::size_t size = 0; size < text.size(); ++size) CHECK(refused(text.substr(0, size)));
    CHECK(refused(text + "A"));
    CHECK(refused(sealed(*other, {{7}, {0}, {1}, 42})));
    CHECK(refused("latest"));
    BrokenSiv broken;
    std::string out(kCursorText, '?');
    CHECK_FALSE(seal_cursor(broken, {{7}, {0}, {1}, 42}, out.data()));
}

TEST_CASE("one reader's cursor says from where on and for which contract; it is no event's, nor the other way round") {
    auto key = siv('k'), other = siv('o');
    const CursorPosition at{{7}, {3}, {9}, 500, 120, {4}};
    const auto text = seal_reader_cursor(*key, at);
    CHECK(text.size() == kReaderCursorText);
    const auto opened = open_cursor(*key, text);
    REQUIRE(opened.ok());
    CHECK(opened->next == 500);
    CHECK(opened->stream_epoch == at.stream_epoch);
    CHECK(opened->since == std::optional<Offset>(120));
    CHECK(opened->contract == ContractNo{4});
    CHECK_FALSE(open_cursor(*key, sealed(*key, at))->since);
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto changed = text;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        CHECK_FALSE(open_cursor(*key, changed).ok());
    }
    for (std::size_t size = 0; size < text.size(); ++size) CHECK_FALSE(open_cursor(*key, text.substr(0, size)).ok());
    CHECK_FALSE(open_cursor(*other, text).ok());
    CHECK_FALSE(open_cursor(*key, seal_reader_cursor(*key, {{7}, {3}, {9}, 5, 6, {4}})).ok());
    CHECK(open_cursor(*key, seal_reader_cursor(*key, {{7}, {3}, {9}, 5}))->since == std::optional<Offset>(5));  // says nothing: received nothing
    BrokenSiv broken;
    CHECK(seal_reader_cursor(broken, at).empty());
}
