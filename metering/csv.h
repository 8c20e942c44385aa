// CSV as RFC 4180 has it, written: CRLF, cells in quotes where they must be, UTF-8 left as it is. What came from outside is text and must not become
// a formula in the program that opens the file: a text that begins like one is led by an apostrophe (OWASP, CSV injection). Numbers stay numbers.
// Used by exports. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace licet::metering {

class CsvRow {
  public:
    explicit CsvRow(std::string& out) : out_(out) {}
    // Any text. One that begins with = + - @ (in full width too) TAB CR LF gets a leading apostrophe; so does one that begins with an apostrophe
    // before one of those, so that what was written can be told from what was escaped.
    CsvRow& text(std::string_view cell);
    // Of our own making: a number, a date, an identifier of a fixed alphabet. Written as it is, in quotes where it must be.
    CsvRow& raw(std::string_view cell);
    CsvRow& number(std::uint64_t value);
    CsvRow& empty() { return raw({}); }
    void end();

  private:
    void separate();
    std::string& out_;
    bool first_ = true;
};

}  // namespace licet::metering
