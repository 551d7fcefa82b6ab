/* Loaded before libc (LD_PRELOAD): the disk fails, or the process dies, at a chosen write or sync of files
   whose path begins with a prefix. Armed by `disk_fault_arm`; nothing happens before. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { NONE, KILL, TORN_KILL, WRITE_EIO, WRITE_ENOSPC, SHORT_WRITE, SYNC_EIO };
static volatile int kind = NONE;
static volatile long countdown = 0, repeats = 0;
static char prefix[512] = "";
long disk_fault_count = 0; /* faults that happened */

void disk_fault_arm(int which, long after, long times, const char *root) {
    countdown = after;
    repeats = times;
    strncpy(prefix, root, sizeof prefix - 1);
    kind = which;
}

static int ours(int fd) {
    char link[64], path[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

/* The fault of this call, if its turn has come. */
static int due(int fd, int is_sync) {
    if (kind == NONE || (kind == SYNC_EIO) != is_sync || !ours(fd)) return NONE;
    if (countdown-- > 0) return NONE;
    int found = kind;
    if (--repeats <= 0) kind = NONE;
    disk_fault_count++;
    return found;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define FAULTY_WRITE(fault, whole, half)                   \
    switch (fault) {                                       \
    case KILL: raise(SIGKILL);                             \
    case TORN_KILL: (void)!(half); raise(SIGKILL);         \
    case WRITE_EIO: errno = EIO; return -1;                \
    case WRITE_ENOSPC: errno = ENOSPC; return -1;          \
    case SHORT_WRITE: return half;                         \
    default: return whole;                                 \
    }

ssize_t write(int fd, const void *data, size_t size) {
    FAULTY_WRITE(due(fd, 0), REAL(write)(fd, data, size), REAL(write)(fd, data, (size + 1) / 2))
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    FAULTY_WRITE(due(fd, 0), REAL(pwrite)(fd, data, size, at), REAL(pwrite)(fd, data, (size + 1) / 2, at))
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    FAULTY_WRITE(due(fd, 0), REAL(pwrite64)(fd, data, size, at), REAL(pwrite64)(fd, data, (size + 1) / 2, at))
}

int fsync(int fd) {
    if (due(fd, 1)) { errno = EIO; return -1; }
    return REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (due(fd, 1)) { errno = EIO; return -1; }
    return REAL(fdatasync)(fd);
}
