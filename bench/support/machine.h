// What a benchmark needs of the machine: a core of its own, clocks, descriptors, and figures that say how much they moved. Used by every benchmark.
#pragma once

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace licet::bench {

[[noreturn]] inline void die(const std::string& what) {
    std::fflush(stdout);
    std::fprintf(stderr, "bench: %s\n", what.c_str());
    std::_Exit(1);
}

inline std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// User and system time of all threads of this process.
inline double process_cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The calling thread, and every thread it starts from here on.
inline void pin_to(int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) die("cannot be pinned to core " + std::to_string(core));
}

// The two cores a benchmark uses: the first two this process may run on.
struct Cores {
    int server, client;
};
inline Cores two_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cores;
    if (::sched_getaffinity(0, sizeof set, &set) == 0)
        for (int core = 0; core < CPU_SETSIZE && cores.size() < 2; ++core)
            if (CPU_ISSET(core, &set)) cores.push_back(core);
    if (cores.size() < 2) die("needs two cores: one for the server, one for its clients");
    return {cores[0], cores[1]};
}

inline void allow_descriptors(rlim_t wanted) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min(std::max(limit.rlim_cur, wanted), limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted) die("needs " + std::to_string(wanted) + " open descriptors (ulimit -n)");
}

inline double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}
// Half the distance between the quartiles, by the median: how far a typical round was off.
inline double spread(std::vector<double> values) {
    if (values.size() < 2) return 0;
    std::sort(values.begin(), values.end());
    const auto at = [&](double q) { return values[static_cast<std::size_t>(std::lround(q * static_cast<double>(values.size() - 1)))]; };
    return (at(0.75) - at(0.25)) / 2 / median(values);
}
// To `digits` significant digits: what is beyond them is noise.
inline double rounded(double value, int digits = 3) {
    if (value == 0) return 0;
    const double scale = std::pow(10.0, digits - 1 - static_cast<int>(std::floor(std::log10(std::fabs(value)))));
    return std::round(value * scale) / scale;
}

inline nlohmann::json machine() {
    utsname system{};
    ::uname(&system);
    std::string model;
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; model.empty() && std::getline(info, line);)
        if (line.starts_with("model name")) model = line.substr(line.find(':') + 2);
    return {{"cores", ::sysconf(_SC_NPROCESSORS_ONLN)}, {"cpu", model}, {"kernel", system.release}};
}

// Load of the last minute: what else ran meanwhile is in every figure.
inline double load_average() {
    double load = 0;
    return ::getloadavg(&load, 1) == 1 ? load : 0;
}

}  // namespace licet::bench
