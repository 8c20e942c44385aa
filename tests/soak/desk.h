// What the subscribers have in common: the thread they live on, and how they may differ. Used by chain.h and soak_client.cc.
#pragma once

#include <random>

#include "tests/soak/frames.h"
#include "tests/soak/stats.h"
#include "tests/soak/world.h"

namespace soak {

enum class Transport : std::uint8_t { websocket, deflate, sse, pull };

struct Habits {
    bool keeps_up = false;  // never slow, never cut off
    bool replays = false;   // windows of the past, one after the other
    double rest_s = 60;     // between two of its whims, on average
};

// What chains share: the thread's.
struct Desk {
    World& world;
    Stats& stats;
    std::minstd_rand random;
    int epoll;
    Inflater inflater;
    std::string scratch = std::string(1 << 20, '\0');

    double chance() { return std::uniform_real_distribution<>(0, 1)(random); }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); }
};

}  // namespace soak
