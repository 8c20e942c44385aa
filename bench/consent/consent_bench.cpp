// What the consent index costs: a lookup, becoming ready, memory; at one and ten million records, without an end and each with its own. Every case
// runs in a process of its own, so that its memory is its own. Ends with one JSON line. README.md says what each figure is.
#include <sys/wait.h>
#include <time.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/large_memory.h"
#include "bench/support/machine.h"
#include "bench/support/report.h"
#include "policy/consent_index.h"
#include "server/app/consent_gatherer.h"
#include "server/app/consent_steps.h"

namespace {

using namespace licet;
using nlohmann::json;
using policy::ConsentIndex;

constexpr std::size_t kProbes = 1 << 20, kBatch = 1 << 14;
constexpr int kRounds = 5;
constexpr UtcMillis kNow{1'795'000'000'000};

std::uint64_t mixed(std::uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
SubjectKey key(std::uint64_t n) {  // as evenly spread as the digests that keys are
    SubjectKey out;
    const std::uint64_t halves[] = {mixed(2 * n), mixed(2 * n + 1)};
    std::memcpy(out.bytes.data(), halves, sizeof halves);
    return out;
}
double thread_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}
double resident_bytes(const char* line) {
    std::ifstream status("/proc/self/status");
    for (std::string text; std::getline(status, text);)
        if (text.starts_with(line)) return std::stod(text.substr(text.find(':') + 1)) * 1024;
    bench::die("no memory figures");
}

// Processor time per call of `each(i)`: the median over batches, each shorter than what the scheduler gives at a time.
template <class Each>
double per_call(Each&& each) {
    std::vector<double> batches;
    for (int round = 0; round < kRounds; ++round)
        for (std::size_t first = 0; first < kProbes; first += kBatch) {
            const double start = thread_ns();
            for (std::size_t i = first; i < first + kBatch; ++i) each(i);
            batches.push_back((thread_ns() - start) / kBatch);
        }
    return bench::median(batches);
}

struct Case {
    std::uint64_t records;
    bool ending;  // each record has an end of its own, the dearest case; else none has
};

// As a node does it at start: rows in no order, gathered by subject, what follows from them put into the index.
void fill(ConsentIndex& index, const Case& c, const policy::Vocabulary& vocabulary) {
    static const char* const kPurposes[] = {"dpv:ServiceManagement", "dpv:AcademicResearch", "dpv:Marketing", "dpv:ResearchAndDevelopment"};
    policy::PurposeId purposes[std::size(kPurposes)];
    for (std::size_t p = 0; p < std::size(kPurposes); ++p) purposes[p] = vocabulary.purpose(kPurposes[p]).value();
    app::ConsentGatherer gathered;
    for (std::uint64_t n = 0; n < c.records; ++n) {
        const std::uint64_t some = mixed(~n);
        const UtcMillis until = c.ending ? UtcMillis{kNow.value + 1 + static_cast<std::int64_t>(some % 31'536'000'000)} : UtcMillis{};
        gathered.add(key(n), {purposes[some % std::size(purposes)], true, until, {n + 1, 0}, std::nullopt});
    }
    gathered.take([&](const SubjectKey& subject, std::span<const app::HeldConsent> held) {
        app::put_entries(index, app::consent_entries(subject, held, vocabulary));
    });
    index.set_ready(true);
}

json measure(const Case& c) {
    const auto vocabulary = policy::builtin_vocabulary();
    std::vector<SubjectKey> known(kProbes), unknown(kProbes);
    for (std::size_t i = 0; i < kProbes; ++i) {
        known[i] = key(mixed(i) % c.records);
        unknown[i] = key(c.records + mixed(i));
    }
    const double before = resident_bytes("VmRSS");
    const std::int64_t wall = bench::now_ns();
    const double cpu = thread_ns();
    ConsentIndex index;
    fill(index, c, *vocabulary);
    const double cpu_s = (thread_ns() - cpu) / 1e9, ready_s = static_cast<double>(bench::now_ns() - wall) / 1e9;
    const double bytes = resident_bytes("VmRSS") - before, peak = resident_bytes("VmHWM") - before;
    if (index.size() != c.records) bench::die("subjects are missing");

    std::uint64_t sum = 0, found = 0;
    const double probe = per_call([&](std::size_t i) { found += !index.valid_purposes(known[i], kNow).empty(); });
    if (found != kProbes * kRounds) bench::die("consents are missing");
    const double miss = per_call([&](std::size_t i) { found += !index.valid_purposes(unknown[i], kNow).empty(); });
    if (found != kProbes * kRounds) bench::die("consents nobody gave");
    const double chained = per_call([&](std::size_t i) { sum += index.valid_purposes(known[(i + (sum & 1)) & (kProbes - 1)], kNow).words()[0]; });

    // What reading one line at random from as much memory costs on this machine, alone and when the next address depends on the line before.
    const std::size_t lines = static_cast<std::size_t>(bytes) / 64;
    const std::unique_ptr<void, void (*)(void*)> memory(take_large(lines * 64), give_back_large);
    auto* const words = static_cast<std::uint64_t*>(memory.get());
    for (std::size_t i = 0; i < lines; ++i) words[i * 8] = mixed(i);
    const auto line_of = [&](std::size_t i) { return known[i].low64() % lines * 8; };
    const double floor = per_call([&](std::size_t i) { sum += words[line_of(i)]; });
    const double chained_floor = per_call([&](std::size_t i) { sum += words[line_of((i + (sum & 1)) & (kProbes - 1))]; });
    if (sum == 0) bench::die("nothing read");
    return {{"probe_ns", probe},
            {"probe_unknown_ns", miss},
            {"probe_chained_ns", chained},
            {"line_ns", floor},
            {"line_chained_ns", chained_floor},
            {"ready_s", ready_s},
            {"ready_cpu_s", cpu_s},
            {"bytes_per_record", bytes / static_cast<double>(c.records)},
            {"peak_bytes_per_record", peak / static_cast<double>(c.records)},
            {"sets", index.distinct_sets()}};
}

json in_its_own_process(const Case& c) {
    int ends[2];
    if (::pipe(ends) != 0) bench::die("pipe");
    const pid_t child = ::fork();
    if (child < 0) bench::die("fork");
    if (child == 0) {
        const std::string text = measure(c).dump();
        const bool whole = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        std::_Exit(whole ? 0 : 1);
    }
    ::close(ends[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
    ::close(ends[0]);
    int status = 0;
    if (::waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) bench::die("a case failed");
    return json::parse(text);
}

}  // namespace

int main() {
    json line;
    std::printf("%10s %7s | %8s %8s %8s | %8s %8s | %8s %8s | %8s %8s\n", "records", "end", "probe ns", "unknown", "chained", "line ns", "chained",
                "ready s", "cpu s", "B/record", "peak");
    for (const Case& c : {Case{1'000'000, false}, Case{1'000'000, true}, Case{10'000'000, false}, Case{10'000'000, true}}) {
        json seen = in_its_own_process(c);
        for (auto& [name, value] : seen.items()) value = bench::rounded(value.get<double>());
        const auto at = [&](const char* name) { return seen[name].get<double>(); };
        std::printf("%10llu %7s | %8.1f %8.1f %8.1f | %8.1f %8.1f | %8.2f %8.2f | %8.1f %8.1f\n", static_cast<unsigned long long>(c.records),
                    c.ending ? "own" : "none", at("probe_ns"), at("probe_unknown_ns"), at("probe_chained_ns"), at("line_ns"), at("line_chained_ns"),
                    at("ready_s"), at("ready_cpu_s"), at("bytes_per_record"), at("peak_bytes_per_record"));
        std::fflush(stdout);
        const std::string name = std::string(c.records == 1'000'000 ? "1m" : "10m") + (c.ending ? "_ending" : "");
        line[name] = seen;
        // What the promises are about, each in its dearest case: a lookup and memory at ten million, being ready at one.
        if (name == "10m_ending") line["bytes_per_record"] = seen["peak_bytes_per_record"];
        if (name == "10m") line["probe_ns"] = seen["probe_ns"];
        if (name == "1m_ending") line["ready_s"] = seen["ready_s"];
    }
    bench::report("consent", line);
}
