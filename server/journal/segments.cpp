#include "server/journal/segments.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace licet::journal {

namespace fs = std::filesystem;

std::string SegmentName::file() const { return std::to_string(boot) + "-" + std::to_string(number) + ".usage"; }

std::vector<SegmentName> list_segments(const std::string& directory) {
    std::vector<SegmentName> out;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(directory, error)) {
        const std::string name = entry.path().filename().string();
        SegmentName segment;
        const char *p = name.data(), *end = name.data() + name.size();
        const auto boot = std::from_chars(p, end, segment.boot);
        if (boot.ec != std::errc{} || boot.ptr == end || *boot.ptr != '-') continue;
        const auto number = std::from_chars(boot.ptr + 1, end, segment.number);
        if (number.ec == std::errc{} && std::string_view(number.ptr, static_cast<std::size_t>(end - number.ptr)) == ".usage") out.push_back(segment);
    }
    std::sort(out.begin(), out.end());
    return out;
}

namespace {

bool any_record(std::string_view bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += metering::kRecordBytes)
        if (metering::read_record(bytes.substr(at, metering::kRecordBytes))) return true;
    return false;
}

}  // namespace

Result<SegmentRecords> read_segment(const std::string& directory, SegmentName name, const metering::Sha256Function& sha256) {
    std::ifstream in(fs::path(directory) / name.file(), std::ios::binary);
    std::ostringstream all;
    all << in.rdbuf();
    if (!in) return Error{Errc::unavailable, "cannot read " + name.file(), {}};
    const std::string bytes = all.str();
    SegmentRecords out;
    for (std::size_t at = 0; at < bytes.size(); at += metering::kRecordBytes) {
        const auto piece = std::string_view(bytes).substr(at, metering::kRecordBytes);
        const auto record = metering::read_record(piece);
        if (!record) {
            // Only the end may be torn (one group commit that never became durable can leave holes of several records): a bad record with a whole one
            // behind it is damage.
            if (any_record(std::string_view(bytes).substr(at + piece.size())))
                return Error{Errc::corrupt, name.file() + ": record " + std::to_string(at / metering::kRecordBytes) + " fails its checksum", {}};
            out.torn = true;
            out.torn_bytes = bytes.size() - at;
            break;
        }
        out.records.push_back(*record);
        out.hashes.push_back(sha256(piece));
    }
    return out;
}

Status sync_directory(const std::string& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    if (!ok) return Error{Errc::unavailable, "cannot sync the journal's directory", {}};
    return success();
}

Status replace_file(const std::string& directory, const std::string& file, const std::string& content) {
    const std::string path = (fs::path(directory) / file).string(), fresh = path + ".new";
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    const bool ok = fd >= 0 && ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    if (!ok || ::rename(fresh.c_str(), path.c_str()) != 0) return Error{Errc::unavailable, "cannot write " + path, {}};
    return sync_directory(directory);
}

}  // namespace licet::journal
