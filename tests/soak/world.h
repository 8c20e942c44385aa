// What the soak test knows of the world: who may read what, what was published when, whose consent stood when. Written by the threads that publish
// and change things, read by the one that receives. Used by everything in this folder.
#pragma once

#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace soak {

inline std::int64_t clock_ns(clockid_t clock) {
    timespec t{};
    ::clock_gettime(clock, &t);
    return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}
inline std::int64_t now_ns() { return clock_ns(CLOCK_MONOTONIC); }
inline std::int64_t wall_ms() { return clock_ns(CLOCK_REALTIME) / 1'000'000; }

constexpr std::int64_t kNever = INT64_MIN, kAlways = INT64_MIN, kNotYet = INT64_MAX;
constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000'000'000;

// Consent of one person. Times are those of this program: a call's beginning and the reading of its answer.
struct Subject {
    std::atomic<std::int64_t> given_ns{kNotYet}, withdrawal_called_ns{kNever}, withdrawn_ns{kNever}, giving_called_ns{kNever};

    // Given before `begun`, and nobody asked to withdraw it since: its events are owed.
    [[nodiscard]] bool stood_since(std::int64_t begun) const { return given_ns <= begun && withdrawal_called_ns < given_ns; }
    // When the withdrawal that holds was acknowledged; kNever: none holds for certain.
    [[nodiscard]] std::int64_t withdrawn_since() const {
        const auto since = withdrawn_ns.load();
        return since > giving_called_ns ? since : kNever;
    }
};

// What may come out of order with time is known of every event from before it was sent.
struct Event {
    std::int64_t begun_ns = 0;                          // its (first) POST
    std::uint32_t begun_ms = 0, acknowledged_ms = ~0U;  // wall clock, since Product::origin_ms
    std::uint32_t subject = 0;
    std::uint16_t data_bytes = 0;  // of the delivered `data`: every policy of this test keeps its size
};

enum class Class : std::uint8_t {
    steady,   // of nobody; always delivered
    leaving,  // consent is given once, and withdrawn once
    wavering  // consent comes and goes
};

// One version of a product's policy: what the e-mail address became under it.
struct Version {
    char kind;  // '*' masked, '#' replaced, 'h' hashed
    std::int64_t called_ns, acknowledged_ns;
};

struct Product {
    std::string name;
    Class kind = Class::steady;
    double weight = 1;
    std::int64_t origin_ms = 0;
    std::deque<Subject> subjects;  // not resized once threads run

    static constexpr std::uint32_t kChunk = 1U << 16;
    std::vector<std::unique_ptr<Event[]>> chunks = std::vector<std::unique_ptr<Event[]>>(1024);
    std::atomic<std::uint32_t> begun{0}, acknowledged{0};      // events known; events the server took
    std::atomic<std::uint32_t> reached{0};                     // by all that keep up; written by the thread that receives
    std::atomic<double> rate{0};                               // events per second; 0: as fast as they keep up
    std::atomic<std::uint32_t> first_given{0}, last_given{0};  // leaving: the people whose consent stands

    [[nodiscard]] Event& at(std::uint32_t n) { return chunks[n / kChunk][n % kChunk]; }
    // The first event below `end` for which `field` is not below `value`; both fields grow with the number.
    template <class Field>
    [[nodiscard]] std::uint32_t first_not_before(Field field, std::uint32_t value, std::uint32_t end) {
        std::uint32_t low = 0;
        while (low < end) {
            const auto middle = low + (end - low) / 2;
            if (at(middle).*field < value)
                low = middle + 1;
            else
                end = middle;
        }
        return low;
    }

    void policy_called(char to) {
        const std::lock_guard lock(versions_mutex_);
        stable_ = 0;
        versions_.push_back({to, now_ns(), kNotYet});
    }
    // `sure` false: it may be in force or not.
    void policy_answered(bool sure) {
        const std::lock_guard lock(versions_mutex_);
        if (!sure) return;
        versions_.back().acknowledged_ns = now_ns();
        stable_since_ = versions_.back().acknowledged_ns;
        stable_ = versions_.back().kind;
    }
    // Whether an event decided between the two moments may look so.
    [[nodiscard]] bool may_look(char as, std::int64_t from, std::int64_t to) {
        if (as == stable_ && stable_ != 0) return true;
        const std::lock_guard lock(versions_mutex_);
        std::int64_t ended = kNotYet;  // when the next acknowledged version was
        for (auto v = versions_.rbegin(); v != versions_.rend() && ended >= from; ++v) {
            if (v->kind == as && v->called_ns <= to) return true;
            if (v->acknowledged_ns != kNotYet) ended = v->acknowledged_ns;
        }
        return false;
    }

  private:
    std::mutex versions_mutex_;
    std::vector<Version> versions_;
    std::atomic<char> stable_{0};
    std::atomic<std::int64_t> stable_since_{0};
};

// What the subscribers of one contract received of one product, each event once: what must be billed. For the thread that receives.
struct Taken {
    std::vector<bool> numbers;
    std::uint64_t events = 0, bytes = 0;
    std::uint64_t certain_events = 0, certain_bytes = 0;  // of these nothing was ever withheld: at least so much is billed
};

struct Contract {
    std::string name, active, suspended;  // bodies of PUT; the second empty: never suspended
    std::vector<Product*> products;
    std::vector<Taken> taken;  // as products
};

// Who asks for tokens. `stale`: the token is refused, or about to be.
struct Credentials {
    std::string id, secret;
    Contract* contract = nullptr;
    bool books = false;  // of those that always keep up: never revoked
    std::atomic<bool> stale{true};
    [[nodiscard]] std::shared_ptr<const std::string> token() const { return std::atomic_load(&token_); }
    void set(std::string token) {
        std::atomic_store(&token_, std::make_shared<const std::string>(std::move(token)));
        stale = false;
    }

  private:
    std::shared_ptr<const std::string> token_ = std::make_shared<const std::string>();
};

struct PolicyText {
    Product* product;
    std::string name;
    char kind;
    std::string body;
};

struct World {
    std::uint16_t port = 0;
    std::deque<Product> products;
    std::deque<Contract> contracts;
    std::deque<Credentials> readers;
    std::deque<Credentials> staff;  // by role: admin, dpo, policy-desk, desk
    std::vector<PolicyText> policies;
    std::string purposes;
    std::atomic<bool> stopping{false}, changes_end{false};

    [[nodiscard]] Credentials& role(std::string_view id) {
        for (auto& one : staff)
            if (one.id == id) return one;
        throw std::runtime_error("no such role");
    }
    [[nodiscard]] Product& product(std::string_view name) {
        for (auto& one : products)
            if (one.name == name) return one;
        throw std::runtime_error("no such product");
    }
};

// Lines of fields with tabs between, written by soak.py.
inline void read_plan(const std::string& path, World& world) {
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
        std::vector<std::string> field(1);
        for (const char c : line)
            if (c == '\t')
                field.emplace_back();
            else
                field.back() += c;
        const auto& what = field.at(0);
        if (what == "product") {
            auto& p = world.products.emplace_back();
            p.name = field.at(1);
            p.kind = field.at(2) == "steady" ? Class::steady : field.at(2) == "leaving" ? Class::leaving : Class::wavering;
            p.weight = std::stod(field.at(3));
            p.origin_ms = wall_ms();
        } else if (what == "contract") {
            auto& c = world.contracts.emplace_back();
            c.name = field.at(1);
            c.active = field.at(3);
            c.suspended = field.at(4);
            std::string names = field.at(2) + ",";
            for (std::size_t at = 0, end; (end = names.find(',', at)) != std::string::npos; at = end + 1)
                c.products.push_back(&world.product(names.substr(at, end - at)));
            c.taken.resize(c.products.size());
        } else if (what == "reader" || what == "books") {
            auto& r = world.readers.emplace_back();
            r.id = field.at(1);
            r.secret = field.at(2);
            r.books = what == "books";
            for (auto& c : world.contracts)
                if (c.name == field.at(3)) r.contract = &c;
        } else if (what == "staff") {
            auto& s = world.staff.emplace_back();
            s.id = field.at(1);
            s.secret = field.at(2);
        } else if (what == "policy") {
            world.policies.push_back({&world.product(field.at(1)), field.at(2), field.at(3).at(0), field.at(4)});
        } else if (what == "purposes") {
            world.purposes = field.at(1);
        } else {
            throw std::runtime_error("plan: " + what);
        }
    }
}

// Whose event it is, 43 bytes: as long as what any policy makes of it. '@' is in none of those.
constexpr std::size_t kEmailSize = 43, kEmailMark = 9;
inline std::string email(const Product& product, std::uint32_t subject) {
    std::array<char, 48> head{};
    std::snprintf(head.data(), head.size(), "%c%08u@", product.name[0], subject);
    return std::string(head.data()) + "subjects-of-the-soak-test.example";
}

}  // namespace soak
