// Runs a fuzz target without libFuzzer: on the files given, or on its seeds, on what libFuzzer found worth keeping (corpus/), and on so many
// mutations of them. The mutations are the same in every run unless LICET_FUZZ_SEED says otherwise; LICET_FUZZ_RUNS sets their number, or
// LICET_FUZZ_SECONDS how long they go on. An input that breaks the target is printed in hex.
#include <unistd.h>
#include <chrono>
#include <climits>
#include <csignal>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

#include "base/encoding.h"
#include "tests/fuzz/fuzz.h"

namespace {

constexpr long kRuns = 100'000;
constexpr std::size_t kInputMaxBytes = 64 * 1024;

std::string current;

void on_fault(int signal) {
    static const char digits[] = "0123456789abcdef";
    const auto say = [](const char* bytes, std::size_t size) { (void)!::write(STDERR_FILENO, bytes, size); };
    say("input: ", 7);
    for (const char c : current) {
        const char two[2] = {digits[static_cast<unsigned char>(c) >> 4], digits[static_cast<unsigned char>(c) & 15]};
        say(two, 2);
    }
    say("\n", 1);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

void run(std::string input) {
    current = std::move(input);
    (void)LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(current.data()), current.size());
}

// Adds the kept inputs, one a line in hex, where the target has any.
bool keep(std::vector<std::string>& seeds) {
    std::ifstream file(LICET_FUZZ_KEPT);
    for (std::string line; std::getline(file, line);) {
        const auto bytes = licet::parse_hex(line);
        if (!bytes) return std::cerr << LICET_FUZZ_KEPT << " has a line that is no hex\n", false;
        seeds.push_back(*bytes);
    }
    return true;
}

class Mutator {
  public:
    Mutator(std::vector<std::string> seeds, unsigned seed) : seeds_(std::move(seeds)), random_(seed) {}

    std::string next() {
        std::string text = seeds_[pick(seeds_.size())];
        for (std::size_t i = 1 + pick(4); i > 0; --i) mutate(text);
        if (text.size() > kInputMaxBytes) text.resize(kInputMaxBytes);
        return text;
    }

  private:
    std::size_t pick(std::size_t n) { return n == 0 ? 0 : random_() % n; }

    void mutate(std::string& text) {
        static const std::vector<std::string> words{
            "\"", "\\",   "\\u0000", "\\ud83d\\ude00", "\\udc00", "{",   "}",  "[", "]",    ",",        ":",    "null", "1e9", "-0",   "\r\n", "\n",
            " ",  "\xff", "\x80",    "\xed\xa0",       "%2f",     "/..", "~1", "0", "\x89", "\x88\x82", "\x7f", "/a",   "a",   "true", "\t",   "é"};
        const std::size_t at = pick(text.size() + 1), length = pick(text.size() - at + 1);
        switch (pick(7)) {
            case 0:
                if (at < text.size()) text[at] = static_cast<char>(random_());
                break;
            case 1:
                if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << pick(8)));
                break;
            case 2:
                text.erase(at, length);
                break;
            case 3:
                text.insert(at, text.substr(pick(text.size() + 1), length));
                break;
            case 4: {
                const std::string& other = seeds_[pick(seeds_.size())];
                text.replace(at, length, other.substr(pick(other.size() + 1)));
                break;
            }
            case 5:
                text.resize(at);
                break;
            default:
                text.insert(at, words[pick(words.size())]);
        }
    }

    const std::vector<std::string> seeds_;
    std::mt19937 random_;
};

long number(const char* name, long otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atol(text);
}

}  // namespace

int main(int count, char** files) {
    std::signal(SIGABRT, on_fault);
    std::signal(SIGSEGV, on_fault);
    for (int i = 1; i < count; ++i) {
        std::ifstream file(files[i], std::ios::binary);
        if (!file) return std::cerr << "cannot read " << files[i] << "\n", 2;
        run({std::istreambuf_iterator<char>(file), {}});
    }
    if (count > 1) return 0;
    auto seeds = licet::fuzz::seeds();
    if (!keep(seeds)) return 2;
    if (const char* corpus = std::getenv("LICET_FUZZ_CORPUS")) {
        for (std::size_t i = 0; i < seeds.size(); ++i)
            std::ofstream(std::string(corpus) + "/seed-" + std::to_string(i), std::ios::binary) << seeds[i];
        return 0;
    }
    for (const auto& seed : seeds) run(seed);
    Mutator mutator(seeds, static_cast<unsigned>(number("LICET_FUZZ_SEED", 1)));
    const long seconds = number("LICET_FUZZ_SECONDS", 0), most = number("LICET_FUZZ_RUNS", seconds > 0 ? LONG_MAX : kRuns);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    long runs = 0;
    for (; runs < most && (seconds <= 0 || std::chrono::steady_clock::now() < end); ++runs) run(mutator.next());
    std::cout << seeds.size() << " seeds and " << runs << " mutations\n";
}
