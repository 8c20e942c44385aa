#include "server/exports/exporter.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/usage_limits.h"
#include "server/exports/workbook.h"

namespace licet::exports {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLinesBetweenPlaces = 100'000;

Error disk(const std::string& what) { return {Errc::unavailable, "the export's file cannot be " + what, {}}; }

// A period is closed once; more often than this is no accident.
bool again(const Status& done, int attempt) { return !done && done.error().code == Errc::precondition_failed && attempt < 3; }

class File {
  public:
    explicit File(int fd) : fd_(fd) {}
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    [[nodiscard]] bool write(std::string_view bytes) const {
        while (!bytes.empty()) {
            const auto done = ::write(fd_, bytes.data(), bytes.size());
            if (done < 0 && errno == EINTR) continue;
            if (done <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(done));
        }
        return true;
    }
    [[nodiscard]] bool cut(std::uint64_t bytes) const {
        return ::ftruncate(fd_, static_cast<off_t>(bytes)) == 0 && ::lseek(fd_, static_cast<off_t>(bytes), SEEK_SET) == static_cast<off_t>(bytes);
    }
    [[nodiscard]] bool sync() const { return ::fdatasync(fd_) == 0; }

  private:
    const int fd_;
};

}  // namespace

Result<std::string> Exporter::direct(const Wanted& wanted) const {
    const auto few = [](const Progress& progress, const Place*) -> Status {
        if (progress.lines_total <= limits::export_direct_lines_max) return success();
        return Error{
            Errc::invalid_parameter,
            "there are more than " + std::to_string(limits::export_direct_lines_max) + " lines: have the report made by POST /v1/finance/exports",
            "query:period"};
    };
    if (wanted.format == Format::xlsx) {
        std::string path = parts_.directory + "/report-XXXXXX";
        const int fd = ::mkstemp(path.data());
        if (fd < 0) return disk("made");
        ::close(fd);
        auto done = workbook(wanted, path, few);
        std::string bytes;
        if (done) {
            std::ifstream in(path, std::ios::binary);
            bytes.assign(std::istreambuf_iterator<char>(in), {});
            if (!in && bytes.empty()) done = disk("read");
        }
        std::error_code ignored;
        fs::remove(path, ignored);
        if (!done) return done.error();
        return bytes;
    }
    std::string out;
    for (int attempt = 1;; ++attempt) {
        out.clear();
        const auto layout = make_layout(wanted, parts_.issuer, parts_.clock->utc_now());
        const auto done = run(
            *parts_.accounts, wanted, *layout,
            [&](std::string_view bytes) {
                out += bytes;
                return success();
            },
            few);
        if (done) return out;
        if (!again(done, attempt)) return done.error();
    }
}

// The log and the journal live on the same disk, and need it more.
Status Exporter::enough_room() const {
    std::error_code error;
    const auto space = fs::space(parts_.directory, error);
    if (!error && space.available < limits::export_disk_left_bytes)
        return Error{Errc::unavailable, "less than " + std::to_string(limits::export_disk_left_bytes) + " bytes would be left on the disk", {}};
    return success();
}

Status Exporter::to_file(const Wanted& wanted, const std::string& path, const std::optional<Place>& from, const Passed& passed) const {
    if (wanted.format == Format::xlsx) {
        auto done = workbook(wanted, path, [&](const Progress& progress, const Place* place) -> Status {
            if (auto room = enough_room(); !room) return room;
            return passed(progress, place);
        });
        if (done && !File(::open(path.c_str(), O_RDWR | O_CLOEXEC)).sync()) return disk("written");
        return done;
    }
    const File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file.cut(from ? from->bytes : 0)) return disk("made");
    auto place = from;
    for (int attempt = 1;; ++attempt, place.reset()) {
        const auto layout = make_layout(wanted, parts_.issuer, parts_.clock->utc_now());
        std::uint64_t synced = place ? place->lines : 0;
        auto done = run(
            *parts_.accounts, wanted, *layout, [&](std::string_view bytes) { return file.write(bytes) ? success() : Status(disk("written")); },
            [&](Progress progress, const Place* now) -> Status {
                progress.restarts = static_cast<std::uint64_t>(attempt - 1);
                if (auto room = enough_room(); !room) return room;
                // Making it durable at every page would cost more than writing it.
                const bool durable = now != nullptr && now->lines >= synced + kLinesBetweenPlaces;
                if (!durable) return passed(progress, nullptr);
                synced = now->lines;
                if (!file.sync()) return disk("written");
                return passed(progress, now);
            },
            place);
        if (done) return file.sync() ? done : Status(disk("written"));
        if (!again(done, attempt)) return done;
        if (!file.cut(0)) return disk("written");
    }
}

Status Exporter::workbook(const Wanted& wanted, const std::string& path, const Passed& passed) const {
    for (int attempt = 1;; ++attempt) {
        auto book = parts_.make_workbook(path);
        if (!book) return book.error();
        WorkbookLayout layout(**book, parts_.clock->utc_now());
        const auto done = run(
            *parts_.accounts, wanted, layout, [](std::string_view) { return success(); },
            [&](Progress progress, const Place* place) {
                progress.restarts = static_cast<std::uint64_t>(attempt - 1);
                return passed(progress, place);
            });
        if (done) return (*book)->close();
        if (!again(done, attempt)) return done;
    }
}

}  // namespace licet::exports
