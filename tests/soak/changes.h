// What changes while events flow: consents, policies, contracts, tokens. One thread each, at random moments. Used by soak_client.cc.
#pragma once

#include <unistd.h>

#include <functional>
#include <random>
#include <thread>

#include "tests/soak/caller.h"
#include "tests/soak/stats.h"

namespace soak {

// Seconds between two changes of a kind, on average.
struct Pace {
    double consents = 0.2, policies = 10, contracts = 15, revocations = 15;
};

class Changing {
  public:
    Changing(World& world, Changes& counts, Pace pace, unsigned seed) : world_(world), counts_(counts), pace_(pace), seed_(seed) {}

    // Consents everybody begins with; false when they could not be given.
    bool prepare() {
        Caller dpo(world_, "dpo");
        for (auto& product : world_.products) {
            if (product.kind == Class::steady) continue;
            const auto last = product.kind == Class::leaving ? kAhead : static_cast<std::uint32_t>(product.subjects.size());
            for (std::uint32_t from = 0; from < last; from += 1000)
                if (!consents(dpo, product, from, std::min(last, from + 1000), true)) return false;
            product.first_given = 1;
            product.last_given = last;
        }
        return true;
    }
    // Each policy's first version is in force.
    void prepared(Product& product, char kind) {
        product.policy_called(kind);
        product.policy_answered(true);
    }

    void start(std::vector<std::thread>& threads) {
        threads.emplace_back([this] { tokens(); });
        threads.emplace_back([this] { every(pace_.consents, 1, "dpo", [this](Caller& c, auto& r) { change_consent(c, r); }); });
        threads.emplace_back([this] { every(pace_.policies, 2, "policy-desk", [this](Caller& c, auto& r) { change_policy(c, r); }); });
        threads.emplace_back([this] { every(pace_.contracts, 3, "admin", [this](Caller& c, auto& r) { suspend(c, r); }); });
        threads.emplace_back([this] { every(pace_.revocations, 4, "admin", [this](Caller& c, auto& r) { revoke(c, r); }); });
    }

    static constexpr std::uint32_t kAhead = 400;  // leaving: the people events are about at any time

  private:
    using Random = std::minstd_rand;

    void every(double seconds, unsigned salt, std::string_view role, const std::function<void(Caller&, Random&)>& change) {
        Caller caller(world_, role);
        Random random(seed_ * 31 + salt);
        while (!world_.changes_end) {
            const auto until = now_ns() + static_cast<std::int64_t>(std::exponential_distribution<>(1 / seconds)(random) * 1e9);
            while (!world_.changes_end && now_ns() < until) ::usleep(10'000);
            if (!world_.changes_end) change(caller, random);
        }
    }
    // Whether it is certain. 503 may have been made all the same.
    bool made(int status, std::string_view what, const std::string& body) {
        if (status >= 200 && status < 300 && status != 202) return true;
        if (status == 0 || status == 202 || status == 503) {
            ++counts_.uncertain;
        } else {
            ++counts_.refused;
            std::fprintf(stderr, "%s: %d %.300s\n", std::string(what).c_str(), status, body.c_str());
        }
        return false;
    }

    bool consents(Caller& dpo, Product& product, std::uint32_t from, std::uint32_t to, bool give) {
        std::string body;
        for (auto s = from; s < to; ++s)
            body += "{\"subject\":\"" + email(product, s) + "\",\"controller\":\"soak-publisher\",\"purposes\":" + world_.purposes +
                    ",\"status\":\"" + (give ? "given" : "withdrawn") + "\"}\n";
        const auto called = now_ns();
        for (auto s = from; s < to; ++s) (give ? product.subjects[s].giving_called_ns : product.subjects[s].withdrawal_called_ns) = called;
        const bool sure = made(dpo.request("POST", "/v1/admin/consents", "application/x-ndjson", body), "consents", dpo.body());
        const auto answered = now_ns();
        if (sure)
            for (auto s = from; s < to; ++s) (give ? product.subjects[s].given_ns : product.subjects[s].withdrawn_ns) = answered;
        (give ? counts_.givings : counts_.withdrawals) += to - from;
        return sure;
    }

    void change_consent(Caller& dpo, Random& random) {
        for (auto& product : world_.products) {
            if (product.kind == Class::steady || random() % 2 == 0) continue;
            const auto many = 1 + static_cast<std::uint32_t>(random() % 4);
            if (product.kind == Class::leaving) {
                const std::uint32_t first = product.first_given, last = product.last_given;
                if (last + many > product.subjects.size()) continue;
                if (!consents(dpo, product, last, last + many, true)) continue;
                product.last_given = last + many;
                product.first_given = first + many;
                (void)consents(dpo, product, first, first + many, false);
            } else {
                const auto who = 1 + static_cast<std::uint32_t>(random() % (product.subjects.size() - many));
                const auto& subject = product.subjects[who];
                (void)consents(dpo, product, who, who + many, subject.withdrawal_called_ns > subject.giving_called_ns);
            }
        }
    }

    void change_policy(Caller& desk, Random& random) {
        const auto& policy = world_.policies[random() % world_.policies.size()];
        if (!made(desk.request("PUT", "/v1/admin/policies/" + policy.name, "application/json", policy.body), "policy", desk.body())) return;
        const std::string version(member(desk.body(), "version"));
        policy.product->policy_called(policy.kind);
        const int status = desk.request("POST", "/v1/admin/policies/" + policy.name + "/versions/" + version + "/activate", "", "");
        policy.product->policy_answered(made(status, "activation", desk.body()));
        ++counts_.policies;
    }

    void suspend(Caller& admin, Random& random) {
        for (auto& contract : world_.contracts) {
            if (contract.suspended.empty()) continue;
            const auto path = "/v1/admin/contracts/" + contract.name;
            (void)made(admin.request("PUT", path, "application/json", contract.suspended), "suspension", admin.body());
            ::usleep(static_cast<useconds_t>(100'000 + random() % 1'500'000));
            while (!made(admin.request("PUT", path, "application/json", contract.active), "resumption", admin.body()) && counts_.refused == 0)
                ::usleep(100'000);
            ++counts_.suspensions;
        }
    }

    void revoke(Caller& admin, Random& random) {
        auto& reader = world_.readers[random() % world_.readers.size()];
        if (reader.books) return;
        if (made(admin.request("POST", "/v1/admin/clients/" + reader.id + "/revoke-tokens", "", ""), "revocation", admin.body()))
            ++counts_.revocations;
        reader.stale = true;
    }

    // Keeps every reader's token fresh, to the end of the run.
    void tokens() {
        race::Http http(world_.port, 20);
        while (!world_.stopping) {
            for (auto& reader : world_.readers)
                if (reader.stale && fetch_token(http, reader)) ++counts_.tokens;
            ::usleep(20'000);
        }
    }

    World& world_;
    Changes& counts_;
    const Pace pace_;
    const unsigned seed_;
};

}  // namespace soak
