// Preloaded into nbdkit by tests/bench/slow-disk: the delay filter knows whole milliseconds only, and
// waits for them in ppoll(). Here they are microseconds.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec finer;

	if (timeout) {
		long long ns = (timeout->tv_sec * NS_PER_S + timeout->tv_nsec) / 1000;

		finer.tv_sec = ns / NS_PER_S;
		finer.tv_nsec = ns % NS_PER_S;
	}
	return (int)syscall(SYS_ppoll, fds, count, timeout ? &finer : NULL, mask,
			    mask ? _NSIG / 8 : 0);
}
