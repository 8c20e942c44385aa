// The tape against a plain model of what was appended: a list of frames.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "base/limits.h"
#include "server/stream/delivery/tape.h"

using namespace licet;
using stream::Tape;

namespace {

std::string all_of(const Tape& t, std::uint64_t from, std::uint64_t to) {
    std::string out;
    while (from < to) {
        const auto piece = t.bytes(from, to);
        REQUIRE_FALSE(piece.empty());
        out += piece;
        from += piece.size();
    }
    return out;
}

struct Frame {
    Offset offset;
    std::uint64_t begin, end, billed, subject;
};
// What a tape must be, said the slow way.
struct Model {
    std::string bytes;
    std::vector<Frame> frames;
    Offset head = 0;

    Offset next_event(std::uint64_t at) const {
        for (const auto& f : frames)
            if (f.end > at) return f.offset;
        return head;
    }
    std::uint64_t position_of(Offset offset, std::uint64_t start) const {
        std::uint64_t at = start;
        for (const auto& f : frames) {
            if (f.offset >= offset) return std::max(start, f.begin);
            at = std::max(start, f.end);
        }
        return at;
    }
    const Frame* around(std::uint64_t at) const {
        for (const auto& f : frames)
            if (f.begin < at && at < f.end) return &f;
        return nullptr;
    }
};

}  // namespace

TEST_CASE("a tape of nothing is all boundary") {
    Tape t(7);
    CHECK(t.begin() == 7);
    CHECK(t.head() == 7);
    CHECK(t.size() == 0);
    CHECK(t.at_boundary(0));
    CHECK(t.next_event(0) == 7);
    CHECK(t.bytes(0, 0).empty());
    CHECK(t.completed(0, 0).events == 0);
    CHECK(t.totals(0, 100).events == 0);
    t.advance(20);  // thirteen withheld
    CHECK(t.head() == 20);
    CHECK(t.size() == 0);
    CHECK(t.position_of(9) == 0);
    CHECK(t.limit_for(9) == 0);
}

TEST_CASE("bytes of no event come before events and after them") {
    Tape t(0);
    t.append_raw("HEAD ");
    CHECK_FALSE(t.at_boundary(3));
    CHECK(t.frame_end(3) == 5);
    t.append_event(0, "aaaa", 2, 0);
    t.append_event(2, "bb", 1, 0);
    t.append_raw("]");
    CHECK(all_of(t, 0, t.end()) == "HEAD aaaabb]");
    CHECK(t.position_of(0) == 0);  // the head goes with the first event: neither leaves without the other's intent
    CHECK(t.position_of(1) == 9);
    CHECK(t.next_event(9) == 2);
    CHECK(t.next_event(11) == 3);
    CHECK(t.completed(0, 9).events == 1);
    CHECK(t.completed(9, 12).last == 2);
    CHECK(t.limit_for(3) == 12);
}

TEST_CASE("a cut tape is inside a frame at its first byte") {
    Tape whole(4);
    whole.append_event(4, "0123456789", 5, 1);
    whole.append_event(6, "abc", 2, 2);
    Tape cut(4, true);
    cut.append_part(whole, 3, 10);
    CHECK_FALSE(cut.at_boundary(0));
    CHECK(cut.frame_end(0) == 7);
    CHECK(cut.at_boundary(7));
    CHECK(all_of(cut, 0, cut.end()) == "3456789");
    CHECK(cut.head() == 5);
    CHECK(cut.next_event(0) == 4);
    CHECK(cut.totals(0, 9).billed == 5);
    // Cut again at its own first byte: still inside.
    Tape again(4, !cut.at_boundary(0));
    again.append_part(cut, 0, 7);
    CHECK_FALSE(again.at_boundary(0));
    CHECK(all_of(again, 0, 7) == "3456789");

    // A response head that was begun.
    Tape head(9);
    head.append_raw("HTTP/1.1 200 OK\r\n\r\n");
    Tape rest(9, true);
    rest.append_part(head, 4, head.end());
    CHECK_FALSE(rest.at_boundary(0));
    CHECK(rest.frame_end(0) == rest.end());
    CHECK(rest.head() == 9);
}

TEST_CASE("parts are taken over contiguous, whatever chunks they came from") {
    Tape t(0);
    std::string expected;
    for (Offset o = 0; o < 5; ++o) {
        const std::string frame(limits::tape_chunk_bytes / 2 + 10, static_cast<char>('a' + o));
        t.append_event(o, frame, 10 * (o + 1), o);
        expected += frame;
    }
    CHECK(t.bytes(0, t.end()).size() < t.end());
    Tape part(1);
    const auto from = t.position_of(1), to = t.position_of(4);
    part.append_part(t, from, to);
    CHECK(part.bytes(0, part.end()).size() == to - from);  // one piece: a TLS record under way is offered again whole
    CHECK(part.bytes(0, part.end()) == std::string_view(expected).substr(from, to - from));
    CHECK(part.totals(0, 9).events == 3);
    CHECK(part.totals(0, 9).billed == 20 + 30 + 40);
    CHECK(part.totals(2, 3).billed == 30);
    part.append_event(4, "tail", 1, 0);
    CHECK(part.totals(2, 5).billed == 30 + 40 + 1);
}

TEST_CASE("trimming drops whole chunks and keeps at least the last one") {
    Tape t(0);
    const std::string frame(limits::tape_chunk_bytes / 4, 'x');
    for (Offset o = 0; o < 40; ++o) t.append_event(2 * o, frame, 3, 1000 + o);
    const auto most = 3 * limits::tape_chunk_bytes;
    const auto start = t.trimmed_start(most);
    t.trim(most);
    CHECK(t.start() == start);
    CHECK(t.size() <= most);
    CHECK(t.size() > most - limits::tape_chunk_bytes);
    CHECK(t.at_boundary(t.start()));
    CHECK(t.position_of(t.begin()) == t.start());
    CHECK(t.next_event(t.start()) >= t.begin());
    CHECK_FALSE(t.names(1000, t.start()));
    CHECK(t.names(1039, t.start()));
    // Billed sums are of what was asked for, not of what was dropped.
    CHECK(t.totals(76, 80).billed == 6);
    CHECK(t.totals(0, 80).events * 3 == t.totals(0, 80).billed);
    t.trim(0);
    CHECK(t.size() > 0);
    CHECK(t.size() <= limits::tape_chunk_bytes);

    Tape huge(0);
    huge.append_event(0, std::string(3 * limits::tape_chunk_bytes, 'h'), 1, 0);
    huge.append_event(1, "small", 1, 0);
    huge.trim(16);
    CHECK(huge.size() == 5);
    CHECK(huge.begin() == 1);
}

TEST_CASE("a subject is found only where its frames are") {
    Tape t(0);
    t.append_event(0, "aaaa", 0, 1);
    t.append_event(1, "bbbb", 0, 2);
    t.append_event(2, "cccc", 0, 1);
    CHECK(t.names(1, 0));
    CHECK(t.names(2, 7));
    CHECK_FALSE(t.names(2, 8));
    CHECK(t.names(1, 8));
    CHECK_FALSE(t.names(1, 12));
    CHECK(t.names_within(1, 0, 1));
    CHECK(t.names_within(1, 3, 4));
    CHECK_FALSE(t.names_within(1, 4, 8));
    CHECK(t.names_within(2, 4, 5));
    CHECK(t.names_within(1, 4, 9));
    CHECK(t.names_within(1, 7, 9));
    CHECK_FALSE(t.names_within(3, 0, 12));
}

TEST_CASE("a tape agrees with a list of frames, through random appends and trims") {
    std::mt19937 random(20261121);
    for (int round = 0; round < 40; ++round) {
        const Offset first = random() % 1000;
        Tape t(first);
        Model model;
        model.head = first;
        for (int step = 0; step < 200; ++step) {
            const Offset offset = model.head + random() % 3;
            if (random() % 8 == 0) {
                t.advance(offset + 1);
            } else {
                const std::size_t size = random() % 50 == 0 ? 1 + random() % 400'000 : 1 + random() % 3000;
                const std::string frame(size, static_cast<char>('!' + random() % 90));
                const std::uint64_t billed = random() % 100, subject = random() % 5;
                t.append_event(offset, frame, billed, subject);
                model.frames.push_back({offset, model.bytes.size(), model.bytes.size() + size, billed, subject});
                model.bytes += frame;
            }
            model.head = offset + 1;
            if (random() % 30 == 0) {
                const auto most = random() % 600'000;
                const auto expected = t.trimmed_start(most);
                t.trim(most);
                REQUIRE(t.start() == expected);
            }
            REQUIRE(t.end() == model.bytes.size());
            REQUIRE(t.head() == model.head);
            REQUIRE(model.around(t.start()) == nullptr);  // a frame is never cut
            const std::uint64_t at = t.start() + random() % (t.size() + 1), to = at + random() % (t.end() - at + 1);
            REQUIRE(t.next_event(at) == model.next_event(at));
            const Frame* inside = model.around(at);
            REQUIRE(t.at_boundary(at) == (inside == nullptr));
            REQUIRE(t.frame_end(at) == (inside ? inside->end : at));
            if (at < to) REQUIRE(t.bytes(at, to) == std::string_view(model.bytes).substr(at, t.bytes(at, to).size()));
            const Offset from_offset = t.begin() + random() % (t.head() - t.begin() + 1), to_offset = from_offset + random() % 50;
            REQUIRE(t.position_of(from_offset) == model.position_of(from_offset, t.start()));
            std::uint64_t events = 0, billed = 0, completed = 0;
            bool names = false, within = false;
            const std::uint64_t subject = random() % 5;
            for (const auto& f : model.frames) {
                if (f.end <= t.start()) continue;
                if (f.offset >= from_offset && f.offset < to_offset) ++events, billed += f.billed;
                if (f.end > at && f.end <= to) ++completed;
                names = names || (f.subject == subject && f.end > at);
                within = within || (f.subject == subject && f.begin < to && f.end > at);
            }
            REQUIRE(t.totals(from_offset, to_offset).events == events);
            REQUIRE(t.totals(from_offset, to_offset).billed == billed);
            REQUIRE(t.completed(at, to).events == completed);
            REQUIRE(t.names(subject, at) == names);
            REQUIRE(t.names_within(subject, at, to) == (within && at < to));
        }
    }
}
