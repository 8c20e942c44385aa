#include "server/exports/jobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/usage_limits.h"
#include "server/exports/text.h"
#include "server/ports/log.h"

namespace licet::exports {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

Error disk() { return {Errc::unavailable, "the exports' directory cannot be written", {}}; }

std::string joined(const std::vector<std::string>& group) {
    std::string out;
    for (const auto& g : group) out += (out.empty() ? "" : ",") + g;
    return out;
}

// Written whole and durable, or not at all.
Status replace_file(const std::string& path, const std::string& text) {
    const std::string next = path + ".new";
    const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return disk();
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fdatasync(fd) == 0;
    ::close(fd);
    if (!written || ::rename(next.c_str(), path.c_str()) != 0) return disk();
    return success();
}

json kept(const Job& job, const std::optional<Place>& place) {
    json out{{"id", job.id},
             {"report", name_of(job.wanted.report)},
             {"format", name_of(job.wanted.format)},
             {"period", job.wanted.accounts.period},
             {"group", joined(job.wanted.group)},
             {"contract", job.wanted.accounts.contract},
             {"client", job.client},
             {"state", name_of(job.state)},
             {"linesDone", job.progress.lines},
             {"linesTotal", job.progress.lines_total},
             {"restarts", job.progress.restarts},
             {"created", job.created.value},
             {"finished", job.finished.value},
             {"bytes", job.bytes},
             {"error", job.error},
             {"detail", job.detail}};
    if (place)
        out["place"] = {{"contract", place->contract}, {"after", place->after},       {"ended", place->ended},
                        {"sum", place->sum},           {"lines", place->lines},       {"bytes", place->bytes},
                        {"state", place->state},       {"accounts", place->accounts}, {"draft", place->draft}};
    return out;
}

std::optional<JobState> parse_state(const std::string& text) {
    for (const auto state : {JobState::waiting, JobState::running, JobState::done, JobState::failed})
        if (name_of(state) == text) return state;
    return std::nullopt;
}

}  // namespace

std::string_view name_of(JobState state) noexcept {
    switch (state) {
        case JobState::waiting:
            return "waiting";
        case JobState::running:
            return "running";
        case JobState::done:
            return "done";
        case JobState::failed:
            break;
    }
    return "failed";
}

std::string to_json(const Job& job) {
    json out{{"id", job.id},
             {"report", name_of(job.wanted.report)},
             {"format", name_of(job.wanted.format)},
             {"period", job.wanted.accounts.period},
             {"group", job.wanted.group},
             {"client", job.client},
             {"state", name_of(job.state)},
             {"lines", {{"done", job.progress.lines}, {"total", job.progress.lines_total}}},
             {"restarts", job.progress.restarts},
             {"createdAt", format_rfc3339(job.created)}};
    if (!job.wanted.accounts.contract.empty()) out["contract"] = job.wanted.accounts.contract;
    if (job.finished.value != 0) out["finishedAt"] = format_rfc3339(job.finished);
    if (job.state == JobState::done) {
        out["bytes"] = job.bytes;
        out["fileName"] = file_name_of(job.wanted);
        out["content"] = "/v1/finance/exports/" + job.id + "/content";
    }
    if (job.state == JobState::failed) out["error"] = {{"type", "https://licet.dev/problems/" + job.error}, {"detail", job.detail}};
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

JobContent::~JobContent() { ::close(fd_); }

Result<std::string> JobContent::read(std::uint64_t from, std::size_t most) const {
    std::string out(static_cast<std::size_t>(std::min<std::uint64_t>(most, from < job_.bytes ? job_.bytes - from : 0)), '\0');
    for (std::size_t got = 0; got < out.size();) {
        const auto done = ::pread(fd_, out.data() + got, out.size() - got, static_cast<off_t>(from + got));
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return Error{Errc::unavailable, "the export's file cannot be read", {}};
        got += static_cast<std::size_t>(done);
    }
    return out;
}

Result<std::unique_ptr<Jobs>> Jobs::open(Parts parts) {
    auto jobs = std::make_unique<Jobs>(std::move(parts));
    if (auto loaded = jobs->load(); !loaded) return loaded.error();
    jobs->worker_ = std::thread([j = jobs.get()] { j->work(); });
    return jobs;
}

Status Jobs::load() {
    std::error_code error;
    fs::create_directories(parts_.directory, error);
    if (error) return Error{Errc::unavailable, "cannot create " + parts_.directory, {}};
    const std::lock_guard lock(mutex_);
    for (const auto& file : fs::directory_iterator(parts_.directory, error)) {
        if (file.path().extension() == ".new" || file.path().filename().string().starts_with("report-")) fs::remove(file.path(), error);
        if (file.path().extension() != ".json") continue;
        std::ifstream in(file.path());
        const json said = json::parse(in, nullptr, false);
        auto entry = std::make_shared<Entry>();
        try {
            auto wanted =
                parse_wanted(said.at("report").get<std::string>(), said.at("format").get<std::string>(), said.at("period").get<std::string>(),
                             said.at("group").get<std::string>(), said.at("contract").get<std::string>());
            const auto state = parse_state(said.at("state").get<std::string>());
            if (!wanted || !state || said.at("id").get<std::string>() != file.path().stem().string()) throw std::invalid_argument("export");
            entry->job = {said.at("id"),
                          *std::move(wanted),
                          said.at("client"),
                          *state,
                          {said.at("linesDone"), said.at("linesTotal"), said.at("restarts")},
                          {said.at("created").get<std::int64_t>()},
                          {said.at("finished").get<std::int64_t>()},
                          said.at("bytes"),
                          said.at("error"),
                          said.at("detail")};
            if (said.contains("place")) {
                const auto& p = said["place"];
                entry->place = Place{p.at("contract"), p.at("after"), p.at("ended"),    p.at("sum"),  p.at("lines"),
                                     p.at("bytes"),    p.at("state"), p.at("accounts"), p.at("draft")};
            }
        } catch (const std::exception&) {
            log::warn("exports.unreadable", {{"file", file.path().filename().string()}});
            continue;
        }
        auto& job = entry->job;
        if (job.state == JobState::running) job.state = JobState::waiting;
        const auto size = fs::file_size(path(job.id, ".data"), error);
        if (job.state == JobState::waiting && !error) {  // it ended between the file's new name and the note of it
            job.bytes = size;
            job.state = JobState::done;
            job.finished = parts_.clock->utc_now();
        } else if (job.state == JobState::done && (error || size != job.bytes)) {
            job.state = JobState::waiting;
            entry->place.reset();
        }
        if (entry->place) {
            const auto part = fs::file_size(path(job.id, ".part"), error);
            if (error || part < entry->place->bytes) entry->place.reset();
        }
        entries_.emplace(job.id, std::move(entry));
    }
    return success();
}

Status Jobs::save(const Entry& entry) const { return replace_file(path(entry.job.id, ".json"), kept(entry.job, entry.place).dump()); }

Result<Job> Jobs::start(const Wanted& wanted, const std::string& client) {
    const std::lock_guard lock(mutex_);
    if (entries_.size() >= limits::exports_max) {
        const std::shared_ptr<Entry>* oldest = nullptr;
        for (const auto& [id, entry] : entries_) {
            const bool finished = entry->job.state == JobState::done || entry->job.state == JobState::failed;
            if (finished && (oldest == nullptr || entry->job.created < (*oldest)->job.created)) oldest = &entry;
        }
        if (oldest == nullptr) return Error{Errc::overloaded, std::to_string(limits::exports_max) + " exports are waiting", {}};
        forget(std::string((*oldest)->job.id));
    }
    auto entry = std::make_shared<Entry>();
    entry->job.id = parts_.new_id();
    entry->job.wanted = wanted;
    entry->job.client = client;
    entry->job.created = parts_.clock->utc_now();
    if (auto saved = save(*entry); !saved) return saved.error();
    entries_.emplace(entry->job.id, entry);
    changed_.notify_all();
    return entry->job;
}

Result<Job> Jobs::get(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return Error{Errc::not_found, "no such export", {}};
    return found->second->job;
}

std::vector<Job> Jobs::list() const {
    std::vector<Job> out;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, entry] : entries_) out.push_back(entry->job);
    }
    std::sort(out.begin(), out.end(), [](const Job& a, const Job& b) { return a.created != b.created ? a.created > b.created : a.id < b.id; });
    return out;
}

// The lock is held.
void Jobs::forget(const std::string& id) {
    std::error_code ignored;
    // The note last: without it nobody would look for the others.
    for (const char* suffix : {".part", ".data", ".json"}) fs::remove(path(id, suffix), ignored);
    entries_.erase(id);
}

Status Jobs::remove(const std::string& id) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return Error{Errc::not_found, "no such export", {}};
    found->second->removed = true;
    if (found->second->job.state != JobState::running) forget(id);  // the worker does it where it stands
    changed_.notify_all();
    return success();
}

Result<std::shared_ptr<const JobContent>> Jobs::content(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return Error{Errc::not_found, "no such export", {}};
    const auto& job = found->second->job;
    if (job.state != JobState::done) return Error{Errc::conflict, "the export is " + std::string(name_of(job.state)), {}};
    const int fd = ::open(path(id, ".data").c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return Error{Errc::unavailable, "the export's file cannot be read", {}};
    return std::shared_ptr<const JobContent>(std::make_shared<JobContent>(job, fd));
}

void Jobs::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (worker_.joinable()) worker_.join();
}

void Jobs::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        std::shared_ptr<Entry> next;
        for (const auto& [id, entry] : entries_)
            if (entry->job.state == JobState::waiting && (!next || entry->job.created < next->job.created)) next = entry;
        if (stopping_) return;
        if (!next) {
            changed_.wait(lock);
            continue;
        }
        next->job.state = JobState::running;
        lock.unlock();
        make(next);
        lock.lock();
        if (next->removed) forget(next->job.id);
    }
}

void Jobs::make(const std::shared_ptr<Entry>& entry) {
    const std::string id = entry->job.id;
    for (int attempt = 1;; ++attempt) {
        const auto place = entry->place;  // only this thread changes it
        const auto restarts = entry->job.progress.restarts;
        auto done = parts_.exporter->to_file(entry->job.wanted, path(id, ".part"), place, [&](const Progress& progress, const Place* now) -> Status {
            const std::lock_guard lock(mutex_);
            if (stopping_ || entry->removed) return Error{Errc::draining, "ended", {}};
            const bool anew = restarts + progress.restarts != entry->job.progress.restarts;
            entry->job.progress = {progress.lines, progress.lines_total, restarts + progress.restarts};
            if (anew) {
                entry->place.reset();  // of what is no more
                log::info("exports.anew", {{"export", id}, {"restarts", entry->job.progress.restarts}});
            }
            if (now == nullptr) return anew ? save(*entry) : success();
            entry->place = *now;
            attempt = 1;
            return save(*entry);
        });
        std::unique_lock lock(mutex_);
        if (entry->removed) return;
        if (stopping_) {
            entry->job.state = JobState::waiting;
            return;
        }
        if (!done && done.error().code == Errc::unavailable && attempt < limits::export_attempts_max) {
            changed_.wait_for(lock, std::chrono::milliseconds(parts_.retry_ms), [&] { return stopping_ || entry->removed; });
            continue;
        }
        finish(*entry, done);
        return;
    }
}

// The lock is held.
void Jobs::finish(Entry& entry, const Status& done) {
    auto& job = entry.job;
    std::error_code error;
    Status result = done;
    if (result) {
        job.bytes = fs::file_size(path(job.id, ".part"), error);
        if (!error) fs::rename(path(job.id, ".part"), path(job.id, ".data"), error);
        if (error) result = disk();
    }
    entry.place.reset();
    job.finished = parts_.clock->utc_now();
    job.state = result ? JobState::done : JobState::failed;
    if (!result) {
        job.error = catalogue_entry(result.error().code).slug;
        job.detail = result.error().detail;
        fs::remove(path(job.id, ".part"), error);
        log::warn("exports.failed", {{"export", job.id}, {"error", job.error}, {"detail", job.detail}});
    } else {
        log::info("exports.done", {{"export", job.id}, {"bytes", job.bytes}, {"lines", job.progress.lines}});
    }
    // Not noted: it is made again after a restart, or found finished.
    if (auto saved = save(entry); !saved) log::warn("exports.not_noted", {{"export", job.id}});
}

}  // namespace licet::exports
