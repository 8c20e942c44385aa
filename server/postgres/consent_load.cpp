#include "server/postgres/consent_load.h"

#include <array>
#include <charconv>
#include <stdexcept>
#include <string_view>

namespace licet::postgres {
namespace {

constexpr std::array kColumns = {"subject",  "purpose", "status", "valid_until", "revision", "position", "withdrawn_revision", "withdrawn_position",
                                 "recipient"};

[[noreturn]] void malformed() { throw std::runtime_error("a row of consents is not as it should be"); }

// The fields of one line of COPY's text format. What is escaped in a purpose stays so: no purpose that is known has anything to escape.
class Line {
  public:
    explicit Line(std::string_view text) : rest_(text) {}
    std::string_view field() {
        if (ended_) malformed();
        const auto tab = rest_.find('\t');
        ended_ = tab == std::string_view::npos;
        const auto out = rest_.substr(0, tab);
        if (!ended_) rest_.remove_prefix(tab + 1);
        return out;
    }
    template <class Int>
    Int number() {
        const auto text = field();
        Int out{};
        const auto done = std::from_chars(text.data(), text.data() + text.size(), out);
        if (done.ec != std::errc{} || done.ptr != text.data() + text.size()) malformed();
        return out;
    }
    SubjectKey subject() {
        const auto text = field();
        SubjectKey out;
        if (text.size() != 3 + 2 * out.bytes.size() || !text.starts_with("\\\\x")) malformed();
        for (std::size_t i = 0; i < out.bytes.size(); ++i)
            out.bytes[i] = static_cast<std::uint8_t>(nibble(text[3 + 2 * i]) << 4 | nibble(text[4 + 2 * i]));
        return out;
    }

  private:
    static unsigned nibble(char c) {
        if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
        if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
        malformed();
    }
    std::string_view rest_;
    bool ended_ = false;
};

}  // namespace

std::uint64_t load_consents(pqxx::work& t, const std::function<void(const ports::ConsentRow&)>& take) {
    t.exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    const auto revision = t.exec1("SELECT consent_revision FROM regional_epoch")[0].as<std::uint64_t>();
    t.exec("SET LOCAL bytea_output = 'hex'");
    pqxx::stream_from rows(t, "consents", kColumns);
    std::string text;
    ports::ConsentRow row;  // one for all: its texts keep their memory
    while (rows.get_raw_line(text)) {
        if (text.ends_with('\n')) text.pop_back();
        if (text.empty()) continue;  // what ends the stream
        Line line(text);
        row.subject = line.subject();
        row.purpose = line.field();
        row.status = line.field();
        row.valid_until = {line.number<std::int64_t>()};
        row.revision = line.number<std::uint64_t>();
        row.position = line.number<std::uint64_t>();
        row.withdrawn_revision = line.number<std::uint64_t>();
        row.withdrawn_position = line.number<std::uint64_t>();
        row.recipient = line.number<std::uint16_t>();
        take(row);
    }
    rows.complete();
    return revision;
}

}  // namespace licet::postgres
