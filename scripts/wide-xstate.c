/*
 * Loaded into user-mode Linux (LD_PRELOAD) on hosts whose processors have AMX.
 *
 * UML sets the vector registers of its guests' processes with PTRACE_SETREGSET and a buffer of 2,696 bytes,
 * as large as they were before AMX. A host with AMX takes the whole state only, 11,008 bytes, and answers
 * EFAULT, of which the guest's first process dies. So what UML sets goes into the head of what the
 * process has, and the whole is set. (Linux: arch/x86/kernel/fpu/regset.c, xstateregs_set.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define NT_X86_XSTATE 0x202
#define XSTATE_BYTES_MAX 65536

typedef long (*ptrace_call)(int request, int pid, void *address, void *data);

long ptrace(enum __ptrace_request request, ...) {
  static ptrace_call next;
  static char state[XSTATE_BYTES_MAX];
  va_list arguments;
  va_start(arguments, request);
  int pid = va_arg(arguments, int);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);

  if (next == NULL) next = (ptrace_call)dlsym(RTLD_NEXT, "ptrace");
  if (request != PTRACE_SETREGSET || (long)address != NT_X86_XSTATE) return next(request, pid, address, data);

  struct iovec whole = {state, sizeof state};
  if (next(PTRACE_GETREGSET, pid, address, &whole) < 0) return -1;
  struct iovec *head = data;
  if (head->iov_len < whole.iov_len) memcpy(state, head->iov_base, head->iov_len);
  else whole = *head;
  return next(PTRACE_SETREGSET, pid, address, &whole);
}
