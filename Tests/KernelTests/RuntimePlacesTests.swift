// RuntimePlacesTests: on which processors threads may run, during a run and after it.
// Not here: what they do there (RuntimeTests).
import CRengaKernels
import Glibc
import XCTest

/// Functions that Swift does not see.
private enum System {
    typealias Number = @convention(c) () -> pid_t
    typealias Affinity = @convention(c) (pid_t, Int, UnsafeMutableRawPointer?) -> Int32
    static let number = dlsym(nil, "gettid").map { unsafeBitCast($0, to: Number.self) }
    static let affinity = dlsym(nil, "sched_getaffinity").map { unsafeBitCast($0, to: Affinity.self) }
}

/// The system's number of the calling thread.
private func ownNumber() -> pid_t { System.number?() ?? -1 }

/// Processors that a thread (its number; 0: this one) may run on; -1 where there is no such thread.
private func openProcessors(to thread: pid_t) -> Int {
    var set = [UInt8](repeating: 0, count: 128)
    guard System.affinity?(thread, set.count, &set) == 0 else { return -1 }
    return set.reduce(0) { $0 + $1.nonzeroBitCount }
}

/// A thread that does nothing until it is let go.
private final class Idler: @unchecked Sendable {
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var thread: Spawned?
    private(set) var number: pid_t = 0

    init?() {
        pthread_mutex_init(lock, nil)
        pthread_mutex_lock(lock)
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        thread = Spawned { [lock, ends] in
            var own = ownNumber()
            write(ends[1], &own, MemoryLayout<pid_t>.size)
            return pthread_mutex_lock(lock) == 0 && pthread_mutex_unlock(lock) == 0
        }
        read(ends[0], &number, MemoryLayout<pid_t>.size)
        for end in ends { close(end) }
    }

    func letGo() -> Bool {
        pthread_mutex_unlock(lock)
        defer { lock.deallocate() }
        return thread?.join() == true
    }
}

final class RuntimePlacesTests: XCTestCase {
    /// Workers that slept are kept on one processor while they run; afterwards they may run wherever they could before.
    func testThreadsMayRunWhereTheyCouldBefore() {
        let before = openProcessors(to: 0)
        XCTAssertGreaterThan(before, 0)
        let threads = Guarded<pid_t>(count: Int(RK_MAX_THREADS), repeating: 0)
        let note: rk_step_fn = { raw, team in
            guard let raw, let team else { return }
            let threads = UnsafeMutablePointer(mutating: raw.assumingMemoryBound(to: pid_t.self))
            threads[Int(team.pointee.tid)] = ownNumber()
            rk_team_barrier(team)
        }
        for size: Int32 in [2, 2, 3, 2, 2] {
            usleep(5_000)  // workers of the run before sleep again
            XCTAssertEqual(rk_run([rk_step(run: note, args: threads.pointer, enabled: nil)], 1, size, nil, nil), 0)
            let open = threads.values.prefix(Int(size)).map { openProcessors(to: $0) }
            XCTAssertEqual(open, [Int](repeating: before, count: Int(size)), "\(size) threads")
        }
        XCTAssertTrue(threads.isIntact)
    }

    /// A worker has ended, and the system may give its number to another thread: that thread is not the library's to move.
    func testThreadsThatAreNoWorkersAreLeftAlone() throws {
        struct Watch {
            var worker: pid_t = 0
            var stranger: pid_t = 0
            var fewest = Int.max
        }
        let note: rk_step_fn = { raw, team in
            guard let raw, let team else { return }
            let watch = UnsafeMutablePointer(mutating: raw.assumingMemoryBound(to: Watch.self))
            rk_team_barrier(team)
            guard team.pointee.tid == 1 else { return }
            watch.pointee.worker = ownNumber()
            if watch.pointee.stranger != 0 {
                watch.pointee.fewest = min(watch.pointee.fewest, openProcessors(to: watch.pointee.stranger))
            }
        }
        let watch = Guarded<Watch>(count: 1, repeating: Watch())
        let step = rk_step(run: note, args: watch.pointer, enabled: nil)
        XCTAssertEqual(rk_run([step], 1, 2, nil, nil), 0)

        // A host may ask OpenMP to end its threads.
        typealias Pause = @convention(c) (Int32) -> Int32
        let hard: Int32 = 2
        let pause = try XCTUnwrap(dlsym(nil, "omp_pause_resource_all").map { unsafeBitCast($0, to: Pause.self) })
        XCTAssertEqual(pause(hard), 0)
        let worker = watch.pointer.pointee.worker
        for _ in 0..<200 where openProcessors(to: worker) >= 0 { usleep(1_000) }
        XCTAssertEqual(openProcessors(to: worker), -1)

        // The next number can be chosen by who may (in a container usually): elsewhere the stranger has a number of its own.
        let next = open("/proc/sys/kernel/ns_last_pid", O_WRONLY)
        var stranger = try XCTUnwrap(Idler())
        for _ in 0..<200 where next >= 0 && stranger.number != worker {
            XCTAssertTrue(stranger.letGo())
            let text = Array("\(worker - 1)".utf8)
            pwrite(next, text, text.count, 0)
            stranger = try XCTUnwrap(Idler())
        }
        if next >= 0 { close(next) }
        watch.pointer.pointee.stranger = stranger.number
        for _ in 0..<5 {
            usleep(5_000)  // workers of the run before sleep again
            XCTAssertEqual(rk_run([step], 1, 2, nil, nil), 0)
        }
        XCTAssertEqual(watch.pointer.pointee.fewest, openProcessors(to: 0))
        XCTAssertTrue(stranger.letGo())
    }
}
