// What exports cost: ten million lines made up by rule, written as every report of many lines. Every case runs in a process of its own, so that its
// memory is its own. Arguments: lines (10000000), directory for the files (/tmp). Ends with one JSON line.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "server/exports/exporter.h"
#include "server/xlsx/workbook.h"
#include "tests/support/fake_accounts.h"

namespace {

using namespace licet;
using nlohmann::json;

class WallClock final : public Clock {
  public:
    UtcMillis utc_now() const noexcept override {
        return {std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
    }
    std::int64_t monotonic_ns() const noexcept override { return std::chrono::steady_clock::now().time_since_epoch().count(); }
};

struct Case {
    const char* name;
    const char* report;
    const char* format;
    const char* group;
};
constexpr Case kCases[] = {{"csv", "lines", "csv", ""},        {"csv_by_contract_day", "lines", "csv", "contract,product,day"},
                           {"json", "lines", "json", ""},      {"focus", "cost-and-usage", "csv", ""},
                           {"invoice", "invoice", "html", ""}, {"reconciliation", "reconciliation", "json", ""},
                           {"xlsx", "lines", "xlsx", ""}};

// In a process of its own; seconds, peak memory and size as JSON on the pipe.
json measured(const Case& c, std::uint64_t lines, const std::string& directory) {
    int pipe_ends[2];
    if (::pipe(pipe_ends) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(pipe_ends[0]);
        std::vector<testing::FakeAccounts::Contract> contracts(10);
        for (std::size_t i = 0; i < contracts.size(); ++i) {
            contracts[i].name = "contract-" + std::to_string(i);
            contracts[i].lines = lines / contracts.size();
            contracts[i].closed = true;
            contracts[i].statement = i + 1;
        }
        auto accounts = std::make_shared<testing::FakeAccounts>(std::move(contracts));
        exports::Issuer issuer;
        issuer.region = "eu";
        const exports::Exporter exporter({accounts, issuer, std::make_shared<WallClock>(), xlsx::make_workbook, directory});
        const auto wanted = exports::parse_wanted(c.report, c.format, "2026-11", c.group, "");
        const std::string path = directory + "/export-bench-" + c.name;
        const auto began = std::chrono::steady_clock::now();
        const auto done = exporter.to_file(*wanted, path, std::nullopt, [](const exports::Progress&, const exports::Place*) { return success(); });
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        rusage used{};
        ::getrusage(RUSAGE_SELF, &used);
        std::error_code error;
        const json said{{"case", c.name},
                        {"ok", static_cast<bool>(done)},
                        {"detail", done ? "" : done.error().detail},
                        {"seconds", took.count()},
                        {"mib", static_cast<double>(used.ru_maxrss) / 1024},
                        {"file_mib", static_cast<double>(std::filesystem::file_size(path, error)) / (1 << 20)}};
        std::filesystem::remove(path, error);
        const std::string text = said.dump();
        const bool written = ::write(pipe_ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(written ? 0 : 1);
    }
    ::close(pipe_ends[1]);
    std::string text(64 * 1024, '\0');
    const auto got = ::read(pipe_ends[0], text.data(), text.size());
    ::close(pipe_ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return json::parse(text.substr(0, got > 0 ? static_cast<std::size_t>(got) : 0), nullptr, false);
}

}  // namespace

int main(int argc, char** argv) {
    const std::uint64_t lines = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
    const std::string directory = argc > 2 ? argv[2] : "/tmp";
    json cases = json::array();
    double slowest = 0, largest = 0;
    bool ok = true;
    for (const auto& c : kCases) {
        auto one = measured(c, lines, directory);
        if (!one.is_object() || !one.value("ok", false)) ok = false;
        std::fprintf(stderr, "%s\n", one.dump().c_str());
        if (one.is_object()) {
            slowest = std::max(slowest, one.value("seconds", 0.0));
            largest = std::max(largest, one.value("mib", 0.0));
        }
        cases.push_back(std::move(one));
    }
    std::printf("%s\n", json{{"bench", "export"}, {"lines", lines}, {"export_s", slowest}, {"export_mib", largest}, {"cases", cases}}.dump().c_str());
    return ok ? 0 : 1;
}
