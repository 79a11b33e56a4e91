#include "core/kernels/tile_scratch.h"

#include <array>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status_macros.h"
#include "core/kernels/blas.h"

namespace qkserve {
namespace {

using Seat = std::array<Buffer, kSeatLevels>;

// The seats that no thread has.
struct FreeSeats {
  Mutex mutex;
  CondVar returned;
  std::vector<std::unique_ptr<Seat>> seats ABSL_GUARDED_BY(mutex);
};

FreeSeats& GetFreeSeats() {
  // The pool is never destroyed, because threads may compute while the process ends.
  static FreeSeats& pool = *[] {
    auto* const made = new FreeSeats;
    MutexLock lock(&made->mutex);
    for (int i = 0; i < BlasCallsMax(); ++i) made->seats.push_back(std::make_unique<Seat>());
    return made;
  }();
  return pool;
}

// The seat of this thread, if it has one, and how the seat is used.
struct ThreadSeat {
  std::unique_ptr<Seat> seat;
  int users = 0;   // number of TileScratch objects
  int levels = 0;  // levels of the seat in use
};
thread_local ThreadSeat my_seat;

}  // namespace

TileScratch::TileScratch() {
  ThreadSeat& mine = my_seat;
  if (mine.users++ > 0) return;
  FreeSeats& pool = GetFreeSeats();
  MutexLock lock(&pool.mutex);
  while (pool.seats.empty()) pool.returned.Wait(&pool.mutex);
  // The seat that was given back last has the warmest memory.
  mine.seat = std::move(pool.seats.back());
  pool.seats.pop_back();
}

TileScratch::~TileScratch() {
  ThreadSeat& mine = my_seat;
  if (has_level_) --mine.levels;
  if (--mine.users > 0) return;
  FreeSeats& pool = GetFreeSeats();
  MutexLock lock(&pool.mutex);
  pool.seats.push_back(std::move(mine.seat));
  pool.returned.NotifyOne();
}

absl::StatusOr<float*> TileScratch::Get(int64_t floats) {
  const size_t bytes = static_cast<size_t>(floats) * sizeof(float);
  ThreadSeat& mine = my_seat;
  Buffer* buffer = &large_;
  if (static_cast<int64_t>(bytes) <= kKeptBytesMax && mine.levels < kSeatLevels) {
    buffer = &(*mine.seat)[static_cast<size_t>(mine.levels)];
  }
  ++mine.levels;
  has_level_ = true;
  if (buffer->size_bytes() < bytes) {
    *buffer = Buffer();
    ASSIGN_OR_RETURN(*buffer, Buffer::Allocate(bytes));
  }
  return reinterpret_cast<float*>(buffer->data());
}

int64_t KeptScratchBytes() {
  FreeSeats& pool = GetFreeSeats();
  MutexLock lock(&pool.mutex);
  int64_t bytes = 0;
  for (const auto& seat : pool.seats) {
    for (const Buffer& level : *seat) bytes += static_cast<int64_t>(level.size_bytes());
  }
  return bytes;
}

void FreeKeptScratch() {
  FreeSeats& pool = GetFreeSeats();
  MutexLock lock(&pool.mutex);
  for (const auto& seat : pool.seats) *seat = Seat();
}

}  // namespace qkserve
