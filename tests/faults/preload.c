// Simulates faults of the system in a program that is started with this library in LD_PRELOAD. The
// test and the library map the same file, in which the test says what to do: see struct Control.
// faults.py builds the library and writes the file.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// All numbers are 64 bits, in this order.
struct Control {
  int64_t calls;                 // the calls that count: a set of the bits below
  int64_t left;                  // so many of them succeed before the fault; negative: no fault
  int64_t fault;                 // errno, or kKillBefore, or kKillAfter
  int64_t lasts;                 // 1: all later calls fail, too
  int64_t counted;               // calls that counted so far
  int64_t allocation_bytes_min;  // allocations of at least this size fail; 0: none
  int64_t allocation_bytes_max;  // larger allocations succeed; 0: no upper limit
  int64_t allocations_left;      // so many of them succeed before the first failure
  int64_t wall_clock_offset_s;   // added to the time of the wall clock
};

enum { kWrite = 1, kSync = 2, kRename = 4, kMakeDirectory = 8, kRemove = 16, kRead = 32 };
enum { kKillBefore = -1, kKillAfter = -2 };

static struct Control* control;

__attribute__((constructor)) static void MapControl(void) {
  const char* path = getenv("FAULTS_CONTROL");
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* mapped = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (mapped != MAP_FAILED) control = mapped;
}

// --- Files --------------------------------------------------------------------------------------

// Returns 0 if the call must be made normally, otherwise the fault.
static int64_t FaultOf(int64_t call) {
  if (control == NULL || (__atomic_load_n(&control->calls, __ATOMIC_SEQ_CST) & call) == 0) return 0;
  __atomic_fetch_add(&control->counted, 1, __ATOMIC_SEQ_CST);
  int64_t left = __atomic_fetch_sub(&control->left, 1, __ATOMIC_SEQ_CST);
  if (left != 0 && (left > 0 || !control->lasts)) return 0;
  if (control->fault == kKillBefore) kill(getpid(), SIGKILL);
  return control->fault;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WITH_FAULT(call, name, ...)                               \
  int64_t fault = FaultOf(call);                                  \
  if (fault > 0) {                                                \
    errno = (int)fault;                                           \
    return -1;                                                    \
  }                                                               \
  __typeof__(name(__VA_ARGS__)) result = REAL(name)(__VA_ARGS__); \
  if (fault == kKillAfter) kill(getpid(), SIGKILL);               \
  return result

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  WITH_FAULT(kWrite, pwrite, fd, data, size, offset);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  WITH_FAULT(kWrite, pwrite64, fd, data, size, offset);
}
ssize_t pread(int fd, void* data, size_t size, off_t offset) {
  WITH_FAULT(kRead, pread, fd, data, size, offset);
}
ssize_t pread64(int fd, void* data, size_t size, off64_t offset) {
  WITH_FAULT(kRead, pread64, fd, data, size, offset);
}
int fsync(int fd) { WITH_FAULT(kSync, fsync, fd); }
int rename(const char* from, const char* to) { WITH_FAULT(kRename, rename, from, to); }
int mkdir(const char* path, mode_t mode) { WITH_FAULT(kMakeDirectory, mkdir, path, mode); }
int unlink(const char* path) { WITH_FAULT(kRemove, unlink, path); }
int rmdir(const char* path) { WITH_FAULT(kRemove, rmdir, path); }

// --- Memory -------------------------------------------------------------------------------------

void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

static int Refuses(size_t size) {
  if (control == NULL || control->allocation_bytes_min == 0) return 0;
  if (size < (uint64_t)control->allocation_bytes_min) return 0;
  if (control->allocation_bytes_max != 0 && size > (uint64_t)control->allocation_bytes_max) return 0;
  if (__atomic_fetch_sub(&control->allocations_left, 1, __ATOMIC_SEQ_CST) > 0) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return Refuses(size) ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) {
  return Refuses(count * size) ? NULL : __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) { return Refuses(size) ? NULL : __libc_realloc(old, size); }
void* memalign(size_t alignment, size_t size) {
  return Refuses(size) ? NULL : __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** to, size_t alignment, size_t size) {
  *to = memalign(alignment, size);
  return *to == NULL ? ENOMEM : 0;
}
void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  if ((flags & MAP_ANONYMOUS) != 0 && Refuses(size)) return MAP_FAILED;
  return (void*)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

// --- The wall clock -----------------------------------------------------------------------------

static int64_t Offset(void) {
  return control == NULL ? 0 : __atomic_load_n(&control->wall_clock_offset_s, __ATOMIC_SEQ_CST);
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  int result = REAL(clock_gettime)(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    time->tv_sec += Offset();
  }
  return result;
}
int gettimeofday(struct timeval* restrict time, void* restrict zone) {
  int result = REAL(gettimeofday)(time, zone);
  if (result == 0) time->tv_sec += Offset();
  return result;
}
time_t time(time_t* to) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (to != NULL) *to = now.tv_sec;
  return now.tv_sec;
}

// Waits until a time of the wall clock. The wait is cut into pieces, and the changed clock is read
// before each piece. Abseil makes this system call for gRPC.
static long WaitByWallClock(long (*real)(long, ...), uint32_t* word, int operation, uint32_t value,
                            const struct timespec* end, uint32_t bits) {
  const int64_t piece_ns = 20 * 1000 * 1000;
  while (1) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t left_s = end->tv_sec - now.tv_sec;
    int64_t left_ns = left_s * 1000000000 + end->tv_nsec - now.tv_nsec;
    if (left_s < 0 || (left_s < 100 && left_ns <= 0)) left_ns = 0;
    int is_last = left_s < 100 && left_ns <= piece_ns;
    struct timespec piece;
    REAL(clock_gettime)(CLOCK_MONOTONIC, &piece);
    piece.tv_nsec += is_last ? left_ns : piece_ns;
    if (piece.tv_nsec >= 1000000000) {
      piece.tv_nsec -= 1000000000;
      ++piece.tv_sec;
    }
    long result =
        real(SYS_futex, word, operation & ~FUTEX_CLOCK_REALTIME, value, &piece, NULL, bits);
    if (result == 0 || errno != ETIMEDOUT || is_last) return result;
  }
}

long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long a[6];
  for (int i = 0; i < 6; ++i) a[i] = va_arg(list, long);
  va_end(list);
  static long (*real)(long, ...);
  if (real == NULL) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  const int by_wall_clock = FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME;
  if (number == SYS_futex && a[3] != 0 && ((int)a[1] & ~FUTEX_PRIVATE_FLAG) == by_wall_clock) {
    return WaitByWallClock(real, (uint32_t*)a[0], (int)a[1], (uint32_t)a[2],
                           (const struct timespec*)a[3], (uint32_t)a[5]);
  }
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
