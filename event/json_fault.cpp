#include "event/json_fault.h"

#include <vector>

#include "event/json_text.h"

namespace licet::event {
namespace {

constexpr std::size_t kPointerDepthMax = 16;
constexpr std::size_t kPointerTokenMaxBytes = 128;

// Containers are kept on a stack of their own: depth costs no recursion.
class Checker {
  public:
    explicit Checker(std::string_view text) : text_(text) {}

    std::optional<JsonFault> run() {
        if (document()) return std::nullopt;
        return JsonFault{pointer(), at_, what_};
    }

  private:
    struct Level {
        bool object;
        std::size_t index = 0;  // of an array's element
        std::string_view key;   // of an object's member: its token with quotes
    };

    bool fail(const char* what) {
        what_ = what;
        return false;
    }
    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    [[nodiscard]] bool ended() const { return at_ >= text_.size(); }
    void space() {
        while (!ended() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) ++at_;
    }
    static bool digit(char c) { return c >= '0' && c <= '9'; }

    bool document() {
        if (!value()) return false;
        while (!levels_.empty())
            if (!next()) return false;
        space();
        return ended() || fail("something follows the document");
    }

    // A scalar whole, a container up to its first value (which is then read) or its end.
    bool value() {
        for (;;) {
            space();
            const char c = peek();
            if (c == '{' || c == '[') {
                ++at_;
                if (levels_.size() == kJsonDepthMax) return fail("nested too deep");
                levels_.push_back({c == '{', 0, {}});
                space();
                if (peek() == (c == '{' ? '}' : ']')) return ++at_, levels_.pop_back(), true;
                if (c == '{' && !key()) return false;
                continue;
            }
            if (c == '"') return string();
            if (c == 't') return word("true");
            if (c == 'f') return word("false");
            if (c == 'n') return word("null");
            if (c == '-' || digit(c)) return number();
            return fail(ended() ? "ends where a value is expected" : "a value is expected");
        }
    }

    // After a value inside a container: its end, or the next value.
    bool next() {
        space();
        const bool object = levels_.back().object;
        const char c = peek();
        if (c == (object ? '}' : ']') && !ended()) return ++at_, levels_.pop_back(), true;
        if (c != ',') return fail(ended() ? "ends inside an object or array" : "a comma or the end of the object or array is expected");
        ++at_;
        ++levels_.back().index;
        if (object && !key()) return false;
        return value();
    }

    bool key() {
        space();
        levels_.back().key = {};
        const std::size_t begin = at_;
        if (peek() != '"') return fail("a key is expected");
        if (!string()) return false;
        levels_.back().key = text_.substr(begin, at_ - begin);
        space();
        if (peek() != ':') return fail("a colon is expected");
        ++at_;
        return true;
    }

    bool word(std::string_view expected) {
        if (text_.substr(at_, expected.size()) != expected) return fail("a value is expected");
        at_ += expected.size();
        return true;
    }

    bool digits() {
        if (!digit(peek())) return fail("a digit is expected");
        while (digit(peek())) ++at_;
        return true;
    }
    bool number() {
        if (peek() == '-') ++at_;
        if (peek() == '0')
            ++at_;
        else if (!digits())
            return false;
        if (peek() == '.' && (++at_, !digits())) return false;
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-') ++at_;
            if (!digits()) return false;
        }
        return true;
    }

    bool hex4(unsigned& unit) {
        unit = 0;
        for (int i = 0; i < 4; ++i, ++at_) {
            const char c = peek();
            const int d = digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
            if (d < 0) return fail("four hexadecimal digits are expected");
            unit = unit << 4 | static_cast<unsigned>(d);
        }
        return true;
    }
    bool escape() {
        const char c = peek();
        ++at_;
        if (c != 'u') return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos || (--at_, fail("no such escape"));
        unsigned unit = 0;
        if (!hex4(unit)) return false;
        if (unit < 0xD800 || unit > 0xDFFF) return true;
        unsigned low = 0;
        if (unit > 0xDBFF || text_.substr(at_, 2) != "\\u") return fail("a surrogate without its pair");
        at_ += 2;
        return hex4(low) && ((low >= 0xDC00 && low <= 0xDFFF) || fail("a surrogate without its pair"));
    }
    bool string() {
        for (++at_; !ended();) {
            const char c = peek();
            if (c == '"') return ++at_, true;
            if (static_cast<unsigned char>(c) < 0x20) return fail("a control character must be escaped");
            if (c == '\\') {
                ++at_;
                if (!escape()) return false;
                continue;
            }
            const std::size_t size = code_point_size(text_.substr(at_, 4));
            if (size == 0) return fail("not UTF-8");
            at_ += size;
        }
        return fail("the string does not end");
    }

    [[nodiscard]] std::string pointer() const {
        std::string out, key;
        for (std::size_t i = 0; i < levels_.size() && i < kPointerDepthMax; ++i) {
            const Level& level = levels_[i];
            if (!level.object) {
                out += "/" + std::to_string(level.index);
                continue;
            }
            if (level.key.empty() || level.key.size() > kPointerTokenMaxBytes || !unescape_json(level.key, key)) break;
            out += "/" + pointer_token(key);
        }
        return out;
    }

    const std::string_view text_;
    std::size_t at_ = 0;
    std::vector<Level> levels_;
    const char* what_ = "";
};

}  // namespace

std::optional<JsonFault> find_json_fault(std::string_view text) { return Checker(text).run(); }

}  // namespace licet::event
