// A program of somebody else that a benchmark runs beside the node: on one core, below the benchmark's own directory, ended with it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace licet::bench {

[[nodiscard]] std::uint16_t free_port();  // of 127.0.0.1, a moment ago
[[nodiscard]] bool in_path(const std::string& program);
// Of what no package brings: in LICET_BENCH_BIN (build/bench/bin when that is not set) or PATH. Empty: nowhere.
[[nodiscard]] std::string installed(const std::string& program);

class Program {
  public:
    // Its output goes to `log_file`. Must be made before this process has threads that may die before it does.
    Program(const std::vector<std::string>& arguments, int core, const std::string& log_file);
    // A part of the benchmark itself, in a process of its own.
    Program(const std::string& name, int core, const std::string& log_file, const std::function<void()>& body);
    ~Program();  // SIGTERM, then waits
    Program(const Program&) = delete;
    // Until it accepts connections there; dies when it ends or takes more than ten seconds.
    void await_port(std::uint16_t port);
    [[noreturn]] void complain() const;  // dies with what it said
    [[nodiscard]] bool running() const;
    [[nodiscard]] pid_t pid() const noexcept { return child_; }
    [[nodiscard]] double cpu_seconds() const;  // and of those it started; in ticks of 10 ms

  private:
    pid_t child_ = -1;
    std::string name_, log_;
};

}  // namespace licet::bench
