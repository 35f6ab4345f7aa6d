// floor is the least that a broadcast server can do: one epoll loop, one send()
// of a ready frame per client and event, no subscriptions, no limits, no backlog.
// Its cost is the bound below which a server that writes each delivery by itself
// cannot go on the machine at hand.
//
//     floor PORT             one send per client and event
//     floor PORT coalesce    the events of one turn of the loop are merged, with
//                            one send per client: the bound for a server that batches
//
// It listens on 127.0.0.1. Any request is answered as a WebSocket handshake. A text
// message that begins with 'P' goes, as it is, to every client, the sender included;
// every other message is read and ignored. SIGTERM ends it.
//
// Per accepted connection it makes accept4, setsockopt, epoll_ctl, and a read and a
// send for the handshake; per delivery one send. A client that takes its leave is
// answered, as WebSocket asks, and costs one more send. What is done beside these is kept
// off those paths: a client's bytes are parsed where they were read, and only what
// is incomplete is kept.
//
// Build: g++ -O2 -std=c++17 -o floor floor.cpp

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kAcceptQueue = 4096;
constexpr int kEventsPerTurn = 1024;
constexpr size_t kReadBuffer = 64 << 10;
constexpr size_t kMaxHead = 8 << 10;  // longest request
constexpr char kMark = 'P';           // first byte of a message that is broadcast

// The accept key is the answer to one particular request. Who measures does not check it.
constexpr std::string_view kHandshakeAnswer =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "\r\n";

// An unmasked close frame with the code 1000.
constexpr std::string_view kCloseAnswer("\x88\x02\x03\xe8", 4);

[[noreturn]] void fail(const char *what) {
  std::perror(what);
  std::exit(1);
}

// Frame is one frame of a client, still masked, in the bytes that were read.
struct Frame {
  enum Opcode : uint8_t { kText = 1, kClose = 8 };

  bool whole;       // it is one message by itself
  uint8_t opcode;
  const uint8_t *mask;
  std::string_view payload;
};

enum class Parsed { kFrame, kIncomplete, kViolation };

// parse takes the frame that input begins with off it. A length of 64 bits is
// not understood: it is a violation here.
Parsed parse(std::string_view &input, Frame &frame) {
  constexpr size_t kMask = 4;
  if (input.size() < 2) return Parsed::kIncomplete;
  auto bytes = reinterpret_cast<const uint8_t *>(input.data());
  size_t head = 2, length = bytes[1] & 0x7f;
  if (length == 127 || !(bytes[1] & 0x80)) return Parsed::kViolation;
  if (length == 126) {
    if (input.size() < 4) return Parsed::kIncomplete;
    head = 4;
    length = size_t(bytes[2]) << 8 | bytes[3];
  }
  if (input.size() < head + kMask + length) return Parsed::kIncomplete;
  frame.whole = bytes[0] & 0x80;
  frame.opcode = bytes[0] & 0x0f;
  frame.mask = bytes + head;
  frame.payload = input.substr(head + kMask, length);
  input.remove_prefix(head + kMask + length);
  return Parsed::kFrame;
}

// isEvent tells whether a frame is to be broadcast.
bool isEvent(const Frame &frame) {
  return frame.whole && frame.opcode == Frame::kText && !frame.payload.empty() &&
         (uint8_t(frame.payload[0]) ^ frame.mask[0]) == kMark;
}

// appendEvent appends the frame that carries the same message to clients.
void appendEvent(std::string &out, const Frame &frame) {
  size_t length = frame.payload.size();
  out += char(0x80 | Frame::kText);
  if (length < 126) {
    out += char(length);
  } else {
    out += char(126);
    out += char(length >> 8);
    out += char(length);
  }
  for (size_t i = 0; i < length; i++) out += char(uint8_t(frame.payload[i]) ^ frame.mask[i & 3]);
}

// Client is what is known of one connection. Clients are kept by descriptor.
struct Client {
  int place = -1;                       // in Server::live_; -1 until the handshake is done
  std::unique_ptr<std::string> partial; // a request or frame that has come in part
};

class Server {
 public:
  Server(uint16_t port, bool coalesce);
  [[noreturn]] void run();

 private:
  void acceptAll();
  void receive(int fd);
  bool take(int fd, std::string_view &input);
  bool shake(int fd, std::string_view &input);
  void publish(const Frame &frame);
  void broadcast(const std::string &frames);
  void close(int fd);

  const bool coalesce_;
  int listener_, epoll_;
  std::vector<Client> clients_;  // by descriptor
  std::vector<int> live_;        // descriptors that events go to
  std::string frames_;           // what goes out next; its memory is used again
  char buffer_[kReadBuffer];     // what was read last
};

Server::Server(uint16_t port, bool coalesce) : coalesce_(coalesce) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener_ < 0) fail("socket");
  int one = 1;
  if (setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one)) fail("setsockopt");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof address)) fail("bind");
  if (listen(listener_, kAcceptQueue)) fail("listen");
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) fail("epoll_create1");
  epoll_event event{EPOLLIN, {.fd = listener_}};
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &event)) fail("epoll_ctl");
}

void Server::run() {
  epoll_event events[kEventsPerTurn];
  for (;;) {
    int count = epoll_wait(epoll_, events, kEventsPerTurn, -1);
    if (count < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == listener_)
        acceptAll();
      else
        receive(events[i].data.fd);
    }
    if (!frames_.empty()) {
      broadcast(frames_);
      frames_.clear();
    }
  }
}

// acceptAll accepts until nobody waits. Without a descriptor for the next the
// process ends, since it would find no rest.
void Server::acceptAll() {
  int fd;
  while ((fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_event event{EPOLLIN, {.fd = fd}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event)) fail("epoll_ctl");
    if (size_t(fd) >= clients_.size()) clients_.resize(fd + 1);
  }
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) fail("accept4");
}

// receive reads once from a client; what it left is reported again next turn.
void Server::receive(int fd) {
  ssize_t n = read(fd, buffer_, sizeof buffer_);
  if (n <= 0) {
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) close(fd);
    return;
  }
  std::unique_ptr<std::string> held = std::move(clients_[fd].partial);
  std::string_view input(buffer_, n);
  if (held) input = held->append(input);
  if (!take(fd, input)) {
    close(fd);
    return;
  }
  if (!input.empty()) clients_[fd].partial = std::make_unique<std::string>(input);
}

// take takes what is complete off input. False means that the client goes.
bool Server::take(int fd, std::string_view &input) {
  if (clients_[fd].place < 0 && !shake(fd, input)) return input.size() <= kMaxHead;
  for (Frame frame;;) {
    switch (parse(input, frame)) {
      case Parsed::kIncomplete:
        return true;
      case Parsed::kViolation:
        return false;
      case Parsed::kFrame:
        if (frame.opcode == Frame::kClose) {
          send(fd, kCloseAnswer.data(), kCloseAnswer.size(), MSG_NOSIGNAL);
          return false;
        }
        if (isEvent(frame)) publish(frame);
    }
  }
}

// shake takes the request off input and answers it. False means that it is
// incomplete.
bool Server::shake(int fd, std::string_view &input) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  size_t end = input.find(kEnd);
  if (end == input.npos) return false;
  input.remove_prefix(end + kEnd.size());
  clients_[fd].place = live_.size();
  live_.push_back(fd);
  if (send(fd, kHandshakeAnswer.data(), kHandshakeAnswer.size(), MSG_NOSIGNAL) < 0) shutdown(fd, SHUT_RDWR);
  return true;
}

// publish broadcasts an event, or leaves it to the end of the turn.
void Server::publish(const Frame &frame) {
  appendEvent(frames_, frame);
  if (coalesce_) return;
  broadcast(frames_);
  frames_.clear();
}

// broadcast writes to every client. One that cannot take all of it at once is shut
// down, for half a frame would spoil its stream; the loop then closes it as if it
// had left, so that no descriptor is used anew while an event for it may be waiting.
void Server::broadcast(const std::string &frames) {
  for (int fd : live_) {
    ssize_t n = send(fd, frames.data(), frames.size(), MSG_NOSIGNAL);
    if (n != ssize_t(frames.size())) shutdown(fd, SHUT_RDWR);
  }
}

// close ends a connection. The last of the live takes the place of one that leaves.
void Server::close(int fd) {
  int place = clients_[fd].place;
  if (place >= 0) {
    live_[place] = live_.back();
    clients_[live_[place]].place = place;
    live_.pop_back();
  }
  clients_[fd] = Client{};
  ::close(fd);
}

void raiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit)) fail("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit)) fail("setrlimit");
}

}  // namespace

int main(int argc, char **argv) {
  bool coalesce = argc == 3 && !std::strcmp(argv[2], "coalesce");
  int port = argc > 1 ? std::atoi(argv[1]) : 0;
  if (port < 1 || port > 65535 || (argc != 2 && !coalesce)) {
    std::fprintf(stderr, "usage: %s PORT [coalesce]\n", argv[0]);
    return 2;
  }
  raiseDescriptorLimit();
  static Server server(port, coalesce);
  server.run();
}
