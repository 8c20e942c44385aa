#include "server/exports/jobs.h"

#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/usage_limits.h"
#include "server/xlsx/workbook.h"
#include "tests/support/fake_accounts.h"

using namespace licet;
using namespace licet::exports;
using licet::testing::FakeAccounts;
namespace fs = std::filesystem;

namespace {

class FixedClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override { return {1'795'000'000'000 + ticks_++}; }
    std::int64_t monotonic_ns() const noexcept override { return ticks_++; }

  private:
    mutable std::atomic<std::int64_t> ticks_{0};
};

struct Place_ {
    Place_() {
        std::string pattern = (fs::temp_directory_path() / "licet-jobs-XXXXXX").string();
        path = ::mkdtemp(pattern.data());
    }
    ~Place_() { fs::remove_all(path); }
    std::string path;
};

std::shared_ptr<FakeAccounts> accounts_of(std::uint64_t lines) {
    FakeAccounts::Contract c;
    c.lines = lines;
    return std::make_shared<FakeAccounts>(std::vector{c});
}

struct Bench {
    explicit Bench(std::shared_ptr<FakeAccounts> a, std::string directory) : accounts(std::move(a)) {
        parts.clock = std::make_shared<FixedClock>();
        parts.exporter = std::make_shared<Exporter>(Exporter::Parts{accounts, {{}, "eu"}, parts.clock, xlsx::make_workbook, directory});
        parts.new_id = [] {
            static std::atomic<int> next{1000};
            return "id" + std::to_string(next++);
        };
        parts.directory = std::move(directory);
        parts.retry_ms = 1;
    }
    void open() {
        auto opened = Jobs::open(parts);
        REQUIRE(opened);
        jobs = *std::move(opened);
    }
    Job ended(const std::string& id) const {
        for (;;) {
            const auto job = jobs->get(id);
            REQUIRE(job);
            if (job->state == JobState::done || job->state == JobState::failed) return *job;
            std::this_thread::yield();
        }
    }
    std::string content(const std::string& id) const {
        const auto file = jobs->content(id);
        REQUIRE(file);
        std::string out;
        for (;;) {
            const auto piece = (*file)->read(out.size(), 10'000);
            REQUIRE(piece);
            if (piece->empty()) return out;
            out += *piece;
        }
    }
    std::shared_ptr<FakeAccounts> accounts;
    Jobs::Parts parts;
    std::unique_ptr<Jobs> jobs;
};

Wanted lines(const char* format = "csv", const char* group = "") { return *parse_wanted("lines", format, "2026-11", group, ""); }

}  // namespace

TEST_CASE("a job makes what the direct report is, and says how far it is") {
    Place_ place;
    Bench bench(accounts_of(15'000), place.path);
    bench.open();
    for (const char* format : {"csv", "json"}) {
        const auto job = bench.jobs->start(lines(format), "fiona");
        REQUIRE(job);
        CHECK(job->state == JobState::waiting);
        const auto done = bench.ended(job->id);
        CHECK(done.state == JobState::done);
        CHECK(done.progress.lines == 15'000);
        CHECK(done.progress.lines_total == 15'000);
        const auto direct = bench.parts.exporter->direct(lines(format));
        REQUIRE(direct);
        CHECK(bench.content(job->id) == *direct);
        CHECK(done.bytes == direct->size());
        const auto said = nlohmann::json::parse(to_json(done));
        CHECK(said["state"] == "done");
        CHECK(said["client"] == "fiona");
        CHECK(said["content"] == "/v1/finance/exports/" + job->id + "/content");
    }
    CHECK(bench.jobs->list().size() == 2);
}

TEST_CASE("a report of too many lines is not made at once") {
    Place_ place;
    Bench bench(accounts_of(limits::export_direct_lines_max + 1), place.path);
    CHECK(bench.parts.exporter->direct(lines()).error().code == Errc::invalid_parameter);
    CHECK(bench.accounts->pages == 0);
    CHECK(bench.parts.exporter->direct(lines("xlsx")).error().code == Errc::invalid_parameter);
    CHECK(fs::is_empty(place.path));
    CHECK(bench.parts.exporter->direct(*parse_wanted("billing-period", "", "2026-11", "", "")));
}

TEST_CASE("a job goes on where it stood when the server was stopped") {
    Place_ place;
    const auto accounts = accounts_of(450'000);
    std::string id;
    std::uint64_t pages = 0;
    {
        Bench bench(accounts, place.path);
        std::mutex mutex;
        std::condition_variable reached;
        bool far = false, go = false;
        accounts->before_page = [&] {
            if (accounts->pages != 60) return;  // 300,000 lines: places at 100,000, 200,000
            std::unique_lock lock(mutex);
            far = true;
            reached.notify_all();
            reached.wait(lock, [&] { return go; });
        };
        bench.open();
        id = bench.jobs->start(lines("json"), "fiona")->id;
        std::unique_lock lock(mutex);
        reached.wait(lock, [&] { return far; });
        go = true;
        lock.unlock();
        // stop() is seen at the next page: the one at hand must not be the last.
        std::thread stopper([&] { bench.jobs->stop(); });
        reached.notify_all();
        stopper.join();
        CHECK(bench.jobs->get(id)->state != JobState::failed);
        accounts->before_page = nullptr;
        pages = accounts->pages;
    }
    const bool finished = fs::exists(place.path + "/" + id + ".data");  // it was faster than the stop
    Bench again(accounts, place.path);
    again.open();
    CHECK(again.ended(id).state == JobState::done);
    if (!finished) CHECK(accounts->pages - pages < 91 - 35);  // not from the beginning
    // The same as one made in one go.
    const auto other = again.jobs->start(lines("json"), "fiona");
    CHECK(again.ended(other->id).state == JobState::done);
    CHECK(again.content(other->id) == again.content(id));
}

TEST_CASE("what a crash left half written behind the last place is cut off") {
    Place_ place;
    const auto accounts = accounts_of(250'000);
    std::string whole, id;
    {
        Bench bench(accounts, place.path);
        bench.open();
        id = bench.jobs->start(lines(), "fiona")->id;
        CHECK(bench.ended(id).state == JobState::done);
        whole = bench.content(id);
    }
    // As if it had been killed later than the place it noted.
    std::optional<Place> noted;
    Bench maker(accounts, place.path);
    REQUIRE(maker.parts.exporter->to_file(lines(), place.path + "/x.part", std::nullopt, [&](const Progress&, const Place* p) {
        if (p != nullptr && !noted) noted = *p;
        return success();
    }));
    REQUIRE(noted);
    auto said = nlohmann::json::parse(std::ifstream(place.path + "/" + id + ".json"));
    said["state"] = "running";
    said["place"] = {{"contract", noted->contract}, {"after", noted->after},       {"ended", noted->ended},
                     {"sum", noted->sum},           {"lines", noted->lines},       {"bytes", noted->bytes},
                     {"state", noted->state},       {"accounts", noted->accounts}, {"draft", noted->draft}};
    for (const auto& tail : {std::string("half a li"), std::string()}) {
        std::ofstream(place.path + "/" + id + ".json") << said.dump();
        std::ofstream(place.path + "/" + id + ".part", std::ios::binary) << whole.substr(0, noted->bytes + (tail.empty() ? 0 : 5'000)) << tail;
        fs::remove(place.path + "/" + id + ".data");
        const auto before = accounts->pages.load();
        Bench bench(accounts, place.path);
        bench.open();
        CHECK(bench.ended(id).state == JobState::done);
        CHECK(accounts->pages - before < 35);
        CHECK(bench.content(id) == whole);
    }
    // The part is shorter than the place: from the beginning.
    std::ofstream(place.path + "/" + id + ".json") << said.dump();
    std::ofstream(place.path + "/" + id + ".part", std::ios::binary) << whole.substr(0, noted->bytes - 1);
    fs::remove(place.path + "/" + id + ".data");
    Bench bench(accounts, place.path);
    bench.open();
    CHECK(bench.ended(id).state == JobState::done);
    CHECK(bench.content(id) == whole);
}

TEST_CASE("a period that is closed while it is exported is exported anew, as it was closed") {
    Place_ place;
    const auto accounts = accounts_of(250'000);
    Bench bench(accounts, place.path);
    const auto what = lines();
    const auto quiet = [](const Progress&, const Place*) { return success(); };
    const auto content = [&](const char* name) {
        std::ifstream in(place.path + "/" + name, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    for (const std::uint64_t page : {3u, 45u}) {
        accounts->list()[0].closed = false;
        accounts->pages = 0;
        accounts->before_page = [&] {
            if (accounts->pages == page) accounts->list()[0].closed = true;
        };
        std::vector<std::uint64_t> restarts;
        REQUIRE(bench.parts.exporter->to_file(what, place.path + "/a", std::nullopt, [&](const Progress& progress, const Place*) {
            if (restarts.empty() || restarts.back() != progress.restarts) restarts.push_back(progress.restarts);
            return success();
        }));
        CHECK(restarts == std::vector<std::uint64_t>{0, 1});
        accounts->before_page = nullptr;
        REQUIRE(bench.parts.exporter->to_file(what, place.path + "/b", std::nullopt, quiet));
        CHECK(content("a") == content("b"));
        CHECK(content("a").find(",open,") == std::string::npos);
    }
    // Between two starts of the server: the place is of the draft.
    accounts->list()[0].closed = false;
    std::optional<Place> noted;
    REQUIRE(bench.parts.exporter->to_file(what, place.path + "/a", std::nullopt, [&](const Progress&, const Place* p) {
        if (p != nullptr && !noted) noted = *p;
        return success();
    }));
    REQUIRE(noted);
    accounts->list()[0].closed = true;
    REQUIRE(bench.parts.exporter->to_file(what, place.path + "/a", noted, quiet));
    CHECK(content("a") == content("b"));
}

TEST_CASE("an export within a draft that has moved is begun anew, and the job says so") {
    Place_ place;
    FakeAccounts::Contract first, second;
    first.lines = 150'000;
    second.lines = 150'000;
    second.name = "beta";
    const auto accounts = std::make_shared<FakeAccounts>(std::vector{first, second});
    Bench bench(accounts, place.path);
    const auto resumed = [&](const Place& from) {
        std::uint64_t restarts = 0;
        REQUIRE(bench.parts.exporter->to_file(lines(), place.path + "/a", from, [&](const Progress& progress, const Place*) {
            restarts = progress.restarts;
            return success();
        }));
        return restarts;
    };
    std::vector<Place> places;
    const auto make = [&] {
        places.clear();
        REQUIRE(bench.parts.exporter->to_file(lines(), place.path + "/a", std::nullopt, [&](const Progress&, const Place* p) {
            if (p != nullptr) places.push_back(*p);
            return success();
        }));
        REQUIRE(places.size() == 3);
    };
    make();
    CHECK(places[0].contract == "acme");
    CHECK(places[1].contract == "beta");
    CHECK(resumed(places[0]) == 0);
    make();
    accounts->list()[1].books.billed.events += 1;
    CHECK(resumed(places[0]) == 0);  // it is another one that moved, and was not begun
    make();
    accounts->list()[1].total += *metering::Decimal::parse("0.01");
    CHECK(resumed(places[1]) == 1);

    // A job keeps count of it over restarts.
    std::string id;
    accounts->list()[0].closed = accounts->list()[1].closed = false;
    accounts->pages = 0;
    accounts->before_page = [&] {
        if (accounts->pages == 25) accounts->list()[0].closed = accounts->list()[1].closed = true;
    };
    accounts->list()[1].total += *metering::Decimal::parse("-0.01");
    {
        Bench jobs(accounts, place.path);
        jobs.open();
        id = jobs.jobs->start(lines(), "fiona")->id;
        const auto done = jobs.ended(id);
        CHECK(done.state == JobState::done);
        CHECK(done.progress.restarts == 1);
        CHECK(jobs.content(id).find(",open,") == std::string::npos);
        accounts->before_page = nullptr;
    }
    Bench again(accounts, place.path);
    again.open();
    CHECK(nlohmann::json::parse(to_json(*again.jobs->get(id)))["restarts"] == 1);
}

TEST_CASE("a job waits for a ledger that cannot be read, and fails of what does not pass") {
    Place_ place;
    Bench bench(accounts_of(100), place.path);
    bench.accounts->unavailable = 5;
    bench.open();
    CHECK(bench.ended(bench.jobs->start(lines(), "fiona")->id).state == JobState::done);
    bench.accounts->list()[0].closed = true;
    bench.accounts->list()[0].total = *metering::Decimal::parse("1");
    const auto failed = bench.ended(bench.jobs->start(lines("xlsx"), "fiona")->id);
    CHECK(failed.state == JobState::failed);
    CHECK(failed.error == "corrupt");
    CHECK_FALSE(fs::exists(place.path + "/" + failed.id + ".part"));
    CHECK(bench.jobs->content(failed.id).error().code == Errc::conflict);
}

TEST_CASE("the oldest finished export makes room; a removed one can still be read by who has it open") {
    Place_ place;
    Bench bench(accounts_of(10), place.path);
    bench.open();
    const auto first = bench.jobs->start(lines(), "fiona")->id;
    CHECK(bench.ended(first).state == JobState::done);
    const auto open = *bench.jobs->content(first);
    for (std::size_t i = 1; i < limits::exports_max; ++i) bench.ended(bench.jobs->start(lines(), "fiona")->id);
    CHECK(bench.jobs->get(first));
    const auto last = bench.jobs->start(lines(), "fiona");
    REQUIRE(last);
    CHECK(bench.jobs->get(first).error().code == Errc::not_found);
    CHECK(open->read(0, 6).value() == "period");
    bench.ended(last->id);
    CHECK(bench.jobs->remove(last->id));
    CHECK(bench.jobs->remove(last->id).error().code == Errc::not_found);
    CHECK(bench.jobs->list().size() == limits::exports_max - 1);
}

TEST_CASE("what is not a job's note is passed over") {
    Place_ place;
    std::ofstream(place.path + "/broken.json") << "{";
    std::ofstream(place.path + "/other.json") << R"({"id":"x"})";
    Bench bench(accounts_of(10), place.path);
    bench.open();
    CHECK(bench.jobs->list().empty());
}
