#include "metering/journal_format.h"

#include <doctest/doctest.h>

#include "metering/crc32c.h"

using namespace licet;
using namespace licet::metering;

namespace {

const JournalRecord kRecord{
    7, 42, RecordKind::delivered, {3}, {5}, {2}, {0xFEDCBA98}, 1000, 70'000'000'000, 69, 123'456'789'012, {1'795'000'000'123}, {0xFEDCBA9876543210}};

}  // namespace

TEST_CASE("CRC-32C agrees with the published check values") {
    CHECK(crc32c("123456789") == 0xE3069283u);
    CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);  // RFC 3720 B.4
    CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43u);
    CHECK(crc32c("") == 0u);
}

TEST_CASE("a record is read back as written") {
    ChainHash previous;
    for (std::size_t i = 0; i < previous.size(); ++i) previous[i] = static_cast<std::uint8_t>(i * 7);
    std::string bytes = "before";
    append_record(kRecord, previous, bytes);
    REQUIRE(bytes.size() == 6 + kRecordBytes);
    const auto read = read_record(std::string_view(bytes).substr(6));
    REQUIRE(read);
    CHECK(read->record == kRecord);
    CHECK(read->previous == previous);
}

TEST_CASE("no changed bit and no missing byte goes unnoticed") {
    std::string bytes;
    append_record(kRecord, {}, bytes);
    for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
        std::string changed = bytes;
        changed[i / 8] = static_cast<char>(changed[i / 8] ^ (1 << (i % 8)));
        CHECK_FALSE(read_record(changed));
    }
    for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(read_record(std::string_view(bytes).substr(0, n)));
    CHECK_FALSE(read_record(std::string(kRecordBytes, '\0')));
}

TEST_CASE("a sound checksum does not make nonsense a record") {
    const auto sealed = [](std::string bytes) {
        const auto crc = crc32c(std::string_view(bytes).substr(0, kRecordBytes - 4));
        for (std::size_t i = 0; i < 4; ++i) bytes[kRecordBytes - 4 + i] = static_cast<char>(crc >> (8 * i));
        return bytes;
    };
    std::string bytes;
    append_record(kRecord, {}, bytes);
    CHECK(read_record(sealed(bytes)));
    for (const char version : {'\0', '\3'}) {
        bytes[0] = version;
        CHECK_FALSE(read_record(sealed(bytes)));
    }
    bytes[0] = 2;
    for (const char kind : {'\0', '\10', '\xFF'}) {
        bytes[1] = kind;
        CHECK_FALSE(read_record(sealed(bytes)));
    }
    bytes[1] = 5;
    CHECK(read_record(sealed(bytes))->record.kind == RecordKind::replayed);
    // Of version 1, as it was written: no view, no replays.
    bytes[0] = 1;
    CHECK_FALSE(read_record(sealed(bytes)));
    bytes[1] = 2;
    auto older = kRecord;
    older.view = {};
    bytes.replace(104, 8, std::string(8, '\0'));
    CHECK(read_record(sealed(bytes))->record == older);
    JournalRecord backwards = kRecord;
    std::swap(backwards.from, backwards.to);
    bytes.clear();
    append_record(backwards, {}, bytes);
    CHECK_FALSE(read_record(bytes));
}
