// How many bytes the kernel has taken from the server on each connection: read from the server's own sockets with sock_diag, which works because both
// ends are on this host. Used by revocation_race.cc.
#pragma once

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace race {

struct Mark {
    std::uint32_t ports;    // of the node and of the subscriber: towards another node the same port of ours may be in use, too
    std::uint64_t written;  // bytes the server's process has handed to the kernel since the connection was made
};
inline std::uint32_t both_ports(std::uint16_t node, std::uint32_t subscriber) { return std::uint32_t{node} << 16 | subscriber; }

class KernelMarks {
  public:
    KernelMarks() : fd_(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG)) {
        int large = 4 << 20;
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    }
    ~KernelMarks() { ::close(fd_); }
    KernelMarks(const KernelMarks&) = delete;
    KernelMarks& operator=(const KernelMarks&) = delete;

    // Every socket of a server listening on `port`, also closing ones. Each socket's numbers are one look under its lock: what was sent (less what
    // was sent again) and what was not yet, is what was written.
    void read(std::uint16_t port, std::vector<Mark>& into) {
        struct {
            nlmsghdr head;
            inet_diag_req_v2 ask;
            nlattr attribute;
            inet_diag_bc_op op[2];
        } request{};
        request.head.nlmsg_len = sizeof request;
        request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
        request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.ask.sdiag_family = AF_INET;
        request.ask.sdiag_protocol = IPPROTO_TCP;
        request.ask.idiag_ext = 1 << (INET_DIAG_INFO - 1);
        request.ask.idiag_states = 0xfff & ~(1U << 10);  // all but listening
        request.ask.id.idiag_sport = htons(port);
        request.attribute.nla_len = sizeof request.attribute + sizeof request.op;
        request.attribute.nla_type = INET_DIAG_REQ_BYTECODE;
        request.op[0] = {INET_DIAG_BC_S_EQ, sizeof request.op, sizeof request.op + 4};  // the port is in the next operation
        request.op[1] = {0, 0, port};
        if (::send(fd_, &request, sizeof request, 0) < 0) fail("send");
        for (;;) {
            const ssize_t n = ::recv(fd_, buffer_, sizeof buffer_, 0);
            if (n <= 0) fail("recv");
            auto left = static_cast<unsigned>(n);
            for (auto* m = reinterpret_cast<nlmsghdr*>(buffer_); NLMSG_OK(m, left); m = NLMSG_NEXT(m, left)) {
                if (m->nlmsg_type == NLMSG_DONE) return;
                if (m->nlmsg_type == NLMSG_ERROR) fail("sock_diag");
                take(m, into);
            }
        }
    }

  private:
    static void take(nlmsghdr* m, std::vector<Mark>& into) {
        const auto* socket = static_cast<const inet_diag_msg*>(NLMSG_DATA(m));
        int left = static_cast<int>(m->nlmsg_len - NLMSG_LENGTH(sizeof *socket));
        auto* at = reinterpret_cast<const nlattr*>(socket + 1);
        while (left >= static_cast<int>(sizeof *at) && at->nla_len >= sizeof *at && at->nla_len <= left) {
            if (at->nla_type == INET_DIAG_INFO) {
                tcp_info info{};
                std::memcpy(&info, at + 1, std::min<std::size_t>(sizeof info, at->nla_len - sizeof *at));
                into.push_back({both_ports(ntohs(socket->id.idiag_sport), ntohs(socket->id.idiag_dport)),
                                info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes});
            }
            const int step = NLA_ALIGN(at->nla_len);
            left -= step;
            at = reinterpret_cast<const nlattr*>(reinterpret_cast<const char*>(at) + step);
        }
    }
    [[noreturn]] static void fail(const char* what) {
        std::perror(what);
        std::exit(3);
    }

    int fd_;
    alignas(nlmsghdr) char buffer_[1 << 16];
};

}  // namespace race
