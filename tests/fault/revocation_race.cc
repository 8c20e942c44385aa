// Does anything of a person leave after her withdrawal was acknowledged? Publishers, subscribers, pages and withdrawals against running nodes, as
// fast as they go, on one clock; revocation_race.py starts the nodes and disturbs them. Ends with one JSON line.
//
// An event is late when its person's withdrawal had been acknowledged (200 read by this program) and one of these holds:
//   - it was published (its POST begun) after the acknowledgement;
//   - it came on a connection, or on a page, asked for after the acknowledgement;
//   - any of its bytes lies beyond what the kernel had taken from the server on that connection. That mark is read from the server's socket
//     (sock_diag: tcpi_bytes_sent - tcpi_bytes_retrans + tcpi_notsent_bytes, one look under the socket's lock) at once after the answer was read.
//     What a server wrote wrongly between its answer and that look (`marks_us`) is excused; everything after is not. A frame cut short counts by the
//     bytes that came. A connection whose socket the server no longer had was closed before, by its death for example: the kernel had all of it.
// The same judgement by marks taken before the call is the control: there must be late events by it, or nothing was tested.
//
//   revocation_race --nodes PORT,PORT.. --withdrawals N [--subscribers M] [--slow K] [--rate EVENTS_PER_SECOND_AND_NODE] [--withdrawers W]
//     [--batch B]
// A call withdraws the consent of 1 to B people: one alone, or several as lines of one change.
// Tokens come in the environment (RACE_DESK, RACE_READER, RACE_DPO). Commands on stdin: "avoid PORT", "use PORT" (who is asked to withdraw), "quiet",
// "noisy" (whether latencies count as undisturbed), "release" (it may end with N withdrawals), "stop".
#include <csignal>
#include <deque>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <thread>

#include "tests/fault/http.h"
#include "tests/fault/kernel_marks.h"
#include "tests/fault/ledger.h"
#include "tests/fault/subscribers.h"

namespace race {
namespace {

constexpr std::uint32_t kAhead = 24, kBehind = 8;  // the people events are about: those about to withdraw (and all of a call), and those who just did
constexpr std::uint32_t kGrant = 2000;             // consents given with one request
constexpr int kEventsPerPost = 16;

struct Options {
    std::vector<std::uint16_t> nodes;
    std::uint32_t withdrawals = 500;
    int subscribers = 24, slow = 6, rate = 1000, withdrawers = 2;
    std::uint32_t batch = 1;
};

class Race {
  public:
    explicit Race(Options options)
        : options_(std::move(options)),
          ledger_(static_cast<std::size_t>(options_.withdrawals) * 2 + 4 * kGrant),
          desk_(token("RACE_DESK")),
          reader_(token("RACE_READER")),
          dpo_(token("RACE_DPO")),
          ahead_(kAhead + options_.batch * static_cast<std::uint32_t>(options_.withdrawers)) {
        for (const auto port : options_.nodes) avoided_[port] = false;
    }

    int run() {
        std::vector<std::thread> threads;
        threads.emplace_back([this] { subscribe(); });
        Http first(options_.nodes[0], 30);
        grant(first);
        while (streaming_ < options_.subscribers && !stopping_) ::usleep(20'000);
        std::cout << "{\"ready\":true}" << std::endl;
        for (const auto port : options_.nodes) threads.emplace_back([this, port] { publish(port); });
        for (const auto port : options_.nodes) threads.emplace_back([this, port] { page(port); });
        for (int i = 0; i < options_.withdrawers; ++i) threads.emplace_back([this, i] { withdraw(static_cast<unsigned>(i)); });
        std::thread commands([this] { obey(); });
        commands.detach();
        const auto begun = now_ns();
        while ((acknowledged_ < options_.withdrawals || !released_) && !stopping_) {
            ::usleep(1'000'000);
            tell(begun, false);
        }
        ::usleep(2'000'000);  // what was about to leave has left
        stopping_ = true;
        for (auto& thread : threads) thread.join();
        tell(begun, true);
        return ledger_.violations == 0 ? 0 : 1;
    }

  private:
    static std::string token(const char* name) {
        const char* value = std::getenv(name);
        if (value == nullptr) {
            std::fprintf(stderr, "%s is not set\n", name);
            std::exit(2);
        }
        return value;
    }

    void subscribe() {
        const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
        std::deque<Subscriber> all;
        for (int i = 0; i < options_.subscribers; ++i)
            all.emplace_back(ledger_, options_.nodes[static_cast<std::size_t>(i) % options_.nodes.size()],
                             i / static_cast<int>(options_.nodes.size()) % 2 == 1, i >= options_.subscribers - options_.slow, reader_, epoll);
        std::vector<epoll_event> events(256);
        for (std::int64_t turn = 0, last = 0; !stopping_;) {
            const int n = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 10);
            for (int i = 0; i < n; ++i) static_cast<Subscriber*>(events[static_cast<std::size_t>(i)].data.ptr)->read(SIZE_MAX);
            const auto now = now_ns();
            if (now - last < 20'000'000) continue;
            last = now;
            int streaming = 0;
            std::uint64_t connections = 0;
            for (auto& subscriber : all) {
                subscriber.connect_when_due(now);
                if (subscriber.slow()) subscriber.read(4096);
                streaming += subscriber.streaming();
                connections += subscriber.connections();
            }
            streaming_ = streaming;
            connections_ = connections;
            ++turn;
        }
        ::close(epoll);
    }

    // One of those around the next to withdraw.
    std::uint32_t someone(std::minstd_rand& random) {
        const std::uint32_t next = next_, from = next > kBehind ? next - kBehind : 0;
        return std::min(from + static_cast<std::uint32_t>(random() % (ahead_ + kBehind)), granted_.load() - 1);
    }

    void publish(std::uint16_t port) {
        Http http(port, 20);
        std::minstd_rand random(port);
        const std::string filler(200, 'x');
        const std::int64_t pause = 1'000'000'000LL * kEventsPerPost / std::max(1, options_.rate);
        for (auto due = now_ns(); !stopping_;) {
            std::string body;
            for (int i = 0; i < kEventsPerPost; ++i) {
                const auto s = std::to_string(someone(random));
                body += "{\"id\":\"s" + s + "-" + std::to_string(now_ns()) +
                        "\",\"time\":\"2026-03-01T10:00:00Z\",\"kind\":\"org.example.courier.article.read\"," +
                        "\"licence\":\"CC-BY-4.0\",\"country\":\"DE\",\"reader\":{\"email\":\"s" + s + "@example.org\"},\"headline\":\"" + filler +
                        "\"}\n";
            }
            if (http.request("POST", "/v1/products/newsroom/events", desk_, "application/x-ndjson", body) == 200)
                published_ += kEventsPerPost;
            else
                ::usleep(50'000);
            due = std::max(due + pause, now_ns() - 100'000'000);
            if (const auto left = due - now_ns(); left > 0) ::usleep(static_cast<useconds_t>(left / 1000));
        }
    }

    // Follows by pages, and now and then goes back over what it has seen.
    void page(std::uint16_t port) {
        Http http(port, 20);
        std::string cursor, back;
        for (int turn = 0; !stopping_; ++turn) {
            if (turn % 20 == 19) cursor = back;
            if (turn % 20 == 9) back = cursor;
            const auto asked = now_ns();
            const int status = http.request(
                "GET", "/v1/products/newsroom/events?limit=500&from=" + (cursor.empty() ? std::string("earliest") : cursor), reader_, "", "");
            if (status == 200) {
                cursor = http.header("Licet-Cursor");
                ++pages_;
                std::istringstream lines(http.body());
                EventId id;
                for (std::string line; std::getline(lines, line);)
                    if (find_event_id(line, id)) ledger_.paged(id, port, asked);
            }
            ::usleep(100'000);
        }
    }

    void grant(Http& http) {
        const std::uint32_t from = granted_;
        std::string body;
        for (std::uint32_t s = from; s < from + kGrant; ++s)
            body += "{\"subject\":\"s" + std::to_string(s) +
                    "@example.org\",\"controller\":\"daily-courier\",\"purposes\":[\"dpv:AcademicResearch\"],\"status\":\"given\"}\n";
        // Unconfirmed is made all the same, and giving what was given changes nothing.
        const int status = http.request("POST", "/v1/admin/consents", dpo_, "application/x-ndjson", body);
        if ((status >= 200 && status < 300) || status == 503) granted_ += kGrant;
    }

    std::shared_ptr<const std::vector<Mark>> marks() {
        thread_local KernelMarks kernel;
        auto out = std::make_shared<std::vector<Mark>>();
        for (const auto port : options_.nodes) kernel.read(port, *out);
        std::sort(out->begin(), out->end(), [](const Mark& a, const Mark& b) { return a.ports < b.ports; });
        return out;
    }

    void withdraw(unsigned number) {
        std::map<std::uint16_t, std::unique_ptr<Http>> nodes;
        for (const auto port : options_.nodes) nodes[port] = std::make_unique<Http>(port, 40);
        std::minstd_rand random(number + 1);
        for (std::size_t turn = number; (acknowledged_ < options_.withdrawals || !released_) && !stopping_; ++turn) {
            const auto port = options_.nodes[turn % options_.nodes.size()];
            if (avoided_[port]) {
                ::usleep(200);
                continue;
            }
            Http& http = *nodes[port];
            const auto many = 1 + static_cast<std::uint32_t>(random()) % options_.batch;
            {
                const std::lock_guard lock(grant_mutex_);
                while (next_ + ahead_ + options_.batch > granted_ && !stopping_) grant(http);
            }
            const std::uint32_t first = next_.fetch_add(many);
            if (first + many > ledger_.size()) break;
            withdraw(http, first, many);
        }
    }

    // The people from `first` on, with one call.
    void withdraw(Http& http, std::uint32_t first, std::uint32_t many) {
        const bool undisturbed = quiet_;
        const auto all = [&](auto&& change) {
            for (auto s = first; s < first + many; ++s) change(ledger_[s]);
        };
        const auto called = now_ns();
        std::shared_ptr<const std::vector<Mark>> at_call;
        if (first % 8 < many) at_call = marks();
        all([&](Withdrawal& w) {
            w.called_ns = called;
            w.at_call = at_call;
            w.state.store(Withdrawal::called, std::memory_order_release);
        });
        std::string body;
        for (auto s = first; s < first + many; ++s)
            body += "{\"subject\":\"s" + std::to_string(s) + "@example.org\",\"controller\":\"daily-courier\"" +
                    (many == 1 ? "}" : ",\"purposes\":[\"dpv:AcademicResearch\"],\"status\":\"withdrawn\"}\n");
        const auto begun = now_ns();
        const int status = many == 1 ? http.request("POST", "/v1/admin/consents/withdraw", dpo_, "application/json", body)
                                     : http.request("POST", "/v1/admin/consents", dpo_, "application/x-ndjson", body);
        const auto ended = now_ns();
        if (status < 200 || status >= 300 || status == 202) {
            all([](Withdrawal& w) { w.state.store(Withdrawal::unconfirmed, std::memory_order_release); });
            const std::lock_guard lock(figures_mutex_);
            ++unconfirmed_[status];
            return;
        }
        const auto at_acknowledgement = marks();
        all([&](Withdrawal& w) {
            w.acknowledged_ns = ended;
            w.at_acknowledgement = at_acknowledgement;
            w.state.store(Withdrawal::acknowledged, std::memory_order_release);
        });
        const auto marked = now_ns();
        acknowledged_ += many;
        const std::lock_guard lock(figures_mutex_);
        (undisturbed && quiet_ ? quiet_us_ : noisy_us_).push_back(static_cast<std::uint32_t>((ended - begun) / 1000));
        marks_us_.push_back(static_cast<std::uint32_t>((marked - ended) / 1000));
    }

    void obey() {
        for (std::string line; std::getline(std::cin, line);) {
            std::istringstream words(line);
            std::string word;
            int port = 0;
            words >> word >> port;
            if (word == "avoid") avoided_[static_cast<std::uint16_t>(port)] = true;
            if (word == "use") avoided_[static_cast<std::uint16_t>(port)] = false;
            if (word == "quiet") quiet_ = true;
            if (word == "noisy") quiet_ = false;
            if (word == "release") released_ = true;
            if (word == "stop") stopping_ = true;
        }
        stopping_ = true;
    }

    static void percentiles(std::ostream& out, const char* name, std::vector<std::uint32_t>& of) {
        std::sort(of.begin(), of.end());
        const auto at = [&](double p) {
            return of.empty() ? 0 : of[std::min(of.size() - 1, static_cast<std::size_t>(p * static_cast<double>(of.size())))];
        };
        out << ",\"" << name << "\":{\"count\":" << of.size() << ",\"p50\":" << at(0.5) << ",\"p99\":" << at(0.99)
            << ",\"max\":" << (of.empty() ? 0 : of.back()) << "}";
    }

    void tell(std::int64_t begun, bool last) {
        std::ostringstream out;
        out << "{\"seconds\":" << (now_ns() - begun) / 1'000'000'000 << ",\"withdrawals\":" << acknowledged_
            << ",\"violations\":" << ledger_.violations << ",\"late_for_the_call\":" << ledger_.late_for_the_call
            << ",\"held_by_the_kernel\":" << ledger_.held_by_the_kernel << ",\"published\":" << published_ << ",\"received\":" << ledger_.events
            << ",\"pages\":" << pages_ << ",\"connections\":" << connections_;
        const std::lock_guard lock(figures_mutex_);
        out << ",\"unconfirmed\":{";
        for (bool first = true; const auto& [status, count] : unconfirmed_)
            out << (std::exchange(first, false) ? "" : ",") << "\"" << status << "\":" << count;
        out << "}";
        if (last) {
            percentiles(out, "quiet_us", quiet_us_);
            percentiles(out, "disturbed_us", noisy_us_);
            percentiles(out, "marks_us", marks_us_);
            out << ",\"last\":true";
        }
        std::cout << out.str() << "}" << std::endl;
    }

    const Options options_;
    Ledger ledger_;
    const std::string desk_, reader_, dpo_;
    const std::uint32_t ahead_;
    std::map<std::uint16_t, std::atomic<bool>> avoided_;
    std::atomic<bool> stopping_{false}, released_{false}, quiet_{true};
    std::atomic<int> streaming_{0};
    std::atomic<std::uint32_t> next_{0}, granted_{0}, acknowledged_{0};
    std::atomic<std::uint64_t> published_{0}, pages_{0}, connections_{0};
    std::mutex grant_mutex_, figures_mutex_;
    std::map<int, std::uint64_t> unconfirmed_;  // by status; 0: no answer
    std::vector<std::uint32_t> quiet_us_, noisy_us_, marks_us_;
};

Options parse(int argc, char** argv) {
    Options out;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string name = argv[i], value = argv[i + 1];
        if (name == "--nodes") {
            std::istringstream ports(value);
            for (std::string port; std::getline(ports, port, ',');) out.nodes.push_back(static_cast<std::uint16_t>(std::stoi(port)));
        } else if (name == "--withdrawals") {
            out.withdrawals = static_cast<std::uint32_t>(std::stoul(value));
        } else if (name == "--subscribers") {
            out.subscribers = std::stoi(value);
        } else if (name == "--slow") {
            out.slow = std::stoi(value);
        } else if (name == "--rate") {
            out.rate = std::stoi(value);
        } else if (name == "--withdrawers") {
            out.withdrawers = std::stoi(value);
        } else if (name == "--batch") {
            out.batch = static_cast<std::uint32_t>(std::max(1UL, std::stoul(value)));
        }
    }
    return out;
}

}  // namespace
}  // namespace race

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    auto options = race::parse(argc, argv);
    if (options.nodes.empty()) {
        std::fprintf(stderr, "usage: revocation_race --nodes PORT,.. --withdrawals N\n");
        return 2;
    }
    return race::Race(std::move(options)).run();
}
