// Exports made in the background: one at a time, each into a file of its own, with progress; after a restart of the server they go on where they
// stood. Files: ID.json (what it is and how far it is), ID.part while it is made, ID.data when it is done. Used by the control plane, and by the
// edge, which sends the files. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/exports/exporter.h"

namespace licet::exports {

enum class JobState : std::uint8_t { waiting, running, done, failed };
[[nodiscard]] std::string_view name_of(JobState state) noexcept;

struct Job {
    std::string id;  // 32 hex digits
    Wanted wanted;
    std::string client;  // who asked
    JobState state = JobState::waiting;
    Progress progress;
    UtcMillis created, finished;  // finished: 0 until it is
    std::uint64_t bytes = 0;      // of the file when done
    std::string error, detail;    // slug and text when failed
};
[[nodiscard]] std::string to_json(const Job& job);

// A finished file. It can be read as long as this lives, even when the job is removed meanwhile.
class JobContent {
  public:
    JobContent(Job job, int fd) : job_(std::move(job)), fd_(fd) {}
    ~JobContent();
    JobContent(const JobContent&) = delete;
    JobContent& operator=(const JobContent&) = delete;
    [[nodiscard]] const Job& job() const noexcept { return job_; }
    // At most `most` bytes from there; fewer only at the end. Errors: unavailable.
    [[nodiscard]] Result<std::string> read(std::uint64_t from, std::size_t most) const;

  private:
    const Job job_;
    const int fd_;
};

class Jobs {
  public:
    struct Parts {
        std::shared_ptr<const Exporter> exporter;
        std::shared_ptr<const Clock> clock;
        std::function<std::string()> new_id;
        std::string directory;  // made when it is not there
        int retry_ms = 1000;    // while the ledger cannot be read
    };
    // Finds what earlier starts of the server left, and goes on with it. Errors: unavailable.
    [[nodiscard]] static Result<std::unique_ptr<Jobs>> open(Parts parts);
    explicit Jobs(Parts parts) : parts_(std::move(parts)) {}
    ~Jobs() { stop(); }

    // Errors: overloaded when limits::exports_max are kept and none of them is finished; else the oldest finished makes room. unavailable (disk).
    [[nodiscard]] Result<Job> start(const Wanted& wanted, const std::string& client);
    [[nodiscard]] Result<Job> get(const std::string& id) const;  // not_found
    [[nodiscard]] std::vector<Job> list() const;                 // the newest first
    // Ends it when it is under way. Errors: not_found.
    [[nodiscard]] Status remove(const std::string& id);
    // Errors: not_found, conflict when it is not done.
    [[nodiscard]] Result<std::shared_ptr<const JobContent>> content(const std::string& id) const;
    // What is under way is left as it is, for the next start.
    void stop();

  private:
    struct Entry {
        Job job;
        std::optional<Place> place;
        bool removed = false;
    };
    [[nodiscard]] Status load();
    void work();
    void make(const std::shared_ptr<Entry>& entry);
    [[nodiscard]] Status save(const Entry& entry) const;
    void finish(Entry& entry, const Status& done);
    void forget(const std::string& id);
    [[nodiscard]] std::string path(const std::string& id, const char* suffix) const { return parts_.directory + "/" + id + suffix; }

    const Parts parts_;
    mutable std::mutex mutex_;  // over entries_ and what they hold, and stopping_
    std::condition_variable changed_;
    std::map<std::string, std::shared_ptr<Entry>> entries_;
    bool stopping_ = false;
    std::thread worker_;
};

}  // namespace licet::exports
