// The last line of a benchmark: one JSON object with its name, its figures, and the machine and load they are of. Used by every benchmark.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>

#include "bench/support/machine.h"

namespace licet::bench {

inline void report(const char* bench, nlohmann::json line) {
    line["bench"] = bench;
    line["machine"] = machine();
    line["load_average"] = load_average();
    std::printf("%s\n", line.dump().c_str());
}

// What `in` has there; null: it has not.
inline nlohmann::json member(const nlohmann::json& in, const char* pointer) {
    const nlohmann::json::json_pointer at(pointer);
    return in.contains(at) ? in.at(at) : nlohmann::json();
}

}  // namespace licet::bench
