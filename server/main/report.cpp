// `licet report`: has the server make a report and fetches it, with progress on standard error; what broke off is taken up with --resume.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/encoding.h"
#include "server/main/commands.h"
#include "server/main/composition.h"
#include "server/openssl/http_client.h"

namespace licet::commands {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using openssl::HttpAnswer;
using openssl::HttpCall;

constexpr int kAttempts = 8;  // while the server cannot be reached
constexpr std::chrono::milliseconds kPoll{500}, kAgain{2000};

// What --format names: a report and its form.
const std::map<std::string, std::pair<const char*, const char*>>& forms() {
    static const std::map<std::string, std::pair<const char*, const char*>> all{{"csv", {"lines", "csv"}},
                                                                                {"json", {"lines", "json"}},
                                                                                {"xlsx", {"lines", "xlsx"}},
                                                                                {"focus", {"cost-and-usage", "csv"}},
                                                                                {"focus-invoice-detail", {"invoice-detail", "csv"}},
                                                                                {"focus-billing-period", {"billing-period", "csv"}},
                                                                                {"invoice", {"invoice", "html"}},
                                                                                {"reconciliation", {"reconciliation", "html"}}};
    return all;
}

std::string form_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
        char escaped[4];
        std::snprintf(escaped, sizeof escaped, "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(c)));
        out += plain ? std::string(1, c) : std::string(escaped);
    }
    return out;
}

Error refused(const HttpAnswer& answer) {
    const auto problem = json::parse(answer.body, nullptr, false);
    // What is refused is refused again: only what is away for a while is asked again.
    const Errc code = answer.status == 503 ? Errc::unavailable : Errc::forbidden;
    std::string detail = "the server answered " + std::to_string(answer.status);
    if (problem.is_object()) detail += ": " + problem.value("detail", problem.value("error_description", problem.value("title", "")));
    return {code, detail, {}};
}

class Report {
  public:
    Report(const ReportArguments& arguments, std::unique_ptr<openssl::HttpClient> client, std::string secret)
        : arguments_(arguments),
          client_(std::move(client)),
          secret_(std::move(secret)),
          part_(arguments.out + ".part"),
          note_(arguments.out + ".report") {}

    Status all() {
        if (auto got = job(); !got) return got;
        if (auto made = await(); !made) return made;
        if (auto fetched = fetch(); !fetched) return fetched;
        std::error_code error;
        fs::rename(part_, arguments_.out, error);
        if (error) return Error{Errc::unavailable, "cannot write " + arguments_.out, {}};
        fs::remove(note_, error);
        std::fprintf(stderr, "\r%s: %llu bytes\n", arguments_.out.c_str(), static_cast<unsigned long long>(bytes_));
        return success();
    }

  private:
    // Asked again while the server cannot be reached, and with a new token when the one at hand has ended.
    Result<HttpAnswer> ask(HttpCall call, const openssl::HttpClient::Sink& sink = {}) {
        for (int attempt = 1;; ++attempt) {
            if (token_.empty())
                if (auto got = authenticate(); !got) {
                    if (got.error().code != Errc::unavailable || attempt == kAttempts) return got.error();
                    std::this_thread::sleep_for(kAgain);
                    continue;
                }
            call.headers["Authorization"] = "Bearer " + token_;
            auto answer = client_->call(call, sink);
            if (answer && answer->status == 401 && attempt < kAttempts) {
                token_.clear();
                continue;
            }
            const bool again = sink == nullptr && (!answer || answer->status == 503);
            if (!again || attempt == kAttempts) return answer;
            std::this_thread::sleep_for(kAgain);
        }
    }

    Status authenticate() {
        HttpCall call{"POST", "/oauth/token", {{"Content-Type", "application/x-www-form-urlencoded"}}, "grant_type=client_credentials"};
        const std::string basic = form_encoded(arguments_.client) + ":" + form_encoded(secret_);
        call.headers["Authorization"] = "Basic " + base64(as_bytes(basic));
        const auto answer = client_->call(call);
        if (!answer) return answer.error();
        if (answer->status != 200) return refused(*answer);
        const auto body = json::parse(answer->body, nullptr, false);
        if (body.is_object()) token_ = body.value("access_token", "");
        if (token_.empty()) return Error{Errc::unavailable, "the server gave no token", {}};
        return success();
    }

    // The one that was begun, or a new one.
    Status job() {
        const auto& [report, format] = forms().at(arguments_.format);
        json wanted{{"report", report}, {"format", format}, {"period", arguments_.period}};
        if (!arguments_.group.empty()) wanted["group"] = arguments_.group;
        if (!arguments_.contract.empty()) wanted["contract"] = arguments_.contract;
        std::error_code error;
        if (arguments_.resume) {
            const auto note = json::parse(std::ifstream(note_), nullptr, false);
            if (note.is_object() && note.value("wanted", json()) == wanted && note.value("server", "") == arguments_.server) {
                id_ = note.value("id", "");
                const auto answer = ask({"GET", "/v1/finance/exports/" + id_, {}, {}});
                if (!answer) return answer.error();
                if (answer->status == 200) return success();
                std::fprintf(stderr, "the server has no such export any more: it is made anew\n");
            }
        }
        fs::remove(part_, error);
        const auto answer = ask({"POST", "/v1/finance/exports", {{"Content-Type", "application/json"}}, wanted.dump()});
        if (!answer) return answer.error();
        if (answer->status != 202) return refused(*answer);
        id_ = json::parse(answer->body, nullptr, false).value("id", "");
        std::ofstream(note_) << json{{"id", id_}, {"server", arguments_.server}, {"wanted", wanted}}.dump();
        return success();
    }

    Status await() {
        for (;; std::this_thread::sleep_for(kPoll)) {
            const auto answer = ask({"GET", "/v1/finance/exports/" + id_, {}, {}});
            if (!answer) return answer.error();
            if (answer->status != 200) return refused(*answer);
            const auto body = json::parse(answer->body, nullptr, false);
            if (!body.is_object()) return Error{Errc::unavailable, "the server's answer is not JSON", {}};
            const auto state = body.value("state", "");
            const auto lines = body.value("lines", json::object());
            const auto restarts = body.value("restarts", std::uint64_t{0});
            std::fprintf(stderr, "\r%s: %llu of %llu lines%s   ", state.c_str(),
                         static_cast<unsigned long long>(lines.value("done", std::uint64_t{0})),
                         static_cast<unsigned long long>(lines.value("total", std::uint64_t{0})),
                         restarts > 0 ? ", begun anew: what it was of has moved" : "");
            if (state == "done") {
                bytes_ = body.value("bytes", std::uint64_t{0});
                return success();
            }
            if (state == "failed") return Error{Errc::unavailable, "the export failed: " + body["error"].value("detail", ""), {}};
        }
    }

    Status fetch() {
        for (int attempt = 1;; ++attempt) {
            std::error_code error;
            auto have = fs::file_size(part_, error);
            if (error || have > bytes_) have = 0;
            if (!error && have == bytes_) return success();
            HttpCall call{"GET", "/v1/finance/exports/" + id_ + "/content", {}, {}};
            if (have > 0) call.headers["Range"] = "bytes=" + std::to_string(have) + "-";
            std::FILE* file = nullptr;
            const auto answer = ask(call, [&](const HttpAnswer& head, std::string_view bytes) {
                if (file == nullptr) file = std::fopen(part_.c_str(), head.status == 206 ? "ab" : "wb");
                if (file == nullptr || std::fwrite(bytes.data(), 1, bytes.size(), file) != bytes.size()) return false;
                return true;
            });
            const bool kept = file == nullptr || std::fclose(file) == 0;
            if (!kept) return Error{Errc::unavailable, "cannot write " + part_, {}};
            if (answer && answer->status != 200 && answer->status != 206) return refused(*answer);
            if (answer && fs::file_size(part_, error) == bytes_) return success();
            if (attempt == kAttempts) return answer ? Error{Errc::unavailable, "the file is not what the server said", {}} : answer.error();
            std::this_thread::sleep_for(kAgain);
        }
    }

    const ReportArguments& arguments_;
    const std::unique_ptr<openssl::HttpClient> client_;
    const std::string secret_, part_, note_;
    std::string token_, id_;
    std::uint64_t bytes_ = 0;
};

}  // namespace

int report(const ReportArguments& arguments) {
    if (!forms().contains(arguments.format)) {
        std::string known;
        for (const auto& [name, form] : forms()) known += (known.empty() ? "" : ", ") + name;
        return fail("report", Error{Errc::invalid_parameter, "--format is one of " + known, {}});
    }
    std::ifstream in(arguments.secret_file);
    std::string secret;
    if (!std::getline(in, secret) || secret.empty())
        return fail("report", Error{Errc::invalid_parameter, "cannot read a secret from " + arguments.secret_file, {}});
    auto client = openssl::make_http_client(arguments.server, arguments.ca_file);
    if (!client) return fail("report", client.error());
    const auto done = Report(arguments, *std::move(client), secret).all();
    if (!done) {
        std::fprintf(stderr, "\n");
        return fail("report", done.error());
    }
    return 0;
}

}  // namespace licet::commands
