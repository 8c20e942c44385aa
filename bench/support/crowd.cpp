#include "bench/support/crowd.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <new>

#include "bench/support/machine.h"

namespace licet::bench {

Crowd::Crowd(int core, const std::string& secret) {
    void* memory = ::mmap(nullptr, sizeof(SharedPage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int pair[2];
    if (memory == MAP_FAILED || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) die("cannot share memory");
    page_ = static_cast<SharedPage*>(memory);
    new (&page_->batches_read) std::atomic<std::uint64_t>(0);
    page_->progress = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    child_ = ::fork();
    if (child_ < 0) die("cannot fork");
    if (child_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(pair[0]);
        pin_to(core);
        live_as_crowd(*page_, pair[1], secret);
    }
    ::close(pair[1]);
    link_ = pair[0];
}

Crowd::~Crowd() {
    ::close(link_);
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    ::close(page_->progress);
    ::munmap(page_, sizeof(SharedPage));
}

void announce_progress(SharedPage& page) {
    const std::uint64_t one = 1;
    if (::write(page.progress, &one, sizeof one) != sizeof one) die("eventfd");
}

void Crowd::tell(const Order& order) {
    page_->batches_read.store(0, std::memory_order_release);
    std::uint64_t ignored = 0;
    (void)!::read(page_->progress, &ignored, sizeof ignored);
    if (::send(link_, &order, sizeof order, MSG_NOSIGNAL) != sizeof order) die("the crowd is gone");
}

Outcome Crowd::wait() {
    Outcome out;
    if (::recv(link_, &out, sizeof out, 0) != sizeof out) die("the crowd is gone");
    return out;
}

}  // namespace licet::bench
