#include "server/control/control.h"

#include <pistache/endpoint.h>
#include <pistache/http.h>
#include <pistache/http_headers.h>
#include <pistache/peer.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/bounded_queue.h"
#include "base/ids.h"
#include "base/limits.h"
#include "server/control/routes.h"
#include "server/ports/log.h"

namespace licet::control {
namespace {

namespace http = Pistache::Http;

constexpr std::chrono::seconds kLastAnswersWait{1};

// Pistache sends only headers that are classes of their own.
class TextHeader : public http::Header::Header {
  public:
    TextHeader(const char* name, std::string value) : name_(name), value_(std::move(value)) {
        // It does not filter line breaks either.
        std::erase_if(value_, [](char c) { return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e; });
    }
    const char* name() const override { return name_; }
    uint64_t hash() const override { return http::Header::detail::hash(name_); }
    void parse(const std::string& text) override { value_ = text; }
    void write(std::ostream& out) const override { out << value_; }

  private:
    const char* name_;
    std::string value_;
};

struct Job {
    Call call;
    const Route* route;
    std::string request_id;
    http::ResponseWriter response;
};

Answer problem(const Error& error, const std::string& request_id) {
    const auto& entry = catalogue_entry(error.code);
    nlohmann::json body{{"type", "https://licet.dev/problems/" + std::string(entry.slug)},
                        {"title", entry.title},
                        {"status", entry.http_status},
                        {"detail", error.detail},
                        {"instance", request_id}};
    if (!error.pointer.empty()) body["pointer"] = error.pointer;
    if (!error.members.empty()) body.update(nlohmann::json::parse(error.members));
    return {entry.http_status, "application/problem+json", body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
}

// May throw: when the connection is gone.
Pistache::Async::Promise<ssize_t> send(http::ResponseWriter& response, const Answer& answer, const std::string& request_id,
                                       const std::string& allow = {}) {
    response.headers().add(std::make_shared<TextHeader>("Licet-Request-Id", request_id));
    response.headers().add(std::make_shared<TextHeader>("Content-Type", answer.content_type));
    response.headers().add(std::make_shared<TextHeader>("Cache-Control", "no-store"));
    if (!answer.location.empty()) response.headers().add(std::make_shared<TextHeader>("Location", answer.location));
    if (!answer.file_name.empty())
        response.headers().add(std::make_shared<TextHeader>("Content-Disposition", "attachment; filename=\"" + answer.file_name + "\""));
    if (!answer.etag.empty()) response.headers().add(std::make_shared<TextHeader>("ETag", answer.etag));
    if (!allow.empty()) response.headers().add(std::make_shared<TextHeader>("Allow", allow));
    if (answer.status == 503) response.headers().add(std::make_shared<TextHeader>("Retry-After", "1"));
    if (answer.status == 401) response.headers().add(std::make_shared<TextHeader>("WWW-Authenticate", "Bearer"));
    return response.send(static_cast<http::Code>(answer.status), answer.body);
}

class RunningControl;

class Handler final : public http::Handler {
  public:
    HTTP_PROTOTYPE(Handler)
    explicit Handler(RunningControl* control) : control_(control) {}
    void onRequest(const http::Request& request, http::ResponseWriter response) override;

  private:
    RunningControl* control_;
};

class RunningControl final : public Control {
  public:
    RunningControl(ControlOptions options, ControlServices services)
        : options_(std::move(options)), services_(std::move(services)), queue_(limits::control_queue_max_requests) {}
    ~RunningControl() override { stop(); }

    Status start() {
        try {
            endpoint_ = std::make_unique<http::Endpoint>(Pistache::Address(Pistache::Ipv4::loopback(), Pistache::Port(options_.port)));
            endpoint_->init(http::Endpoint::options()
                                .threads(2)
                                .flags(Pistache::Flags<Pistache::Tcp::Options>(Pistache::Tcp::Options::ReuseAddr) | Pistache::Tcp::Options::NoDelay)
                                .maxRequestSize(limits::control_body_max_bytes + limits::request_header_max_bytes)
                                .maxResponseSize(limits::upstream_response_max_bytes)
                                .keepaliveTimeout(std::chrono::hours(24)));
            endpoint_->setHandler(std::make_shared<Handler>(this));
            endpoint_->serveThreaded();
            port_ = static_cast<std::uint16_t>(endpoint_->getPort());
        } catch (const std::exception& e) {
            return Error{Errc::unavailable, std::string("the control plane cannot listen: ") + e.what(), {}};
        }
        for (unsigned i = 0; i < options_.threads; ++i) pool_.emplace_back([this] { work(); });
        return success();
    }

    std::uint16_t port() const noexcept override { return port_; }

    void stop() override {
        stopping_ = true;
        queue_.close();
        for (auto& thread : pool_)
            if (thread.joinable()) thread.join();
        {
            // What was answered is still on its way through Pistache's threads.
            std::unique_lock lock(unsent_mutex_);
            all_sent_.wait_for(lock, kLastAnswersWait, [&] { return unsent_ == 0; });
        }
        if (endpoint_) endpoint_->shutdown();
        endpoint_.reset();
    }

    // On a Pistache thread. What an exception says would be sent to the client, so none leaves.
    void accept(const http::Request& request, http::ResponseWriter response) {
        try {
            take(request, std::move(response));
        } catch (const std::exception&) {
            log::error("control.request_failed");
        } catch (...) {
            log::error("control.request_failed");
        }
    }

  private:
    // Checks what needs no use case, queues the rest.
    void take(const http::Request& request, http::ResponseWriter response) {
        const auto header = [&](const char* name) {
            const auto raw = request.headers().tryGetRaw(name);
            return raw ? raw->value() : std::string();
        };
        const std::string request_id = header("Licet-Request-Id");
        const auto refuse = [&](const Error& error, const std::string& allow = {}) { send(response, problem(error, request_id), request_id, allow); };
        const std::string secret = header("Licet-Boot-Secret");
        if (!services_.crypto->equal(as_bytes(secret), as_bytes(options_.boot_secret)))
            return refuse({Errc::forbidden, "reachable through the edge only", {}});
        auto found = match(http::methodString(request.method()), request.resource());
        if (found.route == nullptr)
            return found.allow.empty() ? refuse({Errc::not_found, "no such resource", {}})
                                       : refuse({Errc::method_not_allowed, "allowed here: " + found.allow, {}}, found.allow);
        Call call{services_, {}, std::move(found.path), {}, header("Content-Type"), header("If-Match"), request.body()};
        if (auto error = authorise(*found.route, header("Licet-Client"), header("Licet-Subject"), call)) return refuse(*error);
        if (auto error = query_of(request, *found.route, call)) return refuse(*error);
        if (const auto name = call.path.find("name"); name != call.path.end() && !valid_slug(name->second))
            return refuse({Errc::invalid_parameter, "a name is 1-64 characters of a-z 0-9 . _ - starting with a letter or digit", "path:name"});
        // A deferred answer would otherwise be cut by Pistache's own timeout.
        if (const auto peer = response.getPeer()) peer->setIdle(true);
        auto job = std::make_unique<Job>(Job{std::move(call), found.route, request_id, std::move(response)});
        if (queue_.try_push(std::move(job))) return;
        const Error busy = stopping_ ? Error{Errc::draining, "this node is going away", {}}
                                     : Error{Errc::overloaded, "too many requests wait for the control plane", {}};
        finish(*job, problem(busy, request_id));
    }

    static std::optional<Error> query_of(const http::Request& request, const Route& route, Call& call) {
        for (auto at = request.query().parameters_begin(); at != request.query().parameters_end(); ++at) {
            auto key = percent_decode(at->first, true), value = percent_decode(at->second, true);
            if (!key || !value) return Error{Errc::bad_request, "malformed percent-encoding", "query"};
            if (std::find(route.parameters.begin(), route.parameters.end(), *key) == route.parameters.end())
                return Error{Errc::invalid_parameter, "unknown parameter", "query:" + *key};
            call.query[*key] = *std::move(value);
        }
        return std::nullopt;
    }

    // The edge has verified the token and says whose it is; what that client may do is read here, from the same snapshot.
    std::optional<Error> authorise(const Route& route, const std::string& client_id, const std::string& subject, Call& call) const {
        if (route.roles.empty()) return std::nullopt;
        if (client_id.empty()) return Error{Errc::unauthenticated, "a bearer token is required", "header:Authorization"};
        const auto snapshot = services_.snapshot();
        const auto* client = snapshot->client(client_id);
        if (client == nullptr || client->revoked) return Error{Errc::invalid_token, "the client was revoked", "header:Authorization"};
        call.actor = {client->id, client->party, client->roles};
        const bool for_subjects = route.roles.front() == kSubjectRole;
        if (for_subjects || !subject.empty()) {
            call.actor.roles.clear();
            if (!for_subjects || subject.empty()) return Error{Errc::forbidden, "needs the token of a data subject", {}};
            call.actor.subject = app::forwarded_subject(subject);
            if (!call.actor.subject) return Error{Errc::invalid_token, "not a token of a data subject", "header:Authorization"};
            return std::nullopt;
        }
        const bool may = route.roles.front() == kAnyRole || std::any_of(client->roles.begin(), client->roles.end(), [&](const std::string& role) {
                             return std::find(route.roles.begin(), route.roles.end(), role) != route.roles.end();
                         });
        if (!may) {
            std::string roles;
            for (const auto role : route.roles) roles += (roles.empty() ? "" : " or ") + std::string(role);
            return Error{Errc::forbidden, "needs the role " + roles, {}};
        }
        return std::nullopt;
    }

    void work() {
        while (auto job = queue_.pop()) {
            Job& j = **job;
            const Answer answer = run(j);
            log::info("control.request", {{"route", j.route->path},
                                          {"method", j.route->method},
                                          {"status", answer.status},
                                          {"client", j.call.actor.client},
                                          {"request_id", j.request_id}});
            finish(j, answer);
        }
    }

    static Answer run(Job& job) {
        try {
            auto result = job.route->run(job.call);
            if (result) return *std::move(result);
            return result.error().code == Errc::misdirected ? elsewhere(job, result.error()) : problem(result.error(), job.request_id);
        } catch (const std::exception&) {
        } catch (...) {
        }
        // A use case has no business throwing; what it said may quote input, so only that it did is logged.
        log::error("control.use_case_threw", {{"route", job.route->path}, {"request_id", job.request_id}});
        return problem({Errc::internal, "the request failed", {}}, job.request_id);
    }

    // Says where the request belongs.
    static Answer elsewhere(const Job& job, const Error& error) {
        Answer answer = problem(error, job.request_id);
        const auto snapshot = job.call.services.snapshot();
        const auto* region = snapshot->region_named(job.call.services.authored_in);
        if (region == nullptr) return answer;
        auto body = nlohmann::json::parse(answer.body);
        body["endpoint"] = region->endpoint;
        answer.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        return answer;
    }

    void finish(Job& job, const Answer& answer) {
        count_unsent(+1);
        try {
            if (const auto peer = job.response.getPeer()) peer->setIdle(false);
            send(job.response, answer, job.request_id).then([this](ssize_t) { count_unsent(-1); }, [this](std::exception_ptr&) { count_unsent(-1); });
        } catch (const std::exception&) {
            count_unsent(-1);
            log::warn("control.answer_not_sent", {{"route", job.route->path}, {"request_id", job.request_id}});
        }
    }

    void count_unsent(int change) {
        const std::lock_guard lock(unsent_mutex_);
        unsent_ += change;
        if (unsent_ == 0) all_sent_.notify_all();
    }

    const ControlOptions options_;
    const ControlServices services_;
    BoundedQueue<std::unique_ptr<Job>> queue_;
    std::unique_ptr<http::Endpoint> endpoint_;
    std::uint16_t port_ = 0;
    std::vector<std::thread> pool_;
    std::atomic<bool> stopping_{false};
    std::mutex unsent_mutex_;
    std::condition_variable all_sent_;
    int unsent_ = 0;
};

void Handler::onRequest(const http::Request& request, http::ResponseWriter response) { control_->accept(request, std::move(response)); }

}  // namespace

Result<std::unique_ptr<Control>> Control::start(ControlOptions options, ControlServices services) {
    auto control = std::make_unique<RunningControl>(std::move(options), std::move(services));
    if (auto started = control->start(); !started) return started.error();
    return std::unique_ptr<Control>(std::move(control));
}

}  // namespace licet::control
