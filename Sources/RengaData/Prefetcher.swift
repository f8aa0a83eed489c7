// Prefetcher.swift: the life of the one thread that makes batches ahead.
// Not here: what it does (BatchQueue).
import Glibc
import RengaNetwork

/// Runs a queue on a thread of its own, from creation until its last owner goes; that waits for the batch being made.
final class Prefetcher {
    private let queue: BatchQueue
    private let process = getpid()
    private let thread: pthread_t

    /// Errors: busy where the system gives no thread.
    init(_ queue: BatchQueue) throws(RengaError) {
        self.queue = queue
        thread = try Prefetcher.start(queue)
    }

    deinit {
        // After a fork the child has this object but not its thread: nothing to join, and the lock may be held for ever.
        guard process == getpid() else { return }
        queue.stop()
        pthread_join(thread, nil)
    }

    /// Errors: busy in a child process after fork.
    func take(
        _ count: Int, src: UnsafeMutablePointer<Float>, labels: UnsafeMutablePointer<Int32>
    ) throws(RengaError) {
        guard process == getpid() else {
            throw RengaError(.busy, "a batch loader made before fork() cannot be used in the child process")
        }
        queue.take(count, src: src, labels: labels)
    }

    /// The thread takes no signal of the host's, whose handlers expect the host's threads.
    private static func start(_ queue: BatchQueue) throws(RengaError) -> pthread_t {
        var everything = sigset_t()
        var before = sigset_t()
        sigfillset(&everything)
        pthread_sigmask(SIG_SETMASK, &everything, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        // The thread owns the queue, not the prefetcher: whoever joins a thread must not be kept alive by it.
        let context = Unmanaged.passRetained(queue)
        let code = pthread_create(
            &thread, nil,
            { context in
                if let context { Unmanaged<BatchQueue>.fromOpaque(context).takeRetainedValue().run() }
                return nil
            }, context.toOpaque())
        guard code == 0 else {
            context.release()
            throw RengaError(.busy, "no thread for the batch loader: error \(code)")
        }
        return thread
    }
}
