#include "core/kernels/tile_scratch.h"

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "core/kernels/blas.h"

namespace qkserve {
namespace {

struct Seat {
  std::array<Buffer, kSeatLevels> levels;
};

// All seats of the process. Thread-safe.
class Seats {
 public:
  explicit Seats(int count) : free_(static_cast<size_t>(count)) {
    for (std::unique_ptr<Seat>& seat : free_) seat = std::make_unique<Seat>();
  }

  // The one that was given back last: its memory is the warmest.
  std::unique_ptr<Seat> Take() {
    MutexLock lock(&mutex_);
    while (free_.empty()) returned_.Wait(&mutex_);
    std::unique_ptr<Seat> seat = std::move(free_.back());
    free_.pop_back();
    return seat;
  }

  void Return(std::unique_ptr<Seat> seat) {
    MutexLock lock(&mutex_);
    free_.push_back(std::move(seat));
    returned_.NotifyOne();
  }

  int64_t KeptBytes() {
    MutexLock lock(&mutex_);
    int64_t bytes = 0;
    for (const std::unique_ptr<Seat>& seat : free_) {
      for (const Buffer& level : seat->levels) bytes += static_cast<int64_t>(level.size_bytes());
    }
    return bytes;
  }

  void FreeKept() {
    MutexLock lock(&mutex_);
    for (std::unique_ptr<Seat>& seat : free_) *seat = Seat();
  }

  // Never destroyed: threads may compute while the process ends.
  static Seats& All() {
    static Seats& seats = *new Seats(BlasCallsMax());
    return seats;
  }

 private:
  Mutex mutex_;
  CondVar returned_;
  std::vector<std::unique_ptr<Seat>> free_ ABSL_GUARDED_BY(mutex_);
};

// The seat of this thread, if it has one, and its use.
struct ThreadSeat {
  std::unique_ptr<Seat> seat;
  int levels = 0;  // in use
  int scopes = 0;

  void ReturnIfUnused() {
    if (levels == 0 && scopes == 0 && seat != nullptr) Seats::All().Return(std::move(seat));
  }
};
thread_local ThreadSeat my_seat;

}  // namespace

ScratchScope::ScratchScope() { ++my_seat.scopes; }

ScratchScope::~ScratchScope() {
  --my_seat.scopes;
  my_seat.ReturnIfUnused();
}

absl::StatusOr<float*> TileScratch::Get(int64_t floats) {
  const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
  ThreadSeat& mine = my_seat;
  if (mine.seat == nullptr) mine.seat = Seats::All().Take();
  Buffer* buffer = &large_;
  if (static_cast<int64_t>(bytes) <= kKeptBytesMax && mine.levels < kSeatLevels) {
    buffer = &mine.seat->levels[static_cast<size_t>(mine.levels)];
  }
  ++mine.levels;
  has_level_ = true;
  if (buffer->size_bytes() < bytes) {
    *buffer = Buffer();
    absl::StatusOr<Buffer> memory = Buffer::Allocate(bytes);
    if (!memory.ok()) return memory.status();
    *buffer = *std::move(memory);
  }
  return reinterpret_cast<float*>(buffer->data());
}

TileScratch::~TileScratch() {
  if (!has_level_) return;
  --my_seat.levels;
  my_seat.ReturnIfUnused();
}

int64_t KeptScratchBytes() { return Seats::All().KeptBytes(); }

void FreeKeptScratch() { Seats::All().FreeKept(); }

}  // namespace qkserve
