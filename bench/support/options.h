// Options of a benchmark: pairs of a name and a whole number.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "bench/support/machine.h"

namespace licet::bench {

inline void read_options(int count, char** arguments, const std::map<std::string, std::uint64_t*>& known) {
    const auto usage = [&] {
        std::string text = arguments[0];
        for (const auto& [name, value] : known) text += " [" + name + " N (" + std::to_string(*value) + ")]";
        die(text);
    };
    for (int i = 1; i < count; i += 2) {
        const auto option = known.find(arguments[i]);
        if (option == known.end() || i + 1 == count) usage();
        char* end = nullptr;
        *option->second = std::strtoul(arguments[i + 1], &end, 10);
        if (*end != '\0' || end == arguments[i + 1]) usage();
    }
}

}  // namespace licet::bench
