// TrainerLock.swift: calls on one trainer run one after another; a progress callback may read its trainer but not run it.
// Not here: the threads of a step (the plan's program).
import Glibc
import RengaNetwork

/// A lock that its own thread may take again, and that knows when it does.
final class TrainerLock: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var depth = 0

    init() {
        var attributes = pthread_mutexattr_t()
        pthread_mutexattr_init(&attributes)
        pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
        pthread_mutex_init(mutex, &attributes)
        pthread_mutexattr_destroy(&attributes)
    }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs `body` when no other thread is inside; from within a callback of this trainer it runs at once.
    func reading<R>(_ body: () throws(RengaError) -> R) throws(RengaError) -> R {
        pthread_mutex_lock(mutex)
        depth += 1
        defer {
            depth -= 1
            pthread_mutex_unlock(mutex)
        }
        return try body()
    }

    /// Runs `body` when no other thread is inside; refused from within a callback of this trainer.
    func running<R>(_ call: String, _ body: () throws(RengaError) -> R) throws(RengaError) -> R {
        try reading { () throws(RengaError) in
            guard depth == 1 else {
                throw RengaError(.busy, "\(call) was called from this trainer's own callback")
            }
            return try body()
        }
    }
}
