/* Tells ThreadSanitizer of the locks that Synchronization.Mutex takes where it has to wait.
 *
 * On Linux a Mutex is a futex. The way without waiting is compiled into its callers and seen by ThreadSanitizer; the
 * way with waiting is in libswiftSynchronization.so, which is not instrumented, so that whatever one thread wrote under
 * the lock looks unordered to the thread that waited for it. Loaded with LD_PRELOAD, these stand before the library's
 * two functions and say what happened. Races that are none then go unreported, and the others are reported as before:
 * scripts/sanitizers/races.swift shows both.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define SWIFT_CALL __attribute__((swiftcall))
#define SWIFT_SELF __attribute__((swift_context))

/* _MutexHandle._lockSlow(_: UInt32) and _MutexHandle._unlockSlow(), as Swift 6 names them. */
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

/* Of the sanitizer's runtime; programs that are not instrumented have none. */
extern void __tsan_acquire(void *address) __attribute__((weak));
extern void __tsan_release(void *address) __attribute__((weak));

SWIFT_CALL void lock_slow(uint32_t state, SWIFT_SELF void *mutex) __asm__(LOCK_SLOW);
SWIFT_CALL void unlock_slow(SWIFT_SELF void *mutex) __asm__(UNLOCK_SLOW);

static SWIFT_CALL void (*library_lock)(uint32_t, SWIFT_SELF void *);
static SWIFT_CALL void (*library_unlock)(SWIFT_SELF void *);

__attribute__((constructor)) static void find(void) {
    library_lock = dlsym(RTLD_NEXT, LOCK_SLOW);
    library_unlock = dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

SWIFT_CALL void lock_slow(uint32_t state, SWIFT_SELF void *mutex) {
    library_lock(state, mutex);
    if (__tsan_acquire) __tsan_acquire(mutex);
}

SWIFT_CALL void unlock_slow(SWIFT_SELF void *mutex) {
    if (__tsan_release) __tsan_release(mutex);
    library_unlock(mutex);
}
